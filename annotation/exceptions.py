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


class UploadRefused(InvalidInput):
    """A file is too large, not of a kind that is taken here, damaged, or a bomb."""


class UnsafePath(InvalidInput):
    """A path leads out of the folder that it must stay in."""


class DecryptionFailed(AnnotationError):
    """None of the server's keys decrypts a stored secret."""


class UnknownNeuron(InvalidInput):
    """An explanation speaks of a neuron that the activation matrix does not have."""


class UnknownConcept(InvalidInput):
    """A concept has no column in the matrix that must have one."""


class ConceptWithoutPositives(InvalidInput):
    """A concept vector that is the same on every input: no correlation with it is defined."""


class DatasetProblem(InvalidInput):
    """A folder, manifest or text file does not make a probe dataset."""


class ExplanationFileProblem(InvalidInput):
    """An explanation file is of no known format, or has rows that a study cannot take."""


class StudyFileProblem(InvalidInput):
    """A study file has an unknown key, lacks one, or has a value of the wrong kind."""


class StudyNotReady(InvalidInput):
    """A check of the launch list fails; the message names each with its remedy."""


class DeletionRefused(AnnotationError):
    """What should be deleted is still needed, or its name was not typed."""


class SamplingProblem(InvalidInput):
    """A sample for a (neuron, concept) pair cannot be drawn."""


class NothingToRate(InvalidInput):
    """A study without explanations has no items."""


class PolicyRefused(InvalidInput):
    """A quality policy contradicts itself, its study or what a panel allows."""


class GoldTooFew(InvalidInput):
    """There are fewer known answers than gold items to hide; the message says how many it takes."""


class BudgetTooSmall(InvalidInput):
    """The rating budget does not pay for every item as often as the redundancy asks."""


class StudyStateError(AnnotationError):
    """The study is not in a state that allows this."""


class StudyNotOpen(StudyStateError):
    """Raters may not start work: the study is a draft, paused or closed."""


class RoundDrawnMeanwhile(StudyStateError):
    """Somebody else drew a round while this one was being planned."""


class RecruitmentInactive(StudyNotOpen):
    """The study does not recruit through this channel at the moment."""


class InputsGone(StudyNotOpen):
    """The folder of the study's inputs is not there; raters would be shown nothing."""


class PlacesTaken(StudyNotOpen):
    """As many raters as the channel has places for take part already."""


class ForgedArrival(AnnotationError):
    """A panel's signature on a rater's link is missing, wrong, out of date or of another study."""


class PanelKeysUnavailable(ForgedArrival):
    """A signature cannot be checked, for the panel's public keys cannot be fetched."""


class WebhookRefused(AnnotationError):
    """A call of a webhook is not signed by the panel, too old, too large or not readable."""


class PanelError(AnnotationError):
    """The panel did not do what it was asked; the message says what it answered."""


class PanelRefused(PanelError):
    """The panel answered that it will not: nothing was done.

    Attributes
    ----------
    status : int
        Of its answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


class PanelUnreachable(PanelError):
    """The panel did not answer, or answered that it is broken: nobody knows what was done."""


class PanelBusy(AnnotationError):
    """Another action of this study at the panel is under way."""


class SpendingCapPassed(AnnotationError):
    """What is to be booked would cost more than the study's cap allows."""


class ArrivalIncomplete(InvalidInput):
    """A rater's link lacks what says who the rater is, or was made for another study."""


class ParticipationOver(AnnotationError):
    """The rater's participation has ended; it takes nothing more."""


class TasksLeft(AnnotationError):
    """A completion code needs more tasks, and there are some."""


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


class WorkerStopped(AnnotationError):
    """A worker of the background was killed in the middle of a task, and so was the next one."""


class EstimateFailed(AnnotationError):
    """An estimate run cannot be made from what is stored; the ratings are untouched."""


class RunOver(AnnotationError):
    """An estimate run that is to be cancelled has ended already."""


class RunStopped(AnnotationError):
    """An estimate run was cancelled, or taken for dead, while it was being made."""


class RatingFileProblem(InvalidInput):
    """A file of old ratings is of no known format, or its columns cannot be told."""


class RequestKeyReused(AnnotationError):
    """An idempotency key came with another request than the first time."""


class RequestUnfinished(AnnotationError):
    """A request with this idempotency key has no reply yet."""
