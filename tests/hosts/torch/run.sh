#!/usr/bin/env bash
# PyTorch from Python, with the package as it lies in the checkout.
set -euo pipefail
. tests/hosts/common.sh

python=$(./run pytorch 2>build/hosts/pytorch.log) || skip "$(tail -n 1 build/hosts/pytorch.log)"
export PYTHONPATH=$PWD/packaging/python
"$python" -m unittest discover -v -s tests/hosts/torch -p 'test_*.py' -t tests/hosts/torch
"$python" tests/hosts/torch/example.py >build/hosts/torch.out
diff tests/hosts/torch/expected.txt build/hosts/torch.out
echo "tested: PyTorch $("$python" -c 'import torch; print(torch.__version__)')"
