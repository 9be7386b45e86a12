"""A PromiseInput in a Kratix pipeline: the function's own code decides, Kratix delivers.

What another one does there is left to it: Kratix runs the Promise's pipelines (this container is in one), chooses the
Destinations and writes the Work. So of an outcome only the verdicts, the documents and the selectors count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.stage import earlier
from bridge.stage.folders import Folders
from function.api import names
from function.api.input import parse
from function.model import Document, JsonObject, Outcome, lookup
from function.simulate import once
from function.simulate.cluster import Reader, Ref

_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request becomes nothing now, in one sentence. What was delivered before stays: no Work is written.

    Attributes:
        retry_after: When it may pass as it is, since a gate denied it, or an input is not there; empty where it cannot.
    """

    message: str
    retry_after: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a request becomes.

    Attributes:
        warnings: One sentence for each gate that warns.
        adopted: The files of earlier containers that are among the documents.
        selectors: Directory (`.` for the root) and labels, as a resource workflow asks for them.
    """

    warnings: tuple[str, ...]
    documents: tuple[Document, ...]
    adopted: frozenset[str]
    selectors: tuple[tuple[str, Mapping[str, str]], ...]
    status: JsonObject


def run(request: JsonObject, given: Mapping[str, Any], reader: Reader, folders: Folders) -> Made | Refused:
    """Run a Promise's logic for a request.

    Args:
        given: The PromiseInput that a Composition would have.
        reader: The Promise and the context.
        folders: Where the files of earlier containers are, which it may adopt.

    Raises:
        InvalidError: The input asks for what a Kratix pipeline does not have.
        FolderError: A file cannot be adopted.
        SimulationError: The input or the request is invalid, with the field's path.
    """
    parsed = parse(given)
    adopted = earlier.documents(parsed.adopt, folders) if parsed.adopt else {}
    own = {field: value for field, value in given.items() if field != "adopt"}
    own["documents"] = [*(given.get("documents") or ()), *adopted.values()]
    kratix_does = {"workflow": {"pipelines": "None"}, "deliver": {"as": "Work"}}
    outcome = once.decide(_real(request), {**own, **kratix_does}, _WithoutWorks(reader))
    hold = outcome.hold
    if hold is not None:
        return Refused(f"{hold.condition} is False: {hold.message}", "" if hold.reason == "Invalid" else parsed.ttl)
    warned = tuple(f"{v.check}: {v.message}" for v in outcome.verdicts if v.action == "Warn" and not v.passed)
    return Made(warned, outcome.documents, frozenset(adopted), _selectors(outcome), _status(outcome))


def _real(request: JsonObject) -> JsonObject:
    """The request without Kratix's label for a dry run: its Work goes to dry-run Destinations, so there must be one."""
    labels = lookup(request, "metadata", "labels")
    if not isinstance(labels, Mapping) or names.KRATIX_DRY_RUN_LABEL not in labels:
        return request
    kept = {key: value for key, value in labels.items() if key != names.KRATIX_DRY_RUN_LABEL}
    return {**request, "metadata": {**request["metadata"], "labels": kept}}


class _WithoutWorks:
    """A reader that knows no Work of the request: Kratix's own is not the function's."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, ref: Ref) -> JsonObject | None:
        return self._reader.get(ref)

    def matching(
        self, api_version: str, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[JsonObject]:
        if (api_version, kind) == (names.KRATIX_API_VERSION, "WorkPlacement"):
            return []
        return self._reader.matching(api_version, kind, namespace, labels)


def _selectors(outcome: Outcome) -> tuple[tuple[str, Mapping[str, str]], ...]:
    # Those of the Promise itself are added by Kratix.
    groups: Sequence[Any] = outcome.schedule.groups if outcome.schedule else ()
    return tuple(
        (group.directory, selector.match_labels)
        for group in groups
        for selector in group.selectors
        if selector.source == "resource-workflow"
    )


def _status(outcome: Outcome) -> JsonObject:
    assert outcome.judgement is not None  # noqa: S101 - without a hold every gate was judged
    count = len(outcome.documents)
    audit = [
        {"check": v.check, **({"document": v.document} if v.document else {}), "message": v.message}
        for v in outcome.verdicts
        if v.action == "Audit" and not v.passed
    ]
    checks = {"reason": outcome.judgement.reason, "message": outcome.judgement.message}
    return {
        "message": f"{count or 'no'} document{'' if count == 1 else 's'} made; {outcome.judgement.message}",
        "checks": {**checks, **({"audit": audit[:_LISTED]} if audit else {})},
    }
