"""A thin client of Prolific's published API: what a study here needs, and nothing more.

It never sends a message to a participant. The token is in no repr, no log and no error message.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from annotation.exceptions import InvalidInput, PanelRefused, PanelUnreachable
from annotation.recruitment.certificates import tls
from annotation.recruitment.replies import (
    reply_date,
    reply_document,
    reply_number,
    reply_reason,
    reply_retry_after,
    reply_text,
)

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
TRIES = 4
#: Errors before the request left this machine.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
PAGE = 100
MOST_PAGES = 200
MOST_APPROVED = 1000

REJECTION_CATEGORIES = (
    "TOO_QUICKLY",
    "TOO_SLOWLY",
    "FAILED_INSTRUCTIONS",
    "INCOMP_LONGITUDINAL",
    "FAILED_CHECK",
    "LOW_EFFORT",
    "MALINGERING",
    "NO_CODE",
    "BAD_CODE",
    "NO_DATA",
    "UNSUPP_DEVICE",
    "OTHER",
)
SHORTEST_REJECTION = 100
#: Of all the events that there are, those that move a study or a submission here.
EVENT_TYPES = ("submission.status.change", "study.status.change")


@dataclass(frozen=True)
class Sending:
    """One change that was asked of Prolific, or would have been in a dry run.

    Attributes
    ----------
    method, path : str
        Of the request.
    body : mapping
        Its JSON.
    """

    method: str
    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Balance:
    """What a workspace has, in minor units.

    Attributes
    ----------
    available_minor : int
        What can still be spent.
    total_minor : int
        The same with what active studies have set aside.
    currency : str
        ISO 4217.
    at : datetime
        When the panel said so, by its clock.
    """

    available_minor: int
    total_minor: int
    currency: str
    at: datetime


class ProlificClient:
    """Calls Prolific with one researcher's token.

    Parameters
    ----------
    token : str
        Of Prolific's API. It may do all that its owner may, and never runs out.
    base_url : str
        Of the API, without a slash at its end.
    dry_run : bool
        Send nothing at all; what would have been sent is in `sendings`.
    transport : httpx.BaseTransport, optional
        Another way to send, for tests.
    sleep : callable
        Waits so many seconds between two tries.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        dry_run: bool = False,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise InvalidInput(
                f"NEURONJURY_PROLIFIC_URL: {base_url!r} is not taken; tokens are sent over https "
                "alone, but to a fake on this machine."
            )
        self.dry_run = dry_run
        self.sendings: list[Sending] = []
        self._token = token
        self._base = base_url.rstrip("/")
        self._transport = transport
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"ProlificClient({self._base!r}, dry_run={self.dry_run})"

    # --- studies

    def study_create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a draft study; nobody sees it before it is published."""
        return self._change("POST", "/studies/", body)

    def study(self, study_id: str) -> tuple[dict[str, Any], datetime]:
        """Read a study, and by the panel's clock when."""
        return self._read(f"/studies/{_part(study_id)}/")

    def study_transition(self, study_id: str, action: str) -> dict[str, Any]:
        """Publish (PUBLISH), pause (PAUSE), resume (START) or stop (STOP) a study."""
        path = f"/studies/{_part(study_id)}/transition/"
        return self._change("POST", path, {"action": action}, idempotent=True)

    def places_set(self, study_id: str, places: int) -> dict[str, Any]:
        """Set how many places a study has in all; Prolific only lets them grow."""
        body = {"total_available_places": places}
        return self._change("PATCH", f"/studies/{_part(study_id)}/", body, idempotent=True)

    # --- submissions

    def submissions(self, study_id: str) -> tuple[list[dict[str, Any]], datetime]:
        """List all submissions of a study, and since when that was so."""
        found: list[dict[str, Any]] = []
        first: datetime | None = None
        for number in range(1, MOST_PAGES + 1):
            query = f"?study={_part(study_id)}&page={number}&page_size={PAGE}"
            page, at = self._read(f"/submissions/{query}")
            first = first or at  # a change while later pages are read is news for the next time
            rows = page.get("results")
            if not isinstance(rows, list):
                raise PanelUnreachable("Prolific's list of submissions has no results.")
            found += rows
            if not rows or not (page.get("_links") or {}).get("next", {}).get("href"):
                return found, first
        raise PanelUnreachable(f"Prolific's list of submissions has over {MOST_PAGES} pages.")

    def submission(self, submission_id: str) -> tuple[dict[str, Any], datetime]:
        """Read one submission, and by the panel's clock when."""
        return self._read(f"/submissions/{_part(submission_id)}/")

    def submissions_approve(self, submission_ids: Sequence[str]) -> None:
        """Approve submissions, so that they are paid; Prolific does it in its own time."""
        for batch in _batches(submission_ids, MOST_APPROVED):
            body = {"submission_ids": list(batch)}
            self._change("POST", "/submissions/bulk-approve/", body, idempotent=True)

    def submission_reject(self, submission_id: str, *, category: str, message: str) -> None:
        """Refuse to pay a submission, with a reason that the participant reads."""
        rejection_require(category, message)
        body = {"action": "REJECT", "rejection_category": category, "message": message.strip()}
        path = f"/submissions/{_part(submission_id)}/transition/"
        self._change("POST", path, body, idempotent=True)

    def submission_return_request(self, submission_id: str, *, reasons: Sequence[str]) -> None:
        """Ask a participant to give a submission back."""
        body = {"request_return_reasons": list(reasons)}
        self._change("POST", f"/submissions/{_part(submission_id)}/request-return/", body)

    # --- money

    def bonuses_set_up(self, study_id: str, bonuses: Sequence[tuple[str, int]]) -> dict[str, Any]:
        """Prepare bonuses (submission id, minor units); nothing is paid yet."""
        lines = "\n".join(f"{name},{minor / 100:.2f}" for name, minor in bonuses)
        body = {"study_id": study_id, "csv_bonuses": lines}
        return self._change("POST", "/submissions/bonus-payments/", body)

    def bonuses_pay(self, bulk_id: str) -> None:
        """Pay prepared bonuses. Asked twice, Prolific pays twice: this is never tried again."""
        self._change("POST", f"/bulk-bonus-payments/{_part(bulk_id)}/pay/", {})

    def balance(self, workspace_id: str) -> Balance:
        """Read what the workspace has."""
        found, at = self._read(f"/workspaces/{_part(workspace_id)}/balance/")
        return Balance(
            available_minor=reply_number(found, "available_balance"),
            total_minor=reply_number(found, "total_balance"),
            currency=reply_text(found, "currency_code"),
            at=at,
        )

    def user(self) -> dict[str, Any]:
        """Read whose token this is."""
        return self._read("/users/me/")[0]

    # --- webhooks

    def hook_secret_create(self, workspace_id: str) -> str:
        """Make the workspace's webhook secret; a former one stops working."""
        made = self._change("POST", "/hooks/secrets/", {"workspace_id": workspace_id})
        if self.dry_run:
            return ""
        return reply_text(made, "value")

    def hook_subscriptions(self, workspace_id: str) -> list[dict[str, Any]]:
        """List the workspace's subscriptions."""
        page, _ = self._read(f"/hooks/subscriptions/?workspace_id={_part(workspace_id)}")
        rows = page.get("results", [])
        return rows if isinstance(rows, list) else []

    def hook_subscribe(self, *, workspace_id: str, event_type: str, target_url: str) -> None:
        """Subscribe to an event and confirm it, as Prolific wants it done in two steps."""
        body = {
            "workspace_id": workspace_id,
            "event_type": event_type,
            "target_url": target_url,
            "is_enabled": True,
        }
        reply = self._send("POST", "/hooks/subscriptions/", body, idempotent=False)
        if reply is None:
            return
        secret = reply.headers.get("X-Hook-Secret", "")
        made = _subscription_id(reply_document(reply), event_type, target_url)
        path = f"/hooks/subscriptions/{_part(made)}/"
        self._change("POST", path, {"secret": secret})
        self.sendings[-1] = Sending("POST", path, {"secret": "(not shown)"})

    # --- how

    def _read(self, path: str) -> tuple[dict[str, Any], datetime]:
        if self.dry_run:
            return {"results": []}, datetime.now(UTC)
        reply = self._request("GET", path, None, tries=TRIES)
        return reply_document(reply), reply_date(reply)

    def _change(
        self, method: str, path: str, body: Mapping[str, Any], *, idempotent: bool = False
    ) -> dict[str, Any]:
        reply = self._send(method, path, body, idempotent=idempotent)
        return {} if reply is None else reply_document(reply)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any], *, idempotent: bool
    ) -> httpx.Response | None:
        self.sendings.append(Sending(method, path, body))
        if self.dry_run:
            return None
        return self._request(method, path, body, tries=TRIES if idempotent else 1)

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, tries: int
    ) -> httpx.Response:
        wait = FIRST_WAIT_SECONDS
        trouble = ""
        uncertain = False  # whether an earlier try may have been done
        for number in range(tries):
            if number:
                self._sleep(min(wait, LONGEST_WAIT_SECONDS))
                wait *= 2
            try:
                with httpx.Client(transport=self._transport, timeout=TIMEOUT, verify=tls()) as http:
                    reply = http.request(
                        method,
                        f"{self._base}{path}",
                        json=body,
                        headers={"Authorization": f"Token {self._token}"},
                    )
            except httpx.HTTPError as error:
                # the type alone: the text of an error may hold the whole request
                trouble = f"it did not answer ({type(error).__name__})"
                uncertain = uncertain or not isinstance(error, NEVER_SENT)
                continue
            if reply.status_code == 429 or reply.status_code >= 500:
                trouble = f"it answered {reply.status_code}"
                uncertain = uncertain or reply.status_code >= 500
                wait = max(wait, reply_retry_after(reply))
                continue
            if reply.status_code >= 400 and uncertain and method != "GET":
                # it may refuse this try because an earlier one was done
                trouble = f"it answered {reply.status_code} after no answer: {reply_reason(reply)}"
                break
            if reply.status_code >= 400:
                raise PanelRefused(
                    f"Prolific refused {method} {_path(path)} ({reply.status_code}): "
                    f"{reply_reason(reply)}",
                    status=reply.status_code,
                )
            return reply
        if trouble == "it answered 429" and not uncertain:  # the panel never began it
            raise PanelRefused(
                f"Prolific takes no more requests for now ({method} {_path(path)}); "
                "try again in a few minutes.",
                status=429,
            )
        raise PanelUnreachable(
            f"Prolific: {method} {_path(path)} failed, for {trouble}. What was asked may have been "
            "done or not; look at the study there, or reconcile, before you try again."
        )


def rejection_require(category: str, message: str) -> None:
    """Check what Prolific wants of a rejection.

    Parameters
    ----------
    category : str
        One of `REJECTION_CATEGORIES`.
    message : str
        What the participant reads.

    Raises
    ------
    InvalidInput
        When the category is unknown or the message is under 100 characters.
    """
    if category not in REJECTION_CATEGORIES:
        raise InvalidInput(f"category: {category!r} is none of {', '.join(REJECTION_CATEGORIES)}.")
    if len(message.strip()) < SHORTEST_REJECTION:
        raise InvalidInput(
            f"message: it has {len(message.strip())} characters; Prolific wants a reason of at "
            f"least {SHORTEST_REJECTION}, which the participant reads."
        )


def _subscription_id(document: Mapping[str, Any], event_type: str, target_url: str) -> str:
    """Find the id of a new subscription; Prolific's pages show it alone and within a list."""
    rows = document.get("results")
    for row in rows if isinstance(rows, list) else []:
        wanted = {"event_type": event_type, "target_url": target_url}
        if isinstance(row, dict) and wanted.items() <= row.items():
            return reply_text(row, "id")
    return reply_text(document, "id")


def _part(value: str) -> str:
    if not value:
        raise InvalidInput("Prolific: an id is empty.")
    return quote(value, safe="")


def _path(path: str) -> str:
    return path.partition("?")[0]


def _batches(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
