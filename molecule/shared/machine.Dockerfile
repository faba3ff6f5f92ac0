FROM scratch
ADD root.tar /
# Where the host has cgroup v1 alone, newer systemd wants to be told that this is meant.
ENV container=docker SYSTEMD_PROC_CMDLINE="SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
