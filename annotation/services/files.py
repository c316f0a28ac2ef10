"""Files beside the database follow its transactions: what is rolled back leaves none behind."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction


@dataclass
class _Written:
    path: Path
    committed: bool = False

    def commit(self) -> None:
        self.committed = True


_scope: ContextVar[list[_Written] | None] = ContextVar("files_written", default=None)


@contextmanager
def files_follow_transaction() -> Iterator[None]:
    """Delete the files noted inside when an error rolls their rows back.

    Goes around ``transaction.atomic``, so that a commit that fails counts as well. Scopes nest: a
    file belongs to the outer one too, as its row belongs to the outer transaction. A process that
    is killed outright leaves its file; no row names it, so it does no harm.
    """
    outer = _scope.get()
    own: list[_Written] = []
    token = _scope.set(own)
    try:
        yield
    except Exception:
        for written in own:
            if not written.committed:  # an error may come after the commit, from its hooks
                if written.path.is_dir():
                    shutil.rmtree(written.path)
                else:
                    written.path.unlink(missing_ok=True)
        raise
    finally:
        _scope.reset(token)
    if outer is not None:
        outer.extend(own)


def file_note(path: Path) -> None:
    """Tie a file to the present transaction; call it before the file is written.

    Parameters
    ----------
    path : Path
        The file, or a new folder of files that belong to one row.

    Raises
    ------
    RuntimeError
        Outside `files_follow_transaction`: nobody would delete it.
    """
    scope = _scope.get()
    if scope is None:
        raise RuntimeError(
            f"{path.name} would outlive a rollback: write it inside files_follow_transaction()."
        )
    written = _Written(path)
    scope.append(written)
    transaction.on_commit(written.commit)


def files_delete_on_commit(paths: Iterable[Path]) -> None:
    """Delete files once the transaction that deletes their rows has committed.

    Parameters
    ----------
    paths : iterable of Path
        One that is gone already does no harm.
    """
    gone = list(paths)

    def delete() -> None:
        for path in gone:
            path.unlink(missing_ok=True)

    transaction.on_commit(delete)
