"""A table as an answer: streamed to a file that the browser or the client saves."""

from django.http import StreamingHttpResponse

from annotation.exports.formats import FORMATS
from annotation.exports.inputs import input_table
from annotation.exports.tables import ESTIMATE_COLUMNS, Table, estimate_rows, study_table
from annotation.models import Study
from annotation.queries import latest_run

TABLES = ("ratings", "draws", "items", "explanations", "inputs", "estimates")


def export_table(study: Study, name: str, aggregation: str | None = None) -> Table | None:
    """Find a table of a study by name.

    Parameters
    ----------
    study : Study
        Any.
    name : str
        One of `TABLES`.
    aggregation : str, optional
        Of the run whose estimates are meant; the last finished one by default.

    Returns
    -------
    Table or None
        None for another name, and for estimates when no run has finished.

    Raises
    ------
    ArrayProblem
        When the file of a matrix is missing or damaged.
    """
    if name == "inputs":
        return input_table(study)
    if name == "estimates":
        run = latest_run(study, aggregation)
        return None if run is None else Table(name, ESTIMATE_COLUMNS, estimate_rows(run))
    return study_table(study, name)


def export_response(table: Table, study: Study, format_name: str) -> StreamingHttpResponse:
    """Stream a table as a file.

    Parameters
    ----------
    table : Table
        Of the study.
    study : Study
        Names the file.
    format_name : str
        A key of `FORMATS`.

    Returns
    -------
    StreamingHttpResponse
    """
    form = FORMATS[format_name]
    response = StreamingHttpResponse(form.chunks(table), content_type=form.content_type)
    response["Content-Disposition"] = (
        f'attachment; filename="{study.slug}-{table.name}.{form.suffix}"'
    )
    response["Cache-Control"] = "private, no-store"
    return response
