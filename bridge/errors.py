"""What goes wrong for people: one sentence each, which names the thing and the cause, and never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# An API server repeats what was sent to it in its messages; a condition or a log line stays one readable sentence.
_MESSAGE = 600
_SHOWN = 3  # of many conflicts


class FolderError(Exception):
    """What is wrong with the files, in one sentence that says where."""


class StartError(Exception):
    """Why the bridge cannot start, in one sentence."""


class KubeconfigError(Exception):
    """A kubeconfig that is not used, in one sentence that names the field and shows nothing of its content."""


class ClusterError(Exception):
    """Something that could not be done on a cluster: `cannot <doing> on cluster <name>: <cause>`.

    Attributes:
        cluster: The cluster's name.
        doing: What was tried, such as `apply Composition a`.
        cause: Why it failed, without a trailing full stop.
        retry_after: In how many seconds another try makes sense, where that is known.
    """

    def __init__(self, cluster: str, doing: str, cause: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"cannot {doing} on cluster {cluster}: {cause}")
        self.cluster = cluster
        self.doing = doing
        self.cause = cause
        self.retry_after = retry_after


class ForeignError(ClusterError):
    """An object is somebody else's."""


class ConflictError(ClusterError):
    """Another manager owns a field.

    Attributes:
        conflicts: Manager and field, sorted.
    """

    def __init__(self, cluster: str, doing: str, conflicts: tuple[tuple[str, str], ...]) -> None:
        shown = ", ".join(f"{manager} owns {field}" for manager, field in conflicts[:_SHOWN])
        more = f", and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        super().__init__(cluster, doing, f"{shown}{more}")
        self.conflicts = conflicts


class UnreachableError(ClusterError):
    """The cluster gave no answer: name, network, TLS, time-out, an open breaker, or an answer that is none."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the causes that an API server lists (`Status.details.causes`)."""

    reason: str
    message: str
    field: str


class ApiError(ClusterError):
    """An answer of the API server that is an error.

    Attributes:
        status: The HTTP status, or the code of a Status that came in a watch.
        reason: Kubernetes' reason, such as `NotFound`, `Expired`, `Conflict`; empty where there is none.
        message: The server's own sentence, cut to a length that can be shown.
        causes: What the server lists in detail; the conflicts of a server-side apply are there.
    """

    def __init__(
        self, cluster: str, doing: str, status: int, body: object, *, retry_after: float | None = None
    ) -> None:
        told: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        details = told.get("details")
        self.details: Mapping[str, Any] = details if isinstance(details, Mapping) else {}
        self.status = status
        self.reason = str(told.get("reason") or "")
        self.message = _cut(str(told.get("message") or ""))
        self.causes = tuple(_causes(self.details.get("causes")))
        shown = self.message or self.reason or "no reason was given"
        super().__init__(cluster, doing, f"{shown} (HTTP {status})", retry_after=retry_after)

    @property
    def may_pass(self) -> bool:
        """Whether the same may work later with nothing changed: too much was asked, or something behind it failed."""
        return self.status == 429 or self.status >= 500


def _cut(text: str) -> str:
    # Not function.api.errors.shorten: that module needs pydantic, which `kratix-crossplane --help` would wait for.
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 1]}…"


def _causes(causes: object) -> list[Cause]:
    if not isinstance(causes, list):
        return []
    told = [cause for cause in causes if isinstance(cause, Mapping)]
    return [Cause(*(str(cause.get(part) or "") for part in ("reason", "message", "field"))) for cause in told]
