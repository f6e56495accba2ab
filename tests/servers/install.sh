#!/usr/bin/env bash
# Sees that the servers that the tests start are on this machine: Java and Maven for Kafka (whose
# jars come through Maven), PostgreSQL, Chromium. Installs Debian packages where it may (as root,
# or through sudo without a password); elsewhere it says what is missing and ends with status 69.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"

missing=()
want() { command -v "$1" >/dev/null || missing+=("$2"); }
want java openjdk-17-jre-headless
want mvn maven
want initdb postgresql
want chromium chromium
want promtool prometheus
want openssl openssl

if ((${#missing[@]})); then
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo=(sudo -n)
    sudo -n true 2>/dev/null || sudo=(false)
  fi
  if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
    echo "The tests need: ${missing[*]} (Debian's names). Install them, then run this again." >&2
    exit 69
  fi
  echo "Installing ${missing[*]} …"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
fi
"$root/deploy/kafka/run.sh" --fetch
