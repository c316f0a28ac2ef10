"""Reading what Prolific answers; what cannot be read is no answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from annotation.exceptions import PanelUnreachable

#: Of the panel's own words in a message.
LONGEST_ANSWER = 300


def reply_document(reply: httpx.Response) -> dict[str, Any]:
    """Read the JSON object of an answer; a bare text becomes its ``message``."""
    if not reply.content:
        return {}
    try:
        document = reply.json()
    except ValueError:
        raise PanelUnreachable("Prolific's answer is no JSON.") from None
    return document if isinstance(document, dict) else {"message": document}


def reply_text(document: Mapping[str, Any], key: str) -> str:
    """Read a text that the answer must have."""
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise PanelUnreachable(f"Prolific's answer has no {key!r}.")
    return value


def reply_number(document: Mapping[str, Any], key: str) -> int:
    """Read an amount in minor units that the answer must have."""
    value = document.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise PanelUnreachable(f"Prolific's answer has no whole number {key!r}.")
    return value


def reply_date(reply: httpx.Response) -> datetime:
    """Return the panel's clock; ours where it does not say."""
    try:
        at = parsedate_to_datetime(reply.headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def reply_retry_after(reply: httpx.Response) -> float:
    """Return for how many seconds the panel asks to be left alone."""
    try:
        return float(reply.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0  # the usual wait is long enough


def reply_reason(reply: httpx.Response) -> str:
    """Return the panel's own words for a refusal, cut short; it has two forms for them."""
    try:
        document = reply.json()
        error = document.get("error") or document
        detail = error.get("detail") or error.get("title") or error.get("message") or error
    except (ValueError, AttributeError):
        detail = reply.text
    return str(detail or "no reason given")[:LONGEST_ANSWER]
