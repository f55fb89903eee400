#!/usr/bin/env bash
# Installs what the tests need and this machine does not have: Debian packages
# of foreign clients, brokers and a browser, and the pinned Go tools. It does
# nothing, and needs no network, where everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

has() { command -v "$1" >/dev/null 2>&1; }

for tool in go node npm; do
  has "$tool" || { echo "$tool is not installed; Go 1.26 and Node 20 or later are the two things that make test does not install" >&2; exit 1; }
done

missing=()
has mosquitto || missing+=(mosquitto)
has mosquitto_pub || missing+=(mosquitto-clients)
has chromium || missing+=(chromium)
has curl || missing+=(curl)
has jq || missing+=(jq)
has gcc || missing+=(gcc libc6-dev) # the race detector links with it
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
# Debian's own Python: another one on PATH does not see Debian's packages.
/usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || missing+=(python3-paho-mqtt)

if ((${#missing[@]})); then
  sudo=()
  if (($(id -u) != 0)); then sudo=(sudo); fi
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

make --no-print-directory tools
go mod download
