"""What all tests share."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from annotation.models.append_only import LEDGER_DROP

TESTS = Path(__file__).parent
#: Files that take ten seconds and more, the longest first. Whole files go to the workers in this
#: order, and the many short ones after them: so no worker is left alone with a long one at the end.
LONGEST = (
    "browser/test_rater_journeys.py",
    "demo/test_demo.py",
    "estimation/test_coverage.py",
    "annotation/concurrency/test_whole_system.py",
    "browser/test_rater_axe.py",
    "browser/test_recruitment.py",
    "browser/test_researcher_pages.py",
    "browser/test_researcher_journeys.py",
    "neuron_eval/test_invariants.py",
    "neuron_eval/cli/test_checks.py",
    "estimation/test_hierarchical.py",
    "annotation/services/test_estimates.py",
    "annotation/concurrency/test_many_raters.py",
    "annotation/services/test_allocation_machine.py",
    "annotation/concurrency/test_crash.py",
    "annotation/test_addresses.py",
    "annotation/api/test_access.py",
    "browser/test_accessibility.py",
    "browser/test_api_pages.py",
    "browser/test_quality.py",
    "browser/test_account_pages.py",
    "neuron_eval/test_metric_checks.py",
    "estimation/test_calibration.py",
    "neuron_eval/test_parity.py",
    "neuron_eval/cli/test_app.py",
    "annotation/services/test_assignments.py",
    "annotation/views/test_researcher.py",
    "neuron_eval/test_explainers.py",
    "estimation/test_metric_estimates.py",
    "annotation/services/test_exclusions.py",
    "annotation/views/test_rater.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""
    turn = {TESTS / name: number for number, name in enumerate(LONGEST)}
    if gone := [str(path) for path in turn if not path.exists()]:
        raise pytest.UsageError(f"tests/conftest.py: LONGEST names files that are gone: {gone}")
    items.sort(key=lambda item: turn.get(item.path, len(turn)))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: Any, django_db_blocker: Any) -> None:
    """Let SQLite's test databases be emptied after a transactional test.

    That is done with DELETE, which the ledger's triggers refuse; PostgreSQL truncates. The test of
    the triggers makes them itself.
    """
    tested = connection.settings_dict["TEST"]["NAME"]
    if connection.vendor == "sqlite" and connection.settings_dict["NAME"] != tested:
        msg = "no chosen test has the mark django_db, so no test database was made"
        raise pytest.UsageError(msg)
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                for statement in LEDGER_DROP["sqlite"]:
                    cursor.execute(statement)
