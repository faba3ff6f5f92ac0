# The jobs of `make soak`: each role from nothing with all of its tests, and what takes too long for `make test`.
# Two at a time, each list in its order: the roles share an environment, and what waits most is last.
ROLES := platform offline_images counter_image kind_cluster cluster_addons logging log_instance default counter_app \
  monitoring
OTHERS := container_engine container_engine_trixie app unit iac log_host site
ALL := packages $(ROLES) $(OTHERS)
JOBS ?= $(ALL)
override JOBS := $(patsubst roles,$(ROLES) log_host container_engine container_engine_trixie,$(JOBS))
$(foreach name,$(ROLES) $(OTHERS),$(eval NEEDS.$(name) := packages))
$(foreach name,$(ROLES),$(eval AFTER.$(name) := $(roles))$(eval roles += $(name)))
$(foreach name,$(OTHERS),$(eval AFTER.$(name) := $(others))$(eval others += $(name)))

# Seconds, with a full cache, on two cores that compile the node's programs in 500 s.
BUDGET.packages := 30
BUDGET.platform := 60
BUDGET.offline_images := 300
BUDGET.counter_image := 120
BUDGET.kind_cluster := 120
BUDGET.cluster_addons := 150
BUDGET.counter_app := 1400
BUDGET.logging := 700
BUDGET.monitoring := 2900
BUDGET.log_instance := 400
BUDGET.default := 500
BUDGET.log_host := 1300
BUDGET.container_engine := 120
BUDGET.container_engine_trixie := 120
BUDGET.app := 900
BUDGET.unit := 400
BUDGET.iac := 200
BUDGET.site := 5000

PARALLEL := 2
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
# PYTEST_ADDOPTS is a person's own; the last `-m` counts.
marked = PYTEST_ADDOPTS="-m \"$(1)\" $${PYTEST_ADDOPTS:-}"
scenario = $(call marked,) molecule test --scenario-name $(1)

packages:
	$(call job,ansible-playbook playbooks/engine.yml && $(install_packages))

$(ROLES) container_engine:
	$(call job,$(call scenario,$@))

log_host container_engine_trixie:
	$(call job,MACHINE_SUITE=trixie $(call scenario,$(@:_trixie=)))

app:
	$(call job,$(call marked,soak) $(call app,--no-cov))

unit:
	$(call job,$(call marked,soak) $(call pytest,tests/contracts $(UNITS)))

iac:
	$(call job,$(call marked,soak) $(call pytest,tests/iac))

site:
	$(call job,make up && $(call marked,soak) $(call pytest,tests/site))
