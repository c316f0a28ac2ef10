"""Gold items in the label models: they tell about the raters, and about nothing else.

They were chosen because their label is known, often by the label itself, so a model that let them
speak of the concept would learn how a person picks examples. They enter as items of a concept of
their own, whose items have prior one half and no activation.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from annotation.science.aggregation import GoldRow

#: Key of the concept that all gold items belong to; concepts of the database have positive ones.
GOLD_CONCEPT = -1


def gold_frame(gold: "Iterable[GoldRow]") -> "pd.DataFrame":
    """Put answers to gold items into a ratings table.

    Parameters
    ----------
    gold : iterable of GoldRow
        In the order of saving: of a rater's answers to the same gold item, hidden in several of
        their tasks, the first one stands.

    Returns
    -------
    DataFrame
        Columns ``concept`` (always `GOLD_CONCEPT`), ``item`` (0, 1, ...), ``rater``, ``rating``,
        ``gold``; without "cannot tell".
    """
    import pandas as pd

    frame = pd.DataFrame(
        [(row.concept, row.item, row.rater, row.value, row.label) for row in gold],
        columns=["concept", "item", "rater", "rating", "gold"],
    ).astype({"rating": "float64", "gold": "float64"})
    frame = frame.drop_duplicates(["concept", "item", "rater"])
    frame = frame[frame["rating"].notna()]
    number = frame.groupby(["concept", "item"], sort=False).ngroup()
    return frame.assign(concept=GOLD_CONCEPT, item=number.astype("int64")).reset_index(drop=True)


def gold_prior(n_gold: int) -> Any:
    """Give the prior of the gold items: one half, for their labels are known.

    Parameters
    ----------
    n_gold : int
        Gold items.

    Returns
    -------
    ndarray, shape (n_gold + 2,)
        As long as `gold_activation`.
    """
    import numpy as np

    return np.full(n_gold + 2, 0.5)


def gold_activation(n_gold: int) -> Any:
    """Give activations that say nothing of the gold items.

    Parameters
    ----------
    n_gold : int
        Gold items.

    Returns
    -------
    ndarray, shape (n_gold + 2, 1)
        0 for each; two inputs that nobody rates, -1 and 1, make its mean 0 and its deviation more
        than 0, as a feature needs.
    """
    import numpy as np

    return np.concatenate([np.zeros(n_gold), [-1.0, 1.0]])[:, None]
