"""Images of probe inputs under opaque, signed addresses: they tell no name, order or class."""

import logging
from pathlib import Path
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.http import require_safe

from annotation.exceptions import ImageProblem, UnsafePath
from annotation.image_addresses import seconds_left
from annotation.images import image_stripped
from annotation.languages import language_of
from annotation.models import GoldUse, Participation, ProbeInput
from annotation.permissions import studies_visible
from annotation.uploads import path_within

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
AN_HOUR = 60 * 60
SHOWN_BEFORE_TASKS = (GoldUse.TRAINING, GoldUse.EXAMPLE)


@require_safe
def image(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Send an image to a rater who was handed it, or to a researcher of its dataset.

    A rater needs an address that was signed for their participation, a session that names it, and
    a task, a training or an example with the image: an open grid of ids would let anybody collect
    the dataset. An image that cannot be read is replaced by a note that says so, with status 404.
    """
    participation, seconds = _rater(request, public_id)
    probe_input = get_object_or_404(
        ProbeInput.objects.select_related("dataset"), public_id=public_id
    )
    if participation is not None and _was_handed(participation, probe_input):
        language = language_of(participation.study)
    elif _is_of_a_study_of(request, probe_input):
        seconds, language = AN_HOUR, translation.get_language() or "en"
    else:
        raise Http404
    try:
        # Read, not FileResponse: that one would add the file's name and its date.
        data, content_type = image_stripped(_path(probe_input).read_bytes())
    except (ImageProblem, UnsafePath, OSError) as error:
        log.error(  # noqa: TRY400 - what is wrong with the file, not where in the code
            "The image of probe input %s cannot be sent: %s", probe_input.pk, _why(error)
        )
        return _placeholder(language)
    response = HttpResponse(data, content_type=content_type)
    response["Cache-Control"] = f"private, max-age={seconds}, immutable"
    return response


def _rater(request: HttpRequest, public_id: UUID) -> tuple[Participation | None, int]:
    """Find the participation of this session that the address was signed for, and for how long."""
    until, signature = request.GET.get("until", ""), request.GET.get("sign", "")
    if not signature:
        return None, 0
    for participation_id in request.session.get("participations", {}).values():
        seconds = seconds_left(
            participation_id=UUID(participation_id),
            image_id=public_id,
            until=until,
            signature=signature,
        )
        if seconds:
            participation = (
                Participation.objects.select_related("study")
                .filter(public_id=participation_id)
                .first()
            )
            return participation, seconds
    return None, 0


def _was_handed(participation: Participation, probe_input: ProbeInput) -> bool:
    return ProbeInput.objects.filter(
        Q(items__task__assignments__participation=participation)
        | Q(gold_answers__study=participation.study_id, gold_answers__use__in=SHOWN_BEFORE_TASKS),
        pk=probe_input.pk,
    ).exists()


def _is_of_a_study_of(request: HttpRequest, probe_input: ProbeInput) -> bool:
    return (
        request.user.is_authenticated
        and studies_visible(request.user).filter(dataset=probe_input.dataset_id).exists()
    )


def _path(probe_input: ProbeInput) -> Path:
    path = path_within(probe_input.dataset.absolute_root, probe_input.file)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageProblem("the file is of no known kind.")
    return path


def _why(error: Exception) -> str:
    """Say what is wrong without a path of this machine."""
    return (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)


def _placeholder(language: str) -> HttpResponse:
    """Show in the image's place that there is none, and which answer says so."""
    with translation.override(language):
        picture = render_to_string("rater/parts/no_image.svg")
    response = HttpResponse(picture, content_type="image/svg+xml", status=404)
    response["Cache-Control"] = "no-store"
    return response
