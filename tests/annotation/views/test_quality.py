"""The pages of a study's quality: what they show, what they do, who may."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import (
    Exclusion,
    GoldAnswer,
    Participation,
    QualityPolicy,
    Rater,
    RaterDeletion,
    Review,
    Study,
    StudyMember,
)
from annotation.queries.quality import participations_found, raters_quality, study_agreement
from annotation.services.exclusions import exclusion_make
from annotation.services.reviews import review_report
from tests.annotation.factories import make_participation, make_study, make_user, truthful
from tests.annotation.factories_quality import make_gold_study, rate_tasks, wrong

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(client) -> Study:
    made = make_gold_study(redundancy=2)
    client.force_login(made.owner)
    return made


@pytest.fixture
def draft(client) -> Study:
    made = make_gold_study(launched=False)
    client.force_login(made.owner)
    return made


@pytest.fixture
def raters(study: Study) -> list[Participation]:
    """One who is right, one who is wrong, in all tasks."""
    answers = (truthful(study), wrong(study))
    found = [make_participation(study) for _ in answers]
    for participation, answer in zip(found, answers, strict=True):
        rate_tasks(participation, answer, 100)
    return found


def url(name: str, study: Study, *args: object) -> str:
    return reverse(f"researcher:{name}", args=[study.slug, *args])


# --- statistics --------------------------------------------------------------------------------


def test_what_the_answers_show(study: Study, raters: list[Participation]) -> None:
    careful, careless = raters_quality(raters)
    n_gold = study.items.exclude(gold_value="").count()
    assert (careful.gold.k, careful.gold.n) == (n_gold, n_gold)
    assert (careless.gold.k, careless.gold.n) == (0, n_gold)
    assert (careful.sensitivity.value, careful.specificity.value) == (1.0, 1.0)
    assert (careless.sensitivity.value, careless.specificity.value) == (0.0, 0.0)
    assert careful.sensitivity.n == careful.specificity.n == n_gold / 2
    assert careful.sensitivity.lower < 1.0 == careful.sensitivity.upper
    # the same tasks, contrary answers: no item agrees with the other's
    assert careful.agreement.k == 0 < careful.agreement.n
    assert careful.n_tasks == study.tasks.count()
    assert careful.n_ratings == careful.agreement.n
    assert study_agreement(study).overall.alpha < 0


def test_cannot_tell_on_gold_is_not_right_and_no_part_of_sensitivity(study: Study) -> None:
    participation = make_participation(study)
    rate_tasks(participation, "cannot_tell")
    (row,) = raters_quality([participation])
    assert (row.gold.k, row.gold.n) == (0, 2)
    assert row.sensitivity.n == row.specificity.n == row.agreement.n == 0
    assert row.n_cannot_tell == row.n_ratings == row.longest_run - 2


def test_the_numbers_of_an_excluded_rater_stay(study: Study, raters: list[Participation]) -> None:
    before = raters_quality(raters)[1]
    exclusion_make(participation=raters[1], reason="gold", actor=study.owner)
    after = raters_quality(raters)[1]
    assert (after.gold, after.n_tasks, after.state) == (before.gold, before.n_tasks, "excluded")
    # and what is excluded is nobody's majority
    assert raters_quality(raters)[0].agreement.n == 0
    assert study_agreement(study).overall.n_items == 0


def test_statistics_cost_a_constant_number_of_queries(
    study: Study, django_assert_max_num_queries
) -> None:
    for _ in range(4):
        rate_tasks(make_participation(study), "absent")
    found = list(participations_found(study))
    with django_assert_max_num_queries(6):
        assert len(raters_quality(found)) == 4


def test_raters_are_found_by_state_and_id(study: Study, raters: list[Participation]) -> None:
    careful, careless = raters
    review_report(participation=careful, actor=study.owner, note="Look.")
    exclusion_make(participation=careless, reason="gold", actor=study.owner)
    assert list(participations_found(study, narrowed="review")) == [careful]
    assert list(participations_found(study, narrowed="excluded")) == [careless]
    assert list(participations_found(study, narrowed="failed")) == []
    start = str(careful.rater.public_id)[:5]
    assert list(participations_found(study, words=start)) == [careful]
    assert list(participations_found(study, words="nobody")) == []


# --- pages -------------------------------------------------------------------------------------


def test_the_overview_shows_raters_queue_and_agreement(
    client, study: Study, raters: list[Participation]
) -> None:
    review_report(participation=raters[1], actor=study.owner, note="<b>Look</b>")
    text = client.get(url("study_quality", study)).content.decode()
    for participation in raters:
        assert str(participation.rater.public_id)[:8] in text
    assert "&lt;b&gt;Look&lt;/b&gt;" in text
    narrowed = client.get(url("study_quality", study), {"show": "review"}).content.decode()
    assert str(raters[0].public_id) not in narrowed
    assert str(raters[1].public_id) in narrowed


def test_a_draft_shows_its_rules(client, draft: Study) -> None:
    assert client.get(url("study_quality", draft)).url == url("quality_policy", draft)
    assert client.get(url("quality_policy", draft)).status_code == 200


def test_a_decision(client, study: Study, raters: list[Participation]) -> None:
    review = review_report(participation=raters[1], actor=study.owner, note="Look.")
    address = url("quality_decide", study, review.pk)
    client.post(address, {"decision": "perhaps"})
    review.refresh_from_db()
    assert review.decision == ""
    back = str(raters[1].public_id)
    reply = client.post(address, {"decision": "exclude", "note": "Yes.", "back": back})
    assert reply.url == url("quality_rater", study, back)
    assert Exclusion.objects.get().participation == raters[1]
    assert client.post(address, {"decision": "keep"}).url == url("study_quality", study)
    assert Review.objects.get().decision == "exclude"


def test_another_studys_review_is_not_there(client, study: Study) -> None:
    other = make_gold_study()
    review = review_report(participation=make_participation(other), actor=other.owner, note="Look.")
    address = url("quality_decide", study, review.pk)
    assert client.post(address, {"decision": "keep"}).status_code == 404


def test_the_raters_page_excludes_lifts_and_reports(
    client, study: Study, raters: list[Participation]
) -> None:
    pk = raters[1].public_id
    page = url("quality_rater", study, pk)
    text = client.get(page).content.decode()
    assert "Answers to gold items" in text
    assert client.post(url("quality_report", study, pk), {"note": "Saw it."}).url == page
    assert Review.objects.get().reason == "reported"
    client.post(url("quality_exclude", study, pk), {"reason": "nonsense"})
    assert not Exclusion.objects.exists()
    client.post(url("quality_exclude", study, pk), {"reason": "gold", "note": "Guessed."})
    assert "Guessed." in client.get(page).content.decode()
    lifted = client.post(url("quality_lift", study, pk), follow=True).content.decode()
    assert f"{study.tasks.count()} tasks count again" in lifted
    assert (
        "not excluded" in client.post(url("quality_lift", study, pk), follow=True).content.decode()
    )


def test_a_raters_data_is_deleted_after_typing_the_id(
    client, study: Study, raters: list[Participation]
) -> None:
    rater = raters[0].rater
    page = url("quality_rater_delete", study, raters[0].public_id)
    assert client.get(page).status_code == 200
    assert client.post(page, {"typed": "nobody"}).status_code == 422
    assert Rater.objects.filter(pk=rater.pk).exists()
    reply = client.post(page, {"typed": str(rater.public_id)[:8], "note": "E-mail."})
    assert reply.url == url("study_quality", study)
    assert RaterDeletion.objects.get().note == "E-mail."
    assert client.get(page).status_code == 404


def test_a_rater_of_others_studies_is_deleted_by_staff_alone(client, study: Study) -> None:
    participation = make_participation(study, "both")
    make_participation(make_gold_study(), "both")
    page = url("quality_rater_delete", study, participation.public_id)
    assert client.get(page).status_code == 403
    client.force_login(make_user(is_staff=True))
    assert client.get(page).status_code == 200


def test_rules_are_changed(client, draft: Study) -> None:
    page = url("quality_policy", draft)
    form = client.get(page).context["form"]
    values = {
        name: value for name, value in form.initial.items() if name != "study" and value is not None
    }
    values["bundle_concepts"] = ""
    reply = client.post(page, {**values, "tasks_per_rater": "4", "attention_checks": "2"})
    assert reply.status_code == 302
    policy = QualityPolicy.objects.get(study=draft)
    assert (policy.tasks_per_rater, policy.attention_checks, policy.bundle_concepts) == (
        4,
        2,
        False,
    )
    refused = client.post(page, {**values, "items_per_concept": "2"})
    assert refused.status_code == 422
    assert "nobody could get" in refused.content.decode()


def test_rules_say_that_the_training_lacks_items(client, draft: Study) -> None:
    page = url("quality_policy", draft)
    assert "The training lacks items" not in client.get(page).content.decode()
    QualityPolicy.objects.filter(study=draft).update(training_items=3, training_pass_mark=2)
    html = client.get(page).content.decode()
    assert "The training lacks items" in html
    assert "3 training items asked for, 0 there. Raters would not be trained at all." in html
    assert "Add 3 known answers for training" in html


def test_rules_of_a_launched_study_stay_but_for_those_that_say_who_is_looked_at(
    client, study: Study
) -> None:
    page = url("quality_policy", study)
    text = client.get(page).content.decode()
    assert 'name="gold_per_task"' in text
    client.post(
        page,
        {
            "gold_per_task": "9",
            "gold_minimum_answers": "6",
            "minimum_response_ms": "250",
            "straight_line_items": "30",
        },
    )
    policy = QualityPolicy.objects.get(study=study)
    assert (policy.gold_per_task, policy.straight_line_items) == (2, 30)


def test_a_file_of_known_answers(client, draft: Study) -> None:
    GoldAnswer.objects.all().delete()
    page = url("quality_gold_add", draft)
    good = SimpleUploadedFile("gold.csv", b"concept,input,value\nconcept 0,3,present\n")
    assert client.post(page, {"file": good}).url == url("quality_gold", draft)
    assert GoldAnswer.objects.get().probe_input.index == 3
    for content in (b"concept,input,value\nconcept 9,3,present\n", b"\x89PNG\r\n\x1a\n", b""):
        reply = client.post(page, {"file": SimpleUploadedFile("gold.csv", content)})
        assert reply.status_code == 422
    assert client.post(page, {}).status_code == 422
    assert GoldAnswer.objects.count() == 1


def test_suggestions_are_added_as_a_person_confirms_them(client, draft: Study) -> None:
    GoldAnswer.objects.all().delete()
    page = url("quality_gold_suggest", draft)
    query = {"source": "prior", "n_each": "2", "use": "training"}
    shown = client.get(page, query)
    assert shown.status_code == 200
    assert not GoldAnswer.objects.exists()
    (first, *_), (other, *_) = (group["rows"] for group in shown.context["concepts"])
    reply = client.post(
        page,
        {
            "use": "training",
            f"answer-{first['key']}": "absent",  # the person disagrees with the prior
            f"feedback-{first['key']}": "No tail.",
            f"answer-{other['key']}": "",
            "answer-9-9-9": "present",
            "answer-x-1": "present",
            "answer-999999-1": "present",
        },
    )
    assert reply.url == url("quality_gold", draft)
    added = GoldAnswer.objects.get()
    assert (added.value, added.use, added.feedback) == ("absent", "training", "No tail.")
    client.post(page, {"use": "training"})
    assert GoldAnswer.objects.count() == 1


def test_bad_wishes_for_suggestions_lead_back(client, draft: Study) -> None:
    page = url("quality_gold_suggest", draft)
    for query in ({}, {"source": "prior", "n_each": "0", "use": "hidden"}):
        assert client.get(page, query).url == url("quality_gold", draft)


def test_known_answers_are_removed(client, draft: Study) -> None:
    n = GoldAnswer.objects.count()
    row = GoldAnswer.objects.first()
    page = url("quality_gold_remove", draft)
    client.post(page, {"answer": [row.pk]})
    assert GoldAnswer.objects.count() == n - 1
    client.post(page, {"answer": ["x", "99999"]})
    client.post(page)
    assert GoldAnswer.objects.count() == n - 1


def test_a_viewer_looks_and_changes_nothing(
    client, study: Study, raters: list[Participation]
) -> None:
    viewer = make_user()
    StudyMember.objects.create(study=study, user=viewer, role="viewer")
    client.force_login(viewer)
    review = review_report(participation=raters[1], actor=study.owner, note="Look.")
    pk = raters[1].public_id
    for address in (
        url("study_quality", study),
        url("quality_policy", study),
        url("quality_gold", study),
        url("quality_rater", study, pk),
    ):
        reply = client.get(address)
        assert reply.status_code == 200
        assert 'method="post" action="/studies' not in reply.content.decode()
    for address in (
        url("quality_policy", study),
        url("quality_decide", study, review.pk),
        url("quality_exclude", study, pk),
        url("quality_lift", study, pk),
        url("quality_report", study, pk),
        url("quality_rater_delete", study, pk),
        url("quality_gold_add", study),
        url("quality_gold_remove", study),
        url("quality_gold_suggest", study),
    ):
        assert client.post(address).status_code == 403
    client.force_login(make_user())
    assert client.get(url("study_quality", study)).status_code == 404


def test_texts_are_shown_as_texts(client) -> None:
    from annotation.models import ProbeInput

    study = make_study(launched=False)
    client.force_login(study.owner)
    ProbeInput.objects.filter(dataset=study.dataset, index=3).update(
        file="", text="a <i>cat</i> sat", highlight_start=2, highlight_end=5
    )
    GoldAnswer.objects.create(
        study=study,
        concept=study.reference.columns.first().concept,
        probe_input=study.dataset.inputs.get(index=3),
        value="present",
    )
    text = client.get(url("quality_gold", study)).content.decode()
    assert "<mark>&lt;i&gt;</mark>cat&lt;/i&gt; sat" in text
