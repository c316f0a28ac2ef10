"""Read published explanation files and ours, and write ours.

`read_explanations` recognises the format from the column names and reports what it recognised,
what it changed, what it left out and why. Our own format is a CSV with one row per term, or JSON;
both keep everything that `TextExplanation` holds.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from neuron_eval.errors import NeuronEvalError
from neuron_eval.explanation_formats import (
    OWN_COLUMNS,
    TABLE_FORMATS,
    Changes,
    OwnTable,
    Place,
    RowError,
    TableFormat,
    TextExplanation,
    TextTerm,
    column_name,
    from_json,
    own_table,
    place_name,
)
from neuron_eval.explanations import Explanation, Term
from neuron_eval.formulas import Formula, parse_formula
from neuron_eval.validation import InputError

_OWN_NAME = "Neuron Jury"
_JSON_NAME = f"{_OWN_NAME} (JSON)"
_JSON_FORMAT = "neuron-jury-explanations"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# How many lines, texts or columns a line of the report names before it says how many more.
_NAMED = 5

Rows = Sequence[tuple[int, Mapping[str, str]]]
FirstUnit = Literal[0, 1]


class ExplanationFileError(NeuronEvalError):
    """A file holds no explanations that can be read."""


@dataclass(frozen=True)
class SkippedRow:
    """A row that was left out.

    Attributes
    ----------
    line : int
        Line of the file on which the row begins (number of the entry in JSON), from 1.
    reason : str
        Why, in words that are the same for all rows with this fault.
    found : str, default ""
        What the row has in place of what is expected, where that says more.
    """

    line: int
    reason: str
    found: str = ""


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
        What was changed, is doubtful, or was not used: units counted from 1, texts that were
        cleaned, columns that no format needs.
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
            Format, counts, notes, and the reasons for leaving rows out, each with its lines.
        """
        layers = Counter(explanation.layer for explanation in self.explanations)
        units = {(explanation.layer, explanation.unit) for explanation in self.explanations}
        texts = {term.text for explanation in self.explanations for term in explanation.terms}
        counts = [
            _count(len(self.explanations), "explanation"),
            _count(len(units), "neuron"),
            _count(len(texts), "distinct concept"),
        ]
        named = [f"{layer} ({count})" for layer, count in layers.items() if layer is not None]
        lines = [
            f"{self.path.name}: {self.format}",
            f"{counts[0]} of {counts[1]}, {counts[2]}",
            f"{_count(len(named), 'layer')}: {', '.join(named)}" if named else "",
            f"the file names no layer for {layers[None]} of them" if layers[None] else "",
            *self.notes,
            *self.skipped_lines(),
        ]
        return "\n".join(line for line in lines if line)

    def skipped_lines(self) -> Iterator[str]:
        """Say what was left out and why, one reason a line.

        Yields
        ------
        str
            Such as "12 rows skipped: column 'description' is empty (lines 4, 17 and 10 more)".
        """
        is_json = self.format == _JSON_NAME
        one, many, word = ("entry", "entries", "entry") if is_json else ("line", "lines", "row")
        groups: dict[str, list[SkippedRow]] = {}
        for row in self.skipped:
            groups.setdefault(row.reason, []).append(row)
        for reason, rows in groups.items():
            found = _listed(list(dict.fromkeys(repr(row.found) for row in rows if row.found)))
            where = f"{one if len(rows) == 1 else many} {_listed([str(row.line) for row in rows])}"
            example = f"; found {found}" if found else ""
            yield f"{_count(len(rows), word)} skipped: {reason} ({where}{example})"


def read_explanations(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    first_unit: FirstUnit | None = None,
) -> ExplanationFile:
    """Read an explanation file of any format that is recognised.

    Parameters
    ----------
    path : path-like
        A table (separated by commas, semicolons or tabs) or our JSON, in UTF-8.
    layer : str, optional
        Layer of the explanations for which the file names none.
    first_unit : {0, 1}, optional
        Number that the file gives to the first neuron. When None, 1 in files of Network
        Dissection, unless they hold a unit 0, and 0 in all others.

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
    if first_unit not in (None, 0, 1):
        raise ExplanationFileError(f"first_unit: found {first_unit!r}, expected 0 or 1.")
    content = _content(source)
    if content.lstrip()[:1] in ("{", "["):
        result = _read_json(source, content, first_unit)
    else:
        result = _read_table(source, content, first_unit)
    if not result.explanations:
        why = "; ".join(result.skipped_lines()) or "it has no rows"
        raise ExplanationFileError(f"{source}: found no explanation ({result.format}): {why}.")
    return result if layer is None else _with_layer(result, layer)


def write_explanations(
    path: str | os.PathLike[str], explanations: Sequence[TextExplanation]
) -> None:
    """Write explanations in our format: JSON if the name ends in .json, else CSV.

    Parameters
    ----------
    path : path-like
        Where to write; must end in ``.csv`` or ``.json``.
    explanations : sequence of TextExplanation
        What to write; `to_text_explanations` makes them of what explainers return.

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
        text = own_table(explanations)
    else:
        raise ExplanationFileError(f"{target}: expected a name that ends in .csv or .json.")
    target.write_text(text, encoding="utf-8", newline="")


def to_text_explanations(
    explanations: Sequence[Explanation], texts: Sequence[str], *, layer: str | None = None
) -> tuple[list[TextExplanation], list[int]]:
    """Replace columns of a concept matrix by concept texts, for writing a file.

    A formula becomes one term, its text, which raters can rate like any concept.

    Parameters
    ----------
    explanations : sequence of Explanation
        What an explainer returned.
    texts : sequence of str
        Text of every concept.
    layer : str, optional
        Layer of the neurons.

    Returns
    -------
    converted : list of TextExplanation
        Those that say something.
    silent : list of int
        Units of those without terms and without a formula, which are left out.

    Raises
    ------
    InputError
        If a concept has no text.
    """
    converted, silent = [], []
    for e in explanations:
        terms: tuple[TextTerm, ...]
        if e.formula is not None:
            terms = (TextTerm(e.formula.text(texts)),)
        else:
            terms = tuple(TextTerm(_text_of(term, texts), term.weight) for term in e.terms)
        if terms:
            converted.append(TextExplanation(e.unit, terms, layer, bias=e.bias, score=e.score))
        else:
            silent.append(e.unit)
    return converted, silent


def match_concepts(
    explanations: Sequence[TextExplanation], texts: Sequence[str]
) -> tuple[list[Explanation], list[tuple[TextExplanation, str]]]:
    """Replace concept texts by columns of a concept matrix.

    Parameters
    ----------
    explanations : sequence of TextExplanation
        What was read.
    texts : sequence of str
        Text of every concept; case and space do not matter. A single term that is no concept but
        a formula of such texts, as `Formula.text` writes it, becomes that formula.

    Returns
    -------
    matched : list of Explanation
        Those of which every term is found.
    unmatched : list of (TextExplanation, str)
        The others, each with its first unknown text.
    """
    columns = {_plain(text): column for column, text in reversed(list(enumerate(texts)))}
    matched: list[Explanation] = []
    unmatched = []
    for e in explanations:
        unknown = next((t.text for t in e.terms if _plain(t.text) not in columns), None)
        if unknown is None:
            found = tuple(Term(columns[_plain(term.text)], term.weight) for term in e.terms)
            matched.append(Explanation(e.unit, found, e.bias, e.score))
        elif (formula := _formula(e, texts)) is not None:
            matched.append(Explanation(e.unit, (), e.bias, e.score, formula))
        else:
            unmatched.append((e, unknown))
    return matched, unmatched


def _text_of(term: Term, texts: Sequence[str]) -> str:
    if not 0 <= term.concept < len(texts):
        raise InputError(
            f"texts: found {len(texts)} texts, expected one for concept {term.concept} too."
        )
    return texts[term.concept]


def _formula(explanation: TextExplanation, texts: Sequence[str]) -> Formula | None:
    [first, *others] = explanation.terms
    if others or first.weight != 1 or not {"AND", "OR", "NOT"}.intersection(first.text.split()):
        return None
    try:
        return parse_formula(first.text, texts)
    except InputError:  # an ordinary text that is not among the concepts
        return None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _count(number_of: int, word: str) -> str:
    plural = word[:-1] + "ies" if word.endswith("ry") else word + "s"
    return f"{number_of} {word if number_of == 1 else plural}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _content(source: Path) -> str:
    try:
        raw = source.read_bytes()
    except FileNotFoundError:
        raise ExplanationFileError(f"{source}: no such file; correct the path.") from None
    except IsADirectoryError:
        raise ExplanationFileError(f"{source}: found a folder, expected a file.") from None
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ExplanationFileError(
            f"{source}: found a byte on line {line} that is not UTF-8, expected UTF-8; save the "
            "file as UTF-8 (a spreadsheet offers CSV UTF-8; older ones write Latin-1 or UTF-16)."
        ) from error
    if not content.strip():
        raise ExplanationFileError(
            f"{source}: found an empty file, expected a table or our JSON with explanations."
        )
    return content


def _with_layer(result: ExplanationFile, layer: str) -> ExplanationFile:
    without = sum(explanation.layer is None for explanation in result.explanations)
    if not without:
        note = f"the layer {layer!r} was not needed: the file names its layers"
    else:
        note = f"the layer {layer!r} was filled in for {_count(without, 'explanation')}"
    filled = tuple(
        replace(explanation, layer=explanation.layer or layer)
        for explanation in result.explanations
    )
    return replace(result, explanations=filled, notes=(*result.notes, note))


def _read_table(source: Path, content: str, first_unit: FirstUnit | None) -> ExplanationFile:
    separator = _separator(content)
    notes = [] if separator == "," else [f"columns are separated by {_SEPARATORS[separator]}"]
    skipped: list[SkippedRow] = []
    rows: list[tuple[int, dict[str, str]]] = []
    lines = _lines(source, content, separator)
    header = [column_name(cell) for cell in next(lines)[1]]
    if repeated := [name for name, count in Counter(header).items() if count > 1 and name]:
        raise ExplanationFileError(
            f"{source}: found the column {repeated[0]!r} twice; rename one of them."
        )
    for line, cells in lines:
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
        if len(cells) == len(header):
            rows.append((line, dict(zip(header, cells, strict=True))))
        else:
            reason = f"there are not {len(header)} cells, one for every column name"
            skipped.append(SkippedRow(line, reason, f"{len(cells)} cells"))
    if {"unit", "text"} <= set(header):
        found, used = _read_own_table(rows, header, skipped, notes), set(OWN_COLUMNS)
        name = _OWN_NAME
    else:
        table = _recognised(header)
        if table is None:
            raise _unknown(source, header)
        found, used = _read_published(table, rows, skipped, notes), table.reads(header)
        name = table.name
    found = _numbered_from_zero(found, name, first_unit, notes)
    unused = [column for column in header if column and column not in used]
    if unused:
        notes.append(f"columns not used: {_listed(unused)}")
    ordered = tuple(sorted(skipped, key=lambda row: row.line))
    return ExplanationFile(source, name, tuple(found), ordered, tuple(notes))


def _separator(content: str) -> str:
    """Choose the separator that makes the first line a header we know, else the comma."""
    first = io.StringIO(content.lstrip("\r\n"), newline="").readline()
    for separator in _SEPARATORS:
        header = [column_name(cell) for cell in next(csv.reader([first], delimiter=separator))]
        if _recognised(header) or {"unit", "text"} <= set(header):
            return separator
    return ","


def _recognised(header: Sequence[str]) -> TableFormat | None:
    return next((table for table in TABLE_FORMATS if table.recognises(header)), None)


def _unknown(source: Path, header: Sequence[str]) -> ExplanationFileError:
    known = "; ".join(table.name for table in TABLE_FORMATS)
    return ExplanationFileError(
        f"{source}: found the columns {_listed(header)}, expected those of one of: {known}; or "
        f"our own, {','.join(OWN_COLUMNS)}, of which unit and text suffice."
    )


def _lines(source: Path, content: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ExplanationFileError(
            f"{source}: found what is no table on line {reader.line_num}: {error}; export it anew."
        ) from error


def _read_published(
    table: TableFormat,
    rows: Rows,
    skipped: list[SkippedRow],
    notes: list[str],
) -> list[TextExplanation]:
    changes: Changes = Counter()
    kept: list[TextExplanation] = []
    seen: Counter[tuple[str | None, int]] = Counter()
    for line, row in rows:
        made: Changes = Counter()
        try:
            explanations = table.read(row, made)
        except RowError as error:
            skipped.append(SkippedRow(line, error.reason, error.found))
            continue
        place = (explanations[0].layer, explanations[0].unit)
        if table.several:
            explanations = [replace(e, alternative=seen[place]) for e in explanations]
        elif seen[place]:
            reason = "the neuron has an explanation already"
            skipped.append(SkippedRow(line, reason, place_name(*place)))
            continue
        seen[place] += len(explanations)
        changes += made
        kept += explanations
    notes += [f"{change} ({_count(count, 'time')})" for change, count in changes.items()]
    return kept


def _read_own_table(
    rows: Rows, header: Sequence[str], skipped: list[SkippedRow], notes: list[str]
) -> list[TextExplanation]:
    table = OwnTable(header)
    for line, row in rows:
        try:
            table.add(row)
        except RowError as error:
            skipped.append(SkippedRow(line, error.reason, error.found))
    if table.differing:
        notes.append(
            "bias or score differ from those of the explanation's first row, which are kept "
            f"({_count(table.differing, 'time')})"
        )
    return table.explanations()


def _numbered_from_zero(
    found: list[TextExplanation], name: str, first_unit: FirstUnit | None, notes: list[str]
) -> list[TextExplanation]:
    """Count units from 0, and say where it is not certain from what the file counts."""
    if not found:
        return found
    table = next((table for table in TABLE_FORMATS if table.name == name), None)
    usual = 1 if table is not None and table.one_based else 0
    lowest = min(explanation.unit for explanation in found)
    first = first_unit if first_unit is not None else min(usual, lowest)
    if lowest < first:
        raise ExplanationFileError(
            f"first_unit: found {first_unit!r} and a unit {lowest} in the file, expected 0."
        )
    if first:
        note = "units are counted from 1 in the file and from 0 here"
        if first_unit is None and lowest > 1:
            note += (
                f" (by its format: the lowest unit is {lowest}; pass first_unit=0 if it counts "
                "from 0)"
            )
        notes.append(note)
    elif usual and first_unit is None:
        notes.append("units are counted from 0, unlike in the published files of this format")
    elif lowest == 1 and first_unit is None and name != _OWN_NAME:
        notes.append(
            "the lowest unit is 1: units are taken to be counted from 0, as this format does; "
            "pass first_unit=1 if the file counts from 1"
        )
    return [replace(e, unit=e.unit - first) for e in found] if first else found


def _read_json(source: Path, content: str, first_unit: FirstUnit | None) -> ExplanationFile:
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
    entries = document.get("explanations")
    if not isinstance(entries, list):
        raise ExplanationFileError(f'{source}: found no list "explanations", expected one.')
    found: dict[Place, TextExplanation] = {}
    skipped = []
    for position, entry in enumerate(entries, start=1):
        try:
            e = from_json(entry)
        except RowError as error:
            skipped.append(SkippedRow(position, error.reason, error.found))
            continue
        if found.setdefault((e.layer, e.unit, e.alternative), e) is not e:
            reason = "the neuron has this explanation already"
            skipped.append(SkippedRow(position, reason, place_name(e.layer, e.unit)))
    notes: list[str] = []
    numbered = _numbered_from_zero(list(found.values()), _OWN_NAME, first_unit, notes)
    return ExplanationFile(source, _JSON_NAME, tuple(numbered), tuple(skipped), tuple(notes))
