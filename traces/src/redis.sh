#!/bin/sh
# redis-server under load, with a snapshot to disk by a forked child meanwhile: the program behind redis.trace.
# The load comes from outside of the recording: $1 says how to run the server (a `quire record` line, or nothing).
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
socket=$place/socket
cli() { redis-cli -s "$socket" "$@"; }

"$@" redis-server --port 0 --unixsocket "$socket" --dir "$place" --save '' --appendonly no --loglevel warning &
server=$!
while ! cli ping >/dev/null 2>&1; do sleep 0.1; done
redis-benchmark -s "$socket" -q -n 12000 -r 50000 -d 512 -t set,lpush,hset,zadd
cli bgsave
redis-benchmark -s "$socket" -q -n 12000 -r 50000 -d 700 -t set,get,lpop,incr
while cli info persistence | grep -q 'rdb_bgsave_in_progress:1'; do sleep 0.1; done
cli bgsave
redis-benchmark -s "$socket" -q -n 6000 -r 50000 -d 300 -t set,sadd
sleep 0.5
cli flushall
cli memory purge
cli shutdown nosave || true
wait "$server"
