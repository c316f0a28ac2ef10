"""Layers by their qualified names; names are looked up, never evaluated."""

import difflib
from collections.abc import Sequence

from torch import nn

from neuron_eval.activations.options import RecordingError

#: The layer name that means the output of the whole model (a layer of that name goes first).
MODEL_OUTPUT = "output"


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """Look a layer up by its qualified name.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    layer : str
        A name of ``model.named_modules()``, or ``"output"`` for the model itself.

    Returns
    -------
    torch.nn.Module
        The layer.

    Raises
    ------
    RecordingError
        If there is none of this name; near matches are listed.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    del modules[""]
    if layer in modules:
        return modules[layer]
    if layer == MODEL_OUTPUT:
        return model
    near = difflib.get_close_matches(layer, [*modules, MODEL_OUTPUT], n=3, cutoff=0.4)
    hint = f"near matches: {', '.join(map(repr, near))}" if near else "see layer_names(model)"
    raise RecordingError(
        f"layers: {type(model).__name__} has no layer {layer!r}; {hint}; {MODEL_OUTPUT!r} is the "
        "output of the model."
    )


def layer_names(model: nn.Module) -> list[tuple[str, str]]:
    """List every layer that can be recorded.

    Parameters
    ----------
    model : torch.nn.Module
        The model.

    Returns
    -------
    list of tuple of str
        Name and type of every layer, in the order of the model; ``"output"`` last.
    """
    names = [(name, type(module).__name__) for name, module in model.named_modules() if name]
    if MODEL_OUTPUT not in dict(names):
        names.append((MODEL_OUTPUT, type(model).__name__))
    return names


def layer_list(layers: str | Sequence[str]) -> list[str]:
    """Make a list of layer names of one name or several.

    Parameters
    ----------
    layers : str or sequence of str
        One name, or several.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    RecordingError
        If there is none, or one is given twice.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise RecordingError("layers: found none, expected at least one layer name.")
    for name in names:
        if names.count(name) > 1:
            raise RecordingError(f"layers: {name!r} is given twice; name every layer once.")
    return names
