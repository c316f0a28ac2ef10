"""Compiled passes over ratings: numbering items and raters, and the EM sweeps.

Called by `estimation.aggregation.encoding`, `dawid_skene` and `item_difficulty`, which import it
when something is fitted: numba takes a second to import. The compiled code is cached on disk.

Ratings come sorted by item: ``starts`` (n_items + 1,) says where the ratings of each item begin,
``answers`` (n_ratings,) holds 2 * rater + rating. A sweep reads each rating twice while it is still
in the processor's cache: once to find the item's posterior (E step), once to add it to the expected
counts of its rater (M step), so no array with one float a rating is ever made.
"""

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def number_integers(values: Any, lowest: int, span: int) -> Any:
    """Number integers of a small range by first appearance.

    Parameters
    ----------
    values : ndarray of int, shape (n,)
    lowest : int
        Their minimum.
    span : int
        Maximum - minimum + 1.

    Returns
    -------
    codes : ndarray of int32, shape (n,)
    first : ndarray of int64
        Position at which each number appears first.
    """
    number = np.full(span, -1, np.int32)
    first = np.empty(span, np.int64)
    codes = np.empty(values.size, np.int32)
    count = 0
    for i in range(values.size):
        place = values[i] - lowest
        code = number[place]
        if code < 0:
            code = count
            number[place] = code
            first[code] = i
            count += 1
        codes[i] = code
    return codes, first[:count].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sort_by_item(items: Any, raters: Any, ratings: Any, n_items: int, n_raters: int) -> Any:
    """Sort ratings by item, leave "cannot tell" out, and look for repeated ratings.

    Parameters
    ----------
    items, raters : ndarray of int32, shape (n,)
        Numbers of items and raters.
    ratings : ndarray of float64, shape (n,)
        0, 1 or NaN.
    n_items, n_raters : int

    Returns
    -------
    starts : ndarray of int64, shape (n_items + 1,)
    answers : ndarray of int32, shape (number of ratings that are 0 or 1,)
    fault : int
        0: none; 1: a rating has another value; 2: a rater rated an item twice.
    """
    n = items.size
    place = np.zeros(n_items + 1, np.int64)
    for i in range(n):
        place[items[i] + 1] += 1
    for i in range(n_items):
        place[i + 1] += place[i]
    starts = np.zeros(n_items + 1, np.int64)
    answers = np.empty(n, np.int32)
    fill = place[:n_items].copy()
    for i in range(n):
        value = ratings[i]
        if value == 1.0 or value == 0.0:
            answers[fill[items[i]]] = 2 * raters[i] + np.int32(value)
        elif value != value:
            answers[fill[items[i]]] = -1 - raters[i]
        else:
            return starts, answers, 1
        fill[items[i]] += 1
    seen = np.full(n_raters, -1, np.int64)
    kept = 0
    for item in range(n_items):
        for e in range(place[item], place[item + 1]):
            answer = answers[e]
            rater = answer >> 1 if answer >= 0 else -1 - answer
            if seen[rater] == item:
                return starts, answers, 2
            seen[rater] = item
            if answer >= 0:
                answers[kept] = answer
                kept += 1
        starts[item + 1] = kept
    return starts, answers[:kept], 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def two_coin_sweep(
    starts: Any, answers: Any, evidence: Any, prior: Any, known: Any, posterior: Any, counts: Any
) -> Any:
    """Do the E and the M step of Dawid-Skene for two labels in one pass.

    Parameters
    ----------
    starts, answers : ndarray
        Ratings sorted by item.
    evidence : ndarray, shape (2 n_raters,)
        log P(answer | present) - log P(answer | absent) of every answer.
    prior : ndarray, shape (1,) or (n_items,)
        Logit of the prior probability of the label, for all or each.
    known : ndarray of int8, shape (0,) or (n_items,)
        Label of gold items, -1 elsewhere.
    posterior : ndarray, shape (n_items,)
        Set to P(present | ratings).
    counts : ndarray, shape (2 n_raters,)
        Set to the expected number of present items among those with each answer.

    Returns
    -------
    float
        Sum over items of log of (prior odds times evidence + 1) / (prior odds + 1): the log
        likelihood, less that of all items being absent.
    """
    counts[:] = 0.0
    value = 0.0
    ratio = 1.0
    shared = prior.size == 1
    z0 = prior[0]
    base_ratio = 1.0 + math.exp(-abs(z0))
    has_gold = known.size > 0
    for i in range(starts.size - 1):
        if not shared:
            z0 = prior[i]
            base_ratio = 1.0 + math.exp(-abs(z0))
        z = z0
        for e in range(starts[i], starts[i + 1]):
            z += evidence[answers[e]]
        value -= max(z0, 0.0)
        ratio /= base_ratio
        if has_gold and known[i] >= 0:
            p = float(known[i])
            value += p * z
        else:
            small = math.exp(-abs(z))
            ratio *= 1.0 + small
            value += max(z, 0.0)
            p = (1.0 if z >= 0 else small) / (1.0 + small)
        # each item changes the ratio by a factor between 1/2 and 2; 512 of them fit a float64
        if i % 512 == 511:
            value += math.log(ratio)
            ratio = 1.0
        posterior[i] = p
        for e in range(starts[i], starts[i + 1]):
            counts[answers[e]] += p
    return value + math.log(ratio)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_answers(answers: Any, n_raters: int) -> Any:
    """Count each of the answers 2 * rater + rating.

    Returns
    -------
    ndarray of float64, shape (2 n_raters,)
    """
    counts = np.zeros(2 * n_raters)
    for e in range(answers.size):
        counts[answers[e]] += 1.0
    return counts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def start_item(log_item: Any, log_weight: Any, prior: float, known: int) -> None:
    """Set log P(label, difficulty) of one item before its ratings, in place."""
    half = log_weight.size
    plus = max(prior, 0.0) + math.log1p(math.exp(-abs(prior)))
    for q in range(half):
        log_item[q] = -np.inf if known == 1 else log_weight[q] - plus
        log_item[half + q] = -np.inf if known == 0 else log_weight[q] + prior - plus


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def difficulty_sweep(
    starts: Any,
    answers: Any,
    log_probability: Any,
    score: Any,
    log_weight: Any,
    prior: Any,
    known: Any,
    posterior: Any,
    counts: Any,
    squares: Any,
) -> Any:
    """Sum labels and difficulties out of every item, and add up what the raters' rates need.

    Columns of the tables are (label, difficulty node): first all nodes of absent, then of present.

    Parameters
    ----------
    starts, answers : ndarray
        Ratings sorted by item.
    log_probability : ndarray, shape (2 n_raters, 2 n_nodes)
        log P(answer | label, difficulty).
    score : ndarray, shape (2 n_raters, 2 n_nodes)
        Its derivative by the logit of the rater's error rate under that label.
    log_weight : ndarray, shape (n_nodes,)
        Log weights of the nodes.
    prior : ndarray, shape (n_items,)
        Logit of the prior probability of the label.
    known : ndarray of int8, shape (0,) or (n_items,)
        Label of gold items, -1 elsewhere.
    posterior : ndarray, shape (n_items,)
        Set to P(present | ratings).
    counts : ndarray, shape (2 n_raters, 2 n_nodes)
        Set to the expected number of items of each (label, difficulty) with each answer.
    squares : ndarray, shape (n_raters, 3)
        Set to sums over items of the products of expected scores: absent x absent, present x
        present, absent x present.

    Returns
    -------
    float
        Log likelihood.
    """
    counts[:] = 0.0
    squares[:] = 0.0
    width = log_probability.shape[1]
    half = width // 2
    log_item = np.empty(width)
    value = 0.0
    for i in range(starts.size - 1):
        start_item(log_item, log_weight, prior[i], known[i] if known.size > 0 else -1)
        for e in range(starts[i], starts[i + 1]):
            answer = answers[e]
            for k in range(width):
                log_item[k] += log_probability[answer, k]
        top = log_item[0]
        for k in range(1, width):
            top = max(top, log_item[k])
        total = 0.0
        for k in range(width):
            log_item[k] = math.exp(log_item[k] - top)
            total += log_item[k]
        value += top + math.log(total)
        present = 0.0
        for k in range(width):
            log_item[k] /= total
            if k >= half:
                present += log_item[k]
        posterior[i] = present
        for e in range(starts[i], starts[i + 1]):
            answer = answers[e]
            absent_score = 0.0
            present_score = 0.0
            for k in range(half):
                counts[answer, k] += log_item[k]
                absent_score += log_item[k] * score[answer, k]
            for k in range(half, width):
                counts[answer, k] += log_item[k]
                present_score += log_item[k] * score[answer, k]
            rater = answer >> 1
            squares[rater, 0] += absent_score * absent_score
            squares[rater, 1] += present_score * present_score
            squares[rater, 2] += absent_score * present_score
    return value
