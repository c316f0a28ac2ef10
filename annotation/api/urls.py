"""URLs of the researcher's API; the rater's endpoint lies with the rater's pages."""

from django.urls import path, re_path, register_converter
from django.urls.converters import IntConverter, StringConverter

from annotation.api import (
    datasets,
    estimates,
    explanations,
    exports,
    gold,
    imports,
    members,
    prolific,
    quality,
    recruitment,
    root,
    rounds,
    screening,
    studies,
    tokens,
)


class KeyConverter(IntConverter):
    """A primary key: no longer than a 64-bit number can be."""

    regex = "[0-9]{1,18}"


class NameConverter(StringConverter):
    """A name that people gave: anything printable but a slash, NUL left out."""

    regex = r"[^/\x00-\x1f]{1,200}"


register_converter(KeyConverter, "key")
register_converter(NameConverter, "name")

app_name = "api"
study_patterns = [
    path("", studies.StudyView.as_view(), name="study"),
    path("launch/", studies.StudyLaunchView.as_view(), name="study_launch"),
    path("pause/", studies.StudyPauseView.as_view(), name="study_pause"),
    path("resume/", studies.StudyResumeView.as_view(), name="study_resume"),
    path("close/", studies.StudyCloseView.as_view(), name="study_close"),
    path("redundancy/", studies.StudyRedundancyView.as_view(), name="study_redundancy"),
    path("clone/", studies.StudyCloneView.as_view(), name="study_clone"),
    path("checklist/", studies.StudyChecklistView.as_view(), name="study_checklist"),
    path("members/", members.MemberListView.as_view(), name="member_list"),
    path("members/<name:username>/", members.MemberView.as_view(), name="member"),
    path("explanations/", explanations.ExplanationListView.as_view(), name="explanation_list"),
    path("explanations/<name:method>/", explanations.MethodView.as_view(), name="method"),
    path("explanation-files/", explanations.FileView.as_view(), name="explanation_file"),
    path(
        "explanation-files/preview/",
        explanations.FilePreviewView.as_view(),
        name="explanation_file_preview",
    ),
    path("agreement/", quality.AgreementView.as_view(), name="agreement"),
    path("policy/", quality.PolicyView.as_view(), name="policy"),
    path("raters/", quality.RaterListView.as_view(), name="rater_list"),
    path("raters/<uuid:rater_id>/", quality.RaterView.as_view(), name="rater"),
    path("raters/<uuid:rater_id>/exclusion/", quality.ExclusionView.as_view(), name="exclusion"),
    path("raters/<uuid:rater_id>/report/", quality.ReportView.as_view(), name="rater_report"),
    path("reviews/", quality.ReviewListView.as_view(), name="review_list"),
    path(
        "reviews/<key:review_id>/decision/",
        quality.ReviewDecisionView.as_view(),
        name="review_decision",
    ),
    path("screening/", screening.ScreeningView.as_view(), name="screening"),
    path("gold/", gold.GoldListView.as_view(), name="gold_list"),
    path("gold/<key:gold_id>/", gold.GoldView.as_view(), name="gold"),
    path("gold/suggestions/", gold.GoldSuggestionsView.as_view(), name="gold_suggestions"),
    path("recruitment/", recruitment.RecruitmentListView.as_view(), name="recruitment_list"),
    path("recruitment/<slug:channel>/", recruitment.RecruitmentView.as_view(), name="recruitment"),
    path("recruitment/<slug:channel>/codes/", recruitment.CodesView.as_view(), name="codes"),
    path("recruitment/<slug:channel>/cost/", recruitment.CostView.as_view(), name="cost"),
    path("spend/", recruitment.SpendView.as_view(), name="spend"),
    path("ledger/", recruitment.LedgerView.as_view(), name="ledger"),
    path("prolific/access/", prolific.AccessView.as_view(), name="prolific_access"),
    path("prolific/draft/", prolific.DraftView.as_view(), name="prolific_draft"),
    path("prolific/webhooks/", prolific.WebhooksView.as_view(), name="prolific_webhooks"),
    path("prolific/publish/", prolific.PublishView.as_view(), name="prolific_publish"),
    path("prolific/pause/", prolific.PauseView.as_view(), name="prolific_pause"),
    path("prolific/resume/", prolific.ResumeView.as_view(), name="prolific_resume"),
    path("prolific/stop/", prolific.StopView.as_view(), name="prolific_stop"),
    path("prolific/places/", prolific.PlacesView.as_view(), name="prolific_places"),
    path("prolific/balance/", prolific.BalanceView.as_view(), name="prolific_balance"),
    path("prolific/reconcile/", prolific.ReconcileView.as_view(), name="prolific_reconcile"),
    path("prolific/submissions/", prolific.SubmissionListView.as_view(), name="submission_list"),
    path("prolific/approve/", prolific.ApproveView.as_view(), name="prolific_approve"),
    path(
        "prolific/submissions/<name:submission_id>/reject/",
        prolific.RejectView.as_view(),
        name="prolific_reject",
    ),
    path(
        "prolific/submissions/<name:submission_id>/request-return/",
        prolific.ReturnView.as_view(),
        name="prolific_return",
    ),
    path(
        "prolific/submissions/<name:submission_id>/bonus/",
        prolific.BonusView.as_view(),
        name="prolific_bonus",
    ),
    path(
        "prolific/submissions/<name:submission_id>/bonus/resolve/",
        prolific.BonusResolveView.as_view(),
        name="prolific_bonus_resolve",
    ),
    path("progress/", studies.StudyProgressView.as_view(), name="study_progress"),
    path("rounds/", rounds.RoundsView.as_view(), name="round_list"),
    path("log/", studies.StudyLogView.as_view(), name="study_log"),
    path("estimates/", estimates.EstimatesView.as_view(), name="study_estimates"),
    path("runs/", estimates.RunListView.as_view(), name="run_list"),
    path("runs/<uuid:run_id>/", estimates.RunView.as_view(), name="run"),
    path("runs/<uuid:run_id>/cancel/", estimates.RunCancelView.as_view(), name="run_cancel"),
    path(
        "runs/<uuid:run_id>/estimates/", estimates.RunEstimatesView.as_view(), name="run_estimates"
    ),
    path("exports/<slug:table>/", exports.ExportView.as_view(), name="export"),
    path("imports/", imports.ImportView.as_view(), name="import"),
    path("imports/preview/", imports.ImportPreviewView.as_view(), name="import_preview"),
]
urlpatterns = [
    path("schema/", root.SchemaView.as_view(), name="schema"),
    path("tokens/", tokens.TokenListView.as_view(), name="token_list"),
    path("tokens/<key:token_id>/", tokens.TokenView.as_view(), name="token"),
    path("datasets/", datasets.DatasetListView.as_view(), name="dataset_list"),
    path("datasets/<key:dataset_id>/", datasets.DatasetView.as_view(), name="dataset"),
    path(
        "datasets/<key:dataset_id>/activations/",
        datasets.ActivationsView.as_view(),
        name="activation_list",
    ),
    path(
        "datasets/<key:dataset_id>/activations/<key:activations_id>/",
        datasets.ActivationMatrixView.as_view(),
        name="activations",
    ),
    path(
        "datasets/<key:dataset_id>/matrices/", datasets.MatricesView.as_view(), name="matrix_list"
    ),
    path(
        "datasets/<key:dataset_id>/matrices/<key:matrix_id>/",
        datasets.MatrixView.as_view(),
        name="matrix",
    ),
    path("studies/", studies.StudyListView.as_view(), name="study_list"),
    *(
        path(f"studies/<slug:slug>/{pattern.pattern}", pattern.callback, name=pattern.name)
        for pattern in study_patterns
    ),
    re_path(r"^(?P<rest>(?s:.*))$", root.NowhereView.as_view()),
]
