"""The data model, one subject a module."""

from annotation.models.analysis import Aggregation, Estimator, SamplingDesign
from annotation.models.assignment import HOLDING, Assignment, AssignmentStatus
from annotation.models.concept import Concept, ConceptColumn, ConceptMatrix, ConceptMatrixRole
from annotation.models.estimate import Estimate, EstimateRun, MethodEstimate, RunStatus
from annotation.models.explanation import Explanation, ExplanationMethod, ExplanationTerm
from annotation.models.probe import (
    ActivationMatrix,
    Modality,
    Neuron,
    ProbeDataset,
    ProbeInput,
)
from annotation.models.rater import Channel, Participation, Rater
from annotation.models.rating import Rating, RatingRevision, RatingValue
from annotation.models.sampling import Draw, PairSample
from annotation.models.study import MAX_REDUNDANCY, Study, StudyEvent, StudyStatus
from annotation.models.task import Item, Task

__all__ = [
    "HOLDING",
    "MAX_REDUNDANCY",
    "ActivationMatrix",
    "Aggregation",
    "Assignment",
    "AssignmentStatus",
    "Channel",
    "Concept",
    "ConceptColumn",
    "ConceptMatrix",
    "ConceptMatrixRole",
    "Draw",
    "Estimate",
    "EstimateRun",
    "Estimator",
    "Explanation",
    "ExplanationMethod",
    "ExplanationTerm",
    "Item",
    "MethodEstimate",
    "Modality",
    "Neuron",
    "PairSample",
    "Participation",
    "ProbeDataset",
    "ProbeInput",
    "Rater",
    "Rating",
    "RatingRevision",
    "RatingValue",
    "RunStatus",
    "SamplingDesign",
    "Study",
    "StudyEvent",
    "StudyStatus",
    "Task",
]
