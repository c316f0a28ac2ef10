"""Tries are counted over all server processes: the second process knows of the first one's."""

import json
import subprocess
import sys

import pytest
from django.db import connection

from tests.annotation.concurrency.parallel import together
from tests.annotation.concurrency.processes import ROOT, database_url, environment
from tests.annotation.factories_api import bearer, make_token

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]

#: Asks the API four times with the token of its argument, and writes what came back.
SCRIPT = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, "api_burst": (5, 600)}
client = Client(headers={"Authorization": f"Bearer {sys.argv[1]}"})
print(json.dumps([client.get("/api/studies/").status_code for _ in range(4)]))
"""


@pytest.fixture(autouse=True)
def on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: scripts/with-postgresql")


def test_two_processes_share_the_limit_of_a_user() -> None:
    _, secret = make_token()
    found = []
    for _ in range(2):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", SCRIPT, secret],
            cwd=ROOT,
            env=environment(database_url()),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found += json.loads(done.stdout)
    assert found == [200] * 5 + [429] * 3


def test_requests_at_the_same_moment_are_all_counted(settings) -> None:
    settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, "api_burst": (5, 600)}
    _, secret = make_token()
    codes = together(12, lambda _number: bearer(secret).get("/api/studies/").status_code)
    assert sorted(codes) == [200] * 5 + [429] * 7
