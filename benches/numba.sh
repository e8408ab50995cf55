#!/bin/sh
# Makes a Python with Numba and Intel's SVML in target/numba, for benches/math.rs: newer versions of Numba do not find SVML.
# Needs a Python of 3.10 to 3.13: `benches/numba.sh [PYTHON]`.
set -e
cd "$(dirname "$0")/.."
python="${1:-python3}"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || {
    echo "numba 0.61.2 needs Python 3.10 to 3.13; $python is $("$python" --version)" >&2
    exit 1
}
"$python" -m venv target/numba
target/numba/bin/python -m pip install --quiet numba==0.61.2 icc-rt==2020.0.133 'numpy==2.2.6'
LD_LIBRARY_PATH=target/numba/lib target/numba/bin/python -c '
import numba.core.config as config
assert config.USING_SVML, "Numba does not find SVML"
print("target/numba: Numba with SVML")'
