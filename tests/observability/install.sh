#!/usr/bin/env bash
# The real programs that the tests of this folder talk to, from Debian's packages.
#
# usage    tests/observability/install.sh      (as root, or with sudo)
# leaves   prometheus (with promtool), prometheus-pushgateway, prometheus-node-exporter, influxd, chromium
#          Their services are neither started nor enabled: the tests start their own, on free ports.
set -euo pipefail

packages=(prometheus prometheus-pushgateway prometheus-node-exporter influxdb chromium fonts-dejavu-core)
programs=(prometheus promtool prometheus-pushgateway prometheus-node-exporter influxd chromium)
services=(prometheus prometheus-pushgateway prometheus-node-exporter influxdb)

missing() { for each in "${programs[@]}"; do command -v "$each" >/dev/null || echo "$each"; done; }

[ -n "$(missing)" ] || exit 0
command -v apt-get >/dev/null || { echo "error: no apt-get here; install yourself: $(missing | xargs)" >&2; exit 69; }
if [ "$(id -u)" -eq 0 ]; then
    sudo=()
else
    command -v sudo >/dev/null || { echo "error: packages need root, and there is no sudo" >&2; exit 69; }
    sudo=(sudo)
fi

# A package asks this file whether it may start its service; 101 is no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
if [ -d /run/systemd/system ]; then
    "${sudo[@]}" systemctl disable --now --quiet "${services[@]}"
fi
[ -z "$(missing)" ] || { echo "error: still missing: $(missing | xargs)" >&2; exit 69; }
