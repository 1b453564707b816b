# Which engines, and where they are kept. Sourced.
vllm_version=0.32.0
llama_version=0.3.36 # of llama-cpp-python, whose source distribution carries llama.cpp
engines=${NIGHTSCHOOL_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/nightschool/engines}
vllm=$engines/vllm-$vllm_version
llama_server=$engines/llama-server-$llama_version
