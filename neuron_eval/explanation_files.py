"""Read published explanation files and ours, and write ours.

`read_explanations` recognises the format from the column names and reports what it recognised,
what it left out and why. Our own format is a CSV with one row per term, or JSON; both keep
everything that `TextExplanation` holds.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neuron_eval.explanation_formats import (
    TABLE_FORMATS,
    RowError,
    TableFormat,
    TextExplanation,
    TextTerm,
    number,
)
from neuron_eval.explanations import Explanation, Term

_OWN_COLUMNS = ("layer", "unit", "alternative", "term", "text", "weight", "bias", "score")
_OWN_NAME = "Neuron Jury"
_JSON_FORMAT = "neuron-jury-explanations"


class ExplanationFileError(ValueError):
    """A file holds no explanations that can be read."""


@dataclass(frozen=True)
class SkippedRow:
    """A row that was left out.

    Attributes
    ----------
    line : int
        Line of the file (number of the entry in JSON), from 1.
    reason : str
        Why.
    """

    line: int
    reason: str


@dataclass(frozen=True)
class ExplanationFile:
    """What was read from a file.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    format : str
        The format that was recognised.
    explanations : tuple of TextExplanation
        What it says, in the order of the file; units are counted from 0.
    skipped : tuple of SkippedRow
        What was left out.
    notes : tuple of str
        What was changed or ignored: units counted from 1, columns that were not used.
    """

    path: Path
    format: str
    explanations: tuple[TextExplanation, ...]
    skipped: tuple[SkippedRow, ...]
    notes: tuple[str, ...]

    def summary(self) -> str:
        """Describe the reading in a few lines for a person.

        Returns
        -------
        str
            Format, counts, notes and the reasons for leaving rows out.
        """
        layers = Counter(explanation.layer or "(no layer)" for explanation in self.explanations)
        units = {(explanation.layer, explanation.unit) for explanation in self.explanations}
        lines = [
            f"{self.path.name}: {self.format}",
            f"{len(self.explanations)} explanations of {len(units)} neurons in "
            + ", ".join(f"{layer} ({count})" for layer, count in layers.items()),
            *self.notes,
        ]
        lines += [f"line {row.line} skipped: {row.reason}" for row in self.skipped]
        return "\n".join(lines)


def read_explanations(path: str | os.PathLike[str]) -> ExplanationFile:
    """Read an explanation file of any format that is recognised.

    Parameters
    ----------
    path : path-like
        A CSV table or our JSON.

    Returns
    -------
    ExplanationFile
        Explanations, and a report on the reading.

    Raises
    ------
    ExplanationFileError
        If the file is missing, not text, of an unknown format, or without a readable row.
    """
    source = Path(path)
    try:
        content = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ExplanationFileError(f"{source}: no such file; correct the path.") from None
    except UnicodeDecodeError as error:
        raise ExplanationFileError(
            f"{source}: found bytes that are not UTF-8 at {error.start}; save it as UTF-8."
        ) from error
    read = _read_json if content.lstrip()[:1] in ("{", "[") else _read_table
    result = read(source, content)
    if not result.explanations:
        reasons = Counter(row.reason for row in result.skipped).most_common(3)
        why = "; ".join(reason for reason, _ in reasons) or "it has no rows"
        raise ExplanationFileError(f"{source}: found no explanation ({result.format}): {why}.")
    return result


def write_explanations(
    path: str | os.PathLike[str], explanations: Sequence[TextExplanation]
) -> None:
    """Write explanations in our format: JSON if the name ends in .json, else CSV.

    Parameters
    ----------
    path : path-like
        Where to write; must end in ``.csv`` or ``.json``.
    explanations : sequence of TextExplanation
        What to write.

    Raises
    ------
    ExplanationFileError
        If the name ends otherwise, or an explanation has no term.
    """
    target = Path(path)
    for explanation in explanations:
        if not explanation.terms:
            raise ExplanationFileError(
                f"{target}: the explanation of unit {explanation.unit} has no terms; leave it out."
            )
    if target.suffix == ".json":
        document = {
            "format": _JSON_FORMAT,
            "version": 1,
            "explanations": [asdict(explanation) for explanation in explanations],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    elif target.suffix == ".csv":
        text = _own_table(explanations)
    else:
        raise ExplanationFileError(f"{target}: expected a name that ends in .csv or .json.")
    target.write_text(text, encoding="utf-8", newline="")


def match_concepts(
    explanations: Sequence[TextExplanation], texts: Sequence[str]
) -> tuple[list[Explanation], list[tuple[TextExplanation, str]]]:
    """Replace concept texts by columns of a concept matrix.

    Parameters
    ----------
    explanations : sequence of TextExplanation
        What was read.
    texts : sequence of str
        Texts of the columns; compared without regard to case and spaces.

    Returns
    -------
    list of Explanation
        Those whose every term has a column.
    list of (TextExplanation, str)
        The others, each with its first text that has none.
    """
    columns: dict[str, int] = {}
    for column, text in enumerate(texts):
        columns.setdefault(_plain(text), column)
    matched, unmatched = [], []
    for explanation in explanations:
        missing = [t.text for t in explanation.terms if _plain(t.text) not in columns]
        if missing:
            unmatched.append((explanation, missing[0]))
            continue
        terms = tuple(Term(columns[_plain(t.text)], t.weight) for t in explanation.terms)
        matched.append(Explanation(explanation.unit, terms, explanation.bias, explanation.score))
    return matched, unmatched


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _read_table(source: Path, content: str) -> ExplanationFile:
    reader = csv.reader(io.StringIO(content, newline=""))
    header = [name.strip().lower() for name in next(reader, [])]
    rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    if repeated := [name for name, count in Counter(header).items() if count > 1 and name]:
        raise ExplanationFileError(
            f"{source}: found the column {repeated[0]!r} twice; rename one of them."
        )
    skipped: list[SkippedRow] = []
    complete: list[tuple[int, dict[str, str]]] = []
    for line, cells in rows:
        if len(cells) == len(header):
            complete.append((line, dict(zip(header, cells, strict=True))))
        else:
            reason = f"{len(cells)} cells under {len(header)} column names"
            skipped.append(SkippedRow(line, reason))
    if set(_OWN_COLUMNS) <= set(header):
        found, own_skipped = _read_own_table(complete)
        return ExplanationFile(source, _OWN_NAME, tuple(found), (*skipped, *own_skipped), ())
    for table in TABLE_FORMATS:
        if table.recognises(header):
            return _read_published(source, table, header, complete, skipped)
    known = "; ".join(table.name for table in TABLE_FORMATS)
    raise ExplanationFileError(
        f"{source}: found the columns {', '.join(header) or '(none)'}, expected those of one of: "
        f"{known}; or our own, {','.join(_OWN_COLUMNS)}."
    )


def _read_published(
    source: Path,
    table: TableFormat,
    header: Sequence[str],
    rows: Sequence[tuple[int, Mapping[str, str]]],
    skipped: list[SkippedRow],
) -> ExplanationFile:
    notes = []
    found: list[tuple[int, TextExplanation]] = []
    for line, row in rows:
        try:
            found += [(line, explanation) for explanation in table.read(row)]
        except RowError as error:
            skipped.append(SkippedRow(line, str(error)))
    if table.one_based and found:
        if min(explanation.unit for _, explanation in found) >= 1:
            found = [(line, replace(e, unit=e.unit - 1)) for line, e in found]
            notes.append("units are counted from 1 in the file and from 0 here")
        else:
            notes.append("units are counted from 0, unlike in the published files of this format")
    kept: list[TextExplanation] = []
    seen: Counter[tuple[str | None, int]] = Counter()
    for line, explanation in found:
        place = (explanation.layer, explanation.unit)
        if table.several:
            explanation = replace(explanation, alternative=seen[place])
        elif explanation.alternative < seen[place]:
            where = f" of {explanation.layer}" if explanation.layer else ""
            reason = f"unit {explanation.unit}{where} has an explanation already"
            skipped.append(SkippedRow(line, reason))
            continue
        seen[place] += 1
        kept.append(explanation)
    unused = [name for name in header if name and name not in table.reads(header)]
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    ordered = tuple(sorted(skipped, key=lambda row: row.line))
    return ExplanationFile(source, table.name, tuple(kept), ordered, tuple(notes))


def _own_table(explanations: Sequence[TextExplanation]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_OWN_COLUMNS)
    for e in explanations:
        for place, term in enumerate(e.terms):
            score = "" if e.score is None else repr(e.score)
            writer.writerow(
                [e.layer or "", e.unit, e.alternative, place, term.text, term.weight, e.bias, score]
            )
    return stream.getvalue()


def _read_own_table(
    rows: Sequence[tuple[int, Mapping[str, str]]],
) -> tuple[list[TextExplanation], list[SkippedRow]]:
    terms: dict[tuple[str, int, int], list[TextTerm]] = {}
    first: dict[tuple[str, int, int], Mapping[str, str]] = {}
    skipped = []
    for line, row in rows:
        try:
            key = (row["layer"], _whole(row, "unit"), _whole(row, "alternative"))
            term = _own_term(row)
        except RowError as error:
            skipped.append(SkippedRow(line, str(error)))
            continue
        terms.setdefault(key, []).append(term)
        first.setdefault(key, row)
    found = [
        TextExplanation(
            unit,
            tuple(terms[layer, unit, alternative]),
            layer or None,
            alternative,
            number(row, "bias", 0.0),
            number(row, "score") if row["score"].strip() else None,
        )
        for (layer, unit, alternative), row in first.items()
    ]
    return found, skipped


def _own_term(row: Mapping[str, str]) -> TextTerm:
    if not row["text"].strip():
        raise RowError("column 'text' is empty, expected a concept")
    for column in ("bias", "score"):
        number(row, column, 0.0)
    return TextTerm(row["text"], number(row, "weight"))


def _whole(row: Mapping[str, str], column: str) -> int:
    value = number(row, column)
    if value < 0 or value != int(value):
        raise RowError(f"column {column!r} holds {row[column]!r}, expected a whole number")
    return int(value)


def _read_json(source: Path, content: str) -> ExplanationFile:
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise ExplanationFileError(f"{source}: found broken JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("format") != _JSON_FORMAT:
        raise ExplanationFileError(
            f"{source}: found JSON of another kind, expected an object with "
            f'"format": "{_JSON_FORMAT}".'
        )
    if document.get("version") != 1:
        raise ExplanationFileError(
            f"{source}: found version {document.get('version')!r}, expected 1; update this package."
        )
    found, skipped = [], []
    for place, entry in enumerate(document.get("explanations") or [], start=1):
        try:
            found.append(_from_json(entry))
        except (KeyError, TypeError, ValueError) as error:
            skipped.append(SkippedRow(place, f"not a valid explanation: {error!r}"))
    return ExplanationFile(source, f"{_OWN_NAME} (JSON)", tuple(found), tuple(skipped), ())


def _from_json(entry: Mapping[str, Any]) -> TextExplanation:
    terms = tuple(TextTerm(str(t["text"]), float(t.get("weight", 1.0))) for t in entry["terms"])
    if not terms or not all(term.text.strip() for term in terms):
        raise ValueError("an explanation needs at least one term with a text")
    unit, alternative = entry["unit"], entry.get("alternative", 0)
    if not isinstance(unit, int) or not isinstance(alternative, int) or min(unit, alternative) < 0:
        raise ValueError("unit and alternative are whole numbers from 0")
    score = entry.get("score")
    return TextExplanation(
        unit,
        terms,
        entry.get("layer"),
        alternative,
        float(entry.get("bias", 0.0)),
        None if score is None else float(score),
    )
