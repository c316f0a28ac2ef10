"""Calls of a panel: checked, stored, acknowledged; worked on off the request."""

import json
import logging
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from annotation.exceptions import WebhookRefused
from annotation.services.credentials import webhook_secret
from annotation.services.panel_events import MOST_BYTES, event_store, event_verify
from annotation.tasks import panel_event_task
from annotation.throttling import throttled

logger = logging.getLogger(__name__)


def _prolific(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Store an event of Prolific. A browser's form cannot sign, so that no CSRF token is needed."""
    found = webhook_secret(public_id)
    if found is None:
        return _refusal(404, "There is no such webhook.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        return _refusal(413, f"An event has at most {MOST_BYTES} bytes.")
    credential, secret = found
    try:
        body = request.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            return _refusal(413, f"An event has at most {MOST_BYTES} bytes.")
        sent = event_verify(
            secret=secret,
            timestamp=request.headers.get("X-Prolific-Request-Timestamp", ""),
            signature=request.headers.get("X-Prolific-Request-Signature", ""),
            body=body,
        )
        event, is_new = event_store(
            credential=credential,
            event_id=request.headers.get("X-Event-ID", ""),
            body=body,
            sent=sent,
            occurred=request.headers.get("X-Timestamp", ""),
        )
    except WebhookRefused as error:
        logger.warning("webhook refused: %s", error)
        return _refusal(400, str(error))
    if is_new:
        transaction.on_commit(lambda: panel_event_task.enqueue(event.pk))
    return HttpResponse(status=204)


def _refusal(status: int, detail: str) -> HttpResponse:
    return HttpResponse(
        json.dumps({"title": "The event is not taken", "status": status, "detail": detail}),
        status=status,
        content_type="application/problem+json",
    )


_throttled = throttled("webhook", _prolific)


@csrf_exempt
@require_POST
def prolific_webhook(request: HttpRequest, public_id: UUID) -> HttpResponseBase:
    """Take a call of Prolific's webhook."""
    return _throttled(request, public_id)
