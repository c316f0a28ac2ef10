"""Aggregation by counting votes: majority and mean."""

from typing import Self

import numpy as np
import pandas as pd

from estimation.ratings import RatingsError, rating_counts


class MajorityVote:
    """Label an item present when more than half of its ratings say so.

    Attributes
    ----------
    labels_ : Series of float64, one an item
        1 or 0; ties and items that nobody could tell get `tie` (0.5 by default, never a silent 0).
    probabilities_ : Series of float64
        The same values: a majority vote knows no doubt.
    ties_ : int
        How many items were tied.
    """

    def __init__(self, *, tie: float = 0.5) -> None:
        self.tie = tie

    def fit(self, ratings: pd.DataFrame) -> Self:
        """Count the votes.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`; a column ``gold`` is not used.

        Returns
        -------
        MajorityVote
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks or `tie` is outside [0, 1].
        """
        if not 0 <= self.tie <= 1:
            msg = f"tie: {self.tie} is outside [0, 1]"
            raise RatingsError(msg)
        counts = rating_counts(ratings)
        margin = 2 * counts["k"] - counts["n"]
        votes = np.where(margin > 0, 1.0, np.where(margin < 0, 0.0, self.tie))
        self.labels_ = pd.Series(votes, index=counts.index, name="label")
        self.probabilities_ = self.labels_.rename("probability")
        self.ties_ = int((margin == 0).sum())
        return self

    def fit_predict_proba(self, ratings: pd.DataFrame) -> "pd.Series[float]":
        """Fit and return ``probabilities_``, see `fit`."""
        return self.fit(ratings).probabilities_


class MeanRating:
    """Take the share of ratings that say present as the probability of the label.

    Attributes
    ----------
    probabilities_ : Series of float64, one an item
        k / n; NaN for items that nobody could tell.
    labels_ : Series of float64
        1 where the share is above one half, 0 below, 0.5 at one half, NaN where it is missing.
    """

    def fit(self, ratings: pd.DataFrame) -> Self:
        """Average the ratings.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`; a column ``gold`` is not used.

        Returns
        -------
        MeanRating
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks.
        """
        counts = rating_counts(ratings)
        share = counts["k"] / counts["n"].where(counts["n"] > 0)
        self.probabilities_ = share.astype("float64").rename("probability")
        votes = 0.5 + 0.5 * np.sign(self.probabilities_.to_numpy() - 0.5)
        self.labels_ = pd.Series(votes, index=counts.index, name="label")
        return self

    def fit_predict_proba(self, ratings: pd.DataFrame) -> "pd.Series[float]":
        """Fit and return ``probabilities_``, see `fit`."""
        return self.fit(ratings).probabilities_
