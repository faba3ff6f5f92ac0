# `make up` runs it all, `make test` proves it all. The rest is what those two are made of.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ENVIRONMENT ?= local
export COUNTER_PLATFORM_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/counter-platform
export UV_CACHE_DIR := $(COUNTER_PLATFORM_CACHE)/uv
# Outside of the clone: it goes by content, so a fresh clone and the machine of `make test` have it too.
export MYPY_CACHE_DIR := $(COUNTER_PLATFORM_CACHE)/mypy
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Of the calling shell's settings the page docs/how-to/mirrors.md names those that count. Another
# locale, another user's ansible.cfg, roles, modules or cluster would make a run of this clone into something else.
unexport LANGUAGE KUBECONFIG $(filter LC_% PYTHON% ANSIBLE_% K8S_AUTH_%,$(.VARIABLES))
export LC_ALL := C.UTF-8
# Named, as Ansible does not look for it in a folder that others can write to.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
PLAYBOOK := ansible-playbook -i inventories/$(ENVIRONMENT)

# A .venv starts nothing after the clone has been moved, or Python replaced by another release.
$(shell [[ ! -e .venv/synced ]] || { grep -qF ' $(CURDIR)/.venv' .venv/pyvenv.cfg \
  && [[ -d $$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') ]]; } 2>/dev/null || rm -rf .venv)

ifdef BUNDLE
# Verified and unpacked here, it is in the place of every index, mirror and registry.
BUNDLED := $(COUNTER_PLATFORM_CACHE)/bundle
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(BUNDLED)/wheels
export UV_OFFLINE := 1
export UV_NO_INDEX := 1
export UV_FIND_LINKS := $(BUNDLED)/wheels
PLAYBOOK += -e image_source=pull -e image_registry=$(BUNDLED)/images -e image_lock=$(BUNDLED)/images.lock.yml \
  -e platform_packages_dir=$(BUNDLED)/packages
.venv/synced: | unbundle
endif

.PHONY: help bundle unbundle up upgrade backup restore logs report dashboards check run down venv bump outdated licences quick test soak lint lint-ansible lint-code docs

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | while IFS=: read -r name rest; do
	  printf '%-12s%s\n' "$$name" "$${rest##*## }"
	done

up: venv ## From a bare machine to a counted request (ENVIRONMENT=local, BUNDLE=..., ARGS=...)
	@$(PLAYBOOK) site.yml $(ARGS)

upgrade: venv ## As `up`, and replace the cluster's nodes where that is needed; the count goes on
	@$(PLAYBOOK) site.yml -e kind_cluster_replace=true $(ARGS)

backup: venv ## Write the count into a file that is not there yet (FILE=...)
	@$(PLAYBOOK) playbooks/backup.yml -e counter_app_backup='$(abspath $(FILE))' $(ARGS)

restore: venv ## Raise the count to the one in a file of `backup`; it never goes back (FILE=...)
	@$(PLAYBOOK) playbooks/restore.yml -e counter_app_backup='$(abspath $(FILE))' $(ARGS)

logs: venv ## How to look at the logs, or the lines of a query (QUERY=...)
	@ANSIBLE_DISPLAY_FAILED_STDERR=true $(PLAYBOOK) playbooks/logs_query.yml $(ARGS) >/dev/null
	cat .state/$(ENVIRONMENT)/logs/answer

report: venv ## The metrics of the last hour, or of another span, as one page (SPAN=6h)
	@$(PLAYBOOK) playbooks/report.yml $(if $(SPAN),-e report_span='$(SPAN)') $(ARGS)

dashboards: venv ## Open the way to Alertmanager's page and Prometheus' API, until Ctrl-C
	@kubectl=(.state/$(ENVIRONMENT)/bin/kubectl --kubeconfig .state/$(ENVIRONMENT)/kubeconfig -n monitoring)
	[[ -x $$kubectl ]] || { echo "there is no environment $(ENVIRONMENT) here: make up makes it" >&2; exit 1; }
	trap 'kill $$(jobs -p)' EXIT
	"$${kubectl[@]}" port-forward --address 127.0.0.1 statefulset/prometheus 9090 >/dev/null &
	"$${kubectl[@]}" port-forward --address 127.0.0.1 statefulset/alertmanager 9093 >/dev/null &
	printf '%s\n' "Alertmanager's page: http://127.0.0.1:9093/" "Prometheus' API: http://127.0.0.1:9090/api/v1/query?query=up"
	wait -n

check: venv ## Say what `up` would change, and change nothing
	@$(PLAYBOOK) site.yml --check --diff $(ARGS)

bundle: venv ## Write all that a run takes into one file, for a machine without a network (FILE=..., PART_MIB=..., KEY=...)
	@$(PLAYBOOK) playbooks/bundle.yml -e bundle_file='$(abspath $(FILE))' $(if $(PART_MIB),-e bundle_part_mib='$(PART_MIB)') \
	  $(if $(KEY),-e bundle_key='$(abspath $(KEY))') $(ARGS)

unbundle:
	@python3 tools/bundle.py unpack \
	  --bundle='$(BUNDLE)' --clone=. --into=$(BUNDLED) $(if $(SIGNERS),--signers='$(SIGNERS)')

run: venv ## The service alone, in the foreground and without a cluster (settings: app/README.md)
	@cd app && UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv/app exec uv run --quiet --frozen python -m counter

down: venv ## Remove what `up` made, but for the cache
	@$(PLAYBOOK) playbooks/teardown.yml $(ARGS)

venv: .venv/synced ## The controller's tools, as locked

.venv/synced: bootstrap.txt pyproject.toml uv.lock
	@echo "Installing the controller's tools into .venv"
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	[[ -x .venv/bin/uv ]] || python3 -m venv .venv || {
	  rm -rf .venv
	  echo "python3 cannot make virtual environments: install the package python3-venv" >&2
	  exit 1
	}
	[[ -x .venv/bin/uv ]] || .venv/bin/python -m pip install --quiet --require-hashes --requirement bootstrap.txt
	# By way of requirements: `uv sync` would fetch from the addresses in the lock, whatever index the client is set up
	# with. The hashes are checked either way.
	.venv/bin/uv export --quiet --frozen --no-header --no-annotate --output-file .venv/requirements.txt
	if [[ -n $$(find .venv -type d ! -user "$$(id -u)" -print -quit) ]]; then
	  echo ".venv has folders of another user, whose content you cannot replace: remove it, by sudo where it is root's" >&2
	  exit 1
	fi
	.venv/bin/uv pip sync --quiet --require-hashes --python .venv/bin/python .venv/requirements.txt
	# Modules that run as root leave bytecode beside what they import. Where the folder for it is the user's, the user can
	# remove it.
	find .venv/lib -name '*.py' -printf '%h/__pycache__\0' | sort --zero-terminated --unique | xargs --null mkdir --parents
	touch $@

bump: venv ## Bring one version to another: WHAT=kubernetes TO=vX.Y.Z
	@PYTHONPATH=tests:collections python -m tools.versions bump '$(WHAT)' '$(TO)'
	$(MAKE) --no-print-directory docs

outdated: venv ## List what is newer on the package mirrors
	@PYTHONPATH=tests:collections python -m tools.versions outdated

licences: venv ## The licence of all that is in the images, against the allowed ones; writes their SBOMs
	@$(PLAYBOOK) playbooks/sbom.yml $(ARGS)

# The longest file first: pytest-xdist gives files out in this order, to three as much of it waits.
quick: venv ## The contracts and unit tests that need no container engine, no root and no package mirror
	@pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder -m 'not soak and not mirrors and not engine' \
	  tests/contracts/test_values.py tests/contracts collections/ansible_collections/counter/platform/tests/unit

test: venv ## Prove everything in a throwaway machine, beside whatever runs here (JOBS=...); with BUNDLE=... what needs no network
ifdef BUNDLE
	@pytest -m 'not soak and not mirrors' tests/contracts
else
	@PYTHONPATH=tests python -m tools.throwaway test $(JOBS)
endif

soak: venv ## Prove at length what `test` proves in short (JOBS=...)
	@PYTHONPATH=tests python -m tools.throwaway soak $(JOBS)

docs: venv ## Write the tables of variables in the READMEs anew
	@for role in roles/*; do aar-doc --output-template .config/aar-doc/readme.j2 "$$role" markdown; done
	PYTHONPATH=tests python -m tools.terraform_docs

# Two halves side by side, each with its output in one piece. Both run to their end, and either fails the whole.
lint: venv ## Style, types and the roles' production profile
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target lint-ansible lint-code

lint-ansible:
	@ansible-lint --offline

lint-code:
	@ruff check .
	ruff format --check .
	mypy conftest.py collections/ansible_collections/counter tests molecule tools
	(cd app && UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv/app MYPY_CACHE_DIR=$(MYPY_CACHE_DIR)/app \
	  uv run --quiet --frozen --group lint --group test mypy)
	yamllint --strict .
	for kind in module filter lookup callback test; do
	  ansible-doc --type $$kind $$(ls collections/ansible_collections/counter/platform/plugins/$${kind/module/modules} \
	    | sed -n '/^__/d; s/\(.*\)\.py$$/counter.platform.\1/p') >/dev/null
	done
	# Newer commits than the rule. A copy without the history has none to check.
	if git log --no-merges --since=2026-12-01T04:00:00Z --format='%h %s' 2>/dev/null \
	  | grep -vE '^[0-9a-f]+ [a-z0-9_., /-]{2,40}: [a-z].{0,69}$$'; then
	  echo "the subjects of these commits are not of the form: area: imperative subject" >&2
	  exit 1
	fi
	shellcheck $$(grep -rlIE --exclude-dir={.venv,.state,.git} '^#!/bin/(ba)?sh' .)
