"""The whole API against its own document: whatever is sent, the answer is as promised."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.test import override_settings
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.annotation.api.test_access import World
from tests.annotation.factories_api import make_token

pytestmark = pytest.mark.slow

#: Of each operation; always the same ones.
EXAMPLES = 6
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
schema.config.phases.coverage.enabled = False


@pytest.fixture(scope="module")
def asker(django_db_setup, django_db_blocker) -> Iterator[tuple[World, str, Iterator[int]]]:
    """One world for all operations: nothing that is done to it lasts."""
    with (
        django_db_blocker.unblock(),
        override_settings(NEURONJURY_DATASET_ROOTS=[django_settings.DATA_DIR]),
        transaction.atomic(),
    ):
        world = World()
        yield world, make_token(world.study.owner)[1], itertools.count()
        transaction.set_rollback(True)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_as_promised(
    case: schemathesis.Case, asker: tuple[World, str, Iterator[int]]
) -> None:
    world, secret, counter = asker
    # three in four about things that are there
    if next(counter) % 4:
        known = {name: str(value) for name, value in world.values.items()}
        case.path_parameters = {
            name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
        }
    headers: dict[str, Any] = {"Authorization": f"Bearer {secret}"}
    with transaction.atomic():
        response = case.call(headers=headers)
        transaction.set_rollback(True)
    case.validate_response(response, checks=CHECKS)
