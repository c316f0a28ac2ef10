"""The demo as a person runs it."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from annotation.models import ProbeDataset, Study
from demo import study as stages

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_runs_to_the_end_and_ranks_the_bad_method_last(tmp_path: Path) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "PYTEST_ADDOPTS"}},
        "NEURONJURY_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "neuronjury.settings.dev",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--inputs-per-pair", "5"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    folder = tmp_path / "demo" / "digits"
    assert "Leaderboard" in done.stdout
    assert (folder / "report.html").stat().st_size > 1_000_000
    estimates = json.loads((folder / "estimates.json").read_text(encoding="utf-8"))
    with (folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
        ratings = list(csv.DictReader(file))
    assert len(estimates["estimates"]) == 70
    assert len(ratings) % stages.REDUNDANCY == 0
    assert {row["counted"] for row in ratings} == {"true"}
    assert estimates["leaderboard"][-1]["method"] == stages.BAD_METHOD
    assert [row["rank"] for row in estimates["leaderboard"]] == [1, 2, 3, 4, 5]
    # no other test lets the web app use the model's default sampler
    with closing(sqlite3.connect(tmp_path / "neuronjury.sqlite3")) as database:
        [[estimator, diagnostics]] = database.execute(
            "SELECT estimator, diagnostics FROM annotation_estimaterun "
            "WHERE aggregation = 'hierarchical'"
        )
    assert estimator == "model_assisted"
    assert json.loads(diagnostics)["sampler"]["r_hat_population"] < 1.05


@pytest.mark.django_db
def test_preparing_twice_makes_one_study_unless_a_fresh_one_is_asked_for() -> None:
    lines: list[str] = []
    owner, login = stages.researcher_account()
    studies = []
    for fresh in (False, False, True):
        probe = stages.prepare_probe(seed=0, say=lines.append)
        studies.append(
            stages.prepare_study(
                probe, owner=owner, seed=0, inputs_per_pair=5, fresh=fresh, say=lines.append
            )
        )
    assert [study.slug for study in studies] == ["digits", "digits", "digits-2"]
    assert ProbeDataset.objects.count() == 1
    assert Study.objects.count() == 2
    assert sum(line.startswith("network trained") for line in lines) == 1
    assert stages.researcher_account() == (owner, login)
    assert studies[0].explanations.count() == 70
    assert studies[0].explanations.values("neuron").distinct().count() == 14
