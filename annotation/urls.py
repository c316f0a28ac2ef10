"""URLs of the web app: raters under ``r/``, images under ``i/``, researchers at the root."""

from django.urls import include, path

from annotation.api.ratings import rating_save_view
from annotation.views import exports, images, rater, researcher

rater_patterns = [
    path("r/<slug:slug>/", rater.entry, name="entry"),
    path("r/<slug:slug>/exit/", rater.leave, name="exit"),
    path("r/<slug:slug>/instructions/", rater.instructions, name="instructions"),
    path("r/<slug:slug>/task/", rater.task, name="task"),
    path(
        "r/<slug:slug>/assignments/<uuid:assignment_id>/ratings/",
        rating_save_view,
        name="rating_save",
    ),
    path("r/<slug:slug>/assignments/<uuid:assignment_id>/submit/", rater.submit, name="submit"),
    path("r/<slug:slug>/stop/", rater.stop, name="stop"),
    path("r/<slug:slug>/complete/", rater.complete, name="complete"),
    path("r/<slug:slug>/nothing-left/", rater.nothing_left, name="nothing_left"),
    path("i/<uuid:public_id>/", images.image, name="image"),
]

researcher_patterns = [
    path("", researcher.study_list, name="study_list"),
    path("studies/<slug:slug>/", researcher.study, name="study"),
    path("studies/<slug:slug>/live/", researcher.study_live, name="study_live"),
    path(
        "studies/<slug:slug>/estimates/", researcher.study_estimate_request, name="estimate_request"
    ),
    path("studies/<slug:slug>/status/", researcher.study_status, name="study_status"),
    path("studies/<slug:slug>/ratings.csv", exports.ratings_csv, name="ratings_csv"),
    path("studies/<slug:slug>/draws.csv", exports.draws_csv, name="draws_csv"),
    path("studies/<slug:slug>/estimates.csv", exports.estimates_csv, name="estimates_csv"),
    path("studies/<slug:slug>/estimates.json", exports.estimates_json, name="estimates_json"),
]

urlpatterns = [
    path("", include((rater_patterns, "rater"))),
    path("", include((researcher_patterns, "researcher"))),
]
