"""Every text that a rater reads is there in every language, with the same gaps to fill."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation.template import templatize

import annotation
from annotation.models import Study
from tests.annotation.factories import make_study

ROOT = Path(__file__).parents[2]
LOCALE = Path(annotation.__file__).parent / "locale"
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
}
GAP = re.compile(r"%\(\w+\)[sd]|\{\w+\}|</?(?:kbd|strong)>")

#: A rater's pages, and those of errors: their templates, and what the views and forms say.
TEMPLATES = [
    *sorted((ROOT / "templates/rater").rglob("*.*")),
    *sorted((ROOT / "templates").glob("[45]*.html")),
    ROOT / "templates/base.html",
]
MODULES = [
    *(
        ROOT / f"annotation/views/{name}.py"
        for name in (
            "arrival",
            "arrival_link",
            "attention",
            "ending",
            "images",
            "rater",
            "rater_session",
            "stimulus",
            "training",
            "wording",
        )
    ),
    ROOT / "annotation/forms/rater.py",
    ROOT / "annotation/error_pages.py",
]

Message = str | tuple[str, ...]


def texts() -> set[Message]:
    """What the pages say, in English; a pair where there is a plural."""
    found: set[Message] = set()
    for path in [*TEMPLATES, *MODULES]:
        source = path.read_text(encoding="utf-8")
        if path not in MODULES:
            source = templatize(source, origin=path.name)
        rows = extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS)
        for _, message, _, _ in rows:
            parts = message if isinstance(message, tuple) else (message,)
            kept = tuple(part for part in parts if part)
            found.add(kept[0] if len(kept) == 1 else kept[:2])
    return found


def catalog(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES/django.po").open("rb") as file:
        return read_po(file, locale=language)


def test_there_is_something_to_translate() -> None:
    found = texts()
    assert len(found) > 180
    assert "I agree, start" in found
    assert ("You can try %(n)s more time.", "You can try %(n)s more times.") in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    words = catalog(language)
    missing, different = [], []
    for text in sorted(texts(), key=str):
        message = words.get(text[0] if isinstance(text, tuple) else text)
        given = message.string if message is not None else ""
        forms = given if isinstance(given, tuple) else (given,)
        wanted = words.num_plurals if isinstance(text, tuple) else 1
        if message is None or message.fuzzy or len(forms) != wanted or not all(forms):
            missing.append(text)
            continue
        gaps = set(GAP.findall(text[-1] if isinstance(text, tuple) else text))
        # a form for exactly one or two may spell the number out
        exact = forms[-1:] if isinstance(text, tuple) else forms
        different += [form for form in exact if set(GAP.findall(form)) != gaps]
        different += [form for form in forms if not set(GAP.findall(form)) <= gaps]
    assert missing == []
    assert different == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_left_over(language: str) -> None:
    used = {text[0] if isinstance(text, tuple) else text for text in texts()}
    kept = {
        message.id[0] if isinstance(message.id, tuple) else message.id
        for message in catalog(language)
        if message.id
    }
    assert kept - used == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_is_of_the_written_one(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES/django.mo").open("rb") as file:
        compiled = read_mo(file)
    both = [
        sorted(repr((list(message.id), list(message.string))) for message in words if message.id)
        for words in (compiled, catalog(language))
    ]
    assert both[0] == both[1]  # else: pybabel compile -d annotation/locale -D django


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "direction", "words"),
    [
        ("de", "ltr", "Ihre Einwilligung"),
        ("es", "ltr", "Su consentimiento"),
        ("fr", "ltr", "Votre consentement"),
        ("ar", "rtl", "موافقتك"),
        ("de-at", "ltr", "Ihre Einwilligung"),
        ("xx", "ltr", "Your consent"),
    ],
)
def test_a_study_speaks_its_language(
    client: Client, language: str, direction: str, words: str
) -> None:
    study = make_study(language=language)
    html = client.get(reverse("rater:entry", args=[study.slug])).content.decode()
    spoken = language[:2] if language != "xx" else "en"
    assert f'<html lang="{spoken}" dir="{direction}">' in html
    assert words in html
    assert study.consent_text in html
    assert 'lang="en"' in client.get(reverse("login")).content.decode()


@pytest.mark.django_db
def test_the_question_is_translated_unless_it_was_written(client: Client) -> None:
    study = make_study(language="fr")
    for question, words in ((study.question, "Cette image contient-elle"), ("Mine?", "Mine?")):
        Study.objects.update(question=question)
        client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
        page = client.get(reverse("rater:instructions", args=[study.slug]))
        assert words in page.content.decode()


def test_a_panel_of_raters_is_no_board_in_arabic() -> None:
    words = catalog("ar")
    said = [str(row.string) for row in words if "panel" in str(row.id)]
    assert len(said) > 10
    assert not [text for text in said if "اللوحة" in text or "لوحة" in text]
