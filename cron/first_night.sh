#!/usr/bin/env bash
# What `make night` plays: the embedded default, a day of traffic, the night that cron would run, and the report.
#
# The first time it makes the base model; each further time is the next day of the same model's life.
# ENGINE=vllm or llama-server (see `make engines`) puts that engine behind the gateway instead of the embedded one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export NIGHTSCHOOL_HOME="${NIGHTSCHOOL_HOME:-$(dirname "$here")}"
export NIGHTSCHOOL="${NIGHTSCHOOL:-$(dirname "$here")/.venv/bin/nightschool}"
# The final table wants an answer to every hold-out question, not only to enough of them for a verdict.
export NIGHTSCHOOL_CANARY__STOP_EARLY="${NIGHTSCHOOL_CANARY__STOP_EARLY:-false}"
# Nobody waits for two harvests of an hour here.
export NIGHTSCHOOL_HARVEST__MINUTES="${NIGHTSCHOOL_HARVEST__MINUTES:-0.75}"
cd "$NIGHTSCHOOL_HOME"
requests="${REQUESTS:-1500}"

echo "── the base model (made once, kept in models/)"
"$NIGHTSCHOOL" starter build

# In this order: the gateway finishes what was asked while its engine still answers.
stop() {
    local process
    for process in ${traffic:-} ${server:-} ${engine_process:-}; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
}
trap stop EXIT

engine="${ENGINE:-embedded}"
if [ "$engine" != embedded ]; then
    echo "── the engine: $engine"
    . "$here/../tests/engines/versions.sh"
    port="${ENGINE_PORT:-8809}"
    export NIGHTSCHOOL_ENGINE__KIND="$engine" NIGHTSCHOOL_ENGINE__URL="http://127.0.0.1:$port"
    export NIGHTSCHOOL_ENGINE__PRESETS=logs/presets.ini NIGHTSCHOOL_ENGINE__CONVERTERS="$llama_server/source"
    [ "$engine" != llama-server ] || [ -e models/starter.gguf ] || "$NIGHTSCHOOL" starter gguf
    "$here/start_engine.sh" "$engine" "$port" >>logs/engine.log 2>&1 &
    engine_process=$!
    healthy="import sys, urllib.request as u; u.urlopen(sys.argv[1] + '/health', timeout=2)"
    for _ in $(seq 300); do
        "$(dirname "$NIGHTSCHOOL")/python" -c "$healthy" "$NIGHTSCHOOL_ENGINE__URL" 2>/dev/null && break
        kill -0 $engine_process 2>/dev/null || { tail -5 logs/engine.log >&2; exit 69; }
        sleep 1
    done
fi

echo "── the server"
mkdir -p logs
if "$NIGHTSCHOOL" doctor >/dev/null 2>&1; then
    echo "already running"
else
    "$NIGHTSCHOOL" serve >>logs/serve.log 2>&1 &
    server=$!
    for _ in $(seq 240); do
        "$NIGHTSCHOOL" doctor >/dev/null 2>&1 && break
        kill -0 $server 2>/dev/null || break
        sleep 0.5
    done
    "$NIGHTSCHOOL" doctor
fi

echo "── a day of $requests requests"
"$NIGHTSCHOOL" starter day --requests "$requests"

echo "── the night, while people go on asking (a question a second)"
"$NIGHTSCHOOL" starter day --requests 100000 --rate 1 --seed "$((RANDOM + 1000))" >/dev/null 2>&1 &
traffic=$!
code=0
"$here/nightly_improvement.sh" || code=$?
kill $traffic 2>/dev/null || true

echo
"$NIGHTSCHOOL" report
echo
echo "the same as a page: $NIGHTSCHOOL dashboard     to ask the model: $NIGHTSCHOOL serve"
case $code in 0 | 10 | 20 | 21) exit 0 ;; *) exit "$code" ;; esac
