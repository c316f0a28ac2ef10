"""The table formats of published explanation files, one reader each.

A format is recognised by its column names alone and turns one row into explanations. Facts about
the formats come from the result files that the methods' authors published.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, str]

# Network Dissection marks the dictionary of a label: street-s is a scene, red-c a colour.
_NETDISSECT_SUFFIX = re.compile(r"-[a-z]$")
_NUMBERED = re.compile(r"^(?:weight|label )(\d+)$")


class RowError(ValueError):
    """One row cannot be read; the message says why."""


@dataclass(frozen=True)
class TextTerm:
    """One concept of an explanation, as a text.

    Attributes
    ----------
    text : str
        The concept.
    weight : float, default 1.0
        Its weight in the sum.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class TextExplanation:
    """What a file says of one neuron.

    Attributes
    ----------
    unit : int
        Neuron, counted from 0.
    terms : tuple of TextTerm
        One concept, or those of a weighted sum.
    layer : str or None, default None
        Layer, where the file names it.
    alternative : int, default 0
        Number of the explanation among several of the same neuron, from 0.
    bias : float, default 0.0
        Constant of a linear explanation.
    score : float or None, default None
        Score that the method gave.
    """

    unit: int
    terms: tuple[TextTerm, ...]
    layer: str | None = None
    alternative: int = 0
    bias: float = 0.0
    score: float | None = None


@dataclass(frozen=True)
class TableFormat:
    """A table format.

    Attributes
    ----------
    name : str
        What reports call it.
    recognises : callable
        Whether a list of column names (lower case, stripped) is of this format.
    read : callable
        Turn one row into explanations; raise `RowError` where it cannot.
    reads : callable
        Which columns it uses, given all of them.
    one_based : bool
        Whether units are counted from 1.
    several : bool
        Whether several rows may describe the same neuron.
    """

    name: str
    recognises: Callable[[Sequence[str]], bool]
    read: Callable[[Row], list[TextExplanation]]
    reads: Callable[[Sequence[str]], set[str]]
    one_based: bool = False
    several: bool = False


def number(row: Row, column: str, default: float | None = None) -> float:
    """Read a finite number from a row.

    Parameters
    ----------
    row : mapping
        The row.
    column : str
        The column.
    default : float, optional
        What an empty or absent cell means; an error when None.

    Returns
    -------
    float
        The number.

    Raises
    ------
    RowError
        If the cell holds no finite number.
    """
    cell = row.get(column, "").strip()
    if not cell and default is not None:
        return default
    try:
        value = float(cell)
    except ValueError:
        raise RowError(f"column {column!r} holds {cell!r}, expected a number") from None
    if not abs(value) < float("inf"):
        raise RowError(f"column {column!r} holds {cell!r}, expected a finite number")
    return value


def _unit(row: Row, column: str = "unit") -> int:
    value = number(row, column)
    if value < 0 or value != int(value):
        raise RowError(f"column {column!r} holds {row[column]!r}, expected a unit number")
    return int(value)


def _text(row: Row, column: str) -> str:
    text = " ".join(row.get(column, "").split())
    if not text:
        raise RowError(f"column {column!r} is empty, expected a concept")
    return text


def _layer(row: Row) -> str | None:
    return row.get("layer", "").strip() or None


def _optional_score(row: Row, columns: Sequence[str]) -> float | None:
    for column in columns:
        if row.get(column, "").strip():
            return number(row, column)
    return None


def _numbered(columns: Iterator[str] | Sequence[str], prefix: str) -> list[int]:
    found = (_NUMBERED.match(column) for column in columns if column.startswith(prefix))
    return sorted(int(match.group(1)) for match in found if match)


def _read_linear(row: Row) -> list[TextExplanation]:
    terms = []
    for place in _numbered(list(row), "weight"):
        weight = number(row, f"weight{place}", 0.0)
        if weight != 0:  # unused places hold weight 0 and concept "0"
            terms.append(TextTerm(_text(row, f"concept{place}"), weight))
    if not terms:
        raise RowError("no weight differs from 0")
    return [
        TextExplanation(
            _unit(row),
            tuple(terms),
            _layer(row),
            bias=number(row, "bias", 0.0),
            score=_optional_score(row, ("val correlation",)),
        )
    ]


def _read_netdissect(row: Row) -> list[TextExplanation]:
    text = _NETDISSECT_SUFFIX.sub("", _text(row, "label")).replace("_", " ")
    term = TextTerm(text)
    return [TextExplanation(_unit(row), (term,), _layer(row), score=number(row, "score"))]


def _read_describe_and_dissect(row: Row) -> list[TextExplanation]:
    places = _numbered(list(row), "label ")
    texts = [row[f"label {place}"] for place in places]
    kept = [" ".join(text.split()) for text in texts if text.strip()]
    if not kept:
        raise RowError("all labels are empty, expected at least one")
    unit = _unit(row, "neuron id")
    return [
        TextExplanation(unit, (TextTerm(text),), _layer(row), alternative)
        for alternative, text in enumerate(kept)
    ]


def _read_milannotations(row: Row) -> list[TextExplanation]:
    return [TextExplanation(_unit(row), (TextTerm(_text(row, "summary")),), _layer(row))]


def _read_description(row: Row) -> list[TextExplanation]:
    return [
        TextExplanation(
            _unit(row),
            (TextTerm(_text(row, "description")),),
            _layer(row),
            score=_optional_score(row, ("similarity", "score")),
        )
    ]


def _needs(*names: str) -> Callable[[Sequence[str]], bool]:
    return lambda columns: set(names) <= set(columns)


def _uses(*names: str, numbered: Sequence[str] = ()) -> Callable[[Sequence[str]], set[str]]:
    def used(columns: Sequence[str]) -> set[str]:
        many = {column for column in columns if re.sub(r"\d+$", "", column) in numbered}
        return (set(names) & set(columns)) | many

    return used


#: Formats in the order in which they are tried, the most particular first.
TABLE_FORMATS: tuple[TableFormat, ...] = (
    TableFormat(
        "Linear Explanations",
        _needs("unit", "weight0", "concept0"),
        _read_linear,
        _uses("layer", "unit", "bias", "val correlation", numbered=("weight", "concept")),
    ),
    TableFormat(
        "Network Dissection",
        _needs("unit", "category", "label", "score"),
        _read_netdissect,
        _uses("layer", "unit", "label", "score"),
        one_based=True,
    ),
    TableFormat(
        "Describe-and-Dissect",
        _needs("neuron id", "label 1"),
        _read_describe_and_dissect,
        _uses("layer", "neuron id", numbered=("label ",)),
    ),
    TableFormat(
        "MILANNOTATIONS",
        _needs("unit", "summary"),
        _read_milannotations,
        _uses("layer", "unit", "summary"),
        several=True,
    ),
    TableFormat(
        "CLIP-Dissect",
        _needs("unit", "description", "similarity"),
        _read_description,
        _uses("layer", "unit", "description", "similarity"),
    ),
    TableFormat(
        "unit and description (MILAN, or any method in standard form)",
        _needs("unit", "description"),
        _read_description,
        _uses("layer", "unit", "description", "score"),
    ),
)
