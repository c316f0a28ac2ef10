"""Studies at a fake Prolific, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import override_settings

from annotation.models import Channel, Participation, Recruitment
from annotation.recruitment.fake import FakeProlific, FakeServer
from annotation.recruitment.fake.rows import FakeSubmission
from annotation.recruitment.fake.state import WORKSPACE
from annotation.recruitment.signature import keys_forget
from annotation.services.assignments import assignment_lease
from annotation.services.credentials import credential_save, credential_use
from annotation.services.prolific import prolific_draft_create, prolific_publish
from annotation.services.raters import (
    consent_give,
    instructions_confirm,
    participation_complete,
    rater_arrive,
)
from annotation.services.recruitments import recruitment_set
from annotation.services.submissions import submission_record
from tests.annotation.factories import make_study, rate_task

ENTRY = "https://jury.example.org/r/tigers/"


@cache
def _key() -> rsa.RSAPrivateKey:
    """One for all tests: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def fake_prolific() -> Iterator[FakeServer]:
    """A fake Prolific on a thread, which the settings point at."""
    with FakeServer(FakeProlific(key=_key())) as server:
        keys_forget()
        with override_settings(
            NEURONJURY_PROLIFIC_URL=server.api_url, NEURONJURY_PROLIFIC_JWKS_URL=server.jwks_url
        ):
            yield server
        keys_forget()


def make_recruitment(
    *, places: int = 3, reward_minor: int = 150, cap: int | None = 100_000, **study: Any
) -> Recruitment:
    """Prolific's channel of a launched study: 1.50 for ten minutes, a third on top."""
    small = {"n_inputs": 12, "inputs_per_pair": 5, "items_per_task": 4}
    made = make_study(spending_cap_minor=cap, **{**small, **study})
    row = recruitment_set(
        study=made,
        channel=Channel.PROLIFIC,
        actor=made.owner,
        places=places,
        reward_minor=reward_minor,
        fee_percent="33.33",
        estimated_minutes=10,
    )
    credential = credential_save(
        owner=made.owner, name="mine", token="fake-token", workspace_id=WORKSPACE
    )
    return credential_use(recruitment=row, credential=credential, actor=made.owner)


def make_published(server: FakeServer, **options: Any) -> Recruitment:
    """A study that is published at the fake."""
    row = make_recruitment(**options)
    assert server.api_url
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    prolific_publish(recruitment=row, actor=row.study.owner)
    return row


def arrive(row: Recruitment, submission: FakeSubmission) -> Participation:
    """The rater of a submission arrives here, and is ready to rate."""
    participation = rater_arrive(
        study=row.study, channel=Channel.PROLIFIC, external_id=submission.participant
    )
    submission_record(recruitment=row, submission_id=submission.id, participation=participation)
    consent_give(participation=participation)
    instructions_confirm(participation=participation)
    return participation


def complete(row: Recruitment, participation: Participation) -> str:
    """The rater does one task and gets the code."""
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    rate_task(assignment, "present")
    return participation_complete(participation=participation).completion_code
