"""What must be in order before a study is launched: each check with what is found and the remedy.

Pages, API and commands show the same list, and none of them launches while a check fails.
"""

from annotation.models import QualityPolicy, Study
from annotation.queries.launch_checks import (
    content_checks,
    quality_checks,
    recruitment_checks,
    site_checks,
    text_checks,
)
from annotation.queries.launch_types import Check, Checklist, CheckState, SamplingPreview
from annotation.queries.stored_files import dataset_problem

__all__ = [
    "Check",
    "CheckState",
    "Checklist",
    "SamplingPreview",
    "dataset_problem",
    "study_checklist",
]


def study_checklist(study: Study, preview: SamplingPreview) -> Checklist:
    """Go through everything that a launch needs.

    Parameters
    ----------
    study : Study
        A draft.
    preview : SamplingPreview
        From `annotation.services.launch.sampling_preview`.

    Returns
    -------
    Checklist
    """
    policy = QualityPolicy.objects.filter(study=study).first() or QualityPolicy(study=study)
    recruitments = list(study.recruitments.filter(active=True).select_related("study"))
    checks = [
        *content_checks(study, preview),
        *text_checks(study, recruitments),
        *quality_checks(study, policy, preview),
        *recruitment_checks(study, recruitments, preview),
        *site_checks(study),
    ]
    return Checklist(checks, preview)
