"""Scores of one pair, computed the obvious way with scikit-learn, scipy or a loop.

Each function takes a vector of activations, a concept vector and weights, and knows nothing of
the code under test. ``None`` stands for an undefined score.
"""

import math

import numpy as np
from scipy import stats
from sklearn import metrics as sk

THRESHOLD = 0.5


def top_fraction(a, alpha, w):
    """The tie rule of `neuron_eval.binarize`, as a loop over groups."""
    target = alpha * w.sum()
    marked = np.zeros(len(a), dtype=bool)
    lowest = a[w > 0].min()
    for value in sorted(set(a[w > 0]), reverse=True):
        if w[marked].sum() >= target - 1e-9 * target:
            break
        group = (a == value) & (w > 0)
        crosses = w[marked].sum() + w[group].sum() >= target - 1e-9 * target
        if value == lowest:
            break
        too_many = w[marked].sum() + w[group].sum() > 2 * target + 1e-9
        if crosses and too_many and marked.any():
            break
        marked |= group
    return marked


def counts(nb, cb, w):
    return (
        w[nb & cb].sum(),
        w[~nb & cb].sum(),
        w[nb & ~cb].sum(),
        w[~nb & ~cb].sum(),
    )


def _ratio(numerator, denominator):
    return None if denominator == 0 else numerator / denominator


def recall(a, c, w, nb):
    tp, _, fp, _ = counts(nb, c >= THRESHOLD, w)
    return _ratio(tp, tp + fp)


def precision(a, c, w, nb):
    tp, fn, _, _ = counts(nb, c >= THRESHOLD, w)
    return _ratio(tp, tp + fn)


def f1_score(a, c, w, nb):
    if not (nb.any() or (c >= THRESHOLD).any()):
        return None
    return sk.f1_score(nb, c >= THRESHOLD, sample_weight=w)


def iou(a, c, w, nb):
    if not (nb.any() or (c >= THRESHOLD).any()):
        return None
    return sk.jaccard_score(nb, c >= THRESHOLD, sample_weight=w)


def accuracy(a, c, w, nb):
    return sk.accuracy_score(nb, c >= THRESHOLD, sample_weight=w)


def balanced_accuracy(a, c, w, nb):
    if nb.all() or not nb.any():
        return None
    return sk.balanced_accuracy_score(nb, c >= THRESHOLD, sample_weight=w)


def inverse_balanced_accuracy(a, c, w, nb):
    return balanced_accuracy(a, nb.astype(float), w, c >= THRESHOLD)


def auroc(a, c, w, nb):
    if nb.all() or not nb.any():
        return None
    wins = 0.0
    for i in np.flatnonzero(nb):
        others = ~nb
        wins += w[i] * (w[others] @ ((c[i] > c[others]) + 0.5 * (c[i] == c[others])))
    return wins / (w[nb].sum() * w[~nb].sum())


def inverse_auroc(a, c, w, nb):
    return auroc(c, a, w, c >= THRESHOLD)


def auprc(a, c, w, nb):
    if not nb.any():
        return None
    return sk.average_precision_score(nb, c, sample_weight=w)


def inverse_auprc(a, c, w, nb):
    return auprc(c, a, w, c >= THRESHOLD)


def pearson_correlation(a, c, w, nb):
    if len(set(a)) == 1 or len(set(c)) == 1:
        return None
    x = a - np.average(a, weights=w)
    y = c - np.average(c, weights=w)
    return (w @ (x * y)) / math.sqrt((w @ (x * x)) * (w @ (y * y)))


def _ranks(x, w):
    return np.array([w[x < value].sum() + 0.5 * w[x == value].sum() for value in x])


def spearman_correlation(a, c, w, nb):
    if len(set(a)) == 1 or len(set(c)) == 1:
        return None
    if (w == w[0]).all():
        return stats.spearmanr(a, c).statistic
    return pearson_correlation(_ranks(a, w), _ranks(c, w), w, nb)


def cosine_similarity(a, c, w, nb):
    if not a.any() or not c.any():
        return None
    return (w @ (a * c)) / math.sqrt((w @ (a * a)) * (w @ (c * c)))


def wpmi(a, c, w, nb, lam=1.0):
    if not nb.any() or not c.any():
        return None
    inside = np.average([math.log(max(p, 1e-8)) for p in c[nb]], weights=w[nb])
    return inside - lam * math.log(np.average(c, weights=w))


def mean_activation_difference(a, c, w, nb):
    cb = c >= THRESHOLD
    if cb.all() or not cb.any():
        return None
    return np.average(a[cb], weights=w[cb]) - np.average(a[~cb], weights=w[~cb])


def _harmonic(first, second):
    def combined(a, c, w, nb):
        x, y = first(a, c, w, nb), second(a, c, w, nb)
        if x is None or y is None:
            return None
        return 0.0 if x + y == 0 else stats.hmean([x, y]) if min(x, y) > 0 else 0.0

    return combined


combined_auroc = _harmonic(auroc, inverse_auroc)
combined_balanced_accuracy = _harmonic(balanced_accuracy, inverse_balanced_accuracy)
combined_recall_auroc = _harmonic(recall, auroc)
combined_recall_inverse_auroc = _harmonic(recall, inverse_auroc)
combined_precision_balanced_accuracy = _harmonic(precision, balanced_accuracy)
combined_precision_inverse_balanced_accuracy = _harmonic(precision, inverse_balanced_accuracy)


def _drawn(a, w, nb, n_each, seed):
    """Draw top-and-random inputs: smallest exponential keys, without replacement."""
    keys = np.random.default_rng(seed).exponential(size=(2, len(a))) / w
    top = sorted(np.flatnonzero(nb), key=lambda i: keys[0, i])[:n_each]
    others = sorted(set(range(len(a))) - set(top), key=lambda i: keys[1, i])[:n_each]
    return np.array(top + others, dtype=int)


def pearson_correlation_top_and_random(a, c, w, nb, n_each=25, seed=0):
    if not nb.any():
        return None
    drawn = _drawn(a, w, nb, n_each, seed)
    return pearson_correlation(a[drawn], c[drawn], np.ones(len(drawn)), None)


def spearman_correlation_top_and_random(a, c, w, nb, n_each=25, seed=0):
    if not nb.any():
        return None
    drawn = _drawn(a, w, nb, n_each, seed)
    return spearman_correlation(a[drawn], c[drawn], np.ones(len(drawn)), None)
