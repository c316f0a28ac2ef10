"""What all tests share."""

from typing import Any

import pytest
from django.db import connection

from annotation.models.append_only import LEDGER_DROP


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: Any, django_db_blocker: Any) -> None:
    """Let SQLite's test databases be emptied after a transactional test.

    That is done with DELETE, which the ledger's triggers refuse; PostgreSQL truncates. The test of
    the triggers makes them itself.
    """
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                for statement in LEDGER_DROP["sqlite"]:
                    cursor.execute(statement)
