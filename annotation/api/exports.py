"""Exports: tables of a study as CSV, JSON lines or Parquet, streamed."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from annotation.api.base import ApiView
from annotation.api.estimates import AggregationInput
from annotation.exports import FORMATS, TABLES, export_response, export_table


class ExportInput(AggregationInput):
    """Which form an export has; `aggregation` chooses the run of the table estimates."""

    format = serializers.ChoiceField(choices=sorted(FORMATS), required=False, default="csv")


class ExportView(ApiView):
    """``/api/studies/<slug>/exports/<table>/``."""

    @extend_schema(
        parameters=[
            ExportInput,
            OpenApiParameter(
                "table", str, location=OpenApiParameter.PATH, enum=TABLES, description="Which."
            ),
        ],
        responses={
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The table."),
            (200, "application/jsonl"): OpenApiTypes.STR,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, slug: str, table: str) -> StreamingHttpResponse:
        """Send a table of the study, however large, as it is read.

        ``ratings`` are all ratings with the design behind them and whether they count; ``draws``
        every draw with its probability and seed; ``items`` what is rated; ``explanations`` their
        terms; ``inputs`` activations, prior and reference labels of every input; ``estimates`` the
        scores of the last finished run. Raters are hashes that differ from study to study.

        Parameters
        ----------
        request : Request
            With ``?format=``.
        slug : str
            The study.
        table : str
            Its name.

        Returns
        -------
        StreamingHttpResponse

        Raises
        ------
        NotFound
            When there is no such table, or no finished run.
        """
        study = self.study(slug)
        given = self.given(ExportInput, request.query_params)
        found = export_table(study, table, given["aggregation"])
        if found is None:
            known = ", ".join(TABLES)
            raise NotFound(f"There is no table {table!r} of this study now; there are: {known}.")
        return export_response(found, study, given["format"])
