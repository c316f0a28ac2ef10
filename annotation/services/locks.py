"""Row locks: PostgreSQL locks the row, SQLite's immediate transactions are alone anyway."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def lock(rows: "QuerySet[Row]", **conditions: Any) -> Row:
    """Get one row and lock it (not the rows joined to it) until the transaction ends.

    Parameters
    ----------
    rows : QuerySet
        Where to look; joined relations are fetched, not locked.
    **conditions
        What picks the row.

    Returns
    -------
    Model
        The row as it stands after every transaction that held it before.
    """
    # no_key: rows that refer to this one may still be written, for its key never changes
    return rows.select_for_update(of=("self",), no_key=True).get(**conditions)
