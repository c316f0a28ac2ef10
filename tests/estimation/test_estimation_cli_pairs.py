import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from estimation.checks import EstimationError
from estimation.cli import app as app_module
from estimation.cli.app import app, main
from estimation.simulated_study import REGIMES, simulate_pair
from neuron_eval.cli.console import OutputError


def run(*arguments: object):
    return CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture
def files(tmp_path):
    pairs = [simulate_pair(REGIMES["base"], n_inputs=400, seed=seed) for seed in range(2)]
    np.save(tmp_path / "a.npy", np.stack([pair.activation for pair in pairs], axis=1))
    prior = pd.DataFrame({"dog": pairs[0].prior, "cat": pairs[1].prior})
    prior.to_csv(tmp_path / "s.csv", index=False)
    return tmp_path, pairs


def test_plan_recommends_and_prices(files):
    folder, _ = files
    out, plot = folder / "plan.csv", folder / "plan.svg"
    result = run(
        *("plan", folder / "a.npy", folder / "s.csv", "-p", "0:dog", "-p", "1:1"),
        *("--budget", 180, "--fee-rate", 0.5, "--minutes-per-item", 0.1),
        *("--output", out, "--plot", plot),
    )
    assert result.exit_code == 0, result.output
    assert "expected error of 2 pairs" in result.output
    assert "in all; raters earn" in result.output
    table = pd.read_csv(out)
    assert table["budget"].max() >= 180
    assert {"neyman", "uniform"} <= set(table["design"])
    assert plot.read_text().startswith("<?xml")


def test_rounds_go_on_until_the_score_is_known(files):
    folder, (pair, _) = files
    given = ("next", folder / "a.npy", folder / "s.csv", "-p", "0:dog")
    first = folder / "round-1.csv"
    assert run(*given, "--n-ratings", 60, "--output", first).exit_code == 0
    items = pd.read_csv(first)
    assert items["n_ratings"].sum() == 60
    asked = np.repeat(items["item"].to_numpy(), items["n_ratings"])
    rated = pd.DataFrame(
        {"item": asked, "rater": np.arange(60), "rating": pair.truth[asked].astype(int)}
    )
    rated.to_csv(folder / "rated.csv", index=False)
    second = folder / "round-2.csv"
    more = (*given, "--ratings", folder / "rated.csv", "--output", second)
    result = run(*more)
    assert "0:dog: score" in result.output
    assert "from 60 ratings" in result.output
    assert second.exists()
    second.unlink()
    stopped = run(*more, "--half-width", 0.9)
    assert "stop: no further round is needed" in stopped.output
    assert not second.exists()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["0dog"], "expected NEURON:CONCEPT"),
        (["7:dog"], "no column '7'; give a number from 0 to 1"),
        (["0:horse"], "or one of dog, cat"),
        (["0:dog", "1:cat"], "2 concepts"),
    ],
)
def test_pairs_that_are_none(files, pairs, message):
    folder, _ = files
    chosen = [part for pair in pairs for part in ("-p", pair)]
    with pytest.raises(EstimationError, match=message):
        run("next", folder / "a.npy", folder / "s.csv", *chosen, "--output", folder / "n.csv")


def test_files_over_different_inputs(files):
    folder, _ = files
    np.save(folder / "short.npy", np.zeros((5, 1)))
    with pytest.raises(EstimationError, match="400 inputs, but"):
        run("next", folder / "short.npy", folder / "s.csv", "-p", "0:dog", "--output", "n.csv")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.csv", "item,rater,rating\n3,ann,2\n", "rating 2 in row 0 is none of 1 (present)"),
        ("r.csv", "task,rater,rating\n3,ann,1\n", "column 'item' is missing"),
        ("r.csv", "item,rater,rating\n3,ann,1\n3,ann,1\n", "rated item 3 more than once"),
        ("r.csv", "item,rater,rating\n400,ann,1\n", "item 400 is outside the probe dataset"),
        ("r.txt", "item,rater,rating\n3,ann,1\n", "ends in '.txt', expected .csv, .tsv or"),
    ],
)
def test_ratings_that_cannot_be_used_end_with_one_line(
    files, monkeypatch, capsys, name, text, message
):
    folder, _ = files
    (folder / name).write_text(text)
    arguments = ["next", folder / "a.npy", folder / "s.csv", "-p", "0:dog"]
    arguments += ["--ratings", folder / name, "--output", folder / "n.csv"]
    monkeypatch.setattr(sys, "argv", ["neuron-estimate", *map(str, arguments)])
    monkeypatch.setattr(app_module.ERROR_CONSOLE, "_file", None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "next"])
def test_seeds_and_outputs_that_cannot_be_are_said_before_anything_is_computed(files, command):
    folder, _ = files
    given = (command, folder / "a.npy", folder / "s.csv", "-p", "0:dog")
    refused = run(*given, "--output", folder / "n.csv", "--seed", -1)
    assert refused.exit_code == 2
    assert "--seed" in refused.output
    with pytest.raises(OutputError, match=r"ends in \.csv or \.json"):
        run(command, folder / "none.npy", folder / "s.csv", "-p", "0:dog", "--output", "n.txt")


def test_a_plan_is_written_even_where_no_study_is_exact_enough(files):
    folder, _ = files
    out, plot = folder / "plan.csv", folder / "plan.svg"
    with pytest.raises(EstimationError, match="no study planned reaches 1e-05"):
        run(
            *("plan", folder / "a.npy", folder / "s.csv", "-p", "0:dog", "--rmse", 1e-5),
            *("--output", out, "--plot", plot),
        )
    assert len(pd.read_csv(out)) > 100
    assert plot.exists()


def test_ratings_of_other_concepts_do_not_count(files):
    folder, (pair, _) = files
    rated = pd.DataFrame({"item": np.arange(40), "rater": "ann", "rating": pair.truth[:40]})
    both = pd.concat([rated.assign(concept="dog"), rated.assign(concept="cat", rating=1.0)])
    given = ("next", folder / "a.npy", folder / "s.csv", "--output", folder / "n.csv")
    output = {}
    for name, table in (("dog", rated), ("both", both)):
        table.to_csv(folder / f"{name}.csv", index=False)
        output[name] = run(*given, "-p", "0:dog", "--ratings", folder / f"{name}.csv").output
    assert "from 40 ratings" in output["dog"]
    assert output["both"] == output["dog"]
    both[both["concept"] == "cat"].to_csv(folder / "cat.csv", index=False)
    with pytest.raises(EstimationError, match="of cat, none of the concept 'dog'"):
        run(*given, "-p", "0:dog", "--ratings", folder / "cat.csv")
