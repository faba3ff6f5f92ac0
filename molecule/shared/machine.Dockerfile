FROM scratch
ADD root.tar /
# dpkg waits for the disk after every file. A machine that is thrown away need not, and whatever else counts on the same
# disk meanwhile, such as Valkey with its half second for an answer, is not held up.
RUN echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io
# As on a machine whose way out takes smaller packets than an Ethernet.
RUN mkdir /etc/docker && echo '{"mtu": 1420}' >/etc/docker/daemon.json
# Where the host has cgroup v1 alone, newer systemd wants to be told that this is meant.
ENV container=docker SYSTEMD_PROC_CMDLINE="SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
