"""Channels: what may be set, what is refused, and the codes of outcomes."""

import pytest

from annotation.exceptions import InvalidInput, StudyStateError
from annotation.models import CODED_OUTCOMES, Channel, Outcome, Recruitment, Study, StudyEvent
from annotation.services.recruitments import outcome_codes_set, recruitment_set
from annotation.services.studies import study_close
from tests.annotation.factories import make_study

pytestmark = pytest.mark.django_db

PANEL = {"id_parameter": "pid", "reward_minor": 100, "places": 4}


@pytest.fixture
def study() -> Study:
    return make_study(launched=False, n_inputs=12, inputs_per_pair=5)


def put(study: Study, channel: str = "panel", **fields) -> Recruitment:
    return recruitment_set(study=study, channel=channel, actor=study.owner, **fields)


def test_a_channel_is_made_once_and_changed(study) -> None:
    row = put(study, **PANEL)
    assert put(study, places=9) == row
    row.refresh_from_db()
    assert (row.places, row.reward_minor) == (9, 100)
    events = StudyEvent.objects.filter(action="recruitment set")
    assert [event.details.get("places") for event in events] == ["4", "9"]
    put(study, places=9)  # as it was
    assert events.count() == 2


def test_panels_get_a_code_for_every_outcome(study) -> None:
    row = put(study, **PANEL)
    codes = dict(row.codes.values_list("outcome", "code"))
    assert set(codes) == set(CODED_OUTCOMES)
    assert len(set(codes.values())) == len(codes)
    put(study, places=1)
    assert dict(row.codes.values_list("outcome", "code")) == codes
    assert not put(study, "direct", places=5).codes.exists()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id_parameter": ""}, "id_parameter"),
        ({"id_parameter": "a b"}, "id_parameter"),
        ({"id_parameter": "back"}, "id_parameter"),
        ({"submission_parameter": "pid"}, "submission_parameter"),
        ({"completion_url": "javascript:alert(1)"}, "completion_url"),
        ({"completion_url": "https://{id}.example.org/"}, "completion_url"),
        ({"completion_url": "https://example.org/?x={secret}"}, "completion_url"),
        ({"completion_url": "https://[::1"}, "completion_url"),
        ({"reward_minor": -1}, "reward_minor"),
        ({"reward_minor": 10**6}, "reward_minor"),
        ({"reward_minor": "much"}, "reward_minor"),
        ({"fee_percent": "NaN"}, "fee_percent"),
        ({"fee_percent": 101}, "fee_percent"),
        ({"fee_percent": "x"}, "fee_percent"),
        ({"estimated_minutes": 0}, "estimated_minutes"),
        ({"places": -1}, "places"),
        ({"panel_study_id": "mine"}, "panel_study_id"),
    ],
)
def test_what_cannot_be_is_refused(study, fields, named) -> None:
    with pytest.raises(InvalidInput, match=named):
        put(study, **{**PANEL, **fields})
    assert not Recruitment.objects.filter(channel=Channel.PANEL).exists()


@pytest.mark.parametrize("channel", ["simulated", "imported", "mturk"])
def test_channels_of_the_software_are_not_set(study, channel) -> None:
    with pytest.raises(InvalidInput, match="channel"):
        put(study, channel)


def test_a_completion_url_may_carry_code_and_id(study) -> None:
    row = put(study, **PANEL, completion_url="https://panel.example.org/end?c={code}&p={id}")
    assert row.completion_url.startswith("https://panel")


def test_a_closed_study_recruits_nobody(study) -> None:
    study_close(study=study, actor=study.owner)
    with pytest.raises(StudyStateError, match="closed"):
        put(study, **PANEL)


def test_codes_are_set_and_swapped(study) -> None:
    row = put(study, **PANEL)
    outcome_codes_set(
        recruitment=row, codes={"completed": "DONE", "no_consent": "NO"}, actor=study.owner
    )
    outcome_codes_set(
        recruitment=row, codes={"completed": "NO", "no_consent": "DONE"}, actor=study.owner
    )
    codes = dict(row.codes.values_list("outcome", "code"))
    assert (codes["completed"], codes["no_consent"]) == ("NO", "DONE")
    assert len(codes) == len(CODED_OUTCOMES)


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ({"completed": "SAME", "no_consent": "SAME"}, "same code"),
        ({"completed": ""}, "is not 1 to 32"),
        ({"completed": "with space"}, "is not 1 to 32"),
        ({"completed": "x" * 33}, "is not 1 to 32"),
        ({"finished": "DONE"}, "no outcome"),
        ({Outcome.RETURNED: "BACK"}, "no outcome"),
    ],
)
def test_codes_that_cannot_be_are_refused(study, codes, text) -> None:
    row = put(study, **PANEL)
    before = dict(row.codes.values_list("outcome", "code"))
    with pytest.raises(InvalidInput, match=text):
        outcome_codes_set(recruitment=row, codes=codes, actor=study.owner)
    assert dict(row.codes.values_list("outcome", "code")) == before


def test_what_prolific_knows_stays(study) -> None:
    row = put(study, "prolific", reward_minor=150, places=3)
    Recruitment.objects.filter(pk=row.pk).update(panel_study_id="there")
    row.refresh_from_db()
    with pytest.raises(StudyStateError, match="given to Prolific"):
        outcome_codes_set(recruitment=row, codes={"completed": "DONE"}, actor=study.owner)
    with pytest.raises(StudyStateError, match="places"):
        put(study, "prolific", places=4)
    assert put(study, "prolific", active=False).active is False
