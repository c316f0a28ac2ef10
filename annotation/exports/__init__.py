"""Exports: every rating with the design behind it, every estimate, all that recomputes them.

A table is columns and a stream of rows; a format turns it into chunks. Neither ever holds more than
a few thousand rows.
"""

from annotation.exports.document import estimates_document
from annotation.exports.formats import (
    FORMATS,
    Format,
    csv_lines,
    jsonl_lines,
    parquet_chunks,
    spreadsheet_safe,
    spreadsheet_unsafe,
)
from annotation.exports.inputs import input_table
from annotation.exports.response import TABLES, export_response, export_table
from annotation.exports.tables import (
    DRAW_COLUMNS,
    ESTIMATE_COLUMNS,
    EXPLANATION_COLUMNS,
    ITEM_COLUMNS,
    RATING_COLUMNS,
    Column,
    Kind,
    Table,
    draw_rows,
    estimate_rows,
    explanation_rows,
    item_rows,
    rater_pseudonym,
    rating_rows,
    study_table,
)

__all__ = [
    "DRAW_COLUMNS",
    "ESTIMATE_COLUMNS",
    "EXPLANATION_COLUMNS",
    "FORMATS",
    "ITEM_COLUMNS",
    "RATING_COLUMNS",
    "TABLES",
    "Column",
    "Format",
    "Kind",
    "Table",
    "csv_lines",
    "draw_rows",
    "estimate_rows",
    "estimates_document",
    "explanation_rows",
    "export_response",
    "export_table",
    "input_table",
    "item_rows",
    "jsonl_lines",
    "parquet_chunks",
    "rater_pseudonym",
    "rating_rows",
    "spreadsheet_safe",
    "spreadsheet_unsafe",
    "study_table",
]
