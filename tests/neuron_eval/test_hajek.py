"""A sample with Hajek weights estimates the scores of the whole dataset, for every metric.

Inputs are drawn with unequal probabilities, as in a study, and each is weighted by one over its
probability. The weighted score must come close to that of all inputs.
"""

import numpy as np
import pytest

from neuron_eval.binarize import TopFraction
from neuron_eval.registry import METRICS

N_INPUTS, N_DRAWN, N_SAMPLES = 20_000, 2_000, 40
FIXED = sorted(name for name in METRICS if not METRICS[name].sampled)


@pytest.fixture(scope="module")
def population():
    """One neuron and a concept of 8%, and inclusion probabilities that favour activity."""
    rng = np.random.default_rng(0)
    present = rng.random(N_INPUTS) < 0.08
    activation = np.maximum(1.5 * present + rng.normal(size=N_INPUTS), -0.5)
    concept = np.clip(0.55 * present + 0.4 * rng.random(N_INPUTS), 0, 1)
    centred = np.abs(activation - activation.mean())
    probability = 0.8 * centred / centred.sum() + 0.2 / N_INPUTS
    return activation[:, None], concept[:, None], probability


@pytest.fixture(scope="module")
def samples(population):
    rng = np.random.default_rng(1)
    probability = population[2]
    return [rng.choice(N_INPUTS, size=N_DRAWN, p=probability) for _ in range(N_SAMPLES)]


def _scores(name, population, samples):
    """Score of all inputs, weighted and unweighted scores of the samples."""
    a, c, probability = population
    metric = METRICS[name]
    options = {"binarization": TopFraction(0.1)} if "binarization" in metric.parameters else {}
    weighted = [metric(a[i], c[i], weights=1 / probability[i], **options).item() for i in samples]
    plain = [metric(a[i], c[i], **options).item() for i in samples]
    return metric(a, c, **options).item(), np.array(weighted), np.array(plain)


@pytest.mark.parametrize("name", FIXED)
def test_weighted_scores_estimate_those_of_all_inputs(name, population, samples):
    truth, weighted, _ = _scores(name, population, samples)
    # The mean of 40 samples within 5 standard errors, false alarm below 1e-5, and 3% of the
    # score for the bias of ratios and cutoffs, which is of order 1 / draws.
    error = weighted.std() / np.sqrt(N_SAMPLES)
    assert weighted.mean() == pytest.approx(truth, abs=5 * error + 0.03 * abs(truth))


def test_weights_are_what_does_it(population, samples):
    """By chance a metric may be right without weights; the typical one is off tenfold."""
    errors = []
    for name in FIXED:
        truth, weighted, plain = _scores(name, population, samples)
        errors.append([abs(s.mean() - truth) / abs(truth) for s in (weighted, plain)])
    weighted, plain = np.median(errors, axis=0)
    assert weighted < 0.1 * plain
