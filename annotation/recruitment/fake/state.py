"""What the fake Prolific knows: studies and submissions with their states, money, signing keys."""

import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from annotation.recruitment.fake.events import Delivery, event_body
from annotation.recruitment.fake.rows import FakeProblem, FakeStudy, FakeSubmission
from annotation.recruitment.signature import ISSUER

#: From action to the states that it starts in, and the one that it leads to.
STUDY_ACTIONS = {
    "PUBLISH": ({"UNPUBLISHED"}, "ACTIVE"),
    "PAUSE": ({"ACTIVE"}, "PAUSED"),
    "START": ({"PAUSED"}, "ACTIVE"),
    "STOP": ({"ACTIVE", "PAUSED"}, "AWAITING REVIEW"),
}
HOLDING = frozenset({"RESERVED", "ACTIVE", "AWAITING REVIEW", "APPROVED"})
REQUIRED = (
    "name",
    "description",
    "external_study_url",
    "prolific_id_option",
    "completion_codes",
    "estimated_completion_time",
    "reward",
    "total_available_places",
)
TOKEN_MINUTES = 10
WORKSPACE = "workspace-of-the-fake"


class FakeProlific:
    """The state of the fake; every method may be called from any thread.

    Parameters
    ----------
    token : str
        The only one that the API takes.
    balance_minor : int
        What the workspace has.
    key : RSAPrivateKey, optional
        Signs the links; a new one by default.
    """

    def __init__(
        self,
        token: str = "fake-token",  # noqa: S107 - of nothing but the fake
        balance_minor: int = 10_000_00,
        key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        self.token = token
        self.balance_minor = balance_minor
        self.studies: dict[str, FakeStudy] = {}
        self.submissions: dict[str, FakeSubmission] = {}
        self.bulk: dict[str, list[tuple[str, int]]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.hook_secret = ""
        self.deliveries: list[Delivery] = []
        self.lock = threading.RLock()
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = uuid.uuid4().hex

    # --- what happens at the panel without us

    def place_take(self, study_id: str, participant: str | None = None) -> FakeSubmission:
        """Let a participant take a place.

        Parameters
        ----------
        study_id : str
            An active study.
        participant : str, optional
            Their id; a new one by default.

        Returns
        -------
        FakeSubmission
            Active.
        """
        with self.lock:
            study = self.study(study_id)
            if study.status != "ACTIVE":
                raise FakeProblem(400, f"The study is {study.status}.")
            if self.places_taken(study_id) >= study.fields["total_available_places"]:
                raise FakeProblem(400, "All places are taken.")
            made = FakeSubmission(
                secrets.token_hex(12), study_id, participant or secrets.token_hex(12), _now()
            )
            self.submissions[made.id] = made
            self._submission_event(made)
            return made

    def arrival_url(self, submission: FakeSubmission, *, signed: bool = True) -> str:
        """Write the link with which the participant arrives at our study.

        Parameters
        ----------
        submission : FakeSubmission
            Theirs.
        signed : bool
            Add Prolific's signature.

        Returns
        -------
        str
        """
        address = str(self.study(submission.study_id).fields["external_study_url"])
        ids = {
            "{{%PROLIFIC_PID%}}": submission.participant,
            "{{%STUDY_ID%}}": submission.study_id,
            "{{%SESSION_ID%}}": submission.id,
        }
        for placeholder, value in ids.items():
            address = address.replace(placeholder, value)
        if not signed:
            return address
        token = self.token_sign(
            audience=address,
            claims={
                "PROLIFIC_PID": submission.participant,
                "STUDY_ID": submission.study_id,
                "SESSION_ID": submission.id,
            },
        )
        return f"{address}&{urlencode({'prolific_token': token})}"

    def token_sign(
        self,
        *,
        audience: str,
        claims: Mapping[str, Any],
        expires: datetime | None = None,
        issuer: str = ISSUER,
    ) -> str:
        """Sign claims as Prolific does.

        Parameters
        ----------
        audience : str
            The address that the link leads to.
        claims : mapping
            Of the ids.
        expires : datetime, optional
            In ten minutes by default.
        issuer : str
            Prolific by default.

        Returns
        -------
        str
            A JSON web token.
        """
        payload = {
            "iss": issuer,
            "aud": audience,
            "iat": _now(),
            "exp": expires or _now() + timedelta(minutes=TOKEN_MINUTES),
            "prolific": {**claims, "workspace_id": WORKSPACE},
        }
        return jwt.encode(payload, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def jwks(self) -> dict[str, Any]:
        """Write the public key as Prolific publishes it."""
        row = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**row, "kid": self._key_id, "alg": "RS256", "use": "sig"}]}

    def submission_move(self, submission_id: str, status: str, code: str = "") -> FakeSubmission:
        """Move a submission as participants and Prolific's clock do.

        Parameters
        ----------
        submission_id : str
            Which.
        status : str
            ``AWAITING REVIEW`` (with the code), ``RETURNED``, ``TIMED-OUT``, ...
        code : str
            What the participant came back with.

        Returns
        -------
        FakeSubmission
            Moving to where it is changes nothing. What a code's action asks for is done.
        """
        with self.lock:
            row = self.submission(submission_id)
            if row.status == status:
                return row
            if row.status in {"APPROVED", "RETURNED"}:
                raise FakeProblem(400, f"The submission is {row.status} and stays so.")
            row.status, row.code = status, code or row.code
            self._submission_event(row)
            if status == "AWAITING REVIEW":
                self._code_action(row)
            self._study_follow(self.study(row.study_id))
            return row

    # --- what the API does

    def study_create(self, body: Mapping[str, Any]) -> FakeStudy:
        """Make a draft."""
        missing = [name for name in REQUIRED if body.get(name) in (None, "", [])]
        if missing:
            raise FakeProblem(400, f"{missing[0]}: this field is required.")
        rate = body["reward"] * 60 / body["estimated_completion_time"]
        if rate < 600:
            raise FakeProblem(400, "reward: it is below the minimum of 6 an hour.")
        codes = [row["code"] for row in body["completion_codes"]]
        if len(set(codes)) < len(codes):
            raise FakeProblem(400, "completion_codes: they must differ.")
        with self.lock:
            made = FakeStudy(secrets.token_hex(12), dict(body))
            self.studies[made.id] = made
            return made

    def study_change(self, study_id: str, body: Mapping[str, Any]) -> FakeStudy:
        """Change a draft, or add places to a published study."""
        with self.lock:
            row = self.study(study_id)
            if row.status != "UNPUBLISHED":
                places = body.get("total_available_places")
                if set(body) != {"total_available_places"} or not isinstance(places, int):
                    raise FakeProblem(400, "Only places can be changed after publishing.")
                if places < row.fields["total_available_places"]:
                    raise FakeProblem(400, "total_available_places: it can only grow.")
                self._reserve(row, places - row.fields["total_available_places"])
                if row.status in {"AWAITING REVIEW", "COMPLETED"}:
                    self._study_move(row, "ACTIVE")
            row.fields.update(body)
            return row

    def study_transition(self, study_id: str, action: str) -> FakeStudy:
        """Publish, pause, start or stop; doing it again changes nothing."""
        if action not in STUDY_ACTIONS:
            raise FakeProblem(400, f"action: {action!r} is unknown.")
        allowed, target = STUDY_ACTIONS[action]
        with self.lock:
            row = self.study(study_id)
            if row.status == target:
                return row
            if row.status not in allowed:
                raise FakeProblem(400, f"A study that is {row.status} cannot {action}.")
            if action == "PUBLISH":
                self._reserve(row, row.fields["total_available_places"])
            self._study_move(row, target)
            self._study_follow(row)
            return row

    def approve(self, submission_ids: list[str]) -> None:
        """Approve; those that are approved already stay so and are paid once."""
        with self.lock:
            for name in submission_ids:
                row = self.submission(name)
                if row.status in {"AWAITING REVIEW", "TIMED-OUT"}:
                    self.submission_move(name, "APPROVED")
                elif row.status != "APPROVED":
                    raise FakeProblem(400, f"A submission that is {row.status} is not approved.")

    def reject(self, submission_id: str, category: str, message: str) -> FakeSubmission:
        """Reject, with a category and a reason of 100 characters."""
        if not category or len(message) < 100:
            raise FakeProblem(400, "message: at least 100 characters and a category are needed.")
        if self.submission(submission_id).status not in {"AWAITING REVIEW", "REJECTED"}:
            raise FakeProblem(400, "Only a submission that awaits review is rejected.")
        return self.submission_move(submission_id, "REJECTED")

    def bonus_set_up(self, study_id: str, lines: str) -> tuple[str, int]:
        """Prepare bonuses, of lines ``submission,amount``."""
        self.study(study_id)
        rows = []
        for line in lines.splitlines():
            name, _, amount = line.partition(",")
            self.submission(name)
            rows.append((name, round(float(amount) * 100)))
        with self.lock:
            made = secrets.token_hex(12)
            self.bulk[made] = rows
        return made, sum(amount for _, amount in rows)

    def bonus_pay(self, bulk_id: str) -> None:
        """Pay prepared bonuses: like Prolific, as often as one asks."""
        with self.lock:
            if bulk_id not in self.bulk:
                raise FakeProblem(404, "There is no such bonus payment.")
            for name, amount in self.bulk[bulk_id]:
                self.submission(name).bonus_minor.append(amount)

    def study(self, study_id: str) -> FakeStudy:
        """Find a study."""
        with self.lock:
            if study_id not in self.studies:
                raise FakeProblem(404, "There is no such study.")
            return self.studies[study_id]

    def submission(self, submission_id: str) -> FakeSubmission:
        """Find a submission."""
        with self.lock:
            if submission_id not in self.submissions:
                raise FakeProblem(404, "There is no such submission.")
            return self.submissions[submission_id]

    def places_taken(self, study_id: str) -> int:
        """Count the places that are taken."""
        with self.lock:
            return sum(
                row.study_id == study_id and row.status in HOLDING
                for row in self.submissions.values()
            )

    def set_aside_minor(self) -> int:
        """Add up what published studies have set aside and not paid yet."""
        with self.lock:
            published = [row for row in self.studies.values() if row.status != "UNPUBLISHED"]
            return sum(
                _cost(study, study.fields["total_available_places"] - self._approved(study.id))
                for study in published
            )

    # --- how

    def _approved(self, study_id: str) -> int:
        return sum(
            row.study_id == study_id and row.status == "APPROVED"
            for row in self.submissions.values()
        )

    def _reserve(self, study: FakeStudy, places: int) -> None:
        cost = _cost(study, places)
        if cost > self.balance_minor:
            raise FakeProblem(400, "The workspace has not enough money.")
        self.balance_minor -= cost

    def _code_action(self, row: FakeSubmission) -> None:
        for known in self.study(row.study_id).fields["completion_codes"]:
            if known["code"] != row.code:
                continue
            actions = {action["action"] for action in known["actions"]}
            row.returned_asked = "REQUEST_RETURN" in actions
            if "AUTOMATICALLY_APPROVE" in actions:
                self.submission_move(row.id, "APPROVED")

    def _study_follow(self, study: FakeStudy) -> None:
        """End a study whose places are all used, as Prolific does by itself."""
        mine = [row.status for row in self.submissions.values() if row.study_id == study.id]
        places = study.fields["total_available_places"]
        if study.status == "ACTIVE" and (
            sum(status in {"AWAITING REVIEW", "APPROVED"} for status in mine) >= places
        ):
            self._study_move(study, "AWAITING REVIEW")
        if study.status == "AWAITING REVIEW" and not any(
            status in {"RESERVED", "ACTIVE", "AWAITING REVIEW"} for status in mine
        ):
            self._study_move(study, "COMPLETED")

    def _study_move(self, study: FakeStudy, status: str) -> None:
        study.status = status
        self._event("study.status.change", study.id, {"status": status})

    def _submission_event(self, row: FakeSubmission) -> None:
        fields = {"status": row.status, "participant_id": row.participant}
        self._event("submission.status.change", row.id, fields)

    def _event(self, event_type: str, resource_id: str, fields: Mapping[str, Any]) -> None:
        body = event_body(event_type, resource_id, fields)
        for row in self.subscriptions.values():
            if row["event_type"] == event_type and row["confirmed"]:
                self.deliveries.append(Delivery(row["target_url"], body, _now(), self.hook_secret))


def _cost(study: FakeStudy, places: int) -> int:
    """Say what places cost: a fee of a third on top of the reward."""
    cost: int = round(places * study.fields["reward"] * 4 / 3)
    return cost


def _now() -> datetime:
    return datetime.now(UTC)
