"""The sanity checks of a run in words."""

from typing import Any

from annotation.models import EstimateRun
from annotation.templatetags.humane import percent

TITLES = {
    "missing": "Missing Labels",
    "extra": "Extra Labels",
}
DEEDS = {
    "missing": "half of the positive labels were taken away",
    "extra": "as many wrong positive labels were added",
}
TONES = {"pass": "good", "fail": "bad"}


def checks_shown(run: EstimateRun | None) -> list[dict[str, Any]]:
    """Put the stored checks of a run into words, one entry a test.

    Parameters
    ----------
    run : EstimateRun or None
        A finished run; its `sanity_checks` hold, a metric each, the fields of
        ``estimation.sanity.EstimatedSanity``.

    Returns
    -------
    list of dict
        ``title``, ``verdict``, ``tone`` and ``text`` for the template.
    """
    shown = []
    for check in run.sanity_checks if run else []:
        for test, title in TITLES.items():
            outcome = check[test]
            shown.append(
                {
                    "title": title,
                    "verdict": _verdict(outcome, check["threshold"]),
                    "tone": TONES.get(_verdict(outcome, check["threshold"]), "warn"),
                    "text": _text(test, outcome, check),
                }
            )
    return shown


def _verdict(outcome: dict[str, Any], threshold: float) -> str:
    if outcome["n_tested"] == 0:
        return "not tested"
    if outcome["lower"] > threshold:
        return "pass"
    if outcome["upper"] < threshold:
        return "fail"
    return "too close to call"


def _text(test: str, outcome: dict[str, Any], check: dict[str, Any]) -> str:
    if outcome["n_tested"] == 0:
        return "No labelling of the rated inputs allows this test yet: it needs both labels."
    metric = check["metric"].replace("_", " ").replace("pearson", "Pearson")
    return (
        f"When {DEEDS[test]}, the score ({metric}) fell in {percent(outcome['share'])} of "
        f"{outcome['n_tested']:,} trials (95% interval {percent(outcome['lower'])} to "
        f"{percent(outcome['upper'])}). A score to be trusted falls in more than "
        f"{percent(check['threshold'])}."
    )
