"""Known answers of a study: a list, a CSV file, suggestions that a person confirms."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms.quality import (
    GoldFileForm,
    GoldRemoveForm,
    GoldSuggestForm,
    suggestions_confirmed,
)
from annotation.models import Concept, GoldUse, ProbeInput, RatingValue, Study, StudyStatus
from annotation.permissions import study_for
from annotation.queries.gold import gold_counts
from annotation.queries.items import passage_of
from annotation.services.gold import (
    NewGoldAnswer,
    gold_answers_add,
    gold_answers_read,
    gold_answers_remove,
)
from annotation.services.gold_suggestions import gold_answers_suggest
from annotation.uploads import FileKind, upload_checked

ANSWERS_A_PAGE = 60
MAX_BYTES = 5 * 1024 * 1024


@never_cache
@require_safe
@login_required
def gold(request: HttpRequest, slug: str) -> HttpResponse:
    """List the known answers, with what adds some."""
    study = study_for(request.user, slug)
    return _page(request, study, GoldFileForm(), status=200)


@require_POST
@login_required
def gold_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add the known answers of a CSV file, all or none."""
    study = study_for(request.user, slug, change=True)
    form = GoldFileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            file = form.cleaned_data["file"]
            upload_checked(file, kinds={FileKind.CSV}, max_bytes=MAX_BYTES)
            answers = gold_answers_read(study=study, text=file.read().decode())
            added = gold_answers_add(study=study, answers=answers, actor=cast("User", request.user))
        except AnnotationError as error:
            form.add_error("file", str(error))
        else:
            messages.success(request, f"{len(added)} known answers are there.", extra_tags="good")
            return redirect("researcher:quality_gold", slug)
    return _page(request, study, form, status=422)


@require_POST
@login_required
def gold_remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Take known answers out."""
    study = study_for(request.user, slug, change=True)
    form = GoldRemoveForm(request.POST, study=study)
    if not form.is_valid():
        messages.error(request, "Choose at least one of the answers on the page.")
        return redirect("researcher:quality_gold", slug)
    try:
        n = gold_answers_remove(
            study=study, ids=form.cleaned_data["answer"], actor=cast("User", request.user)
        )
    except AnnotationError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{n} known answers are removed.", extra_tags="good")
    return redirect("researcher:quality_gold", slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def gold_suggest(request: HttpRequest, slug: str) -> HttpResponse:
    """Show suggestions of known answers; POST adds those that a person confirmed."""
    study = study_for(request.user, slug, change=True)
    if request.method == "POST":
        return _confirm(request, study)
    form = GoldSuggestForm(request.GET, study=study)
    if not form.is_valid():
        messages.error(request, "Choose where suggestions come from, and how many.")
        return redirect("researcher:quality_gold", slug)
    chosen = form.cleaned_data
    try:
        suggestions = gold_answers_suggest(study=study, **chosen)
    except AnnotationError as error:
        messages.error(request, str(error))
        return redirect("researcher:quality_gold", slug)
    context = {
        "study": study,
        "concepts": _by_concept(study, suggestions),
        "n": len(suggestions),
        "from_prior": chosen["source"] == "prior",
        "use": GoldUse(chosen["use"]),
        "with_feedback": chosen["use"] != GoldUse.HIDDEN,
    }
    return render(request, "researcher/quality/gold_suggest.html", context)


def _confirm(request: HttpRequest, study: Study) -> HttpResponse:
    use = request.POST.get("use", "")
    answers = suggestions_confirmed(request.POST, _concepts(study), use)
    if not answers:
        messages.error(request, "No answer was confirmed, so nothing was added.")
        return redirect("researcher:quality_gold", study.slug)
    try:
        added = gold_answers_add(study=study, answers=answers, actor=cast("User", request.user))
    except AnnotationError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{len(added)} known answers are added.", extra_tags="good")
    return redirect("researcher:quality_gold", study.slug)


def _concepts(study: Study) -> dict[int, str]:
    used = Concept.objects.filter(terms__explanation__study=study).distinct()
    return dict(used.values_list("pk", "text"))


def _by_concept(study: Study, suggestions: list[NewGoldAnswer]) -> list[dict[str, Any]]:
    """Group suggestions by concept, each with what a person looks at."""
    keys = {text: pk for pk, text in _concepts(study).items()}
    rows = ProbeInput.objects.filter(
        dataset=study.dataset_id, index__in={one.input_index for one in suggestions}
    )
    inputs = {row.index: row for row in rows}
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in suggestions:
        row = inputs[one.input_index]
        groups.setdefault(one.concept, []).append(
            {
                "key": f"{keys[one.concept]}-{one.input_index}",
                "input": row,
                "passage": passage_of(row),
                "value": one.value,
            }
        )
    return [{"concept": concept, "rows": own} for concept, own in groups.items()]


def _page(request: HttpRequest, study: Study, form: GoldFileForm, *, status: int) -> HttpResponse:
    answers = study.gold_answers.select_related("concept", "probe_input").order_by(
        "use", "concept__text", "-value", "probe_input__index"
    )
    page = Paginator(answers, ANSWERS_A_PAGE).get_page(request.GET.get("page"))
    is_draft = study.status == StudyStatus.DRAFT
    is_closed = study.status == StudyStatus.CLOSED
    context = {
        "study": study,
        "form": form,
        "suggest_form": GoldSuggestForm(study=study, auto_id="suggest-%s"),
        "counts": gold_counts(study),
        "page": page,
        "rows": [
            {
                "gold": row,
                "passage": passage_of(row.probe_input),
                "is_present": row.value == RatingValue.PRESENT,
            }
            for row in page
        ],
        "is_draft": is_draft,
        "is_closed": is_closed,
        "removable": is_draft
        or (not is_closed and any(row.use == GoldUse.EXAMPLE for row in page)),
    }
    return render(request, "researcher/quality/gold.html", context, status=status)
