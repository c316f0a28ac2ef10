"""Import the modules in which people register metrics of their own."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from neuron_eval.errors import NeuronEvalError


class PluginError(NeuronEvalError):
    """A module with metrics cannot be imported."""


def import_modules(names: Sequence[str]) -> None:
    """Import Python files or modules, which register what they hold.

    Parameters
    ----------
    names : sequence of str
        Paths that end in ``.py``, or dotted names of modules.

    Raises
    ------
    PluginError
        If one does not exist.
    """
    for name in names:
        if name.endswith(".py"):
            _import_file(Path(name))
        else:
            _import_name(name)


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise PluginError(f"--metrics-from: found no file {path}; correct the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"--metrics-from: {path} is no Python file.")
    if path.stem in sys.modules:
        raise PluginError(
            f"--metrics-from: a module named {path.stem!r} is imported already; rename {path}."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)


def _import_name(name: str) -> None:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise PluginError(
            f"--metrics-from: found no module {name!r}; give a file that ends in .py, or a module "
            "that is installed."
        )
    importlib.import_module(name)
