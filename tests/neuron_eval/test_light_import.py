"""The package and its array files must load without torch."""

import subprocess
import sys


def test_import_without_torch():
    code = (
        "import sys, neuron_eval, neuron_eval.arrays;"
        "print([m for m in ('torch', 'pandas', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
