"""The API's reference as a page: the OpenAPI document in words, without a script."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
@login_required
def api_docs(request: HttpRequest) -> HttpResponse:
    """Show every operation of the API and every schema that they use."""
    return render(
        request,
        "researcher/api_docs.html",
        {**reference(), "address": request.build_absolute_uri("/").rstrip("/")},
    )


@lru_cache(maxsize=1)
def reference() -> dict[str, Any]:
    """Put the OpenAPI document into the words of the page.

    Returns
    -------
    dict
        ``groups`` (of operations, by what they are about) and ``schemas``. It follows from the
        code alone, so that a process makes it once.
    """
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                groups.setdefault(operation["tags"][0], []).append(
                    _operation(path, method, operation)
                )
    schemas = document["components"]["schemas"]
    return {
        "groups": [{"name": name, "operations": rows} for name, rows in sorted(groups.items())],
        "schemas": [_schema(name, schema) for name, schema in sorted(schemas.items())],
        "n_operations": sum(map(len, groups.values())),
    }


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    answers = sorted(operation["responses"].items())
    summary, _, rest = operation.get("description", "").partition("\n")
    return {
        "id": operation["operationId"],
        "path": path,
        "method": method.upper(),
        "summary": summary,
        "paragraphs": [text for text in rest.strip().split("\n\n") if text],
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "required": parameter.get("required", False),
                "type": _type(parameter.get("schema", {})),
                "description": parameter.get("description", ""),
            }
            for parameter in operation.get("parameters", [])
        ],
        "bodies": _contents(operation.get("requestBody", {})),
        "answers": [
            {
                "code": code,
                "description": answer.get("description", ""),
                "bodies": _contents(answer),
            }
            for code, answer in answers
            if code.startswith("2")
        ],
        "problems": [
            {"code": code, "description": answer["description"]}
            for code, answer in answers
            if not code.startswith("2")
        ],
    }


def _contents(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"media_type": media_type, "type": _type(content.get("schema", {}))}
        for media_type, content in part.get("content", {}).items()
    ]


def _schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    return {
        "name": name,
        "description": " ".join(schema.get("description", "").split()),
        "values": schema.get("enum", []),
        "fields": [
            {
                "name": field,
                "type": _type(inner),
                "required": field in required,
                "description": _plain(inner.get("description", "")),
            }
            for field, inner in schema.get("properties", {}).items()
        ],
    }


def _plain(text: str) -> str:
    """Leave out the list of values that the document appends: their schema has it."""
    return text.split("\n\n*")[0].removeprefix("*").strip() if "* `" not in text[:3] else ""


def _type(schema: Mapping[str, Any]) -> dict[str, str]:
    """Say a type in words, with the name of the schema that it links to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"words": "", "schema": name}
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            parts = [_type(part) for part in schema[several]]
            return {
                "words": " or ".join(part["words"] for part in parts if part["words"]),
                "schema": next((part["schema"] for part in parts if part["schema"]), ""),
            }
    kind = schema.get("type", "any value")
    kinds: Iterable[str] = [kind] if isinstance(kind, str) else kind
    words = " or ".join(kinds)
    if "array" in kinds:
        inner = _type(schema.get("items", {}))
        return {"words": f"list of {inner['words']}".strip(), "schema": inner["schema"]}
    if "enum" in schema:
        words = " or ".join(str(value) for value in schema["enum"])
    bounds = [
        f"{word} {schema[name]}"
        for name, word in (("minimum", "at least"), ("maximum", "at most"))
        if name in schema and abs(schema[name]) < 2**53
    ]
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']} characters")
    form = schema.get("format")
    return {"words": ", ".join([f"{words} ({form})" if form else words, *bounds]), "schema": ""}
