"""Images of probe inputs under opaque ids: address and headers tell no name, order or class."""

import logging
from pathlib import Path
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from annotation.exceptions import ImageProblem
from annotation.images import image_stripped
from annotation.models import Item, ProbeInput
from annotation.permissions import studies_visible

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
A_YEAR = 365 * 24 * 60 * 60


@require_safe
def image(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Send an image to a rater who was handed a task with it, or to a researcher of its dataset.

    An open grid of ids would let a rater collect the dataset, so an id alone is not enough.
    """
    probe_input = get_object_or_404(
        ProbeInput.objects.select_related("dataset"), public_id=public_id
    )
    if not (_is_in_a_task_of(request, probe_input) or _is_of_a_study_of(request, probe_input)):
        raise Http404
    path = _path(probe_input)
    # Read, not FileResponse: that one would add the file's name and its date.
    try:
        data, content_type = image_stripped(path.read_bytes())
    except ImageProblem:
        log.exception("The image of probe input %s cannot be sent", probe_input.pk)
        raise Http404 from None
    response = HttpResponse(data, content_type=content_type)
    response["Cache-Control"] = f"private, max-age={A_YEAR}, immutable"
    return response


def _is_in_a_task_of(request: HttpRequest, probe_input: ProbeInput) -> bool:
    participations = request.session.get("participations", {})
    return (
        bool(participations)
        and Item.objects.filter(
            probe_input=probe_input,
            task__assignments__participation__public_id__in=participations.values(),
        ).exists()
    )


def _is_of_a_study_of(request: HttpRequest, probe_input: ProbeInput) -> bool:
    return (
        request.user.is_authenticated
        and studies_visible(request.user).filter(dataset=probe_input.dataset_id).exists()
    )


def _path(probe_input: ProbeInput) -> Path:
    root = probe_input.dataset.absolute_root.resolve()
    path = (root / probe_input.file).resolve()
    usable = path.is_relative_to(root) and path.suffix.lower() in SUFFIXES and path.is_file()
    if not usable:
        log.error("The image of probe input %s is missing or of no known kind", probe_input.pk)
        raise Http404
    return path
