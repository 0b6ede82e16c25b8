#!/usr/bin/env bash
# LibTorch from C++: Debian's, and that of PyTorch's wheel.
set -euo pipefail
. tests/hosts/common.sh

tested=()
missing=()

# build_and_test NAME VERSION OPTION...
build_and_test() {
    local name=$1 version=$2
    shift 2
    local build=build/hosts/$name
    cmake -S tests/hosts/libtorch -B "$build" -G Ninja -DCMAKE_BUILD_TYPE= "$@" >"$build.log" || { cat "$build.log"; return 1; }
    cmake --build "$build" >"$build.log" || { cat "$build.log"; return 1; }
    "$build/test_libtorch"
    "$build/example" >"$build.out"
    diff tests/hosts/libtorch/expected.txt "$build.out"
    tested+=("LibTorch $version")
}

mkdir -p build/hosts
build_and_test libtorch-debian "$(dpkg-query -W -f='${Version}' libtorch-dev)"
if python=$(./run pytorch 2>build/hosts/pytorch.log); then
    wheel=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')
    build_and_test libtorch-wheel "$("$python" -c 'import torch; print(torch.__version__)')" -DDISTILL_TORCH_WHEEL="$wheel"
else
    missing+=("$(tail -n 1 build/hosts/pytorch.log)")
fi

echo "tested: $(IFS=,; echo "${tested[*]}")${missing[*]:+; not tested: ${missing[*]}}"
