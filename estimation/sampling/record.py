"""What a draw came from, in plain values that can be stored."""

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from estimation.sampling.draw import Draw


def provenance_record(draw: "Draw") -> dict[str, Any]:
    """Describe a draw so that it can be repeated from activations and prior.

    Parameters
    ----------
    draw : Draw
        A draw.

    Returns
    -------
    dict
        Plain values, fit for JSON: ``design``, ``parameters``, ``seed``, ``n_draws``,
        ``n_inputs``, ``replacement``, ``indices_sha256``, ``distribution_sha256`` (None when the
        draw has no distribution), ``library_version`` (None when the package is not installed),
        and ``parts``, the same of every draw of a pool.
    """
    return {
        "design": draw.design,
        "parameters": {name: _plain(value) for name, value in draw.parameters.items()},
        "seed": int(draw.seed),
        "n_draws": draw.n_draws,
        "n_inputs": int(draw.n_inputs),
        "replacement": bool(draw.replacement),
        "indices_sha256": _sha256(draw.indices, "<i8"),
        "distribution_sha256": (
            None if draw.distribution is None else _sha256(draw.distribution, "<f8")
        ),
        "library_version": _library_version(),
        "parts": [dict(part) for part in draw.parts],
    }


def _sha256(values: ArrayLike, dtype: str) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype=dtype).tobytes()).hexdigest()


def _plain(value: Any) -> Any:
    """Turn numpy scalars and tuples into what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


@functools.cache
def _library_version() -> str | None:
    try:
        return version("neuronjury")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return None
