"""What can go wrong in the web app, each with a message that names the thing and the remedy.

Views and the API show ``str(error)`` to a person, so no message holds a path outside the data
folder, a neuron, or anything else that a rater must not learn while rating.
"""

# ruff: noqa: N818 - named for what happened, as a person would say it

from collections.abc import Sequence
from uuid import UUID


class AnnotationError(Exception):
    """The base of every error below; its message is meant for a person."""


class InvalidInput(AnnotationError, ValueError):
    """A value that was given cannot be used: the message names field, value and remedy."""


class ArrayProblem(InvalidInput):
    """An array or its file cannot be used: unreadable, another shape, NaN, out of range."""


class ImageProblem(InvalidInput):
    """An image file is of no known kind, cut short or damaged."""


class UnknownNeuron(InvalidInput):
    """An explanation speaks of a neuron that the activation matrix does not have."""


class UnknownConcept(InvalidInput):
    """A concept has no column in the matrix that must have one."""


class ConceptWithoutPositives(InvalidInput):
    """A concept vector that is the same on every input: no correlation with it is defined."""


class SamplingProblem(InvalidInput):
    """A sample for a (neuron, concept) pair cannot be drawn."""


class NothingToRate(InvalidInput):
    """A study without explanations has no items."""


class BudgetTooSmall(InvalidInput):
    """The rating budget does not pay for every item as often as the redundancy asks."""


class StudyStateError(AnnotationError):
    """The study is not in a state that allows this."""


class StudyNotOpen(StudyStateError):
    """Raters may not start work: the study is a draft, paused or closed."""


class SimulatedRaterRefused(AnnotationError):
    """A visitor says to be a simulated rater on a site that takes none."""


class ConsentMissing(AnnotationError):
    """The rater has not consented (or took the consent back)."""


class InstructionsUnread(AnnotationError):
    """The rater has not confirmed the instructions."""


class AssignmentClosed(AnnotationError):
    """The assignment was submitted or returned; its answers stand."""


class AssignmentIncomplete(AnnotationError):
    """Items without an answer.

    Attributes
    ----------
    missing : tuple of UUID
        Public ids of those items.
    """

    def __init__(self, missing: Sequence[UUID], n_items: int) -> None:
        self.missing = tuple(missing)
        answers = "answer is" if len(self.missing) == 1 else "answers are"
        super().__init__(
            f"{len(self.missing)} of {n_items} {answers} still missing; "
            "answer every item, then submit."
        )


class UnknownItem(InvalidInput):
    """The item does not belong to the assignment."""


class ClientIdReused(InvalidInput):
    """A client id came with another item than the first time."""


class NothingSubmitted(AnnotationError):
    """A completion code needs at least one submitted task."""


class EstimateFailed(AnnotationError):
    """An estimate run cannot be made from what is stored; the ratings are untouched."""
