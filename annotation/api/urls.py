"""URLs of the researcher's API; the rater's endpoint lies with the rater's pages."""

from django.urls import path

from annotation.api.studies import (
    StudyEstimatesView,
    StudyListView,
    StudyProgressView,
    StudyView,
)

app_name = "api"
urlpatterns = [
    path("studies/", StudyListView.as_view(), name="study_list"),
    path("studies/<slug:slug>/", StudyView.as_view(), name="study"),
    path("studies/<slug:slug>/progress/", StudyProgressView.as_view(), name="study_progress"),
    path("studies/<slug:slug>/estimates/", StudyEstimatesView.as_view(), name="study_estimates"),
]
