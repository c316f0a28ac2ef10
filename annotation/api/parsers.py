"""Bodies of requests: never larger, deeper or stranger than the database can take."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json as strict_json

#: Of arrays and objects within each other.
MAX_DEPTH = 32


class BodyTooLarge(APIException):
    """The body is larger than the site takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class SafeJSONParser(JSONParser):
    """JSON of a bounded size and depth, in UTF-8, without NUL characters and infinite numbers."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Read a body.

        Parameters
        ----------
        stream : file
            The body.
        media_type, parser_context
            DRF's; the encoding is always UTF-8.

        Returns
        -------
        object
            JSON values.

        Raises
        ------
        BodyTooLarge
            When it is larger than ``NEURONJURY_MAX_BODY_BYTES`` bytes.
        ParseError
            When it is no such JSON; the message says what to correct.
        """
        limit = settings.NEURONJURY_MAX_BODY_BYTES
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(
                f"The body has more than {limit} bytes; send it in parts, or upload it as a file."
            )
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=strict_json.strict_constant)
            plain_require(value)
        except RecursionError as error:
            raise ParseError(f"JSON: it is nested deeper than {MAX_DEPTH}.") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error: {error}.") from error
        return value


def plain_require(value: Any, depth: int = 0) -> None:
    """Refuse JSON values that PostgreSQL or SQLite cannot keep.

    Parameters
    ----------
    value : object
        JSON values.
    depth : int
        Of the value in the whole.

    Raises
    ------
    ValueError
        When a text has a NUL or half a surrogate pair, a number is infinite or has more digits than
        any number here means, or the nesting is too deep.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        _text_require(value)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large; give one that a double can hold")
    elif isinstance(value, int) and abs(value) > 2**63 - 1:
        raise ValueError("a whole number is too large; give one of at most 64 bits")
    elif isinstance(value, list):
        for inner in value:
            plain_require(inner, depth + 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _text_require(name)
            plain_require(inner, depth + 1)


def _text_require(text: str) -> None:
    if "\0" in text:
        raise ValueError("a text has a NUL character (\\u0000); leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text has half a surrogate pair; send whole characters")
