"""What function-kratix writes into `status.kratix` of an XR (function/status.py), as a schema.

Unknown fields are preserved: a newer function writes more.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT = {"type": "string"}


def _object(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "x-kubernetes-preserve-unknown-fields": True,
    }


def _list(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": _object("One of them.", properties)}


KRATIX_STATUS: Final = _object(
    "Written by function-kratix.",
    {
        "promise": _object("The Promise whose logic ran.", {"name": _TEXT, "version": _TEXT}),
        "placements": _list(
            "Where each directory of documents goes, and why.",
            {"directory": _TEXT, "destination": _TEXT, "state": _TEXT, "reason": _TEXT},
        ),
        "workflows": _object(
            "The Promise's own pipelines, as Kratix shows them.",
            {
                "configure": _object(
                    "What runs for a request that is new or has changed.",
                    {"pipelines": _list("In their order.", {"name": _TEXT, "phase": _TEXT, "message": _TEXT})},
                )
            },
        ),
        "deliveries": _list("What was composed to deliver the documents.", {"kind": _TEXT, "name": _TEXT}),
        "audit": _list(
            "Checks with the action Audit that failed.", {"check": _TEXT, "document": _TEXT, "message": _TEXT}
        ),
    },
)
