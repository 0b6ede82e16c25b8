#!/usr/bin/env bash
# NumPy, with the package as it is installed: its headers inside, no checkout beside it.
set -euo pipefail
. tests/hosts/common.sh

packages=(numpy==2.4.6 ml_dtypes==0.6.0 hatchling==1.33.0)
python=$(virtual_environment numpy "${packages[@]}") || skip "${packages[*]} do not install"
"$python" -m pip install -q --no-deps --no-build-isolation --force-reinstall ./packaging/python
here=$PWD
cd build/hosts
"$python" -m unittest discover -v -s "$here/tests/hosts/numpy" -p 'test_*.py' -t "$here/tests/hosts/numpy"
"$python" "$here/tests/hosts/numpy/example.py" >numpy.out
diff "$here/tests/hosts/numpy/expected.txt" numpy.out
echo "tested: NumPy $("$python" -c 'import numpy; print(numpy.__version__)')"
