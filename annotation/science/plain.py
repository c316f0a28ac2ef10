"""What the database keeps as JSON."""

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Turn numpy numbers and tuples into what JSON knows.

    Parameters
    ----------
    value : object
        Numbers, texts, and mappings and sequences of them.

    Returns
    -------
    object
        JSON values; NaN and infinity become None.
    """
    import math

    import numpy as np

    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
