"""Many at once: threads that start together, each with a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

Result = TypeVar("Result")


def together(n: int, work: Callable[[int], Result]) -> list[Result | Exception]:
    """Call ``work(0)`` to ``work(n - 1)`` at the same moment; what they return or raise."""
    barrier = threading.Barrier(n, timeout=60)

    def one(number: int) -> Result | Exception:
        try:
            connection.ensure_connection()
            barrier.wait()
            return work(number)
        except Exception as error:  # noqa: BLE001 - handed to the test, which looks at it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))
