"""The formats of explanation files: those of published ones, and our own.

A published format is recognised by its column names alone and turns one row into explanations.
Facts about the formats come from the result files that the methods' authors published.
"""

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Columns of our own table. Only unit and text are needed.
OWN_COLUMNS = ("layer", "unit", "alternative", "term", "text", "weight", "bias", "score")

Row = Mapping[str, str]
#: Layer, unit and alternative: what there is one explanation for.
Place = tuple[str | None, int, int]
#: What a reader changed, and how often; what it counts under becomes a note of the report.
Changes = Counter[str]

# Network Dissection marks the labels of two categories: street-s is a scene, red-c a colour.
_NETDISSECT_ENDINGS = {"scene": "-s", "color": "-c"}
_NUMBERED = re.compile(r"^(weight|concept|label) ?(\d+)$")
# What spreadsheets and pandas write where there is no text.
_MISSING = ("", "nan", "<na>", "n/a", "#n/a")


class RowError(ValueError):
    """One row cannot be read.

    Parameters
    ----------
    reason : str
        Why, in words that are the same for all rows with this fault.
    found : str, default ""
        What this row has in place of what is expected.
    """

    def __init__(self, reason: str, found: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.found = found


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
        Whether a list of column names (as `column_name` gives them) is of this format.
    read : callable
        Turn one row into explanations, and count what is changed; raise `RowError` where it
        cannot.
    reads : callable
        Which columns it uses, given all of them.
    one_based : bool
        Whether units are counted from 1.
    several : bool
        Whether several rows may describe the same neuron.
    """

    name: str
    recognises: Callable[[Sequence[str]], bool]
    read: Callable[[Row, Changes], list[TextExplanation]]
    reads: Callable[[Sequence[str]], set[str]]
    one_based: bool = False
    several: bool = False


def column_name(cell: str) -> str:
    """Bring the name of a column into one form.

    Parameters
    ----------
    cell : str
        A cell of the first row.

    Returns
    -------
    str
        Lower case, words separated by one blank; "Neuron_ID" becomes "neuron id".
    """
    return " ".join(cell.replace("_", " ").lower().split())


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
    reason = f"column {column!r} holds no finite number"
    try:
        value = float(cell)
    except ValueError:
        if "," in cell:
            reason += " (decimals are written with a point)"
        raise RowError(reason, cell) from None
    if not abs(value) < float("inf"):
        raise RowError(reason, cell)
    return value


def whole(row: Row, column: str, default: float | None = None) -> int:
    """Read a whole number that is not negative, as `number` does.

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
    int
        The number.

    Raises
    ------
    RowError
        If the cell holds no such number.
    """
    reason = f"column {column!r} holds no whole number from 0"
    try:
        value = number(row, column, default)
    except RowError as error:
        raise RowError(reason, error.found) from None
    if value < 0 or value != int(value):
        raise RowError(reason, row[column].strip())
    return int(value)


def _text(row: Row, column: str, changes: Changes) -> str:
    text = _tidied(row.get(column, ""), changes)
    if text.lower() in _MISSING:
        raise RowError(f"column {column!r} is empty", text)
    return text


def _tidied(cell: str, changes: Changes) -> str:
    text = " ".join(cell.split())
    # Language models put their answers in quotation marks, and some files keep them.
    if len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        changes["quotation marks around a text removed"] += 1
        text = text[1:-1].strip()
    return text


def _layer(row: Row) -> str | None:
    layer = row.get("layer", "").strip()
    return None if layer.lower() in _MISSING else layer


def _score(row: Row, columns: Sequence[str], changes: Changes) -> float | None:
    for column in columns:
        cell = row.get(column, "").strip()
        if cell.lower() in _MISSING[1:]:
            changes["score without a number left out"] += 1
        elif cell:
            return number(row, column)
    return None


def _numbered(columns: Iterable[str], word: str) -> dict[int, str]:
    """Return the columns named by a word and a number, in the order of the numbers."""
    matches = (_NUMBERED.match(column) for column in columns)
    found = {int(m.group(2)): m.string for m in matches if m and m.group(1) == word}
    return dict(sorted(found.items()))


def _read_linear(row: Row, changes: Changes) -> list[TextExplanation]:
    terms = []
    concepts = _numbered(row, "concept")
    for place, column in _numbered(row, "weight").items():
        # Places that are not used hold weight 0 and concept "0", or nothing.
        weight = 0.0 if row[column].strip().lower() in _MISSING else number(row, column)
        if weight != 0:
            if place not in concepts:
                raise RowError(f"column {column!r} has no column of its concept beside it")
            terms.append(TextTerm(_text(row, concepts[place], changes), weight))
    if not terms:
        raise RowError("no weight differs from 0")
    return [
        TextExplanation(
            whole(row, "unit"),
            tuple(terms),
            _layer(row),
            bias=number(row, "bias", 0.0),
            score=_score(row, ("val correlation",), changes),
        )
    ]


def _read_netdissect(row: Row, changes: Changes) -> list[TextExplanation]:
    label = _text(row, "label", changes)
    ending = _NETDISSECT_ENDINGS.get(row["category"].strip().lower(), "")
    bare = label.removesuffix(ending)
    text = bare.replace("_", " ")
    changes["ending -s (scene) or -c (colour) of a label removed"] += bare != label
    changes["underscores of a label replaced by blanks"] += text != bare
    score = _score(row, ("score",), changes)
    return [TextExplanation(whole(row, "unit"), (TextTerm(text),), _layer(row), score=score)]


def _read_describe_and_dissect(row: Row, changes: Changes) -> list[TextExplanation]:
    labels = list(_numbered(row, "label").values()) or ["label"]
    texts = [_tidied(row[column], changes) for column in labels]
    kept = [text for text in texts if text.lower() not in _MISSING]
    if not kept:
        raise RowError("all labels are empty")
    changes["empty label left out"] += len(texts) - len(kept)
    unit = whole(row, "neuron id")
    return [
        TextExplanation(unit, (TextTerm(text),), _layer(row), alternative)
        for alternative, text in enumerate(kept)
    ]


def _read_milannotations(row: Row, changes: Changes) -> list[TextExplanation]:
    term = TextTerm(_text(row, "summary", changes))
    return [TextExplanation(whole(row, "unit"), (term,), _layer(row))]


def _read_description(row: Row, changes: Changes) -> list[TextExplanation]:
    term = TextTerm(_text(row, "description", changes))
    score = _score(row, ("similarity", "score"), changes)
    return [TextExplanation(whole(row, "unit"), (term,), _layer(row), score=score)]


def _needs(*names: str, numbered: Sequence[str] = ()) -> Callable[[Sequence[str]], bool]:
    """Recognise columns by name, and words that share a number (weight3 beside concept3)."""

    def recognises(columns: Sequence[str]) -> bool:
        places = [set(_numbered(columns, word)) for word in numbered]
        return set(names) <= set(columns) and bool(not places or set.intersection(*places))

    return recognises


def _has_labels(columns: Sequence[str]) -> bool:
    return "neuron id" in columns and ("label" in columns or bool(_numbered(columns, "label")))


def _uses(*names: str, numbered: Sequence[str] = ()) -> Callable[[Sequence[str]], set[str]]:
    def used(columns: Sequence[str]) -> set[str]:
        many = {column for word in numbered for column in _numbered(columns, word).values()}
        return (set(names) & set(columns)) | many

    return used


#: Formats in the order in which they are tried, the most particular first.
TABLE_FORMATS: tuple[TableFormat, ...] = (
    TableFormat(
        "Linear Explanations",
        _needs("unit", numbered=("weight", "concept")),
        _read_linear,
        _uses("layer", "unit", "bias", "val correlation", numbered=("weight", "concept")),
    ),
    TableFormat(
        "Network Dissection",
        _needs("unit", "category", "label"),
        _read_netdissect,
        _uses("layer", "unit", "label", "score"),
        one_based=True,
    ),
    TableFormat(
        "Describe-and-Dissect",
        _has_labels,
        _read_describe_and_dissect,
        _uses("layer", "neuron id", "label", numbered=("label",)),
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


class OwnTable:
    """Joins the rows of our own table into explanations.

    Without a column `term` every row is an explanation of its own; with it, the rows of one
    layer, unit and alternative are the terms of one explanation.

    Parameters
    ----------
    columns : sequence of str
        The columns of the table.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.joins = "term" in columns
        self.differing = 0
        self._terms: dict[Place, dict[int, TextTerm]] = {}
        self._rest: dict[Place, tuple[float, float | None]] = {}

    def add(self, row: Row) -> None:
        """Take a row.

        Parameters
        ----------
        row : mapping
            The row.

        Raises
        ------
        RowError
            If it cannot be read, or says again what a row before has said.
        """
        place = (row.get("layer") or None, whole(row, "unit"), whole(row, "alternative", 0))
        taken = self._terms.get(place, {})
        number_of = whole(row, "term") if self.joins else 0
        if not row["text"].strip():
            raise RowError("column 'text' is empty")
        if number_of in taken:
            what = f"term {number_of}" if self.joins else "explanation"
            raise RowError(f"the neuron has this {what} already", place_name(*place[:2]))
        term = TextTerm(row["text"], number(row, "weight", 1.0))
        score = number(row, "score") if row.get("score", "").strip() else None
        rest = (number(row, "bias", 0.0), score)
        self._terms.setdefault(place, {})[number_of] = term
        self.differing += self._rest.setdefault(place, rest) != rest

    def explanations(self) -> list[TextExplanation]:
        """Return the explanations of all rows taken, in the order of their first rows.

        Returns
        -------
        list of TextExplanation
            Terms in the order of their numbers; bias and score from the first row.
        """
        return [
            TextExplanation(
                unit,
                tuple(term for _, term in sorted(self._terms[layer, unit, alternative].items())),
                layer,
                alternative,
                bias,
                score,
            )
            for (layer, unit, alternative), (bias, score) in self._rest.items()
        ]


def own_table(explanations: Sequence[TextExplanation]) -> str:
    """Write our own table.

    Parameters
    ----------
    explanations : sequence of TextExplanation
        What to write.

    Returns
    -------
    str
        The table, one row per term.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(OWN_COLUMNS)
    for e in explanations:
        for place, term in enumerate(e.terms):
            score = "" if e.score is None else repr(e.score)
            writer.writerow(
                [e.layer or "", e.unit, e.alternative, place, term.text, term.weight, e.bias, score]
            )
    return stream.getvalue()


def from_json(entry: Any) -> TextExplanation:
    """Read one entry of our own JSON.

    Parameters
    ----------
    entry : object
        What the JSON holds.

    Returns
    -------
    TextExplanation
        The explanation.

    Raises
    ------
    RowError
        If the entry is not of our format.
    """
    if not isinstance(entry, dict):
        raise RowError("it is no object with unit and terms", _short(entry))
    terms = entry.get("terms")
    if not isinstance(terms, list) or not terms:
        raise RowError('"terms" is no list with at least one term', _short(terms))
    layer, score = entry.get("layer"), entry.get("score")
    if not isinstance(layer, str | None):
        raise RowError('"layer" is no text', _short(layer))
    return TextExplanation(
        _json_whole(entry, "unit", None),
        tuple(map(_json_term, terms)),
        layer,
        _json_whole(entry, "alternative", 0),
        _json_number(entry, "bias", 0.0),
        None if score is None else _json_number(entry, "score", 0.0),
    )


def _json_term(term: Any) -> TextTerm:
    text = term.get("text") if isinstance(term, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise RowError('a term has no "text"', _short(term))
    return TextTerm(text, _json_number(term, "weight", 1.0))


def _json_number(entry: Mapping[str, Any], key: str, default: float) -> float:
    value = entry.get(key, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:
        raise RowError(f'"{key}" is no finite number', _short(value))
    return float(value)


def _json_whole(entry: Mapping[str, Any], key: str, default: int | None) -> int:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RowError(f'"{key}" is no whole number from 0', _short(value))
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def place_name(layer: str | None, unit: int) -> str:
    """Name a neuron for a person.

    Parameters
    ----------
    layer : str or None
        Its layer, where it is known.
    unit : int
        Its number.

    Returns
    -------
    str
        Such as "unit 3 of layer4".
    """
    return f"unit {unit} of {layer}" if layer else f"unit {unit}"
