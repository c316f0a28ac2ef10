"""A rater over HTTP, as a browser would be one: cookies, forms, one answer at a time, patience.

Whatever the rater is told is saved goes into its own book; a test compares the books of all raters
with the database afterwards. A request that fails is sent again, the same, until the server is
back: that is what the page's own queue of answers does.
"""

import html
import http.client
import json
import random
import re
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

BROKEN = (OSError, http.client.HTTPException)
#: How many queries a response took, where the server says so (`benchmarks/load.py`).
COUNT_HEADER = "X-Query-Count"
FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
SAVE_URL = re.compile(r'data-save-url="([^"]+)"')
SUBMIT_URL = re.compile(r'<form id="task-form" method="post" action="([^"]+)"')
ITEM = re.compile(r'data-item="([^"]+)"')
CODE = re.compile(r'id="completion-code"[^>]* value="([^"]+)"')


@dataclass
class Page:
    """What the server answered in the end, redirects followed."""

    status: int
    path: str
    text: str


@dataclass
class Book:
    """What one rater was told."""

    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    submitted: set[str] = field(default_factory=set)
    answer_seconds: list[float] = field(default_factory=list)
    page_seconds: list[float] = field(default_factory=list)
    queries: Counter[tuple[str, int]] = field(default_factory=Counter)
    n_retries: int = 0
    n_errors: int = 0


class HttpRater:
    """One rater at one of several servers.

    Parameters
    ----------
    ports : list of int
        Servers on this machine; the next one is tried when one does not answer.
    slug : str
        The study.
    name : str
        Who the (simulated) rater is.
    deadline : float
        On the monotonic clock; who waits longer for a server gives up with an error.
    on_answer : callable, optional
        Called after every answer that was acknowledged.
    submit_times : int
        How often each task is handed in at once: a double click, ten times.
    pace : float
        Seconds between two answers, on average; 0: as fast as the server lets them.
    """

    def __init__(
        self,
        ports: list[int],
        slug: str,
        name: str,
        *,
        deadline: float,
        on_answer: Callable[[], None] | None = None,
        submit_times: int = 1,
        pace: float = 0.0,
    ) -> None:
        self.book = Book()
        self._ports, self._slug, self._name = ports, slug, name
        self._deadline, self._on_answer, self._submit_times = deadline, on_answer, submit_times
        self._chance, self._pace = random.Random(name), pace
        self._port = self._chance.choice(ports)
        self._cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def work(self) -> Book:
        """Go through the study to its end; what the rater was told."""
        page = self._get(f"/r/{self._slug}/")
        page = self._post(page, {"consent": "yes", "simulated_rater": self._name})
        for _ in range(1000):
            if SAVE_URL.search(page.text):
                page = self._task(page)
            elif page.path.endswith("/complete/"):
                self._note_codes(page)
                return self.book
            elif page.path.endswith("/nothing-left/"):
                return self.book
            elif page.path.endswith(("/instructions/", "/task/")):
                page = self._post(page, {})
            else:
                raise AssertionError(f"{self._name} is lost at {page.path}: {page.text[:300]}")
        raise AssertionError(f"{self._name} never comes to an end")

    def _task(self, page: Page) -> Page:
        save = SAVE_URL.search(page.text)
        submit = SUBMIT_URL.search(page.text)
        assert save is not None
        assert submit is not None
        token = self._token(page)
        assignment = submit.group(1).split("/")[-3]
        values = {}
        for item in ITEM.findall(page.text):
            if self._pace:
                time.sleep(self._chance.uniform(0.5, 1.5) * self._pace)
            values[item] = self._chance.choice(["present", "absent"])
            self._answer(html.unescape(save.group(1)), token, assignment, item, values[item])
        form = {f"item-{item}": value for item, value in values.items()}
        if self._submit_times > 1:
            with ThreadPoolExecutor(self._submit_times) as pool:
                others = [self._twin() for _ in range(self._submit_times - 1)]
                pages = list(
                    pool.map(lambda one: one._post(page, form, submit.group(1)), [self, *others])
                )
            for one in pages:
                self._note_codes(one)
            after = pages[0]
        else:
            after = self._post(page, form, submit.group(1))
        self.book.submitted.add(assignment)
        return after

    def _answer(self, url: str, token: str, assignment: str, item: str, value: str) -> None:
        body = json.dumps(
            {"item": item, "value": value, "client_id": str(uuid.uuid4()), "response_ms": 900}
        )
        headers = {"Content-Type": "application/json", "X-CSRFToken": token}
        start = time.perf_counter()
        status, _, text = self._patiently("POST", url, body, headers)
        while status >= 500 and time.monotonic() < self._deadline:
            # an error of the server, but no loss: the page keeps the answer and sends it again
            self.book.n_errors += 1
            time.sleep(0.5)
            status, _, text = self._patiently("POST", url, body, headers)
        self.book.answer_seconds.append(time.perf_counter() - start)
        if status != 200:
            self.book.n_errors += 1
            raise AssertionError(f"{self._name}: answer refused with {status}: {text[:300]}")
        reply = json.loads(text)
        assert reply["saved"] is True
        self.book.answers[assignment, item] = reply["value"]
        if self._on_answer is not None:
            self._on_answer()

    def _twin(self) -> "HttpRater":
        """The same browser in another window."""
        twin = HttpRater(self._ports, self._slug, self._name, deadline=self._deadline)
        twin._cookies = dict(self._cookies)
        return twin

    def _note_codes(self, page: Page) -> None:
        if page.path.endswith("/complete/"):
            self.book.codes.update(CODE.findall(page.text))

    def _get(self, path: str) -> Page:
        return self._follow("GET", path, None, {})

    def _post(self, page: Page, form: dict[str, str], path: str = "") -> Page:
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": self._token(page), **form})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._follow("POST", html.unescape(path) or page.path, body, headers)

    def _token(self, page: Page) -> str:
        found = FORM_TOKEN.search(page.text)
        assert found is not None, f"{self._name}: no form at {page.path} ({page.status})"
        return found.group(1)

    def _follow(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        for _ in range(10):
            start = time.perf_counter()
            status, location, text = self._patiently(method, path, body, headers)
            self.book.page_seconds.append(time.perf_counter() - start)
            if status not in {301, 302, 303}:
                if status >= 400:
                    self.book.n_errors += 1
                    raise AssertionError(f"{self._name}: {method} {path}: {status} {text[:300]}")
                return Page(status, path, text)
            method, body, headers = "GET", None, {}
            path = urllib.parse.urlsplit(location).path
        raise AssertionError(f"{self._name} is sent in circles, last to {path}")

    def _patiently(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        """Send a request until a server answers it."""
        while True:
            try:
                return self._once(method, path, body, headers)
            except BROKEN as error:
                self.book.n_retries += 1
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                if time.monotonic() > self._deadline:
                    raise AssertionError(
                        f"{self._name}: no server answers {path}: {error!r}"
                    ) from error
                self._port = self._chance.choice(self._ports)
                time.sleep(0.2)

    def _once(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=180)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request(method, path, body, {**headers, "Cookie": cookies})
        response = self._connection.getresponse()
        text = response.read().decode()
        if COUNT_HEADER in response.headers:
            kind = "answer" if method == "POST" and path.endswith("/ratings/") else "page"
            self.book.queries[kind, int(response.headers[COUNT_HEADER])] += 1
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.split(";")[0].partition("=")
            self._cookies[name] = value
        if response.will_close:
            self._connection.close()
            self._connection = None
        return response.status, response.headers.get("Location", ""), text
