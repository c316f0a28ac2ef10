"""The fake's studies and submissions, and what it answers when it refuses."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class FakeProblem(Exception):  # noqa: N818 - what the API answers with
    """A request that the fake refuses.

    Attributes
    ----------
    status : int
        Of the answer.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


@dataclass
class FakeStudy:
    """A study of the fake."""

    id: str
    fields: dict[str, Any]
    status: str = "UNPUBLISHED"

    def document(self) -> dict[str, Any]:
        """Write it as the API does."""
        return {**self.fields, "id": self.id, "status": self.status}


@dataclass
class FakeSubmission:
    """A submission of the fake."""

    id: str
    study_id: str
    participant: str
    started: datetime
    status: str = "ACTIVE"
    code: str = ""
    bonus_minor: list[int] = field(default_factory=list)
    returned_asked: bool = False

    def document(self) -> dict[str, Any]:
        """Write it as the API does."""
        return {
            "id": self.id,
            "study_id": self.study_id,
            "participant_id": self.participant,
            "status": self.status,
            "study_code": self.code or None,
            "started_at": self.started.isoformat(),
            "bonus_payments": list(self.bonus_minor),
        }
