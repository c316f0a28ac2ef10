"""Reads that are more than one filter. Nothing here writes."""

from annotation.queries.items import RatingItem, assignment_items, item_to_rate
from annotation.queries.progress import (
    ConceptProgress,
    ParticipationProgress,
    StudyProgress,
    participation_progress,
    study_progress,
)
from annotation.queries.raters import RaterRow, rater_table
from annotation.queries.runs import (
    ExplanationEstimate,
    ScoreExtent,
    aggregation_to_show,
    estimates_of,
    explanation_estimate,
    explanation_estimates,
    explanation_text,
    latest_checks,
    latest_run,
    leaderboard,
    score_extent,
)
from annotation.queries.workers import worker_is_running, workers_dead

__all__ = [
    "ConceptProgress",
    "ExplanationEstimate",
    "ParticipationProgress",
    "RaterRow",
    "RatingItem",
    "ScoreExtent",
    "StudyProgress",
    "aggregation_to_show",
    "assignment_items",
    "estimates_of",
    "explanation_estimate",
    "explanation_estimates",
    "explanation_text",
    "item_to_rate",
    "latest_checks",
    "latest_run",
    "leaderboard",
    "participation_progress",
    "rater_table",
    "score_extent",
    "study_progress",
    "worker_is_running",
    "workers_dead",
]
