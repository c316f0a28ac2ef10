"""The launch list as data: checks, and what a launch would draw."""

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a check came out; only a failed one stops a launch."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the launch list.

    Attributes
    ----------
    name : str
        Its name in the API.
    title : str
        What is checked.
    state : CheckState
        How it came out.
    text : str
        What was found.
    remedy : str
        What to do, where there is something to do.
    page : str
        URL name of the page on which to do it; empty where there is none.
    """

    name: str
    title: str
    state: CheckState
    text: str
    remedy: str = ""
    page: str = ""


@dataclass(frozen=True)
class SamplingPreview:
    """What a launch would draw; nothing of it has been written.

    Attributes
    ----------
    problem : str
        Why nothing can be drawn; then every number is 0.
    n_pairs, n_items, n_tasks, n_gold : int
        Pairs sampled, items to rate, tasks that they fill, gold items hidden in those.
    n_ratings : int
        Ratings to ask for in all, gold items included.
    n_raters : int
        Raters needed, at the limit of tasks that a rater does (or at least the redundancy).
    minutes_a_task, minutes_a_rater : float
        How long rating takes, at a few seconds an item.
    gold_problems : tuple of str
        Concepts that have too few known answers, each with what it takes.
    gold_told : tuple of str
        Known answers of training and examples whose item is drawn.
    policy_problem : str
        How the quality policy contradicts the study or its recruitment.
    inputs_sampled : tuple of int
        Indices of the inputs that would be shown.
    """

    problem: str = ""
    n_pairs: int = 0
    n_items: int = 0
    n_tasks: int = 0
    n_gold: int = 0
    n_ratings: int = 0
    n_raters: int = 0
    minutes_a_task: float = 0.0
    minutes_a_rater: float = 0.0
    gold_problems: tuple[str, ...] = ()
    gold_told: tuple[str, ...] = ()
    policy_problem: str = ""
    inputs_sampled: tuple[int, ...] = ()


@dataclass(frozen=True)
class Checklist:
    """The whole list.

    Attributes
    ----------
    checks : list of Check
        In the order in which one would work through them.
    preview : SamplingPreview
        What a launch would draw.
    """

    checks: list[Check]
    preview: SamplingPreview

    @property
    def failed(self) -> list[Check]:
        """Those that stop a launch."""
        return [check for check in self.checks if check.state == CheckState.FAIL]

    @property
    def ready(self) -> bool:
        """Whether the study can be launched."""
        return not self.failed
