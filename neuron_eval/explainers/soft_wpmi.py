"""Best soft weighted pointwise mutual information: the score that CLIP-Dissect recommends."""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.explainers._best import best_concepts
from neuron_eval.explanations import Explanation
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET, Scored
from neuron_eval.validation import InputError

Floats = npt.NDArray[np.float64]


def explain_soft_wpmi(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    top_k: int = 100,
    p_start: float = 0.998,
    p_end: float = 0.97,
    lam: float = 1.0,
    concept_mean: Literal["inputs", "neurons"] = "inputs",
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept of greatest soft WPMI with its top inputs.

    Each of the `top_k` inputs of highest activation belongs to the neuron's set B with a
    probability that falls with its rank r = 0, 1, ..., top_k - 1::

        p_r = p_start - (p_start - p_end) r / top_k
        log p(concept | B) = mean over r of ln(1 + p_r (c_r - 1))
        score = log p(concept | B) - lam * log p(concept)

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1], graded rather than binary where possible.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    top_k : int, default 100
        Size of the set, in inputs (in units of weight); at most the weight of all inputs.
    p_start, p_end : float, default 0.998 and 0.97
        Probability of the first input, and that which the one after the last would have;
        0 <= p_end <= p_start < 1.
    lam : float, default 1.0
        λ, how strongly a concept is charged for being common.
    concept_mean : {"inputs", "neurons"}, default "inputs"
        What log p(concept) is: the logarithm of the concept's mean over all inputs, or the
        published one, see the notes.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the soft WPMI in nats per input; without terms where the neuron
        is constant. A concept that is zero everywhere explains nothing.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    Inputs of equal activation share the mean of their ranks, as far as these are below `top_k`,
    and the share of their weight that is below it. So the score depends on no order of rows, and
    a row of weight 2 has ranks r and r + 1 and counts twice, exactly as two rows do. Inputs at a
    neuron's minimum never belong to its set: a sparse neuron has the set on which it fires.

    The published code sums over r where this takes the mean, adds 1e-7 inside the logarithm, and
    has p(concept) as the mean over the neurons of p(concept | B). ``concept_mean="neurons"``
    does that, in nats per input: (logsumexp over neurons of top_k log p(concept | B) - ln of
    their number) / top_k. Then an explanation depends on which neurons are explained together,
    and at λ = 1 a single neuron scores 0 with every concept.

    References
    ----------
    Oikarinen, Weng, "CLIP-Dissect: Automatic Description of Neuron Representations in Deep
    Vision Networks", ICLR 2023, arXiv 2204.10965, section 3.2 (SoftWPMI).
    """
    if not 0 <= p_end <= p_start < 1:
        raise InputError(
            f"p_start, p_end: found {p_start!r} and {p_end!r}, expected 0 <= p_end <= p_start < 1."
        )
    if not abs(lam) < math.inf:
        raise InputError(f"lam: found {lam!r}, expected a finite number.")
    if concept_mean not in ("inputs", "neurons"):
        raise InputError(f"concept_mean: found {concept_mean!r}, expected 'inputs' or 'neurons'.")
    scored = _columns.check(activations, concepts, weights)
    if not 1 <= top_k <= scored.total:
        raise InputError(
            f"top_k: found {top_k!r} with inputs of weight {scored.total:g}, expected from 1 to "
            "that weight; pass a smaller top_k."
        )
    fit = _log_likelihoods(scored, top_k, (p_start, p_end), memory_budget)
    mean = torch.cat(
        [
            _columns.sums(rows, scored.weights) / scored.total
            for _, rows in _columns.rows_of(scored.concepts, memory_budget)
        ]
    )
    log_mean = torch.where(mean > 0, mean, torch.nan).log()
    if concept_mean == "neurons":
        live = fit[~fit[:, 0].isnan()]
        over_neurons = torch.logsumexp(top_k * live, dim=0) - math.log(max(1, len(live)))
        log_mean = torch.where(mean > 0, over_neurons / top_k, torch.nan)
    return best_concepts(fit - lam * log_mean)


def _log_likelihoods(
    scored: Scored, top_k: int, probabilities: tuple[float, float], memory_budget: int
) -> Tensor:
    """Return the mean of ln(1 + p (c - 1)), shape (n_neurons, n_concepts).

    The row of a constant neuron is NaN.
    """
    scores = scored.empty_scores()
    n_concepts = scored.concepts.shape[1]
    height = max(1, memory_budget // (4 * 8 * n_concepts))
    mass = None if scored.weights is None else scored.weights.cpu().numpy()
    for columns, rows in _columns.rows_of(scored.activations, max(1, memory_budget // 2), 4):
        for neuron, row in zip(range(len(scores))[columns], rows.cpu().numpy(), strict=True):
            inputs, ranks, shares = soft_set(row, mass, top_k)
            if not len(inputs):
                continue
            first, last = probabilities
            p = _on(scores, first - (first - last) * ranks / top_k)
            share = _on(scores, shares / shares.sum())
            places = torch.from_numpy(inputs).to(scores.device)
            total = scores.new_zeros(n_concepts)
            for start in range(0, len(inputs), height):
                piece = slice(start, start + height)
                values = scored.concepts[places[piece]].to(torch.float64)
                values = values.sub_(1).mul_(p[piece, None]).log1p_()
                total += share[piece] @ values
            scores[neuron] = total
    return scores


def soft_set(
    row: npt.NDArray[Any], mass: Floats | None, top_k: int
) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Find the inputs of highest activation, their ranks and how much of each is in the set.

    Parameters
    ----------
    row : ndarray, shape (n_inputs,)
        Activations of one neuron.
    mass : ndarray, shape (n_inputs,), or None
        Positive sample weights.
    top_k : int
        Weight of the set.

    Returns
    -------
    inputs : ndarray, shape (n_members,), int64
        Inputs with a share in the set, highest activation first; none of a constant row.
    ranks : ndarray, shape (n_members,), float64
        Rank of each from 0; equal activations share the mean of their ranks below `top_k`.
    shares : ndarray, shape (n_members,), float64
        Weight of each in the set.
    """
    above = row > row.min()
    if mass is None and len(row) > top_k:
        # Only what can be in the set is sorted.
        above &= row >= np.partition(row, len(row) - top_k)[len(row) - top_k]
    inputs = np.flatnonzero(above)
    inputs = inputs[np.argsort(-row[inputs], kind="stable")]
    if not len(inputs):
        return inputs, np.empty(0), np.empty(0)
    own = np.ones(len(inputs)) if mass is None else mass[inputs]
    values = row[inputs]
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    group_mass = np.add.reduceat(own, starts)
    before = np.cumsum(group_mass) - group_mass
    covered = np.clip(top_k - before, 0, group_mass)
    # The mean of the ranks before, before + 1, ..., before + covered - 1.
    middle = before + np.maximum(covered - 1, 0) / 2
    sizes = np.diff(np.append(starts, len(inputs)))
    shares = own * np.repeat(covered / group_mass, sizes)
    members = shares > 0
    return inputs[members], np.repeat(middle, sizes)[members], shares[members]


def _on(like: Tensor, values: Floats) -> Tensor:
    return torch.from_numpy(values).to(like.device)
