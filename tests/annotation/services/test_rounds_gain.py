"""Raters who err, simulated, from the launch to the scores of two rounds: the round pays off."""

from collections.abc import Callable

import numpy as np
import pytest

from annotation.models import Item, RatingValue, Study
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.rounds import round_draw
from tests.annotation.factories import make_study, rate_study, truthful

pytestmark = pytest.mark.django_db

ERROR_RATE = 0.1


def erring(study: Study, seed: int) -> Callable[[Item], str]:
    right, rng = truthful(study), np.random.default_rng(seed)
    wrong = {
        RatingValue.PRESENT: RatingValue.ABSENT,
        RatingValue.ABSENT: RatingValue.PRESENT,
    }

    def answer(item: Item) -> str:
        value = RatingValue(right(item))
        return wrong[value] if rng.random() < ERROR_RATE else value

    return answer


def errors(study: Study) -> np.ndarray:
    """Absolute error of every score against the reference labels of all inputs."""
    run = estimate_run(run=estimate_request(study=study, aggregation="majority", enqueue=False))
    rows = run.estimates.order_by("explanation").values_list("score", "reference_score")
    return np.abs(np.diff(np.array(list(rows)), axis=1)[:, 0])


def test_an_adaptive_round_brings_scores_nearer_to_the_truth() -> None:
    """Without a gain, t of the 36 differences would be above 2.5 once in 116 such tests."""
    gains = []
    for seed in range(3):
        study = make_study(
            n_inputs=300,
            n_neurons=6,
            n_concepts=6,
            inputs_per_pair=12,
            items_per_task=60,
            seed=seed,
        )
        answer = erring(study, seed)
        rate_study(study, answer)
        before = errors(study)
        drawn = round_draw(study=study, design="adaptive", n_draws=40, actor=study.owner)
        assert study.items.filter(round=drawn).exists()
        rate_study(study, answer)
        gains.append(before - errors(study))
    gain = np.concatenate(gains)
    assert gain.size == 36
    assert gain.mean() / (gain.std(ddof=1) / np.sqrt(gain.size)) > 2.5
