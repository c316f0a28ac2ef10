"""What the tests of the web app share."""

from collections.abc import Iterator

import pytest
from django_tasks import default_task_backend

IMMEDIATE = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}


@pytest.fixture
def immediate_tasks(settings) -> None:
    """Background tasks run at once, in this process."""
    settings.TASKS = IMMEDIATE


@pytest.fixture
def queued_tasks(settings) -> Iterator[list]:
    """Background tasks are only noted, in this list."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    default_task_backend.clear()
    yield default_task_backend.results
    default_task_backend.clear()
