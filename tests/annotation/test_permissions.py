"""A study is there for its owner and for staff, and for nobody else."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from annotation.permissions import logged_in, studies_visible, study_for
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db


def test_who_sees_a_study() -> None:
    study, _ = make_study(), make_study()
    staff, other = make_user(is_staff=True), make_user()
    assert list(studies_visible(study.owner)) == [study]
    assert studies_visible(staff).count() == 2
    assert not studies_visible(other).exists()
    assert not studies_visible(AnonymousUser()).exists()
    study.owner.is_active = False
    assert not studies_visible(study.owner).exists()


def test_a_hidden_study_and_a_missing_one_look_the_same() -> None:
    study = make_study()
    assert study_for(study.owner, study.slug) == study
    errors = []
    for slug in (study.slug, "missing"):
        with pytest.raises(Http404) as caught:
            study_for(make_user(), slug)
        errors.append(str(caught.value).replace(slug, "..."))
    assert errors[0] == errors[1]


def test_nobody_has_no_name_for_the_log() -> None:
    with pytest.raises(PermissionDenied):
        logged_in(AnonymousUser())
