"""What people send with forms, a module a page: read and checked here, written by services."""

from annotation.forms.rater import AnswerForm, ConsentForm, ScreeningForm, answers_given
from annotation.forms.study_page import AggregationForm, ExplanationFilterForm

__all__ = [
    "AggregationForm",
    "AnswerForm",
    "ConsentForm",
    "ExplanationFilterForm",
    "ScreeningForm",
    "answers_given",
]
