"""The description of the service by the card of the model that answers: the real names and types, and an example."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from spark_lib.rest.current import Current
from spark_lib.rest.rows import Column
from spark_lib.use_case import Feature

_TYPES = {"boolean": "boolean", "string": "string", "float": "number", "double": "number"}
_WHOLE = "integer"
_PREDICTED = {
    "double": {"type": "number"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "array<double>": {"type": "array", "items": {"type": "number"}},
}
#: What is said of answers that are no prediction.
_OTHERS = {
    "401": "The token is missing, or another one.",
    "413": "More rows or bytes than are allowed.",
    "415": "A body of another type than JSON.",
    "422": "Rows that cannot be scored: each fault with its row, its column, what is wanted and what was found.",
    "503": "No model is there yet.",
}

#: The route of published scores, which is there where they can be looked up, and what is said of answers without one.
SCORES = "/scores/{entity}"
_NO_SCORE = {
    "401": _OTHERS["401"],
    "404": "No score of this entity, and no fallback.",
    "422": "What is asked for is no entity: what is wanted, and what was found.",
    "503": "Scores cannot be looked up now.",
}


def document(base: Mapping[str, Any], current: Current | None, has_token: bool) -> dict[str, Any]:
    """FastAPI's description with what only the model knows."""
    found = copy.deepcopy(dict(base))
    post: dict[str, Any] = {"summary": "Score one row, or many", "operationId": "predictions"}
    found["paths"] = {"/predictions": {"post": post}} | found["paths"]
    row = _row(current) if current else {"type": "object"}
    example = _example(current) if current else {}
    either = {"oneOf": [row, {"type": "array", "items": row}]}
    post["requestBody"] = {"required": True, "content": {"application/json": {"schema": either, "example": example}}}
    answer = {"schema": _answer(current)}
    post["responses"] = {
        "200": {
            "description": "A prediction for each row, in the order of the rows.",
            "content": {"application/json": answer},
        }
    } | {status: {"description": words} for status, words in _OTHERS.items() if has_token or status != "401"}
    if SCORES in found["paths"]:
        found["paths"][SCORES]["get"]["responses"] = _of_scores(current, has_token)
    if has_token:
        found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        found["paths"]["/health"]["get"]["security"] = []
    return found


def _row(current: Current) -> dict[str, Any]:
    columns = current.scorer.columns.by_name
    return {
        "type": "object",
        "required": list(columns),
        "additionalProperties": False,
        "properties": {name: _schema(column, current.card.features[name]) for name, column in columns.items()},
    }


def _schema(column: Column, feature: Feature) -> dict[str, Any]:
    kind = _TYPES.get(column.kind, "number" if column.kind.startswith("decimal") else _WHOLE)
    found: dict[str, Any] = {
        "type": [kind, "null"] if column.takes_null else kind,
        "description": f"{column.kind}: {column.wanted}",
    }
    if feature.categories:
        found["examples"] = list(feature.categories[:5])
    return found


def _example(current: Current) -> dict[str, Any]:
    return {
        name: _value(column.kind, current.card.features[name])
        for name, column in current.scorer.columns.by_name.items()
    }


def _value(kind: str, feature: Feature) -> Any:
    if kind == "string":
        return feature.categories[0] if feature.categories else "text"
    if kind == "boolean":
        return True
    return 1 if kind in ("tinyint", "smallint", "int", "bigint") else 1.5


def _answer(current: Current | None) -> dict[str, Any]:
    predicted = current.scorer.predicted if current else ()
    of_a_row = {"type": "object", "properties": {name: _PREDICTED[kind] for name, kind in predicted}}
    return {
        "type": "object",
        "properties": {
            "model_date": {"type": "string", "format": "date"},
            "model_digest": {"type": "string", "description": "The SHA-256 of the model."},
            "released": {"type": "string", "format": "date", "description": "The newest released day."},
            "predictions": {"type": "array", "items": of_a_row},
            "unseen_categories": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "description": "In how many rows a category is a text that training did not see, by feature.",
            },
        },
    }


def _of_scores(current: Current | None, has_token: bool) -> dict[str, Any]:
    predicted = current.scorer.predicted if current else ()
    day = {"type": ["string", "null"], "format": "date"}
    words = {"type": ["string", "null"]}
    answer = {
        "type": "object",
        "properties": {
            "entity": {"type": "object", "description": "The entity by its columns."},
            "kind": {"enum": ["score", "fallback"]},
            "values": {
                "type": "object",
                "description": "The published row without the entity, or what is declared for entities without a score.",
                "properties": {name: _PREDICTED[kind] for name, kind in predicted},
            },
            "date": {**day, "description": "The published day; null for a fallback."},
            "model_date": {**day, "description": "The date of the model, null for a fixed value."},
            "model_digest": {**words, "description": "The SHA-256 of the model."},
            "run": {**words, "description": "The published run; null for a fallback."},
            "is_stale": {"type": "boolean", "description": "Whether the score is older than it may be."},
        },
    }
    found = {
        "200": {
            "description": "The newest published score, or the fallback.",
            "content": {"application/json": {"schema": answer}},
        }
    }
    others = {status: {"description": said} for status, said in _NO_SCORE.items() if has_token or status != "401"}
    return found | others
