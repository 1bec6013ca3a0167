#!/usr/bin/env bash
# Builds simic with --device cuda on a network that reaches crates.io and PyPI alone.
#
#   docs/build_cuda.sh [cargo arguments; default: build --release --features cuda]
#
# The compiler that burn's CUDA kernels go through builds LLVM in; its build script would download the libraries from
# a host that closed networks do not reach. The Python package mlc-llvm-static has the same libraries: this script
# installs it into a virtual environment and puts a link where the build script looks. Neither the CUDA toolkit nor a
# driver is needed to build; to run, only the NVIDIA driver. Where the network is open, `cargo build --release
# --features cuda` alone does.
set -euo pipefail
cd "$(dirname "$0")/.."

version=23.1.1.post0
bundle=tracel-llvm-23.1.0-4
export XDG_DATA_HOME="${XDG_DATA_HOME:-$HOME/.local/share}"
place="$XDG_DATA_HOME/tracel/$bundle"

if [ ! -e "$place/.tracel-llvm-installed" ]; then
    mkdir -p "$XDG_DATA_HOME/tracel"
    environment="$XDG_DATA_HOME/tracel/python"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet \
        "mlc-llvm-static==$version" "mlc-llvm-static-extra-targets==$version"
    ln -sfn "$("$environment/bin/python" -m mlc_llvm_static.config --prefix)" "$place"
    touch "$place/.tracel-llvm-installed"
fi

if [ "$#" -eq 0 ]; then
    set -- build --release --locked --features cuda
fi
exec cargo "$@"
