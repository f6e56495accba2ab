#!/usr/bin/env bash
# Runs Apache Kafka (KRaft, one node, one JVM) on this machine, for development and tests.
#
#   deploy/kafka/run.sh DATA_FOLDER [PORT] [CONTROLLER_PORT]
#   deploy/kafka/run.sh --fetch          only fetches the jars
#   deploy/kafka/run.sh --tool CLASS …   runs one of Kafka's own tools, such as kafka.admin.ConfigCommand
#
# Settings of your own may stand in DATA_FOLDER/extra.properties: they win over those below.
# Needs Java 17 and Maven. The jars are kept in $MARU_CACHE (default ~/.cache/maru). The process
# that runs in the end is the broker itself: signals reach it. One node keeps one copy, so what
# it acknowledges survives its own end, not the loss of power.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
jars=${MARU_CACHE:-$HOME/.cache/maru}/kafka-$(sed -n '/kafka_2.13/{n;s/.*<version>\(.*\)<.*/\1/p}' "$here/pom.xml")

need() {
  command -v "$1" >/dev/null || { echo "run.sh: $1 is missing; install $2." >&2; exit 69; }
}

fetch_jars() {
  [ -e "$jars" ] && return
  need mvn maven
  mkdir -p "$(dirname "$jars")"
  exec 9>"$jars.lock"
  flock 9
  [ -e "$jars" ] && return
  rm -rf "$jars.part"
  mvn -q -B -ntp -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars.part" >&2
  mv "$jars.part" "$jars"
  exec 9>&-
}

write_settings() {
  cat >"$data/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
log.dirs=$data/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
END
  if [ -e "$data/extra.properties" ]; then cat "$data/extra.properties" >>"$data/server.properties"; fi
}

need java openjdk-17-jre-headless
fetch_jars
[ "${1:-}" = --fetch ] && exit
if [ "${1:-}" = --tool ]; then
  exec java -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/*" "${@:2}"
fi

data=$(mkdir -p "${1:?name a folder for the data}" && cd "$1" && pwd)
port=${2:-9092}
controller=${3:-9093}
write_settings
java=(java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/*")
if [ ! -e "$data/log/meta.properties" ]; then
  "${java[@]}" kafka.tools.StorageTool format --cluster-id MaruLocalKafka00000001 \
    --config "$data/server.properties" >/dev/null
fi
exec "${java[@]}" kafka.Kafka "$data/server.properties"
