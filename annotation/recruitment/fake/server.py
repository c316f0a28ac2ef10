"""The fake's HTTP: Prolific's paths and answers over `FakeProlific`, on a thread of its own."""

import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from annotation.recruitment.fake.rows import FakeProblem
from annotation.recruitment.fake.state import FakeProlific

MOST_BYTES = 1024 * 1024
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Fault:
    """What goes wrong with the next requests whose method and path match.

    Attributes
    ----------
    pattern : str
        A regular expression over ``METHOD /path``.
    status : int
        The answer.
    times : int
        How many requests.
    headers : dict
        Of the answer, for example ``Retry-After``.
    after : bool
        Whether the request is done before the answer says that it failed.
    """

    pattern: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


class FakeServer:
    """Runs a `FakeProlific` on a port of the loopback; a context manager.

    Parameters
    ----------
    fake : FakeProlific
        The state.
    port : int
        0 takes a free one.
    """

    def __init__(self, fake: FakeProlific, port: int = 0) -> None:
        self.fake = fake
        self.requests: list[tuple[str, str, Any]] = []
        self.faults: list[Fault] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def origin(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def api_url(self) -> str:
        """For ``NEURONJURY_PROLIFIC_URL``."""
        return f"{self.origin}/api/v1"

    @property
    def jwks_url(self) -> str:
        """For ``NEURONJURY_PROLIFIC_JWKS_URL``."""
        return f"{self.origin}/.well-known/study/jwks.json"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fail(self, pattern: str, status: int, **options: Any) -> None:
        """Let requests fail; see `Fault`."""
        self.faults.append(Fault(pattern, status, **options))

    def count(self, pattern: str) -> int:
        """Count the requests so far that match ``METHOD /path``."""
        return sum(bool(re.search(pattern, f"{way} {path}")) for way, path, _ in self.requests)

    def answer(self, method: str, target: str, token: str, body: Any) -> Answer:
        """Answer one request.

        Parameters
        ----------
        method, target : str
            Of the request.
        token : str
            The header ``Authorization``.
        body : Any
            Its JSON.

        Returns
        -------
        tuple
            Status, JSON, headers.
        """
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.requests.append((method, path, body))
        fault = self._fault(f"{method} {path}")
        if fault is not None and not fault.after:
            return fault.status, {"error": {"detail": "injected"}}, fault.headers
        try:
            answer = self._route(method, path, query, token, body)
        except FakeProblem as problem:
            answer = problem.status, {"error": {"detail": str(problem)}}, {}
        if fault is not None:
            return fault.status, {"error": {"detail": "injected"}}, fault.headers
        return answer

    def _fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, line):
                fault.times -= 1
                return fault
        return None

    def _route(
        self, method: str, path: str, query: dict[str, list[str]], token: str, body: Any
    ) -> Answer:
        if path == "/.well-known/study/jwks.json":
            return 200, self.fake.jwks(), {}
        if token != f"Token {self.fake.token}":
            raise FakeProblem(401, "No valid token was given.")
        for way, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if way == method and found:
                return answer(self.fake, found.groups(), query, body or {})
        raise FakeProblem(404, f"There is no {method} {path}.")


Route = Callable[[FakeProlific, tuple[str, ...], dict[str, list[str]], dict[str, Any]], Answer]


def _submissions(
    fake: FakeProlific, _: tuple[str, ...], query: dict[str, list[str]], __: dict[str, Any]
) -> Answer:
    number, size = int(query.get("page", ["1"])[0]), int(query.get("page_size", ["20"])[0])
    with fake.lock:
        rows = [
            row.document()
            for row in fake.submissions.values()
            if row.study_id == query.get("study", [""])[0]
        ]
    more = len(rows) > number * size
    links = {"next": {"href": f"?page={number + 1}" if more else None}}
    return 200, {"results": rows[(number - 1) * size : number * size], "_links": links}, {}


def _submission_transition(
    fake: FakeProlific, ids: tuple[str, ...], _: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    if body.get("action") == "REJECT":
        row = fake.reject(ids[0], body.get("rejection_category", ""), body.get("message", ""))
    elif body.get("action") == "APPROVE":
        fake.approve([ids[0]])
        row = fake.submission(ids[0])
    else:
        raise FakeProblem(400, "action: it is unknown.")
    return 200, row.document(), {}


def _approve(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    fake.approve(list(body.get("submission_ids", [])))
    return 200, "The request to bulk approve has been made successfully.", {}


def _return_request(
    fake: FakeProlific, ids: tuple[str, ...], _: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    if not body.get("request_return_reasons"):
        raise FakeProblem(400, "request_return_reasons: this field is required.")
    row = fake.submission(ids[0])
    row.returned_asked = True
    return 200, row.document(), {}


def _bonus_set_up(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    made, amount = fake.bonus_set_up(body.get("study_id", ""), body.get("csv_bonuses", ""))
    return 201, {"id": made, "amount": amount, "total_amount": amount}, {}


def _bonus_pay(
    fake: FakeProlific, ids: tuple[str, ...], _: dict[str, list[str]], __: dict[str, Any]
) -> Answer:
    fake.bonus_pay(ids[0])
    return 202, None, {}


def _subscribe(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    if not fake.hook_secret:
        raise FakeProblem(400, "Create a secret for the workspace first.")
    made, confirm = secrets.token_hex(12), secrets.token_urlsafe(16)
    row = {**body, "id": made, "is_enabled": True, "confirmed": False, "confirm": confirm}
    with fake.lock:
        fake.subscriptions[made] = row
    return 201, {"id": made, **body}, {"X-Hook-Secret": confirm}


def _confirm(
    fake: FakeProlific, ids: tuple[str, ...], _: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    row = fake.subscriptions.get(ids[0])
    if row is None or body.get("secret") != row["confirm"]:
        raise FakeProblem(400, "secret: it is not that of the subscription.")
    row["confirmed"] = True
    return 200, {"id": ids[0]}, {}


def _subscriptions(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], ___: dict[str, Any]
) -> Answer:
    names = ("id", "event_type", "target_url", "is_enabled")
    with fake.lock:
        rows = [{name: row[name] for name in names} for row in fake.subscriptions.values()]
    return 200, {"results": rows}, {}


def _secret(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], body: dict[str, Any]
) -> Answer:
    fake.hook_secret = secrets.token_urlsafe(32)
    document = {"id": secrets.token_hex(12), "value": fake.hook_secret}
    return 201, {**document, "workspace_id": body.get("workspace_id")}, {}


def _balance(
    fake: FakeProlific, _: tuple[str, ...], __: dict[str, list[str]], ___: dict[str, Any]
) -> Answer:
    available, total = fake.balance_minor, fake.balance_minor + fake.set_aside_minor()
    document = {
        "currency_code": "GBP",
        "total_balance": total,
        "balance_breakdown": _breakdown(total),
        "available_balance": available,
        "available_balance_breakdown": _breakdown(available),
    }
    return 200, document, {}


def _breakdown(amount: int) -> dict[str, int]:
    rewards = round(amount * 3 / 4)
    return {"rewards": rewards, "fees": amount - rewards, "vat": 0}


_ROUTES: list[tuple[str, str, Route]] = [
    ("GET", "/api/v1/users/me/", lambda *_: (200, {"id": "fake", "email": "fake@example.org"}, {})),
    (
        "POST",
        "/api/v1/studies/",
        lambda fake, _ids, _query, body: (201, fake.study_create(body).document(), {}),
    ),
    (
        "GET",
        "/api/v1/studies/([^/]+)/",
        lambda fake, ids, _query, _body: (200, fake.study(ids[0]).document(), {}),
    ),
    (
        "PATCH",
        "/api/v1/studies/([^/]+)/",
        lambda fake, ids, _query, body: (200, fake.study_change(ids[0], body).document(), {}),
    ),
    (
        "POST",
        "/api/v1/studies/([^/]+)/transition/",
        lambda fake, ids, _query, body: (
            200,
            fake.study_transition(ids[0], str(body.get("action"))).document(),
            {},
        ),
    ),
    ("GET", "/api/v1/submissions/", _submissions),
    (
        "GET",
        "/api/v1/submissions/([^/]+)/",
        lambda fake, ids, _query, _body: (200, fake.submission(ids[0]).document(), {}),
    ),
    ("POST", "/api/v1/submissions/([^/]+)/transition/", _submission_transition),
    ("POST", "/api/v1/submissions/bulk-approve/", _approve),
    ("POST", "/api/v1/submissions/([^/]+)/request-return/", _return_request),
    ("POST", "/api/v1/submissions/bonus-payments/", _bonus_set_up),
    ("POST", "/api/v1/bulk-bonus-payments/([^/]+)/pay/", _bonus_pay),
    ("GET", "/api/v1/workspaces/[^/]+/balance/", _balance),
    ("POST", "/api/v1/hooks/secrets/", _secret),
    ("GET", "/api/v1/hooks/subscriptions/", _subscriptions),
    ("POST", "/api/v1/hooks/subscriptions/", _subscribe),
    ("POST", "/api/v1/hooks/subscriptions/([^/]+)/", _confirm),
]


def _handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Reads a request, lets the fake answer it, writes the answer."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PATCH(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing: whoever wants to know looks at `FakeServer.requests`."""

        def _answer(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
            raw = self.rfile.read(length)
            status, document, headers = server.answer(
                self.command,
                self.path,
                self.headers.get("Authorization", ""),
                json.loads(raw) if raw else None,
            )
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler
