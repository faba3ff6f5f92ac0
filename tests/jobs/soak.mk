# The jobs of `make soak`: each role from nothing with all of its tests, and what takes too long for `make test`.
# Each job with its budget: seconds, with a full cache, on two cores that compile the node's programs in 500 s.
# Two at a time, each list in its order: the roles share an environment, and what waits most is last.
ROLE_BUDGETS := platform=60 offline_images=420 kind_cluster=120 cluster_addons=150 logging=700 \
  log_instance=400 default=500 counter_app=1400 monitoring=2900
OTHER_BUDGETS := container_engine=120 container_engine_trixie=120 app=300 unit=200 iac=400 log_host=900 site=5000
BUDGETS := packages=30 $(ROLE_BUDGETS) $(OTHER_BUDGETS) engine_restart=200
names_of = $(foreach job,$(1),$(firstword $(subst =, ,$(job))))
ROLES := $(call names_of,$(ROLE_BUDGETS))
OTHERS := $(call names_of,$(OTHER_BUDGETS))
ALL := packages $(ROLES) $(OTHERS) engine_restart
override JOBS := $(patsubst roles,$(ROLES) log_host container_engine container_engine_trixie,$(or $(JOBS),$(ALL)))
$(foreach name,$(ROLES) $(OTHERS),$(eval NEEDS.$(name) := packages))
$(foreach name,$(ROLES),$(eval AFTER.$(name) := $(roles))$(eval roles += $(name)))
$(foreach name,$(OTHERS),$(eval AFTER.$(name) := $(others))$(eval others += $(name)))
# It restarts the Docker that all others run on.
AFTER.engine_restart := $(ROLES) $(OTHERS)
ENGINE_RESTART := tests/site/test_2_lifecycle.py::test_count_goes_on_when_the_machines_docker_was_restarted

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
	$(call job,make up && $(call marked,soak) $(call pytest,tests/site --deselect=$(ENGINE_RESTART)))

engine_restart:
	$(call job,make up && $(call marked,soak) $(call pytest,$(ENGINE_RESTART)))
