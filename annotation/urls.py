"""URLs of the web app: raters under ``r/``, images under ``i/``, researchers at the root."""

from django.urls import include, path

from annotation.api.ratings import rating_save_view
from annotation.throttling import throttled
from annotation.views import (
    api_docs,
    arrival,
    attention,
    datasets,
    ending,
    explanations,
    exports,
    gold,
    images,
    imports,
    launch,
    members,
    panel_actions,
    quality,
    quality_rater,
    rater,
    recruitment,
    researcher,
    rounds,
    study_forms,
    tokens,
    training,
    webhooks,
)

rater_patterns = [
    path("r/<slug:slug>/", throttled("arrival", arrival.entry), name="entry"),
    path("r/<slug:slug>/exit/", arrival.leave, name="exit"),
    path("r/<slug:slug>/instructions/", rater.instructions, name="instructions"),
    path("r/<slug:slug>/training/", training.training, name="training"),
    path(
        "r/<slug:slug>/training/<int:attempt>/<int:number>/",
        training.training_item,
        name="training_item",
    ),
    path("r/<slug:slug>/check/", attention.attention, name="attention"),
    path("r/<slug:slug>/task/", rater.task, name="task"),
    path(
        "r/<slug:slug>/assignments/<uuid:assignment_id>/ratings/",
        rating_save_view,
        name="rating_save",
    ),
    path("r/<slug:slug>/assignments/<uuid:assignment_id>/submit/", rater.submit, name="submit"),
    path("r/<slug:slug>/break/", rater.take_break, name="break"),
    path("r/<slug:slug>/stop/", rater.stop, name="stop"),
    path("r/<slug:slug>/complete/", ending.complete, name="complete"),
    path("r/<slug:slug>/ended/", ending.ended, name="ended"),
    path("r/<slug:slug>/nothing-left/", ending.nothing_left, name="nothing_left"),
    path("i/<uuid:public_id>/", images.image, name="image"),
]

researcher_patterns = [
    path("", researcher.study_list, name="study_list"),
    path("studies/new/", study_forms.create, name="study_create"),
    path("studies/<slug:slug>/", researcher.study, name="study"),
    path("studies/<slug:slug>/edit/", study_forms.edit, name="study_edit"),
    path("studies/<slug:slug>/redundancy/", study_forms.redundancy, name="study_redundancy"),
    path("studies/<slug:slug>/clone/", study_forms.clone, name="study_clone"),
    path("studies/<slug:slug>/delete/", study_forms.delete, name="study_delete"),
    path("studies/<slug:slug>/explanations/", explanations.explanations, name="study_explanations"),
    path(
        "studies/<slug:slug>/explanations/check/",
        explanations.explanations_check,
        name="explanations_check",
    ),
    path(
        "studies/<slug:slug>/explanations/confirm/",
        explanations.explanations_confirm,
        name="explanations_confirm",
    ),
    path(
        "studies/<slug:slug>/explanations/delete/",
        explanations.explanations_delete,
        name="explanations_delete",
    ),
    path("studies/<slug:slug>/checklist/", launch.checklist, name="study_checklist"),
    path("studies/<slug:slug>/launch/", launch.launch, name="study_launch"),
    path("studies/<slug:slug>/preview/", launch.preview, name="study_preview"),
    path(
        "studies/<slug:slug>/recruitment/", recruitment.study_recruitment, name="study_recruitment"
    ),
    path(
        "studies/<slug:slug>/recruitment/channel/",
        recruitment.recruitment_save,
        name="recruitment_save",
    ),
    path(
        "studies/<slug:slug>/recruitment/codes/",
        recruitment.recruitment_codes,
        name="recruitment_codes",
    ),
    path(
        "studies/<slug:slug>/recruitment/access/",
        recruitment.recruitment_access,
        name="recruitment_access",
    ),
    path(
        "studies/<slug:slug>/recruitment/prolific/",
        panel_actions.recruitment_action,
        name="recruitment_action",
    ),
    path(
        "studies/<slug:slug>/recruitment/submissions/",
        panel_actions.recruitment_submissions,
        name="recruitment_submissions",
    ),
    path("studies/<slug:slug>/imports/", imports.imports, name="study_imports"),
    path("studies/<slug:slug>/imports/check/", imports.import_check, name="import_check"),
    path("studies/<slug:slug>/imports/confirm/", imports.import_confirm, name="import_confirm"),
    path("studies/<slug:slug>/members/", members.members, name="study_members"),
    path("studies/<slug:slug>/members/add/", members.member_add, name="member_add"),
    path("studies/<slug:slug>/members/delete/", members.member_delete, name="member_delete"),
    path("studies/<slug:slug>/log/", members.log, name="study_log"),
    path("studies/<slug:slug>/quality/", quality.quality, name="study_quality"),
    path("studies/<slug:slug>/quality/rules/", quality.policy, name="quality_policy"),
    path(
        "studies/<slug:slug>/quality/reviews/<int:review_id>/",
        quality.decide,
        name="quality_decide",
    ),
    path("studies/<slug:slug>/quality/gold/", gold.gold, name="quality_gold"),
    path("studies/<slug:slug>/quality/gold/add/", gold.gold_add, name="quality_gold_add"),
    path("studies/<slug:slug>/quality/gold/remove/", gold.gold_remove, name="quality_gold_remove"),
    path(
        "studies/<slug:slug>/quality/gold/suggest/", gold.gold_suggest, name="quality_gold_suggest"
    ),
    path(
        "studies/<slug:slug>/quality/raters/<uuid:participation_id>/",
        quality_rater.rater,
        name="quality_rater",
    ),
    path(
        "studies/<slug:slug>/quality/raters/<uuid:participation_id>/report/",
        quality_rater.report,
        name="quality_report",
    ),
    path(
        "studies/<slug:slug>/quality/raters/<uuid:participation_id>/exclude/",
        quality_rater.exclude,
        name="quality_exclude",
    ),
    path(
        "studies/<slug:slug>/quality/raters/<uuid:participation_id>/lift/",
        quality_rater.lift,
        name="quality_lift",
    ),
    path(
        "studies/<slug:slug>/quality/raters/<uuid:participation_id>/delete/",
        quality_rater.delete,
        name="quality_rater_delete",
    ),
    path("studies/<slug:slug>/live/", researcher.study_live, name="study_live"),
    path(
        "studies/<slug:slug>/estimates/", researcher.study_estimate_request, name="estimate_request"
    ),
    path(
        "studies/<slug:slug>/estimates/cancel/",
        researcher.study_estimate_cancel,
        name="estimate_cancel",
    ),
    path("studies/<slug:slug>/rounds/", rounds.rounds, name="study_rounds"),
    path("studies/<slug:slug>/rounds/draw/", rounds.round_draw, name="round_draw"),
    path("studies/<slug:slug>/status/", researcher.study_status, name="study_status"),
    path("studies/<slug:slug>/ratings.csv", exports.ratings_csv, name="ratings_csv"),
    path("studies/<slug:slug>/draws.csv", exports.draws_csv, name="draws_csv"),
    path("studies/<slug:slug>/estimates.csv", exports.estimates_csv, name="estimates_csv"),
    path("studies/<slug:slug>/estimates.json", exports.estimates_json, name="estimates_json"),
    path("studies/<slug:slug>/exports/<slug:table>/", exports.export, name="export"),
    path("datasets/", datasets.dataset_list, name="datasets"),
    path("datasets/new/", datasets.dataset_create, name="dataset_create"),
    path("datasets/<int:pk>/", datasets.dataset, name="dataset"),
    path("datasets/<int:pk>/activations/", datasets.activations_add, name="activations_add"),
    path("datasets/<int:pk>/concepts/", datasets.concepts_add, name="concepts_add"),
    path(
        "datasets/<int:pk>/<slug:kind>/<int:matrix>/delete/",
        datasets.matrix_remove,
        name="matrix_remove",
    ),
    path("datasets/<int:pk>/delete/", datasets.dataset_delete, name="dataset_delete"),
    path("datasets/inputs/<uuid:public_id>/", datasets.input_image, name="input_image"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.token_revoke_view, name="token_revoke"),
    path("api/docs/", api_docs.api_docs, name="api_docs"),
]

urlpatterns = [
    path("hooks/prolific/<uuid:public_id>/", webhooks.prolific_webhook, name="prolific_webhook"),
    path("", include((rater_patterns, "rater"))),
    path("", include((researcher_patterns, "researcher"))),
]
