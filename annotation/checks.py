"""System checks: what `manage.py check` says of the app beyond Django's own."""

from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error
from django.template import TemplateSyntaxError, engines
from django.template.backends.django import DjangoTemplates


def templates_compile(**_: Any) -> list[CheckMessage]:
    """Compile every template of ours, so that a typo is found before a rater finds it."""
    engine = engines["django"]
    if not isinstance(engine, DjangoTemplates):
        return []
    errors: list[CheckMessage] = []
    for folder in map(Path, engine.dirs):
        for path in sorted(folder.rglob("*.html")):
            name = path.relative_to(folder).as_posix()
            try:
                engine.get_template(name)
            except TemplateSyntaxError as error:
                errors.append(
                    Error(
                        f"Template {name} does not compile: {error}",
                        hint="Mend the template.",
                        id="annotation.E001",
                    )
                )
    return errors
