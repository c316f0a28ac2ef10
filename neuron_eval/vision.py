"""The one door to torchvision.

The torchvision wheel of PyPI is linked against CUDA. Beside a CPU build of torch its compiled
operators cannot be loaded, and ``import torchvision`` then fails with "operator torchvision::nms
does not exist". Models, transforms and datasets need none of these operators, so where they
cannot be loaded this module declares their signatures before it imports torchvision. Calling
such an operator still fails, with torchvision's own clear error.

Import torchvision through `import_torchvision`, never directly.
"""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neuron_eval.errors import NeuronEvalError

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_OPERATORS = ("nms", "qnms")


# Longer lists of names are cut off in messages.
_NAMED = 5


class VisionError(NeuronEvalError):
    """Torchvision is missing or has no such model, or weights do not belong to a model."""


@cache
def import_torchvision() -> ModuleType:
    """Import torchvision, with or without its compiled operators.

    Returns
    -------
    module
        ``torchvision``.

    Raises
    ------
    VisionError
        If torchvision is not installed.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise VisionError(
            "torchvision: it is not installed; install the version that belongs to torch "
            f"{torch.__version__}."
        )
    declare_missing_operators(find_extension(Path(spec.origin).parent))
    return importlib.import_module("torchvision")


def find_extension(folder: Path) -> Path | None:
    """Find torchvision's compiled operators.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the installed package.

    Returns
    -------
    pathlib.Path or None
        The library, None where the build has none.
    """
    found = sorted(path for path in folder.glob("_C*") if path.suffix in (".so", ".pyd", ".dylib"))
    return found[0] if found else None


def declare_missing_operators(
    extension: Path | None,
    load: Callable[[Path], None] = torch.ops.load_library,
    declare: Callable[[], None] | None = None,
) -> bool:
    """Declare torchvision's operators where its compiled ones cannot be loaded.

    Parameters
    ----------
    extension : pathlib.Path or None
        The compiled operators.
    load : callable
        Loads a library into torch; raises OSError where the system cannot link it.
    declare : callable, optional
        Declares the operators' signatures.

    Returns
    -------
    bool
        True if the signatures were declared, False if the compiled operators were loaded.
    """
    if extension is not None:
        try:
            load(extension)
        except OSError:
            pass  # built for CUDA beside a CPU torch: the case that this module is for
        else:
            return False
    (declare or _declare_operators)()
    return True


@cache
def _library() -> Any:
    # The definitions live as long as this object; the cache keeps it.
    return torch.library.Library("torchvision", "DEF")


def _declare_operators() -> None:
    for name in _OPERATORS:
        _library().define(f"{name}{_SIGNATURE}")


def build_model(name: str, *, weights: str | None = None) -> nn.Module:
    """Build a torchvision model by name, in evaluation mode.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.
    weights : str, optional
        Name of pretrained weights, such as ``"DEFAULT"``, which torchvision downloads; random
        weights when None. `load_weights` reads weights of your own.

    Returns
    -------
    torch.nn.Module
        The model.

    Raises
    ------
    VisionError
        If there is no such model, or it has no such weights (near matches are listed), or they
        cannot be downloaded.
    """
    models = check_model(name)
    chosen = None if weights is None else model_weights(name, weights)
    try:
        model: nn.Module = models.get_model(name, weights=chosen)
    except OSError as error:  # of the network, or of the disk that keeps them
        raise VisionError(
            f"{name}: the weights {weights} could not be downloaded ({error}); connect to the "
            "network, or give a .safetensors file of them."
        ) from error
    return model.eval()


def model_weights(name: str, weights: str) -> Any:
    """Look the pretrained weights of a torchvision model up; nothing is downloaded.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.
    weights : str
        Such as ``"DEFAULT"`` or ``"IMAGENET1K_V1"``.

    Returns
    -------
    torchvision.models.WeightsEnum
        The weights; their ``transforms()`` are the preprocessing that belongs to them.

    Raises
    ------
    VisionError
        If there is no such model, or it has no such weights; near matches are listed.
    """
    kind = check_model(name).get_model_weights(name)
    known = kind.__members__
    short = weights.removeprefix(f"{kind.__name__}.")
    if short not in known:
        raise VisionError(
            f"weights: torchvision has no weights {weights!r} of {name!r}; "
            f"{near_matches(short, known, 'it has' if known else 'it has none')}"
        )
    return known[short]


def check_model(name: str) -> Any:
    """Check that torchvision has a model of this name.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.

    Returns
    -------
    module
        ``torchvision.models``.

    Raises
    ------
    VisionError
        If there is no such model; near matches are listed.
    """
    models = importlib.import_module(f"{import_torchvision().__name__}.models")
    known = models.list_models()
    if name not in known:
        hint = near_matches(name, known, "see torchvision.models; some are")
        raise VisionError(f"model: torchvision has no model {name!r}; {hint}")
    return models


def near_matches(name: str, known: Iterable[str], otherwise: str) -> str:
    """Say which names resemble one that is not known.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What there is.
    otherwise : str
        What to say if nothing resembles it; the first few names are added.

    Returns
    -------
    str
        The end of a message.
    """
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(by_lower[match]) for match in near)}?"
    return f"{otherwise}{': ' if names else ''}{listed(names)}."


def listed(names: list[str]) -> str:
    """Write names for a message, the first few of many.

    Parameters
    ----------
    names : list of str
        The names.

    Returns
    -------
    str
        Such as ``'a', 'b' and 3 more``; empty without names.
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
