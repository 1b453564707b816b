#!/usr/bin/env bash
# One night: look whether everything is there, then harvest → build-dataset → train → canary → deploy, then tidy up.
# With night.rounds above 1 the first three are played again, while night.minutes last and rounds bring something: the
# candidate finds answers that its own teacher never found.
#
# usage    cron/nightly_improvement.sh            (from crontab; see crontab.example)
# home     NIGHTSCHOOL_HOME, else the folder above this one
# ends     0 a better model serves   10 nothing to do   20 refused   21 inconclusive, or awaiting approval
#          30 deployed, then rolled back   64–78 failed (the table stands in the README)   75 also: another night is running
# stopped  (SIGTERM, SIGINT, SIGHUP) the stage that runs is ended and no other begins: 75, another night goes on from there.
#          Only a deployment is finished first, with its watch: nobody else would take a bad model back.
# leaves   logs/nightly_<run>.log, one line a stage in logs/runs.jsonl, one journal line, one message if somebody is
#          to be told, a ping at its beginning and at its end if night.ping_url is set
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export NIGHTSCHOOL_HOME="${NIGHTSCHOOL_HOME:-$(dirname "$here")}"
cd "$NIGHTSCHOOL_HOME" || exit 74
mkdir -p logs || exit 74

# One night at a time. This shell itself holds the lock; stages do not get it (9>&-): a server that one of them started
# would hold it for ever.
exec 9>>logs/night.lock || exit 74
flock -n 9 || { echo "error: another night is running; it holds logs/night.lock" >&2; exit 75; }

nightschool="${NIGHTSCHOOL:-$(dirname "$here")/.venv/bin/nightschool}"
[ -x "$nightschool" ] || nightschool=$(command -v nightschool) || { echo "error: nightschool is not installed" >&2; exit 78; }
night=$(date -u +%Y%m%dT%H%M%SZ)
export NIGHTSCHOOL_RUN="$night"
log="logs/nightly_$night.log"

say() { echo "$(date -u +%H:%M:%S) $*" | tee -a "$log"; }

signals=0 running='' process=''
stop() {
    signals=$((signals + 1))
    [ -z "$process" ] || [ "$running" = deploy ] || kill "$process" 2>/dev/null
}
trap stop TERM INT HUP

# Run one stage; what it says goes to the log and, for cron's mail, its last words to the terminal.
# In the background, for a shell that waits hears a signal at once; `wait` begins again when a signal has ended it.
stage() {
    local started=$SECONDS code heard
    ((signals == 0)) || return 75
    running=$1
    # A terminal that hangs up tells the whole process group, children in the background as well.
    (
        [ "$running" != deploy ] || trap '' HUP
        exec "$nightschool" "$@"
    ) >>"$log" 2>&1 9>&- &
    process=$!
    ((signals == 0)) || stop
    until
        heard=$signals
        wait "$process"
        code=$?
        ((heard == signals))
    do :; done
    process=''
    say "$(printf '%-14s %4d s  exit %d' "$1" $((SECONDS - started)) "$code")"
    # It was ended by us, or with us; -1 is what bash says of a child that a signal ended together with its wait.
    ((signals == 0 || (code >= 0 && code <= 128))) || code=75
    return "$code"
}

# Whatever comes of it: a dead receiver changes nothing.
ping() { "$nightschool" ping "$1" >>"$log" 2>&1 9>&- || true; }

learn() {
    stage build-dataset || return
    stage train "$@" || return
    [[ $events != *trained* ]] || stage notify || true
}

# Another round: the candidate tries what is left, and goes on learning; 10: that brought nothing.
again() {
    local before
    before=$(rewrites)
    export NIGHTSCHOOL_RUN="$night-$1"
    stage harvest --teacher "$2" || return
    [ "$(rewrites)" -gt "$before" ] || return 10
    learn --start "$2"
}

rewrites() { cat training_data/harvest_????????.jsonl 2>/dev/null | wc -l; }

play() {
    local code rounds round teacher budget began events
    stage doctor || return
    rounds=$("$nightschool" config show night.rounds 2>>"$log") || return
    budget=$("$nightschool" config show night.minutes 2>>"$log") || return
    budget=$(awk -v minutes="$budget" 'BEGIN { print int(60 * minutes + 0.999) }')
    events=$("$nightschool" config show notify.events 2>>"$log") || return
    began=$SECONDS
    stage harvest
    code=$?
    # Nothing new today? Rewrites of earlier nights may still be waiting.
    [ "$code" -eq 0 ] || [ "$code" -eq 10 ] || return "$code"
    learn || return
    for ((round = 2; round <= rounds; round++)); do
        # Another round takes about as long as the last one did.
        if ((budget && 2 * SECONDS - began > budget)); then
            say "no time for round $round: $SECONDS of $budget s have gone by, the last round took $((SECONDS - began))"
            break
        fi
        teacher=$NIGHTSCHOOL_RUN
        began=$SECONDS
        again "$round" "$teacher"
        code=$?
        if [ "$code" -ne 0 ]; then
            [ "$code" -eq 10 ] || say "round $round ended with $code; what was learned before it goes on"
            export NIGHTSCHOOL_RUN="$teacher"
            break
        fi
    done
    stage canary || return
    stage deploy || return
}

say "night $night in $NIGHTSCHOOL_HOME"
ping start
play
code=$?

case $code in
    0) ending="a better model is serving" ;;
    10) ending="nothing to do" ;;
    20) ending="candidate refused, the incumbent stays" ;;
    21)
        ending="inconclusive, the incumbent stays"
        ! grep -q 'awaiting approval until' "$log" || ending="awaiting approval, the incumbent stays until then"
        ;;
    30) ending="deployed, then rolled back" ;;
    75) ((signals)) && ending="stopped" || ending="failed" ;;
    *) ending="failed" ;;
esac
[ "$ending" = stopped ] || signals=0 # what is left to do takes seconds
[ "$code" -ge 64 ] && [ "$ending" != stopped ] && grep -hE '^(error|hint): ' "$log" | tail -2 >&2

# Documents that the model in service has learned leave the daily buffer, and after a rollback they come back: tonight's,
# or one of the day's.
case $code in 0 | 10 | 20 | 21 | 30) [ ! -d training_data/documents ] || stage rag settle ;; esac

# Clean-up: old generations (never the incumbent, never what a rollback needs) and logs older than 90 days.
stage versions prune
find logs -maxdepth 1 -name 'nightly_*.log' -mtime +90 -delete

# To Prometheus and InfluxDB, where they are configured; a sink that fails changes nothing.
stage export-metrics
# Whoever stopped it knows.
if [ "$ending" != stopped ]; then
    stage notify
    ping "$code"
fi
say "$ending (exit $code)"
command -v logger >/dev/null 2>&1 && logger -t nightschool -- "run $night: $ending (exit $code)" 2>/dev/null
exit "$code"
