"""The exported files alone give the scores again, with the very code that docs/api.md shows."""

import re
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings

from annotation.exports import FORMATS, TABLES, export_table
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.explanations import NewExplanation, explanations_add
from annotation.services.rounds import round_draw
from annotation.services.studies import study_launch
from tests.annotation.factories import make_participation, make_study, rate_study, truthful

pytestmark = pytest.mark.django_db


def documented(name: str):
    """The function of the guide."""
    guide = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- recompute: .*?-->\n```python\n(.*?)```", guide, flags=re.DOTALL)
    assert found
    scope: dict = {}
    exec(found[1], scope)  # noqa: S102 - our own guide
    return scope[name]


@pytest.mark.parametrize(
    ("design", "parameters", "further"),
    [
        ("model_guided", {"gamma": 0.3}, []),
        ("neyman", {"replacement": False}, []),
        ("uniform", {}, []),
        ("top_and_random", {}, []),
        ("stratified", {}, []),
        ("model_guided", {}, ["adaptive"]),
        ("neyman", {"replacement": False}, ["neyman", "adaptive"]),
    ],
)
def test_scores_are_recomputed_from_the_files(
    tmp_path: Path, design: str, parameters: dict, further: list[str]
) -> None:
    study = make_study(
        n_inputs=60,
        n_neurons=3,
        seed=4,
        items_per_task=4 if further else 15,
        sampling_design=design,
        sampling_parameters=parameters,
        launched=False,
    )
    # weighted sums whose terms are not in the order of the concepts' rows
    matrix = study.explanations.first().neuron.activations
    sums = [NewExplanation(matrix, unit, {"concept 1": 0.7, "concept 0": -1.2}) for unit in (0, 2)]
    explanations_add(study=study, method="Linear", explanations=sums, actor=study.owner)
    study_launch(study=study, actor=study.owner)
    answer = truthful(study)
    rate_study(
        study,
        lambda item: "cannot_tell" if item.probe_input.index % 11 == 0 else answer(item),
        max_tasks=20 if further else 8,
    )
    for number, own in enumerate(further):
        n_tasks = study.tasks.count()
        round_draw(study=study, design=own, n_draws=12 + number, actor=study.owner)
        # not all of them: a round counts as far as its inputs are rated
        rate_study(study, answer, max_tasks=-(-3 * (study.tasks.count() - n_tasks) // 4))
    if further:
        assert study.items.filter(round__number__gte=2, ratings__isnull=True).exists()
        assert study.items.filter(round__number__gte=2, ratings__isnull=False).exists()
    make_participation(study)  # somebody who rated nothing yet
    run = estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    for name in TABLES:
        table = export_table(study, name)
        with (tmp_path / f"{name}.parquet").open("wb") as file:
            file.writelines(FORMATS["parquet"].chunks(table))
    found = documented("recompute")(tmp_path)
    shown = pd.read_parquet(tmp_path / "estimates.parquet")
    keys = ["method", "model", "layer", "pool", "unit"]
    both = shown.merge(found, on=keys, suffixes=("", "_again"))
    assert len(both) == len(shown) == run.estimates.count() == 8
    for column in ("score", "lower", "upper"):
        assert (both[column] - both[f"{column}_again"]).abs().max() < 1e-12
    assert shown["run"].unique().tolist() == [str(run.public_id)]
    shown.assign(aggregation="majority").to_parquet(tmp_path / "estimates.parquet")
    with pytest.raises(ValueError, match="those of majority"):
        documented("recompute")(tmp_path)
