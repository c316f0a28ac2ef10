"""The exported files alone give the scores again, with the very code that docs/api.md shows."""

import re
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings

from annotation.exports import FORMATS, TABLES, export_table
from annotation.services.estimates import estimate_request, estimate_run
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
    ("design", "parameters"),
    [
        ("model_guided", {"gamma": 0.3}),
        ("neyman", {"replacement": False}),
        ("uniform", {}),
        ("top_and_random", {}),
        ("stratified", {}),
    ],
)
def test_scores_are_recomputed_from_the_files(
    tmp_path: Path, design: str, parameters: dict
) -> None:
    study = make_study(
        n_inputs=60,
        n_neurons=3,
        seed=4,
        sampling_design=design,
        sampling_parameters=parameters,
    )
    answer = truthful(study)
    rate_study(
        study,
        lambda item: "cannot_tell" if item.probe_input.index % 11 == 0 else answer(item),
        max_tasks=8,
    )
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
    assert len(both) == len(shown) == run.estimates.count() == 6
    for column in ("score", "lower", "upper"):
        assert (both[column] - both[f"{column}_again"]).abs().max() < 1e-12
    assert shown["run"].unique().tolist() == [str(run.public_id)]
