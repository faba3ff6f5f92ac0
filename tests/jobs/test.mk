# The jobs of `make test`. The environment `local` is deployed once; the roles' own tests run against it, those that
# destroy something last. A prerequisite is what a job needs, or `$(call after,...)`: what it should not disturb.
ALL := bare lint packages up app unit iac service second site logs metrics images log_host quiet counts end
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

# Seconds, with a full cache, on two cores that compile the node's programs in 500 s.
BUDGET.bare := 30
BUDGET.lint := 120
BUDGET.packages := 30
BUDGET.up := 270
BUDGET.app := 100
BUDGET.unit := 220
BUDGET.iac := 150
BUDGET.service := 210
BUDGET.second := 90
BUDGET.site := 180
BUDGET.logs := 200
BUDGET.metrics := 150
BUDGET.images := 90
BUDGET.log_host := 360
BUDGET.quiet := 40
BUDGET.counts := 200
BUDGET.end := 200

PARALLEL := 6
BACKGROUND := nice -n 10
# What needs a site has it deployed, whether or not the deployment is one of the jobs that were chosen.
needs = $(if $(filter service second site logs metrics images log_host quiet counts end,$(1)),up)
on_site = COUNTER_TEST_ENVIRONMENT=local $(call pytest,-p scenario $(1))

bare: ## A machine with nothing but the prerequisites
	$(call job,$(call pytest,tests/site/test_0_bare.py))

lint:
	$(call job,make lint,$(BACKGROUND))

packages: $(call after,bare) ## The container engine, and what the tests themselves take from Debian
	$(call job,$(install_packages))

up: $(call after,bare)
	$(call job,cp molecule/shared/inventory/group_vars/all/settings.yml inventories/local/group_vars/all/ && make up)

app: packages
	$(call job,$(call app,))

unit: packages
	$(call job,$(call pytest,--numprocesses=2 --dist=loadfile tests/contracts molecule/platform $(UNITS)),$(BACKGROUND))

iac: packages
	$(call job,$(call pytest,tests/iac),$(BACKGROUND))

# `make up` goes on to logs and metrics while the service is tried.
answering: export COUNTER_TEST_ENVIRONMENT := local
answering: $(call after,bare)
	@until $(python) -c "from lib.environment import READY; from lib.network import answers; exit(not answers(READY))"; do [[ ! -e $(REPORTS)/up.time ]] || exit 1; sleep 1; done

service: answering
	$(call job,$(call on_site,molecule/kind_cluster molecule/counter_app/tests/test_0_objects.py \
	  molecule/counter_app/tests/test_3_autoscaler.py molecule/counter_app/tests/test_1_policies.py))

log_host: answering packages ## The role from nothing, on a machine of its own
	$(call job,molecule test --destroy=never --scenario-name log_host)

second: up
	$(call job,$(call pytest,tests/site/test_2_second.py))

logs: up $(call after,second)
	$(call job,$(call on_site,molecule/logging molecule/log_instance/tests/test_0_container.py))

metrics: up $(call after,second)
	$(call job,$(call on_site,molecule/monitoring))

images: up
	$(call job,$(call on_site,--hosts=local:// molecule/container_engine molecule/offline_images molecule/counter_image),$(BACKGROUND))

site: up packages
	$(call job,$(call pytest,$(wildcard tests/site/test_[1345678]_*.py)),$(BACKGROUND))

quiet: up $(call after,service logs metrics app) ## What a busy machine would slow down
	$(call job,$(call on_site,molecule/cluster_addons molecule/counter_app/tests/test_2_quiet.py))

counts: up $(call after,quiet) ## Pods, the store and the node go while clients count
	$(call job,$(call on_site,$(wildcard molecule/counter_app/tests/test_[4-9]_*.py)))

end: up $(call after,counts site images second) ## The site is taken apart
	$(call job,$(call pytest,tests/site/test_9_end.py))
