"""Every address of the site, filled in with things that exist, for tests that walk all of them."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver, reverse

WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE|ALTER|DROP|CREATE)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Address:
    """One address: its name in code, and the URL with its parts filled in."""

    name: str
    url: str

    def __str__(self) -> str:
        return self.name


def addresses(parts: dict[str, Any], *, admin: bool = False) -> list[Address]:
    """Every named address; `parts` gives values by the name of the part of the URL.

    A part without a value gets one that nothing has: the address must bear that too.
    """
    found = []
    for namespaces, pattern in _patterns(get_resolver().url_patterns, ()):
        if not pattern.name or ("admin" in namespaces and not admin):
            continue
        name = ":".join((*namespaces, pattern.name))
        values = {
            key: parts.get(f"{name} {key}", parts.get(key, _nothing(converter)))
            for key, converter in pattern.pattern.converters.items()
        }
        found.append(Address(name, reverse(name, kwargs=values)))
    assert len(found) > 20
    return found


def _patterns(
    entries: list[Any], namespaces: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], URLPattern]]:
    for entry in entries:
        if isinstance(entry, URLResolver):
            inner = (*namespaces, entry.namespace) if entry.namespace else namespaces
            if not entry.pattern.converters:
                yield from _patterns(entry.url_patterns, inner)
            else:
                for found, pattern in _patterns(entry.url_patterns, inner):
                    pattern.pattern.converters.update(entry.pattern.converters)
                    yield found, pattern
        else:
            yield namespaces, entry


def _nothing(converter: Any) -> str:
    candidates = ("987654", "nothing-here", str(uuid.UUID(int=7)))
    return next(one for one in candidates if re.fullmatch(converter.regex, one))


@contextmanager
def writes_recorded() -> Iterator[list[str]]:
    """The statements that change the database while this lasts."""
    seen: list[str] = []

    def watch(execute, sql, params, many, context):
        if WRITES.match(sql):
            seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield seen
