"""The page on metrics names every metric, and its code runs."""

import re
from pathlib import Path

import torch

from neuron_eval.registry import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_is_documented():
    table = PAGE.partition("## Definitions")[2].partition("### Sample weights")[0]
    table = table.replace("`spearman_...`", "`spearman_correlation_top_and_random`")
    assert {name for name in METRICS if f"`{name}`" not in table} == set()


def test_the_example_runs():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)  # noqa: S102
    assert names["scores"].shape == (5, 5)
    assert torch.equal(names["scores"].argmax(dim=1), torch.arange(5))
    assert names["iou"].dtype == torch.float64
