#!/usr/bin/env bash
# Starts an ensemble on this machine, for trying things out: conf/ensemble.sh [MEMBERS [DIRECTORY]]
#
#   conf/ensemble.sh            three members, data under ./data/ensemble, clients on 2181 to 2183
#   conf/ensemble.sh 5          five members
#
# Ctrl-C stops all of them; the data stays, and the next start goes on with it. Each member's log
# is DIRECTORY/N/server.log. OXKEEPER names the program, else target/release/oxkeeper is built.
set -euo pipefail
members=${1:-3}
directory=${2:-./data/ensemble}
first_port=${FIRST_CLIENT_PORT:-2181}
here=$(cd "$(dirname "$0")/.." && pwd)

if [ -z "${OXKEEPER:-}" ]; then
    cargo build --release --manifest-path "$here/Cargo.toml" --bin oxkeeper
    OXKEEPER=$here/target/release/oxkeeper
fi

write_config() { # member
    local home=$directory/$1
    mkdir -p "$home"
    echo "$1" >"$home/myid"
    {
        echo "dataDir=$home"
        echo "clientPort=$((first_port + $1 - 1))"
        echo "tickTime=2000"
        echo "initLimit=10"
        echo "syncLimit=5"
        echo "4lw.commands.whitelist=*"
        echo "admin.enableServer=false"
        for sid in $(seq "$members"); do
            echo "server.$sid=127.0.0.1:$((first_port + 700 + sid)):$((first_port + 1700 + sid))"
        done
    } >"$home/zoo.cfg"
}

pids=()
stop() {
    trap - INT TERM EXIT
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap stop INT TERM EXIT

for sid in $(seq "$members"); do write_config "$sid"; done
for sid in $(seq "$members"); do
    "$OXKEEPER" serve "$directory/$sid/zoo.cfg" >>"$directory/$sid/server.log" 2>&1 &
    pids+=($!)
done

last_port=$((first_port + members - 1))
echo "$members members, clients on ports $first_port to $last_port; data and logs in $directory"
echo "Try, from another terminal:"
echo "    for p in \$(seq $first_port $last_port); do echo srvr | nc localhost \$p | grep Mode; done"
echo "    $OXKEEPER bench --server localhost:$first_port"
echo "Ctrl-C stops all of them."
wait
