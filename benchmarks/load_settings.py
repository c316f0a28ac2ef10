"""Settings of the load benchmark: those of `make serve`, and responses that count queries."""

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from neuronjury.settings.dev import *  # noqa: F403
from neuronjury.settings.dev import MIDDLEWARE


def query_count(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Say in a header how many queries the response took, session and transaction included."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        n_queries = 0

        def count(execute, sql, params, many, context):
            nonlocal n_queries
            n_queries += 1
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count):
            response = get_response(request)
        response["X-Query-Count"] = str(n_queries)
        return response

    return middleware


MIDDLEWARE = ["benchmarks.load_settings.query_count", *MIDDLEWARE]
NEURONJURY_ALLOW_SIMULATED_RATERS = True
# every rater of the benchmark has the same address
NEURONJURY_THROTTLES = dict.fromkeys(NEURONJURY_THROTTLES, (10**9, 60))  # noqa: F405
