"""Simulated raters: each has error rates of its own, and rates through the web app's pages.

They see what a person sees: they fetch the pages, read the question and the items off the HTML, and
send the forms with their CSRF tokens. Nothing is written to the database from here.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import numpy.typing as npt
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from annotation.models import Study
from estimation.simulation import SimulatedRater

#: Every this many raters one answers item by item, as the page's script does; the others send the
#: whole form, as a browser without JavaScript does.
SCRIPTED_EVERY = 8
CANNOT_TELL_RATE = 0.01


class DemoError(RuntimeError):
    """The web app answered a simulated rater with something that a rater should never see."""


@dataclass
class RaterPage:
    """What a rater reads off a page.

    Attributes
    ----------
    token : str
        CSRF token of its forms.
    concept : str
        The concept asked about; empty on pages without a task.
    action, save_url : str
        Where the task's form and its single answers go.
    items : list of (str, str)
        Item id and image id, in the order shown.
    """

    token: str = ""
    concept: str = ""
    action: str = ""
    save_url: str = ""
    items: list[tuple[str, str]] = field(default_factory=list)


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = RaterPage()
        self._in_question = False
        self._in_concept = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if attributes.get("id") == "question":
            self._in_question = True
        elif tag == "strong":
            self._in_concept = self._in_question
        elif tag == "form" and "data-save-url" in attributes:
            self.page.action = attributes["action"]
            self.page.save_url = attributes["data-save-url"]
        elif tag == "input" and attributes.get("name") == "csrfmiddlewaretoken":
            self.page.token = attributes["value"]
        elif tag == "fieldset" and "data-item" in attributes:
            self.page.items.append((attributes["data-item"], attributes["data-image"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "strong":
            self._in_concept = False
        elif tag == "h1":
            self._in_question = False

    def handle_data(self, data: str) -> None:
        if self._in_concept:
            self.page.concept += data


def read_page(html: str) -> RaterPage:
    """Read a rater page.

    Parameters
    ----------
    html : str

    Returns
    -------
    RaterPage
    """
    reader = _PageReader()
    reader.feed(html)
    reader.close()
    return reader.page


class WebRater:
    """One simulated rater in a browser of their own.

    Parameters
    ----------
    rater : SimulatedRater
        Who it is, and how often they err.
    truth : mapping of str to ndarray, shape (n_inputs,), bool
        By concept text, what a perfect rater would see.
    row_of_image : mapping of str to int
        By image id, the row of the input: the simulated eye.
    scripted : bool
        Save item by item before submitting, as the page's script does.
    seed : int
        Of the answers.
    """

    def __init__(
        self,
        rater: SimulatedRater,
        *,
        truth: Mapping[str, npt.NDArray[np.bool_]],
        row_of_image: Mapping[str, int],
        scripted: bool,
        seed: int,
    ) -> None:
        self.rater = rater
        self._truth = truth
        self._row_of_image = row_of_image
        self._scripted = scripted
        self._rng = np.random.default_rng(seed)
        self._client = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")

    def work(self, study: Study, *, max_tasks: int) -> Iterator[int]:
        """Consent, read the instructions, rate tasks, and collect the completion code.

        Parameters
        ----------
        study : Study
        max_tasks : int
            After this many tasks the rater has had enough.

        Yields
        ------
        int
            Ratings given in the task just submitted.

        Raises
        ------
        DemoError
            When a page is not what a rater should see.
        """
        entry = reverse("rater:entry", args=[study.slug])
        self._send(entry, self._open(entry), consent="yes", simulated_rater=self.rater.name)
        instructions = reverse("rater:instructions", args=[study.slug])
        self._send(instructions, self._open(instructions))
        done = 0
        while done < max_tasks:
            page = self._open(reverse("rater:task", args=[study.slug]))
            if not page.items:
                break
            self._rate(page)
            done += 1
            yield len(page.items)
        if done:
            stop = reverse("rater:stop", args=[study.slug])
            page = self._open(stop)
            if page.token:  # else there is no form: the code came with the last task
                self._send(stop, page)

    def _rate(self, page: RaterPage) -> None:
        rows = [self._row_of_image[image] for _, image in page.items]
        present = self.rater.rate(self._truth[page.concept][rows], self._rng)
        unsure = self._rng.random(len(rows)) < CANNOT_TELL_RATE
        values = [
            "cannot_tell" if doubt else "present" if seen else "absent"
            for seen, doubt in zip(present, unsure, strict=True)
        ]
        answers = {item: value for (item, _), value in zip(page.items, values, strict=True)}
        if self._scripted:
            for item, value in answers.items():
                self._save(page, item, value)
        self._send(page.action, page, **{f"item-{item}": value for item, value in answers.items()})

    def _save(self, page: RaterPage, item: str, value: str) -> None:
        response = self._client.post(
            page.save_url,
            json.dumps(
                {
                    "item": item,
                    "value": value,
                    "client_id": str(uuid.UUID(bytes=self._rng.bytes(16), version=4)),
                    "response_ms": int(self._rng.lognormal(7.2, 0.5)),
                }
            ),
            content_type="application/json",
            headers={"x-csrftoken": page.token},
        )
        self._require(response, page.save_url, (200,))

    def _open(self, url: str) -> RaterPage:
        response = self._client.get(url, follow=True)
        self._require(response, url, (200,))
        return read_page(response.content.decode())

    def _send(self, url: str, page: RaterPage, **fields: str) -> None:
        response = self._client.post(url, {"csrfmiddlewaretoken": page.token, **fields})
        self._require(response, url, (302, 303))

    def _require(self, response: HttpResponseBase, url: str, expected: tuple[int, ...]) -> None:
        if response.status_code not in expected:
            raise DemoError(
                f"{self.rater.name} got status {response.status_code} from {url}, "
                f"expected {' or '.join(map(str, expected))}."
            )


def rate_study(
    study: Study,
    raters: Sequence[SimulatedRater],
    *,
    truth: Mapping[str, npt.NDArray[np.bool_]],
    max_tasks: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Let simulated raters work on a study until its redundancy is reached.

    Parameters
    ----------
    study : Study
        Open to raters.
    raters : sequence of SimulatedRater
        They come one after the other; those who find nothing left to rate leave at once.
    truth : mapping of str to ndarray, shape (n_inputs,), bool
        By concept text.
    max_tasks : int
        Tasks that one rater does.
    seed : int
    progress : callable, optional
        Called with the number of ratings of every submitted task.

    Returns
    -------
    int
        Ratings given.

    Raises
    ------
    DemoError
        When the web app misbehaves.
    """
    row_of_image = {
        str(public_id): index
        for public_id, index in study.dataset.inputs.values_list("public_id", "index")
    }
    total = 0
    for number, rater in enumerate(raters):
        web_rater = WebRater(
            rater,
            truth=truth,
            row_of_image=row_of_image,
            scripted=number % SCRIPTED_EVERY == 0,
            seed=seed + number,
        )
        given = 0
        for n_ratings in web_rater.work(study, max_tasks=max_tasks):
            given += n_ratings
            if progress is not None:
                progress(n_ratings)
        if not given:
            break
        total += given
    return total
