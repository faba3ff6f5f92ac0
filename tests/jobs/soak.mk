# The jobs of `make soak`: each role from nothing with all of its tests, and what takes too long for `make test`.
ROLES := monitoring platform offline_images counter_image kind_cluster cluster_addons counter_app logging log_instance \
  default
ALL := packages $(ROLES) log_host container_engine container_engine_trixie app unit iac site
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
override JOBS := $(patsubst roles,$(ROLES) log_host container_engine container_engine_trixie,$(JOBS))

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

PARALLEL := 3
needs = packages
GOALS = $(if $(filter $(ROLES),$(RUN)),roles) $(filter-out $(ROLES),$(RUN))
# PYTEST_ADDOPTS is a person's own; the last `-m` counts.
marked = PYTEST_ADDOPTS="-m \"$(1)\" $${PYTEST_ADDOPTS:-}"
scenario = $(call marked,) molecule test --scenario-name $(1)

packages:
	$(call job,$(install_packages))

# They share an environment, so one runs after the other.
.PHONY: roles
roles: packages
	+@$(MAKE) -f $(firstword $(MAKEFILE_LIST)) --keep-going --jobs=1 JOBS='$(JOBS)' $(filter $(ROLES),$(RUN))

$(ROLES):
	$(call job,$(call scenario,$@))

log_host: packages
	$(call job,LOG_HOST_MACHINES=2 $(call scenario,$@))

container_engine: packages
	$(call job,$(call scenario,$@))

container_engine_trixie: packages
	$(call job,MACHINE_SUITE=trixie $(call scenario,container_engine))

app: packages
	$(call job,$(call marked,soak) $(call app,--no-cov))

unit: packages
	$(call job,$(call marked,soak) $(call pytest,tests/contracts $(UNITS)))

iac: packages
	$(call job,$(call marked,soak) $(call pytest,tests/iac))

site: packages
	$(call job,make up && $(call marked,soak) $(call pytest,tests/site))
