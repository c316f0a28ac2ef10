"""A draw: which inputs were chosen, and with what probability."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimation.checks import EstimationError, FloatArray
from estimation.sampling.record import provenance_record


class SamplingError(EstimationError):
    """Raised when no sample can be drawn, or a drawn one cannot be weighted."""


@dataclass(frozen=True, eq=False)
class Draw:
    """Inputs drawn for one (neuron, concept) pair, with or without replacement.

    One rule covers all designs: n q_i is the expected number of times that input i is drawn. The
    mean over draws of w h, w = (1/N)/q, is then unbiased for the mean of h over all inputs: it is
    the estimator of Hansen and Hurwitz with replacement, and that of Horvitz and Thompson without,
    where n q_i is the inclusion probability.

    Attributes
    ----------
    design : str
        Name of the sampling design, a key of ``DESIGNS`` (or "pooled", "adaptive", "rounds").
    indices : ndarray, shape (n_draws,), int64
        Inputs drawn, in order of drawing; with replacement an input may be there more than once.
    probabilities : ndarray, shape (n_draws,), float64
        q_i of each of them: the expected number of draws that fall on it, over n_draws.
    n_inputs : int
        Size N of the probe dataset.
    seed : int
        Seed that the draw came from: same seed, same arguments, same draw.
    parameters : Mapping
        Parameters of the design (plain numbers and strings).
    distribution : ndarray, shape (n_inputs,), float64, or None
        The whole q, needed to pool this draw with others and to check a repetition.
    source : ndarray, shape (n_draws,), int64, or None
        Which part each input came from, parts being drawn independently of each other: the draws
        of a pool, the strata of a stratified draw. Variances are taken within parts.
    replacement : bool
        Whether an input could be drawn more than once.
    inclusion : ndarray, shape (n_inputs,), float64, or None
        Probability that an input is drawn at least once. None stands for n_draws independent draws
        from q, for which it follows.
    own_inclusion : ndarray, shape (n_draws,), float64, or None
        Probability with which the part that took an input, if drawn without replacement, takes it;
        0 for parts with replacement. The variance is smaller by about this share. None is 0.
    parts : tuple of Mapping
        Of a pooled draw: the provenance of the draws pooled.
    """

    design: str
    indices: NDArray[np.int64]
    probabilities: FloatArray
    n_inputs: int
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    distribution: FloatArray | None = None
    source: NDArray[np.int64] | None = None
    replacement: bool = True
    inclusion: FloatArray | None = None
    own_inclusion: FloatArray | None = None
    parts: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.indices.shape != self.probabilities.shape or self.indices.ndim != 1:
            msg = (
                f"draw: {self.indices.shape} indices but {self.probabilities.shape} probabilities; "
                "give one probability a drawn input"
            )
            raise SamplingError(msg)
        if self.indices.size == 0:
            msg = "draw: no input was drawn; a study needs a budget of at least one input"
            raise SamplingError(msg)
        if self.indices.min() < 0 or self.indices.max() >= self.n_inputs:
            msg = (
                f"draw: indices span {self.indices.min()} to {self.indices.max()}, but the probe "
                f"dataset has {self.n_inputs} inputs"
            )
            raise SamplingError(msg)
        if not np.all((self.probabilities > 0) & (self.probabilities <= 1)):
            msg = (
                "draw: every drawn input needs a draw probability in (0, 1]; an input that cannot "
                "be drawn has no weight"
            )
            raise SamplingError(msg)
        for name in ("source", "own_inclusion"):
            values = getattr(self, name)
            if values is not None and values.shape != self.indices.shape:
                msg = (
                    f"draw: {name} has shape {values.shape}, indices {self.indices.shape}; give "
                    "one value a drawn input (to leave draws out, use `restricted`)"
                )
                raise SamplingError(msg)

    @property
    def n_draws(self) -> int:
        """Number of draws, repeated inputs counted as often as they were drawn."""
        return int(self.indices.size)

    @property
    def weights(self) -> FloatArray:
        """Importance weights w_i = (1/N) / q_i of the drawn inputs, shape (n_draws,).

        Raises
        ------
        SamplingError
            For designs that leave inputs without any chance: no weights make up for that.
        """
        if self.design == "top":
            msg = (
                "draw: the design 'top' never draws inputs outside the top, so it has no importance"
                " weights; use 'top_and_random', 'model_guided', 'neyman' or 'uniform'"
            )
            raise SamplingError(msg)
        return 1.0 / (self.n_inputs * self.probabilities)

    @property
    def unique_indices(self) -> NDArray[np.int64]:
        """The distinct inputs to have rated, sorted."""
        return np.unique(self.indices)

    @property
    def inclusion_probabilities(self) -> FloatArray:
        """Probability that an input is drawn at least once, for each draw, shape (n_draws,).

        Raises
        ------
        SamplingError
            For rounds of which one came without its whole distribution.
        """
        if self.inclusion is not None:
            return self.inclusion[self.indices]
        if self.design == "rounds":
            msg = (
                "draw: a round has no `distribution`, so the chance of an input to be drawn in any "
                "round is unknown; join draws that have theirs"
            )
            raise SamplingError(msg)
        return included_with_replacement(self.probabilities, self.n_draws)

    def provenance(self) -> dict[str, Any]:
        """Describe the draw in plain values, from which `repeat_draw` makes it again."""
        return provenance_record(self)

    def restricted(self, keep: NDArray[np.bool_]) -> "Draw":
        """Leave draws out, for instance those of inputs that nobody has rated yet.

        The draws left must be missing by chance: which inputs have ratings must not depend on
        their labels. Probabilities stay those of one draw; inclusion probabilities shrink with the
        number of draws of each part.

        Parameters
        ----------
        keep : ndarray, shape (n_draws,), bool
            Draws to keep.

        Returns
        -------
        Draw
            Parts with no draw left are gone from `source`.

        Raises
        ------
        SamplingError
            When the mask has another length or keeps nothing.
        """
        mask = np.asarray(keep, dtype=bool)
        if mask.shape != self.indices.shape or not mask.any():
            msg = (
                f"keep: {int(mask.sum())} draws kept by a mask of shape {mask.shape}, expected at "
                f"least one of {self.n_draws}; rate an input of the draw first"
            )
            raise SamplingError(msg)
        source = self.source
        own = self.own_inclusion
        if own is not None:
            # a random part of a sample without replacement is one of a smaller size
            numbers = np.zeros(self.n_draws, np.int64) if source is None else source
            kept = np.bincount(numbers[mask], minlength=int(numbers.max()) + 1)
            own = (own * (kept / np.maximum(np.bincount(numbers), 1))[numbers])[mask]
        if source is not None:
            source = np.unique(source[mask], return_inverse=True)[1].astype(np.int64)
        inclusion = self.inclusion
        if inclusion is not None:
            inclusion = inclusion * float(mask.mean())
        return replace(
            self,
            indices=self.indices[mask],
            probabilities=self.probabilities[mask],
            source=source,
            own_inclusion=own,
            inclusion=inclusion,
        )


def included_with_replacement(probabilities: FloatArray, n_draws: int) -> FloatArray:
    """Compute 1 - (1 - q)^n, the chance that n independent draws hit an input.

    Parameters
    ----------
    probabilities : ndarray, float64
        Draw probabilities q in [0, 1].
    n_draws : int
        Number of draws n.

    Returns
    -------
    ndarray, float64
    """
    with np.errstate(divide="ignore"):  # q = 1 is always drawn: log 0
        included: FloatArray = -np.expm1(n_draws * np.log1p(-probabilities))
    return included


def check_budget(n_draws: int) -> None:
    """Refuse a study with no budget.

    Parameters
    ----------
    n_draws : int
        Number of draws.

    Raises
    ------
    SamplingError
        When it is below 1.
    """
    if n_draws < 1:
        msg = (
            f"n_draws: a study with no budget ({n_draws} draws) rates nothing; "
            "give at least one draw a (neuron, concept) pair"
        )
        raise SamplingError(msg)
