"""The pages name every metric, and their code runs."""

import re
from pathlib import Path

import pytest
import torch

from neuron_eval import registry
from neuron_eval.metric_checks import check_metric
from neuron_eval.registry import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def _page(name):
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture
def run_page(monkeypatch):
    """Run the Python blocks of a page; metrics that they register stay in a copy."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(METRICS))

    def run(name):
        names = {}
        for block in re.findall(r"```python\n(.*?)```", _page(name), re.DOTALL):
            exec(block, names)  # noqa: S102
        return names

    return run


def test_every_metric_is_documented():
    table = _page("metrics.md").partition("## Definitions")[2].partition("### Sample weights")[0]
    table = table.replace("`spearman_...`", "`spearman_correlation_top_and_random`")
    assert {name for name in METRICS if f"`{name}`" not in table} == set()


def test_the_examples_of_the_metrics_run(run_page):
    names = run_page("metrics.md")
    assert names["scores"].shape == (5, 5)
    assert torch.equal(names["scores"].argmax(dim=1), torch.arange(5))
    assert names["iou"].dtype == torch.float64
    check_metric(registry.get_metric("squared_cosine"), n_cases=12)
    assert "squared_cosine" not in METRICS


def test_the_examples_of_the_command_run(run_page):
    names = run_page("neuron-eval.md")
    assert names["activations"]["1"].shape == (32, 8)
    assert names["scores"]["auprc"].shape == (5, 4)
