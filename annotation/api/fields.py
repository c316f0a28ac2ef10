"""Fields of requests that DRF does not have: finite, bounded, as the database keeps them."""

import math
from typing import Any

from rest_framework import serializers

#: Of a 64-bit column.
MAX_INTEGER = 2**63 - 1


class FiniteFloat(serializers.FloatField):
    """A number that is neither infinite nor NaN."""

    default_error_messages = {"finite": "Give a finite number."}

    def to_internal_value(self, data: Any) -> float:
        """Check that it is one."""
        if isinstance(data, bool):
            self.fail("invalid")
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("finite")
        return value


class Slug(serializers.SlugField):
    """The name of a study in URLs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=80, **options)


class NamedRow(serializers.SlugRelatedField[Any]):
    """A row by its unique name; the message says which name there is not."""

    default_error_messages = {"does_not_exist": "There is no {value!r} that you may use."}

    def to_internal_value(self, data: Any) -> Any:
        """Find it."""
        if not isinstance(data, str):
            self.fail("invalid")
        if "\0" in data:
            self.fail("does_not_exist", value=data)
        return super().to_internal_value(data)
