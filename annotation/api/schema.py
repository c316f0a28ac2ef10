"""The OpenAPI document: made from the views, with problems and idempotency keys added."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from annotation.api.base import IDEMPOTENCY_HEADER, MAX_KEY

PREFIX = "/api/"
PROBLEM_TYPE = "application/problem+json"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "A problem (RFC 9457).",
    "required": ["type", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:neuronjury:problem:<kind>"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what helps."},
        "errors": {"description": "Of a body or query that was refused: by field."},
    },
}
#: Problems that every operation may answer with.
ALWAYS = {
    "401": "Nobody: no token, or one that is wrong, expired or revoked.",
    "403": "Somebody who may not do this, or a token without the scope.",
    "429": "Too many requests; Retry-After says how many seconds to wait.",
}
WITH_QUERY_OR_BODY = {"400": "A value cannot be used; the detail names field, value and remedy."}
WITH_PATH = {"404": "There is no such thing that you may see."}
STATE = {"409": "The state of the study, or of a key, does not allow this."}
PANEL_PART = "/prolific/"
PANEL = {"424": "Prolific refused, or did not answer: the detail says which."}
WITH_BODY = {
    "413": "The body is too large.",
    "415": "The body is of a type that is not taken here.",
}
#: What a part of a study is about, where it is not its own name.
GROUPS = {
    **dict.fromkeys(
        ("checklist", "clone", "close", "launch", "log", "pause", "progress", "redundancy"),
        "studies",
    ),
    "resume": "studies",
    **dict.fromkeys(("agreement", "policy", "raters", "reviews"), "quality"),
    **dict.fromkeys(("ledger", "screening", "spend"), "recruitment"),
    "explanation-files": "explanations",
    "runs": "estimates",
}


class Schema(AutoSchema):
    """Describe an operation: the body of its doc string up to the parameters, its key header."""

    def get_description(self) -> str:  # type: ignore[override]
        """Take what the handler's doc string says before its sections."""
        return _prose(super().get_description())

    def get_override_parameters(self) -> list[Any]:
        """Add the header of handlers that keep their replies."""
        handler = getattr(self.view, self.method.lower(), None)
        if not getattr(handler, "takes_idempotency_key", False):
            return []
        return [
            OpenApiParameter(
                name=IDEMPOTENCY_HEADER,
                type={"type": "string", "maxLength": MAX_KEY, "pattern": r"^[ -~]+$"},
                location=OpenApiParameter.HEADER,
                description=(
                    "Made by the client, new for every request that it means: the same request "
                    "again gets the same reply, and nothing happens twice."
                ),
            )
        ]

    def get_tags(self) -> list[str]:
        """Group operations by what they are about."""
        words = [word for word in self.path.removeprefix(PREFIX).split("/") if word]
        subject = words[2] if words[0] == "studies" and len(words) > 2 else words[0]
        return [GROUPS.get(subject, subject)]


def api_alone(endpoints: list[Any], **_: Any) -> list[Any]:
    """Leave out what is no part of the researcher's API: the rater's own endpoint."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]


def problems_added(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to every operation the problems that it may answer with."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for path, item in result["paths"].items():
        for method, operation in item.items():
            if method not in {"get", "post", "put", "patch", "delete"}:
                continue
            problems = dict(ALWAYS)
            if "requestBody" in operation or operation.get("parameters"):
                problems |= WITH_QUERY_OR_BODY
            if "{" in path or "requestBody" in operation:
                problems |= WITH_PATH
            if method != "get":
                problems |= WITH_BODY
            if method != "get" or "{slug}" in path:
                problems |= STATE
            if any(p["name"] == "page" for p in operation.get("parameters", [])):
                problems |= WITH_PATH
            if PANEL_PART in path:
                problems |= PANEL
            for code, words in problems.items():
                operation["responses"].setdefault(code, _problem(words))
    return result


def _problem(words: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {PROBLEM_TYPE: {"schema": reference}}}


def _prose(text: str) -> str:
    """Cut a numpydoc string before its first section."""
    lines: list[str] = []
    for line in text.splitlines():
        if line and set(line.strip()) == {"-"}:
            lines.pop()
            break
        lines.append(line)
    return "\n".join(lines).strip()
