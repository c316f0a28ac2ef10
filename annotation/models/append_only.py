"""Triggers that keep the ledger append-only in the database itself, whoever writes to it.

One change is let through: a rater's data is deleted on request, and the entry forgets whose it was.
A migration runs `LEDGER_CREATE` of the database that it finds, and `LEDGER_DROP` backwards.
"""

from typing import Any

TABLE = "annotation_ledgerentry"
MESSAGE = "ledger entries are never changed or deleted; book the difference as a new one"
KEPT = (
    "id",
    "study_id",
    "recruitment_id",
    "kind",
    "amount_minor",
    "currency",
    "key",
    "note",
    "actor_id",
    "at",
)

_SAME_SQLITE = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in KEPT)
_SAME_POSTGRESQL = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in KEPT)

_SQLITE_UPDATE = (
    f"CREATE TRIGGER ledger_no_update BEFORE UPDATE ON {TABLE} "
    f"WHEN NOT (NEW.participation_id IS NULL AND {_SAME_SQLITE}) "
    f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
)
_SQLITE_DELETE = (
    f"CREATE TRIGGER ledger_no_delete BEFORE DELETE ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
)
_POSTGRESQL_FUNCTION = (
    "CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF TG_OP = 'UPDATE' AND NEW.participation_id IS NULL AND {_SAME_POSTGRESQL} THEN "
    f"RETURN NEW; END IF; RAISE EXCEPTION '{MESSAGE}'; END $$"
)
_POSTGRESQL_TRIGGER = (
    f"CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
    "FOR EACH ROW EXECUTE FUNCTION ledger_append_only()"
)

#: By the vendor's name of the database connection; each statement is run on its own.
LEDGER_CREATE: dict[str, tuple[str, ...]] = {
    "sqlite": (_SQLITE_UPDATE, _SQLITE_DELETE),
    "postgresql": (_POSTGRESQL_FUNCTION, _POSTGRESQL_TRIGGER),
}
LEDGER_DROP: dict[str, tuple[str, ...]] = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS ledger_no_update",
        "DROP TRIGGER IF EXISTS ledger_no_delete",
    ),
    "postgresql": (
        f"DROP TRIGGER IF EXISTS ledger_append_only ON {TABLE}",
        "DROP FUNCTION IF EXISTS ledger_append_only()",
    ),
}


def ledger_triggers_create(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - Django's
    """Make the triggers; for ``RunPython`` in a migration."""
    _run(schema_editor, LEDGER_CREATE)


def ledger_triggers_drop(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - Django's
    """Remove the triggers; for ``RunPython`` in a migration."""
    _run(schema_editor, LEDGER_DROP)


def _run(schema_editor: Any, statements: dict[str, tuple[str, ...]]) -> None:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
