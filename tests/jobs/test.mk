# The jobs of `make test`. The environment `local` is deployed once, and the roles' own tests run against it.
ALL := bare lint packages up app unit iac service second site logs metrics images log_host quiet counts end

# What has to have passed before a job begins.
NEEDS.app := packages
NEEDS.unit := packages
NEEDS.iac := packages
NEEDS.log_host := packages
NEEDS.site := packages up
$(foreach name,second logs metrics images quiet counts end,$(eval NEEDS.$(name) := up))
# These begin while `make up` goes on to logs and metrics.
BESIDE.service := up
BESIDE.log_host := up
BESIDE.unit := up
# What has to have ended before a job begins, as it would disturb it, or be disturbed.
AFTER.packages := bare
AFTER.up := bare
AFTER.logs := second
AFTER.metrics := second
AFTER.quiet := service logs metrics app
AFTER.counts := quiet site
AFTER.end := counts images second

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
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
BACKGROUND := nice -n 10
SETTINGS := molecule/shared/inventory/group_vars/all/settings.yml
on_site = COUNTER_TEST_ENVIRONMENT=local $(call pytest,-p scenario $(1))
counter_app = $(wildcard molecule/counter_app/tests/test_[$(1)]_*.py)

bare:
	$(call job,$(call pytest,tests/site/test_0_bare.py))

lint:
	$(call job,make lint,$(BACKGROUND))

packages:
	$(call job,$(install_packages))

up:
	$(call job,cp $(SETTINGS) inventories/local/group_vars/all/ && make up)

app:
	$(call job,$(call app,))

unit:
	$(call job,$(call pytest,--numprocesses=2 --dist=loadfile tests/contracts molecule/platform $(UNITS)),$(BACKGROUND))

iac:
	$(call job,$(call pytest,tests/iac),$(BACKGROUND))

# While `make up` goes on, wait until $(1) is true; fail where it has ended before that.
wait = (until $(1) >/dev/null 2>&1; do [[ ! -e $(REPORTS)/up.time ]] || exit 1; sleep 1; done)
engine answering: $(filter $(RUN),bare)

engine:
	@$(call wait,docker version) || ansible-playbook playbooks/engine.yml

answering:
	@$(call wait,COUNTER_TEST_ENVIRONMENT=local $(python) -m lib.environment)

service log_host: answering
unit: engine

service:
	$(call job,$(call on_site,molecule/kind_cluster $(call counter_app,013)))

# The one role that is made from nothing, on a machine of its own.
log_host:
	$(call job,molecule test --destroy=never --scenario-name log_host)

second:
	$(call job,$(call pytest,tests/site/test_2_second.py))

logs:
	$(call job,$(call on_site,molecule/logging molecule/log_instance tests/site/test_7_logs.py))

metrics:
	$(call job,$(call on_site,molecule/monitoring))

images:
	$(call job,$(call on_site,--hosts=local:// molecule/container_engine molecule/offline_images molecule/counter_image),$(BACKGROUND))

site:
	$(call job,$(call pytest,$(wildcard tests/site/test_[134568]_*.py)),$(BACKGROUND))

# What a busy machine would slow down.
quiet:
	$(call job,$(call on_site,molecule/cluster_addons $(call counter_app,2) tests/site/test_7_metrics.py))

# Pods, the store and the node go while clients count.
counts:
	$(call job,$(call on_site,$(call counter_app,4-9)))

# The site is taken apart.
end:
	$(call job,$(call pytest,tests/site/test_9_end.py))
