"""The data model, one subject a module."""

from annotation.models.access import ApiToken, IdempotencyKey, Role, Scope, StudyMember
from annotation.models.analysis import Aggregation, Estimator, RoundDesign, SamplingDesign
from annotation.models.assignment import HANDED_IN, HOLDING, Assignment, AssignmentStatus
from annotation.models.concept import Concept, ConceptColumn, ConceptMatrix, ConceptMatrixRole
from annotation.models.eligibility import ScreeningAnswer, ScreeningQuestion
from annotation.models.estimate import Estimate, EstimateRun, MethodEstimate, RunStatus
from annotation.models.explanation import Explanation, ExplanationMethod, ExplanationTerm
from annotation.models.money import LedgerEntry, LedgerKind
from annotation.models.panel import (
    BonusState,
    PanelAction,
    PanelBonus,
    PanelCredential,
    PanelEvent,
    PanelRequest,
    PanelSubmission,
    SubmissionStatus,
)
from annotation.models.probe import (
    ActivationMatrix,
    Modality,
    Neuron,
    ProbeDataset,
    ProbeInput,
)
from annotation.models.quality import (
    AttentionCheck,
    Exclusion,
    GoldAnswer,
    GoldUse,
    QualityPolicy,
    RaterDeletion,
    Review,
    ReviewDecision,
    ReviewReason,
    TrainingAnswer,
    TrainingAttempt,
)
from annotation.models.rater import Participation, Rater
from annotation.models.rating import Rating, RatingRevision, RatingValue
from annotation.models.recruitment import (
    CODED_OUTCOMES,
    Channel,
    Outcome,
    OutcomeCode,
    Recruitment,
)
from annotation.models.sampling import Draw, PairSample, SamplingRound
from annotation.models.study import (
    MAX_REDUNDANCY,
    Study,
    StudyDeletion,
    StudyEvent,
    StudyStatus,
)
from annotation.models.task import Item, Task
from annotation.models.throttle import ThrottleWindow
from annotation.models.worker import WorkerHeartbeat

__all__ = [
    "CODED_OUTCOMES",
    "HANDED_IN",
    "HOLDING",
    "MAX_REDUNDANCY",
    "ActivationMatrix",
    "Aggregation",
    "ApiToken",
    "Assignment",
    "AssignmentStatus",
    "AttentionCheck",
    "BonusState",
    "Channel",
    "Concept",
    "ConceptColumn",
    "ConceptMatrix",
    "ConceptMatrixRole",
    "Draw",
    "Estimate",
    "EstimateRun",
    "Estimator",
    "Exclusion",
    "Explanation",
    "ExplanationMethod",
    "ExplanationTerm",
    "GoldAnswer",
    "GoldUse",
    "IdempotencyKey",
    "Item",
    "LedgerEntry",
    "LedgerKind",
    "MethodEstimate",
    "Modality",
    "Neuron",
    "Outcome",
    "OutcomeCode",
    "PairSample",
    "PanelAction",
    "PanelBonus",
    "PanelCredential",
    "PanelEvent",
    "PanelRequest",
    "PanelSubmission",
    "Participation",
    "ProbeDataset",
    "ProbeInput",
    "QualityPolicy",
    "Rater",
    "RaterDeletion",
    "Rating",
    "RatingRevision",
    "RatingValue",
    "Recruitment",
    "Review",
    "ReviewDecision",
    "ReviewReason",
    "Role",
    "RoundDesign",
    "RunStatus",
    "SamplingDesign",
    "SamplingRound",
    "Scope",
    "ScreeningAnswer",
    "ScreeningQuestion",
    "Study",
    "StudyDeletion",
    "StudyEvent",
    "StudyMember",
    "StudyStatus",
    "SubmissionStatus",
    "Task",
    "ThrottleWindow",
    "TrainingAnswer",
    "TrainingAttempt",
    "WorkerHeartbeat",
]
