#!/usr/bin/env bash
# Starts an engine with the starter's base model, in the foreground: for trying Nightschool on it, and for tests.
#
# usage    cron/start_engine.sh vllm|llama-server PORT      (installed by `make engines`)
# reads    models/starter of NIGHTSCHOOL_HOME; for llama-server models/starter.gguf (made by `nightschool starter gguf`)
# writes   for llama-server the presets file logs/presets.ini, which the gateway goes on writing
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tests/engines/versions.sh"
home="${NIGHTSCHOOL_HOME:-$(dirname "$here")}"

case $1 in
    vllm)
        export VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1
        exec "$vllm/bin/python" -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port "$2" \
            --model "$home/models/starter" --served-model-name starter-base --dtype float32 --max-model-len 512 \
            --enable-lora --max-lora-rank 64 --max-loras 4 --max-cpu-loras 8 \
            --no-enable-chunked-prefill # on processors a request with a seed that is read in parts ends vLLM 0.32.0
        ;;
    llama-server)
        [ -e "$home/logs/presets.ini" ] || cat >"$home/logs/presets.ini" <<EOF
[starter-base]
model = $home/models/starter.gguf
ctx-size = 8192
parallel = 16
threads = $((($(nproc) + 1) / 2))
poll = 0
threads-http = 64
jinja = true
EOF
        exec "$llama_server/llama-server" --host 127.0.0.1 --port "$2" --models-preset "$home/logs/presets.ini" --models-max 0 --threads-http 64
        ;;
    *) echo "error: no engine $1: vllm, llama-server" >&2; exit 64 ;;
esac
