# The jobs of `make test`. The environment `local` is deployed once, and the roles' own tests run against it.
#
# Each job with its budget: seconds, with a full cache, on two cores that compile the node's programs in 500 s.
BUDGETS := bare=30 packages=30 up=250 app=130 service=170 second=60 check=60 logs=170 metrics=90 log_host=650 \
  images=200 site=180 unit=550 iac=450 lint=400 quiet=50 counts=320 end=230
ALL := $(foreach job,$(BUDGETS),$(firstword $(subst =, ,$(job))))

# What has to have passed before a job begins.
$(foreach name,app unit iac log_host,$(eval NEEDS.$(name) := packages))
NEEDS.site := packages up
$(foreach name,second check logs metrics images quiet counts end,$(eval NEEDS.$(name) := up))
# It begins while `make up` goes on to logs and metrics.
BESIDE.service := up
# What has to have ended before a job begins, as it would disturb it, or be disturbed.
$(foreach name,packages up,$(eval AFTER.$(name) := bare))
$(foreach name,logs metrics,$(eval AFTER.$(name) := second check))
# The rest waits more than it works: these have the processors then.
$(foreach name,log_host images site lint unit iac,$(eval AFTER.$(name) := up second check))
AFTER.quiet := service logs metrics app
AFTER.counts := quiet
AFTER.end := counts site images

PARALLEL := 10
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
BACKGROUND := nice -n 10
# The longest file comes first.
XDIST := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
SETTINGS := molecule/shared/inventory/group_vars/all/settings.yml
on_site = COUNTER_TEST_ENVIRONMENT=local $(call pytest,-p scenario $(1))
counter_app = $(wildcard molecule/counter_app/tests/test_[$(1)]_*.py)

# The last takes the site apart.
bare second check end:
	$(call job,$(call pytest,$(wildcard tests/site/test_?_$@.py)))

lint:
	$(call job,make lint,$(BACKGROUND))

packages:
	$(call job,$(install_packages))

# Clients count while other jobs write. On a file system that all share, Valkey waits for their data too, at times longer
# than the service waits for Valkey: the volumes have one of their own. In `make soak` they are on the disk.
VOLUMES := /var/lib/counter-platform
up:
	$(call job,mkdir $(VOLUMES) && mount -t tmpfs -o mode=0755 tmpfs $(VOLUMES) \
	  && cp $(SETTINGS) inventories/local/group_vars/all/ && make up)

app:
	$(call job,$(call app,))

unit:
	$(call job,ansible-playbook playbooks/engine.yml -e platform_environment=unit && $(call pytest,$(XDIST) \
	  tests/contracts/test_values.py tests/contracts molecule/platform $(UNITS)),$(BACKGROUND))

iac:
	$(call job,$(call pytest,tests/iac),$(BACKGROUND))

# While `make up` goes on, wait until $(1) is true; fail where it has ended before that.
wait = (until $(1) >/dev/null 2>&1; do [[ ! -e $(REPORTS)/up.time ]] || exit 1; sleep 1; done)
answering: $(filter $(RUN),bare)
	@$(call wait,COUNTER_TEST_ENVIRONMENT=local $(python) -m lib.environment)

service: answering
	$(call job,$(call on_site,molecule/kind_cluster $(call counter_app,013)))

# The one role that is made from nothing, on a machine of its own.
log_host:
	$(call job,molecule test --destroy=never --scenario-name log_host,$(BACKGROUND))

logs:
	$(call job,$(call on_site,molecule/logging molecule/log_instance tests/site/test_7_logs.py))

# Its table has the collector, which the tests of logging replace meanwhile.
TABLE := molecule/monitoring/tests/test_2_policies.py

metrics:
	$(call job,$(call on_site,molecule/monitoring --ignore=$(TABLE)))

images:
	$(call job,$(call on_site,--hosts=local:// molecule/container_engine molecule/offline_images),$(BACKGROUND))

site:
	$(call job,$(call pytest,$(wildcard tests/site/test_[134568]_*.py)))

# What a busy machine would slow down.
quiet:
	$(call job,$(call on_site,molecule/cluster_addons $(call counter_app,2) tests/site/test_7_metrics.py $(TABLE)))

# Pods, the store and the node go while clients count.
counts:
	$(call job,$(call on_site,$(call counter_app,4-9)))
