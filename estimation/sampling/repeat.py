"""The same draw made again from its provenance."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from estimation.sampling.draw import Draw, SamplingError
from estimation.sampling.registry import DESIGNS


def repeat_draw(record: Mapping[str, Any], activation: ArrayLike, prior: ArrayLike) -> Draw:
    """Make a draw again from its provenance, and check that it is the same.

    Parameters
    ----------
    record : Mapping
        From `Draw.provenance`.
    activation : array-like, shape (n_inputs,)
        Activations of the neuron that the draw was made for.
    prior : array-like, shape (n_inputs,)
        Concept prior that it was made with.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError
        When the design is unknown or a pool (repeat its parts), or the draw comes out another.
    """
    name = record["design"]
    if record["parts"]:
        msg = f"provenance: a pool of {len(record['parts'])} draws; repeat each of its `parts`"
        raise SamplingError(msg)
    if name not in DESIGNS:
        msg = f"provenance: the design {name!r} is none of {', '.join(sorted(DESIGNS))}"
        raise SamplingError(msg)
    size = np.asarray(activation).size
    if size != record["n_inputs"]:
        msg = (
            f"activation: {size} inputs, but the draw was made over {record['n_inputs']}; give the "
            "activations that it was made from"
        )
        raise SamplingError(msg)
    subject: dict[str, tuple[Any, ...]] = {
        "uniform": (size,),
        "top": (activation,),
        "top_and_random": (activation,),
    }
    options = dict(record["parameters"])
    if name != "top":
        options["replacement"] = record["replacement"]
    draw = DESIGNS[name](
        *subject.get(name, (activation, prior)),
        n_draws=record["n_draws"],
        seed=record["seed"],
        **options,
    )
    again = draw.provenance()
    if again["indices_sha256"] != record["indices_sha256"]:
        same = again["distribution_sha256"] == record["distribution_sha256"]
        reason = (
            f"by version {record['library_version']} of the library, this is "
            f"{again['library_version']}"
            if same
            else "from other draw probabilities: activations or prior are not those of the draw"
        )
        msg = (
            f"provenance: the draw of seed {record['seed']} comes out another; it was made {reason}"
        )
        raise SamplingError(msg)
    return draw
