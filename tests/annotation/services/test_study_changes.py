"""Editing, copying, sharing and deleting studies: what the database and the log hold afterwards."""

import pytest
from django.db import connection

from annotation.exceptions import (
    DeletionRefused,
    InvalidInput,
    StudyStateError,
    UnknownConcept,
)
from annotation.models import (
    Assignment,
    Channel,
    ConceptMatrix,
    Item,
    LedgerEntry,
    LedgerKind,
    Participation,
    QualityPolicy,
    Rating,
    Role,
    ScreeningQuestion,
    Study,
    StudyDeletion,
    StudyMember,
    StudyStatus,
)
from annotation.permissions import may_change, studies_visible
from annotation.services.datasets import concept_matrix_register
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.members import member_remove, member_set
from annotation.services.studies import study_close, study_launch
from annotation.services.study_changes import study_update
from annotation.services.study_copies import study_clone, study_delete
from tests.annotation.factories import make_dataset, make_study, make_user, rate_study

pytestmark = pytest.mark.django_db


def last_event(study: Study):
    return study.events.order_by("-at", "-id").first()


def test_everything_of_a_draft_may_change() -> None:
    study = make_study(launched=False)
    study_update(
        study=study,
        actor=study.owner,
        slug="new-name",
        title="Another title",
        redundancy=5,
        sampling_design="uniform",
        sampling_parameters={"replacement": False},
        reference=None,
        spending_cap_minor=5000,
    )
    row = Study.objects.get(slug="new-name")
    assert (row.redundancy, row.sampling_design, row.reference) == (5, "uniform", None)
    event = last_event(row)
    assert event.action == "changed"
    assert event.details["redundancy"] == [3, 5]
    assert event.details["spending_cap_minor"] == [None, 5000]


def test_saving_what_was_there_is_no_change() -> None:
    study = make_study(launched=False)
    n_events = study.events.count()
    study_update(study=study, actor=study.owner, title=study.title, redundancy=study.redundancy)
    assert study.events.count() == n_events


@pytest.mark.parametrize(
    ("field", "value"),
    [("question", "Is it red?"), ("redundancy", 9), ("seed", 4), ("sampling_design", "uniform")],
)
def test_what_was_asked_of_raters_stays(field: str, value: object) -> None:
    study = make_study()
    with pytest.raises(StudyStateError, match=f"{field}: .* clone the study"):
        study_update(study=study, actor=study.owner, **{field: value})
    study.refresh_from_db()
    assert getattr(study, field) != value


def test_a_launched_study_takes_what_is_safe() -> None:
    study = make_study(rating_budget=1000, spending_cap_minor=100)
    study_update(
        study=study, actor=study.owner, title="New", rating_budget=2000, spending_cap_minor=200
    )
    study.refresh_from_db()
    assert (study.title, study.rating_budget, study.spending_cap_minor) == ("New", 2000, 200)
    for lowered in ({"rating_budget": 10}, {"spending_cap_minor": 1}, {"spending_cap_minor": None}):
        with pytest.raises(InvalidInput, match="is less than the present"):
            study_update(study=study, actor=study.owner, **lowered)
    study_close(study=study, actor=study.owner)
    with pytest.raises(StudyStateError):
        study_update(study=study, actor=study.owner, rating_budget=3000)
    study_update(study=study, actor=study.owner, debrief="Thank you.")


def test_a_new_consent_text_has_a_new_version() -> None:
    study = make_study(consent_text="Old.", consent_version="7")
    row = study_update(study=study, actor=study.owner, consent_text="Quite another text.")
    assert row.consent_version == "8"
    row = study_update(
        study=study, actor=study.owner, consent_text="Once more.", consent_version="2026-11"
    )
    assert row.consent_version == "2026-11"
    row = study_update(study=study, actor=study.owner, consent_text="And again.")
    assert row.consent_version == "2026-11-2"
    details = last_event(study).details
    assert details["consent_text"] == "10 characters before, 10 now"
    assert "again" not in str(details)


def test_the_dataset_stays_with_its_explanations() -> None:
    study = make_study(launched=False)
    other = make_dataset(5)
    with pytest.raises(InvalidInput, match="dataset: the study has explanations"):
        study_update(study=study, actor=study.owner, dataset=other)
    poor = concept_matrix_register(
        dataset=study.dataset, name="poor", role="prior", concepts=["x"], values=[[0.5]] * 40
    )
    with pytest.raises(UnknownConcept, match=r"has no column for 'concept [01]'"):
        study_update(study=study, actor=study.owner, concept_prior=poor)
    foreign = concept_matrix_register(
        dataset=other, name="p", role="prior", concepts=["x"], values=[[0.5]] * 5
    )
    with pytest.raises((InvalidInput, UnknownConcept)):
        study_update(study=study, actor=study.owner, concept_prior=foreign)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slug": "new"}, "slug: 'new' is a page of this site"),
        ({"slug": "Not a slug"}, "slug:"),
        ({"redundancy": 0}, "redundancy:"),
        ({"sampling_parameters": [1]}, "sampling_parameters: expected names"),
        ({"titel": "x"}, "titel: a study has no such field"),
        ({"contact": "nobody"}, "contact:"),
    ],
)
def test_bad_values_are_named(fields: dict, message: str) -> None:
    study = make_study(launched=False)
    with pytest.raises(InvalidInput, match=message):
        study_update(study=study, actor=study.owner, **fields)


def test_studies_exclude_each_other_never_themselves() -> None:
    study, other = make_study(launched=False), make_study()
    study_update(study=study, actor=study.owner, excluded_studies=[other])
    assert list(study.excluded_studies.all()) == [other]
    with pytest.raises(InvalidInput, match="its own raters"):
        study_update(study=study, actor=study.owner, excluded_studies=[study])


def test_a_clone_is_a_draft_that_draws_the_same() -> None:
    study = make_study(title="First")
    rate_study(study, max_tasks=2)
    QualityPolicy.objects.filter(study=study).update(tasks_per_rater=7)
    ScreeningQuestion.objects.create(
        study=study, position=1, text="?", choices=["a", "b"], accepted=["a"]
    )
    cloner = make_user()
    clone = study_clone(study=study, slug="again", title="Second", actor=cloner)
    assert (clone.status, clone.owner, clone.launched_at) == (StudyStatus.DRAFT, cloner, None)
    assert clone.quality_policy.tasks_per_rater == 7
    assert clone.screening_questions.get().accepted == ["a"]
    assert list(clone.recruitments.values_list("channel", flat=True)) == [Channel.DIRECT]
    assert not clone.participations.exists()
    assert last_event(clone).details["clone_of"] == study.slug

    def drawn(row: Study) -> list:
        return list(
            row.items.order_by("task__number", "position").values_list(
                "concept", "probe_input", "n_draws"
            )
        )

    study_launch(study=clone, actor=cloner)
    assert drawn(clone) == drawn(study)
    with pytest.raises(InvalidInput, match="slug"):
        study_clone(study=study, slug="again", title="Third", actor=cloner)


def test_cloning_costs_the_same_however_many_explanations(django_assert_max_num_queries) -> None:
    study = make_study(n_neurons=40, launched=False)
    with django_assert_max_num_queries(75):
        clone = study_clone(study=study, slug="c", title="C", actor=study.owner)
    terms = list(study.explanations.values_list("neuron", "method__name", "terms__concept"))
    assert set(clone.explanations.values_list("neuron", "method__name", "terms__concept")) == set(
        terms
    )


def test_a_draft_goes_at_once_and_leaves_a_record() -> None:
    study = make_study(launched=False, slug="gone")
    study_delete(study=study, actor=study.owner)
    assert not Study.objects.exists()
    record = StudyDeletion.objects.get()
    assert (record.slug, record.n_ratings, record.deleted_by) == ("gone", 0, study.owner)


def test_peoples_work_goes_only_when_the_name_is_typed(
    django_capture_on_commit_callbacks,
) -> None:
    study, other = make_study(slug="precious"), make_study()
    rate_study(study, max_tasks=3)
    rate_study(other, max_tasks=1)
    run = estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    posterior = concept_matrix_register(
        dataset=study.dataset,
        name="of the run",
        role="posterior_mean",
        concepts=["concept 0"],
        values=[[0.5]] * 40,
    )
    run.posterior_mean = posterior
    run.save()
    n_ratings = Rating.objects.filter(item__study=study).count()
    with pytest.raises(DeletionRefused, match="type its name 'precious'"):
        study_delete(study=study, actor=study.owner, typed_slug="precius")
    with django_capture_on_commit_callbacks(execute=True):
        study_delete(study=study, actor=study.owner, typed_slug="precious")
    assert StudyDeletion.objects.get().n_ratings == n_ratings
    assert list(Study.objects.all()) == [other]
    for model in (Item, Participation):
        assert set(model.objects.values_list("study", flat=True)) == {other.pk}
    assert Assignment.objects.count() == 1
    assert not ConceptMatrix.objects.filter(pk=posterior.pk).exists()
    assert not posterior.absolute_path.exists()
    connection.check_constraints()


def test_a_study_with_a_ledger_stays() -> None:
    study = make_study(launched=False, slug="paid")
    LedgerEntry.objects.create(
        study=study, kind=LedgerKind.COMMITMENT, amount_minor=1, currency="GBP", key="k"
    )
    with pytest.raises(DeletionRefused, match="ledger is kept"):
        study_delete(study=study, actor=study.owner, typed_slug="paid")
    assert Study.objects.filter(pk=study.pk).exists()


def test_members_come_change_and_go_with_a_line_each() -> None:
    study, friend = make_study(launched=False), make_user("friend")
    owner = study.owner
    member_set(study=study, username=" friend ", role="viewer", actor=owner)
    assert study in studies_visible(friend)
    assert not may_change(friend, study)
    member_set(study=study, username="friend", role="viewer", actor=owner)
    member_set(study=study, username="friend", role="researcher", actor=owner)
    assert may_change(friend, study)
    member_remove(study=study, username="friend", actor=owner)
    assert study not in studies_visible(friend)
    assert not StudyMember.objects.exists()
    events = study.events.filter(action__startswith="member").values_list("action", "details")
    assert list(events) == [
        ("member added", {"user": "friend", "role": "viewer"}),
        ("member changed", {"user": "friend", "role": ["viewer", "researcher"]}),
        ("member removed", {"user": "friend", "role": Role.RESEARCHER}),
    ]


@pytest.mark.parametrize(
    ("username", "role", "message"),
    [
        ("nobody", "viewer", "there is no account 'nobody'"),
        ("owner", "viewer", "owns the study"),
        ("friend", "king", "role: 'king' is none of"),
    ],
)
def test_bad_members_are_named(username: str, role: str, message: str) -> None:
    study = make_study(launched=False, owner=make_user("owner"))
    make_user("friend")
    with pytest.raises(InvalidInput, match=message):
        member_set(study=study, username=username, role=role, actor=study.owner)
    with pytest.raises(InvalidInput, match="is no member"):
        member_remove(study=study, username="friend", actor=study.owner)
