# How the jobs of test.mk and soak.mk run: each has a log, a JUnit report and its times in $(REPORTS).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := prove
MAKEFLAGS += --no-print-directory
SUITE := $(basename $(notdir $(firstword $(MAKEFILE_LIST))))
python := PYTHONPATH=molecule/shared:tests:collections python
export REPORTS ?= /srv/reports
JOBS ?= $(ALL)
# What tests take from Debian.
PACKAGES := redis-server,mmdebstrap,haproxy,libatomic1,skopeo,docker-registry,apache2-utils,git,openssh-client
UNITS := collections/ansible_collections/counter/platform/tests/unit

# The chosen jobs, and those that they need or run beside.
closure = $(1) $(foreach name,$(1),$(NEEDS.$(name)) $(BESIDE.$(name)))
RUN := $(filter $(call closure,$(call closure,$(JOBS))),$(ALL))
$(foreach name,$(RUN),$(eval $(name): $(NEEDS.$(name)) $(filter $(RUN),$(AFTER.$(name)))))

# Run the commands $(1), joined by `&&` and without single quotes, unless a job that they need has failed. $(2) is a
# prefix such as `nice`. Make itself goes on: the summary is what fails.
define job
@for need in $(NEEDS.$@); do grep --quiet '^0 ' $(REPORTS)/$$need.time || exit 0; done
printf '%(%T)T  $@ begins\n' -1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES JOBS
export REPORT=$(REPORTS)/$@.xml
status=0
TIMEFORMAT='%R %U %S'
{ time $(2) $(SHELL) $(.SHELLFLAGS) '$(strip $(1))' </dev/null >$(REPORTS)/$@.log 2>&1; } 2>$(REPORTS)/$@.part || status=$$?
[[ $$status -eq 0 ]] || tail -n 150 $(REPORTS)/$@.log
echo "$$status $$(tail -n 1 $(REPORTS)/$@.part)" >$(REPORTS)/$@.time
printf '%(%T)T  $@ ended with status %d\n' -1 $$status
endef

# Where PYTEST_ADDOPTS chooses tests, a job without any of them has nothing to fail.
pytest = $(python) -m pytest --junitxml=$$REPORT $(1) \
  || { status=$$?; [[ $$status -eq 5 && -n "$${PYTEST_ADDOPTS:-}" ]] || exit $$status; }
app = UV_CACHE_DIR=$${HOME}/.cache/counter-platform/uv UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv/app \
  uv run --directory=app --quiet --frozen --group=test pytest --junitxml=$$REPORT $(1)
install_packages = ansible localhost --become -m counter.platform.apt_packages -a names=$(PACKAGES)

.PHONY: prove jobs names $(ALL)
jobs: $(RUN)

prove: ## Run the jobs, each when those that it needs have passed, and print the table
	@mkdir -p $(REPORTS)
	status=0
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) --keep-going --jobs=$(PARALLEL) JOBS='$(JOBS)' jobs || status=$$?
	SECONDS_TAKEN=$$SECONDS $(python) -m tools.summary $(SUITE) $(filter $(RUN:%=%=%),$(BUDGETS)) || status=$$?
	exit $$status

names:
	@echo $(ALL)
