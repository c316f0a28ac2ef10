"""What people send with forms, a module a page: read and checked here, written by services."""

from annotation.forms.rater import ConsentForm, answers_given
from annotation.forms.study_page import AggregationForm, ExplanationFilterForm

__all__ = ["AggregationForm", "ConsentForm", "ExplanationFilterForm", "answers_given"]
