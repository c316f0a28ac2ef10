"""Old ratings: a file is looked at first, line by line, then taken in with a second button."""

import shutil
import uuid
from heapq import nsmallest
from pathlib import Path, PurePosixPath
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError, RatingFileProblem, UploadRefused
from annotation.forms.imports import RatingImportForm, options_shown
from annotation.models import RatingValue, Study, StudyStatus
from annotation.permissions import may_change, study_for
from annotation.rating_files import KINDS, RatingFile, RatingFileOptions, rating_file_read
from annotation.services.import_plan import AcceptedRating, ImportPlan
from annotation.services.imports import import_plan, ratings_import
from annotation.services.imports_of_files import upload_store
from annotation.services.states import state_require
from annotation.views.waiting import ticket_make, ticket_read, waiting_path

SALT = "annotation.rating-import"
SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
#: Of the ratings that fit, so many are shown: enough to see that columns were read rightly.
READY_SHOWN = 8
IMPORTS_SHOWN = 50
FORMATS = {
    "ours": "an export of this software",
    "crowdkit": "crowd-kit's task, worker, label",
    "mturk": "a result file of Mechanical Turk",
}


@never_cache
@require_safe
@login_required
def imports(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what was imported into a study, and the form for more."""
    return _page(request, study_for(request.user, slug), RatingImportForm())


def _page(
    request: HttpRequest, study: Study, form: RatingImportForm, asked: dict[str, Any] | None = None
) -> HttpResponse:
    takes = study.status in {StudyStatus.OPEN, StudyStatus.PAUSED}
    done = study.events.filter(action="ratings imported").select_related("actor")
    context = {
        "study": study,
        "form": form,
        "takes": takes,
        "may_import": takes and may_change(request.user, study),
        "imports": [
            {
                "event": event,
                "format": FORMATS.get(event.details.get("format", ""), ""),
                "refused": sum(event.details.get("refused", {}).values()),
            }
            for event in done.order_by("-at")[:IMPORTS_SHOWN]
        ],
        "kept": asked["name"] if asked else "",
        "ticket": ticket_make(request, study, asked, salt=SALT) if asked else "",
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "researcher/imports.html", context, status=status)


@require_POST
@login_required
def import_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what a file would bring; the file waits, nothing else is written."""
    study = study_for(request.user, slug, change=True)
    asked = ticket_read(request, study, salt=SALT)
    form = RatingImportForm(request.POST, request.FILES, waiting=asked is not None)
    if not form.is_valid():
        return _page(request, study, form, asked)
    try:
        state_require(study, "ratings can be imported", StudyStatus.OPEN, StudyStatus.PAUSED)
        if form.cleaned_data["file"]:
            asked = _store(form.cleaned_data["file"])
        if asked is None:
            raise UploadRefused("file: it waited too long; send it again.")
        asked["options"] = form.options()
        file = _read(asked)
        plan = import_plan(study=study, file=file)
    except RatingFileProblem as error:
        # the file stays: most often the form has to say what it does not say itself
        form.add_error(None, str(error))
        return _page(request, study, form, asked)
    except AnnotationError as error:
        form.add_error(None, str(error))
        return _page(request, study, form)
    return _checked(request, study, plan, asked)


def _checked(
    request: HttpRequest, study: Study, plan: ImportPlan, asked: dict[str, Any]
) -> HttpResponse:
    options = RatingFileOptions(**asked["options"])
    first = {refusal.reason.split(" (")[0]: refusal.line for refusal in reversed(plan.refused)}
    context = {
        "study": study,
        "plan": plan,
        "name": asked["name"],
        "format": FORMATS[plan.format],
        "place": "Row" if asked["file"].endswith(".parquet") else "Line",
        "n_refused": sum(plan.reasons.values()),
        "reasons": [
            {"reason": reason, "n": n, "first": first.get(reason.split(" (")[0])}
            for reason, n in plan.reasons.items()
        ],
        "ready": _ready(plan),
        "form": RatingImportForm(initial=options_shown(options), waiting=True),
        "ticket": ticket_make(request, study, asked, salt=SALT),
    }
    return render(request, "researcher/imports_check.html", context)


@require_POST
@login_required
def import_confirm(request: HttpRequest, slug: str) -> HttpResponse:
    """Import the ratings of a file that was looked at; a second time changes nothing."""
    study = study_for(request.user, slug, change=True)
    asked = ticket_read(request, study, salt=SALT)
    if asked is None or not waiting_path(asked["file"]).is_file():
        messages.error(request, "The file is not here any more; send it again.", extra_tags="bad")
        return redirect("researcher:study_imports", slug)
    try:
        plan = ratings_import(study=study, file=_read(asked), actor=cast("User", request.user))
    except AnnotationError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("researcher:study_imports", slug)
    text = f"Imported: {plan.n_ready:,} ratings of {plan.n_items:,} items."
    if plan.n_there:
        text += f" {plan.n_there:,} were there already."
    messages.success(request, text, extra_tags="good")
    shutil.rmtree(waiting_path(asked["file"]).parent, ignore_errors=True)
    return redirect("researcher:study_imports", slug)


def _store(upload: Any) -> dict[str, Any]:
    """Keep an uploaded file until the second button, under a name of our own."""
    suffix = PurePosixPath(upload.name or "").suffix.lower()
    folder = str(uuid.uuid4())
    source = f"{folder}/ratings{suffix if suffix in SUFFIXES else '.csv'}"
    try:
        upload_store(upload, waiting_path(source), kinds=frozenset(KINDS))
    except AnnotationError:
        shutil.rmtree(waiting_path(folder), ignore_errors=True)
        raise
    return {"file": source, "name": Path(upload.name or "ratings").name[:200]}


def _read(asked: dict[str, Any]) -> RatingFile:
    path = waiting_path(asked["file"])
    try:
        with path.open("rb") as stream:
            return rating_file_read(
                stream,
                # the ending says which kind of text it is; the name is what the person knows
                name=asked["name"] if asked["name"].lower().endswith(path.suffix) else path.name,
                options=RatingFileOptions(**asked["options"]),
            )
    except FileNotFoundError:
        raise UploadRefused(f"{asked['name']}: it waited too long; send it again.") from None


def _ready(plan: ImportPlan) -> list[dict[str, Any]]:
    """List the first ratings that fit, in the order of the file."""
    every = (answer for bundle in plan.bundles for slot in bundle.slots for answer in slot.answers)

    def place(answer: AcceptedRating) -> tuple[int, int]:
        return answer.old.line, answer.old.row

    return [
        {
            "line": answer.old.line,
            "concept": answer.old.concept,
            "input": answer.old.probe_input,
            "label": answer.old.label,
            "value": RatingValue(answer.value).label,
        }
        for answer in nsmallest(READY_SHOWN, every, key=place)
    ]
