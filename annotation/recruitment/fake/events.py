"""Webhooks of the fake, signed as Prolific signs them."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """One event on its way to whoever subscribed to it.

    Attributes
    ----------
    target_url : str
        Where it goes.
    body : bytes
        JSON.
    at : datetime
        When it happened.
    secret : str
        Of the workspace.
    event_id : str
        The same at every try.
    """

    target_url: str
    body: bytes
    at: datetime
    secret: str = field(repr=False)
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def headers(self, sent: datetime) -> dict[str, str]:
        """Sign it as sent at a moment; a repeated try is signed anew."""
        return {
            **signed_headers(self.secret, self.body, sent),
            "X-Event-ID": self.event_id,
            "X-Timestamp": self.at.isoformat(),
        }


def signed_headers(secret: str, body: bytes, sent: datetime) -> dict[str, str]:
    """Sign a body and a moment.

    Parameters
    ----------
    secret : str
        Of the workspace.
    body : bytes
        What is sent.
    sent : datetime
        When.

    Returns
    -------
    dict of str to str
        The two headers.
    """
    timestamp = str(int(sent.timestamp()))
    digest = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return {
        "X-Prolific-Request-Timestamp": timestamp,
        "X-Prolific-Request-Signature": base64.b64encode(digest).decode(),
    }


def event_body(event_type: str, resource_id: str, fields: Mapping[str, Any]) -> bytes:
    """Write the body of an event.

    Parameters
    ----------
    event_type : str
        For example ``submission.status.change``.
    resource_id : str
        Of the study or submission.
    fields : mapping
        What else it says.

    Returns
    -------
    bytes
    """
    return json.dumps({"event_type": event_type, "resource_id": resource_id, **fields}).encode()
