"""The researcher's pages: who may see them, what they show, what their buttons do."""

import csv
import io
import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.exports import TABLES
from annotation.models import Aggregation, EstimateRun, RunStatus, Study, StudyStatus
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import (
    make_study,
    make_user,
    rate_study,
)

pytestmark = pytest.mark.django_db

PAGES = ("study", "study_live", "ratings_csv", "draws_csv", "estimates_csv", "estimates_json")


@pytest.fixture
def study() -> Study:
    return make_study(title="Neurons <of> a net", n_inputs=60)


@pytest.fixture
def owner(client: Client, study: Study) -> Client:
    client.force_login(study.owner)
    return client


def estimate(study: Study, aggregation: str = Aggregation.BRAGG) -> EstimateRun:
    run = estimate_run(
        run=estimate_request(study=study, aggregation=aggregation, actor=None, enqueue=False)
    )
    assert run.status == RunStatus.FINISHED, run.error
    return run


def page(client: Client, study: Study, name: str = "study", query: str = "") -> str:
    response = client.get(reverse(f"researcher:{name}", args=[study.slug]) + query)
    assert response.status_code == 200
    return response.content.decode()


def csv_rows(response) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_for_the_owner_and_staff(client: Client, study: Study, name: str) -> None:
    url = reverse(f"researcher:{name}", args=[study.slug])
    assert client.get(url).url.startswith(reverse("login"))
    client.force_login(make_user())
    assert client.get(url).status_code == 404
    rate_study(study, max_tasks=2)
    estimate(study)
    client.force_login(study.owner)
    assert client.get(url).status_code == 200
    client.force_login(make_user(is_staff=True))
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("name", ["estimate_request", "study_status"])
def test_buttons_are_for_the_owner_and_never_get(client: Client, study: Study, name: str) -> None:
    url = reverse(f"researcher:{name}", args=[study.slug])
    data = {"action": "pause", "aggregation": "bragg"}
    client.force_login(make_user())
    assert client.post(url, data).status_code == 404
    client.force_login(study.owner)
    assert client.get(url, data).status_code == 405
    study.refresh_from_db()
    assert study.status == StudyStatus.OPEN
    assert not study.estimate_runs.exists()


def test_the_list_shows_own_studies(client: Client, study: Study) -> None:
    other = make_study(title="Somebody else's")
    client.force_login(study.owner)
    html = client.get(reverse("researcher:study_list")).content.decode()
    assert "Neurons &lt;of&gt; a net" in html
    assert other.title not in html
    client.force_login(make_user())
    assert b"You have no study yet" in client.get(reverse("researcher:study_list")).content


def test_login_leads_to_the_studies(client: Client, study: Study) -> None:
    url = reverse("login")
    wrong = client.post(url, {"username": study.owner.username, "password": "wrong"})
    assert b"do not belong together" in wrong.content
    right = client.post(url, {"username": study.owner.username, "password": "password"})
    assert right.url == reverse("researcher:study_list")


def test_a_study_without_ratings_says_what_comes(owner: Client, study: Study) -> None:
    html = page(owner, study)
    assert "It starts with the first ratings." in html
    assert "Nobody has rated yet." in html
    assert "The checks come with a run that you ask for" in html
    assert f"http://testserver{reverse('rater:entry', args=[study.slug])}" in html


def test_the_leaderboard_shows_what_the_run_found(owner: Client, study: Study) -> None:
    rate_study(study)
    run = estimate(study)
    html = page(owner, study)
    best = run.method_estimates.get(rank=1)
    assert best.method.name == "Good"
    assert html.index(">Good<") < html.index(">Bad<")
    assert f"{best.mean_score:.2f} " in html
    assert f"95% interval {best.lower:.2f} to {best.upper:.2f}" in html.replace("−", "-")
    assert f"from {run.n_ratings:,} ratings" in html
    # a plot an estimate and a method, each with its diamond; two are in the legends' words
    n_plots = run.method_estimates.count() + run.estimates.count()
    assert html.count('class="interval"') == n_plots
    assert html.count("M0-7 5 0 0 7-5 0z") == n_plots
    assert "Missing Labels" in html
    assert "Extra Labels" in html
    assert "simulated rater" not in html
    assert "volunteer link" not in html
    html = page(owner, study, query="?raters=shown")
    assert html.count("volunteer link") == study.redundancy


def test_each_aggregation_has_its_own_run(owner: Client, study: Study) -> None:
    rate_study(study, max_tasks=4)
    estimate(study, Aggregation.MAJORITY)
    assert "Nothing computed yet with BRAgg" in page(owner, study)
    html = page(owner, study, query="?aggregation=majority")
    assert "aggregated by Majority vote" in html
    assert "Nothing computed yet" in page(owner, study, query="?aggregation=nonsense")


def test_explanations_are_narrowed_by_neuron_and_method(owner: Client, study: Study) -> None:
    rate_study(study)
    run = estimate(study)
    neuron = study.explanations.first().neuron
    method = run.method_estimates.get(method__name="Bad").method

    def n_rows(query: str) -> int:
        html = page(owner, study, query=query)
        return html[html.index('id="live-explanations"') :].count('class="interval"')

    assert n_rows("") == 4
    assert n_rows(f"?neuron={neuron.pk}") == 2
    assert n_rows(f"?neuron={neuron.pk}&method={method.pk}") == 1
    assert n_rows("?neuron=999999&method=x") == 4


def test_recompute_queues_one_run(owner: Client, study: Study, queued_tasks) -> None:
    rate_study(study, max_tasks=2)
    EstimateRun.objects.all().delete()
    url = reverse("researcher:estimate_request", args=[study.slug])
    for _ in range(2):
        response = owner.post(url, {"aggregation": "hierarchical"})
    assert response.url.endswith("?aggregation=hierarchical")
    run = study.estimate_runs.get()
    assert (run.status, run.requested_by) == (RunStatus.QUEUED, study.owner)
    assert "A new run, asked for" in page(owner, study, query="?aggregation=hierarchical")
    owner.post(url, {"aggregation": "guess"}, follow=True)
    assert study.estimate_runs.count() == 1


def test_a_failed_run_is_shown_with_its_reason(owner: Client, study: Study) -> None:
    rate_study(study, max_tasks=2)
    study.concept_prior.absolute_path.unlink()
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    html = page(owner, study)
    assert "The last run failed." in html
    assert study.estimate_runs.get(status=RunStatus.FAILED).error[:20] in html


def test_pause_and_resume(owner: Client, study: Study) -> None:
    url = reverse("researcher:study_status", args=[study.slug])
    assert ">Pause<" in page(owner, study)
    assert ">Resume<" in owner.post(url, {"action": "pause"}, follow=True).content.decode()
    study.refresh_from_db()
    assert study.status == StudyStatus.PAUSED
    owner.post(url, {"action": "resume"})
    study.refresh_from_db()
    assert study.status == StudyStatus.OPEN
    assert b"Choose one of" in owner.post(url, {"action": "explode"}, follow=True).content
    owner.post(url, {"action": "close"})
    refused = owner.post(url, {"action": "resume"}, follow=True).content.decode()
    assert 'class="notice error"' in refused
    study.refresh_from_db()
    assert study.status == StudyStatus.CLOSED


def test_the_live_parts_are_those_of_the_page(owner: Client, study: Study) -> None:
    rate_study(study)
    estimate(study)
    query = "?raters=shown"
    html, live = page(owner, study, query=query), page(owner, study, "study_live", query)
    ids = re.findall(r'id="(live-[a-z-]+)" data-live-part', live)
    assert ids == sorted(set(ids), key=ids.index)
    assert set(ids) == set(re.findall(r'id="(live-[a-z-]+)" data-live-part', html))
    parts = dict(
        re.findall(
            r'<(?:div|span) id="(live-[a-z-]+)" data-live-part>(.*?)</(?:div|span)>\n',
            live,
            re.DOTALL,
        )
    )
    assert set(parts) == set(ids)
    assert all(part in html for part in parts.values())
    assert "csrf" not in live  # a token in it would make every poll a change


def test_polling_costs_little_until_something_changes(owner: Client, study: Study) -> None:
    url = reverse("researcher:study_live", args=[study.slug])
    first = owner.get(url)
    same = owner.get(url, headers={"if-none-match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    rate_study(study, max_tasks=1)
    changed = owner.get(url, headers={"if-none-match": first["ETag"]})
    assert changed.status_code == 200
    estimate(study)
    again = owner.get(url, headers={"if-none-match": changed["ETag"]})
    assert again.status_code == 200
    assert "private" in again["Cache-Control"]


def test_exports(owner: Client, study: Study) -> None:
    rate_study(study, max_tasks=3)
    run = estimate(study)
    ratings = csv_rows(owner.get(reverse("researcher:ratings_csv", args=[study.slug])))
    assert len(ratings) == run.n_ratings
    assert {row["counted"] for row in ratings} == {"true"}
    draws = csv_rows(owner.get(reverse("researcher:draws_csv", args=[study.slug])))
    assert len(draws) == study.pair_samples.count() * study.inputs_per_pair
    response = owner.get(reverse("researcher:estimates_csv", args=[study.slug]))
    assert f'filename="{study.slug}-estimates.csv"' in response["Content-Disposition"]
    assert len(csv_rows(response)) == run.estimates.count()
    document = json.loads(
        owner.get(reverse("researcher:estimates_json", args=[study.slug])).content
    )
    assert document["run"]["n_ratings"] == run.n_ratings
    missing = reverse("researcher:estimates_csv", args=[study.slug]) + "?aggregation=hierarchical"
    assert owner.get(missing).status_code == 404


def test_raters_are_read_only_when_they_are_looked_at(owner: Client, study: Study) -> None:
    rate_study(study, max_tasks=2)

    def n_reads(query: str) -> int:
        with CaptureQueriesContext(connection) as context:
            html = page(owner, study, "study_live", query)
        assert ('aria-label="Raters"' in html) == ("raters" in query)
        return sum("ROW_NUMBER" in entry["sql"] for entry in context)

    assert (n_reads(""), n_reads("?raters=shown")) == (0, 1)
    assert "1 rater, 2 tasks handed in" in page(owner, study)
    assert '<details class="panel fold" data-live-when="raters">' in page(owner, study)
    opened = page(owner, study, query="?raters=shown")
    assert '<details class="panel fold" data-live-when="raters" open>' in opened


def test_a_page_costs_the_same_however_many_explanations(
    owner: Client,
) -> None:
    counts = []
    for n_neurons in (2, 20):
        study = make_study(n_neurons=n_neurons, owner=make_user(), inputs_per_pair=4)
        owner.force_login(study.owner)
        rate_study(study)
        run = estimate(study)
        with CaptureQueriesContext(connection) as context:
            html = page(owner, study, "study_live", "?raters=shown")
        n_rows = html[html.index('id="live-explanations"') :].count('class="interval"')
        assert n_rows == min(25, run.estimates.count())
        counts.append(len(context))
    assert counts[0] == counts[1]


def live_estimate(study: Study, aggregation: str) -> EstimateRun:
    return estimate_run(
        run=estimate_request(study=study, aggregation=aggregation, live=True, enqueue=False)
    )


def test_the_checks_outlive_the_live_runs(owner: Client, study: Study) -> None:
    rate_study(study, max_tasks=4)
    checked = estimate(study)
    said = f"with {checked.n_ratings} ratings"
    html = page(owner, study)
    assert said in html
    assert "Recompute checks again" not in html
    rate_study(study, max_tasks=2)
    newer = live_estimate(study, Aggregation.BRAGG)
    assert newer.sanity_checks == []
    html = page(owner, study)
    assert f"from {newer.n_ratings} ratings" in html
    assert "Missing Labels" in html
    assert f"From the BRAgg (closed form) run of {checked.finished_at:%-d %b %Y, %H:%M:%S}" in html
    n_newer = newer.n_ratings - checked.n_ratings
    assert n_newer > 0
    assert f"{said} · {n_newer} newer ratings not in it; Recompute checks again." in html


def test_the_page_opens_with_the_hierarchical_run_while_it_holds_all_ratings(
    owner: Client, study: Study
) -> None:
    def finished(aggregation: str, n_ratings: int) -> EstimateRun:
        now = timezone.now()
        return EstimateRun.objects.create(
            study=study,
            aggregation=aggregation,
            status=RunStatus.FINISHED,
            started_at=now,
            finished_at=now,
            n_ratings=n_ratings,
        )

    def current(html: str) -> str:
        tabs = html[html.index('class="tabs"') :]
        return re.search(r'aria-current="page">([^<]+)<', tabs).group(1)

    rate_study(study, max_tasks=2)
    live = live_estimate(study, Aggregation.BRAGG)
    html = page(owner, study)
    assert current(html) == "BRAgg"
    assert "The run of Hierarchical Bayes, the one to quote, was not made yet." in html
    assert '<button class="button" form="quoted-request">' in html
    finished(Aggregation.HIERARCHICAL, live.n_ratings)
    html = page(owner, study)
    assert current(html) == "Hierarchical Bayes"
    assert "aggregation=hierarchical" in re.search(r'data-live-url="([^"]+)"', html).group(1)
    assert "The run of Hierarchical Bayes holds all ratings" in page(
        owner, study, query="?aggregation=bragg"
    )
    rate_study(study, max_tasks=1)
    n_newer = live_estimate(study, Aggregation.BRAGG).n_ratings - live.n_ratings
    html = page(owner, study)
    assert current(html) == "BRAgg"
    assert f"<strong>{n_newer} ratings</strong> newer than the run of Hierarchical Bayes of" in html
    assert current(page(owner, study, query="?aggregation=hierarchical")) == "Hierarchical Bayes"
    EstimateRun.objects.filter(aggregation=Aggregation.BRAGG).delete()
    assert current(page(owner, study)) == "Hierarchical Bayes"  # nothing else to show


@pytest.mark.parametrize("aggregation", Aggregation.values)
def test_the_page_says_what_an_interval_covers(
    owner: Client, study: Study, aggregation: str
) -> None:
    rate_study(study, max_tasks=1)
    EstimateRun.objects.create(
        study=study,
        aggregation=aggregation,
        status=RunStatus.FINISHED,
        finished_at=timezone.now(),
    )
    html = page(owner, study, query=f"?aggregation={aggregation}")
    closed = aggregation != Aggregation.HIERARCHICAL
    votes = aggregation in {Aggregation.MAJORITY, Aggregation.MEAN}
    assert ("covers the sampling error alone" in html) == votes
    assert ("it holds the true score less often than its level says" in html) == closed
    assert ("given raters who err: the interval to quote." in html) != closed


def test_the_share_of_intervals_that_hold_the_truth_is_counted(owner: Client, study: Study) -> None:
    rate_study(study)
    run = estimate(study)
    rows = list(run.estimates.all())
    run.estimates.filter(pk=rows[0].pk).update(reference_score=rows[0].upper)
    run.estimates.filter(pk=rows[1].pk).update(reference_score=rows[1].upper + 0.001)
    run.estimates.filter(pk=rows[2].pk).update(reference_score=None)
    run.estimates.filter(pk=rows[3].pk).update(reference_score=rows[3].score)
    assert "2 of 3 intervals hold the reference score" in page(owner, study)


def test_every_table_that_there_is_stands_in_the_export_menu(owner: Client, study: Study) -> None:
    def menu() -> dict[str, str]:
        page = owner.get(reverse("researcher:study", args=[study.slug])).content.decode()
        links = page.split(">Export</summary>")[1].split("</details>")[0]
        found = re.findall(r'href="([^"]+/(\w+)(?:[.]csv|[.]json|/)[^"/]*)"', links)
        return {table: address for address, table in found}

    assert set(menu()) == set(TABLES) - {"estimates"}
    rate_study(study)
    estimate(study)
    assert set(menu()) == set(TABLES)
    for address in menu().values():
        assert owner.get(address).status_code == 200, address
