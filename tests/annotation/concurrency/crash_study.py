"""Run by the crash test in a process of its own: a study with a rater who holds a task.

Prints what a browser would know: addresses, ids, the session cookie.
"""

import json
import sys

import django

django.setup()

from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import reverse  # noqa: E402

from annotation.queries import assignment_items  # noqa: E402
from annotation.services.assignments import assignment_lease  # noqa: E402
from tests.annotation.factories import make_participation, make_study  # noqa: E402


def main() -> None:
    call_command("migrate", verbosity=0)
    study = make_study(n_inputs=12, n_neurons=1, n_concepts=1)
    participation = make_participation(study, "the rater")
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    session = SessionStore()
    session["participations"] = {study.slug: str(participation.public_id)}
    session.create()
    known = {
        "study": study.slug,
        "url": reverse("rater:rating_save", args=[study.slug, assignment.public_id]),
        "session": session.session_key,
        "items": [str(row.public_id) for row in assignment_items(assignment)],
    }
    sys.stdout.write(json.dumps(known))


main()
