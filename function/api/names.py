"""Every label, annotation, condition, reason and generated name, in one place.

Labels under `kratix.io/` are Kratix's own. Those that say whose request a Work belongs to (promise-name,
resource-name, work-type) are never set here: with them a Kratix request of the same name would claim the Work, or
delete it in its clean-up (Kratix, lib/resourceutil/work.go: works are found by those labels alone).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from typing import Final, Literal

GROUP: Final = "kratix.fn.crossplane.io"
INPUT_API_VERSION: Final = f"{GROUP}/v1beta1"
INPUT_KIND: Final = "PromiseInput"

KRATIX_API_VERSION: Final = "platform.kratix.io/v1alpha1"
DEFINITION_API_VERSION: Final = "apiextensions.crossplane.io/v1"
ENVIRONMENT_CONFIG_API_VERSION: Final = "apiextensions.crossplane.io/v1beta1"

# Our own labels and annotations, on everything that this function composes.
PROMISE_LABEL: Final = f"{GROUP}/promise"
DELIVER_LABEL: Final = f"{GROUP}/deliver"
DESTINATION_LABEL: Final = f"{GROUP}/destination"
DIRECTORY_ID_LABEL: Final = f"{GROUP}/directory-id"
# On what stays on a Destination that its group has left, until it is delivered where it went; it does not come back.
LEFT_LABEL: Final = f"{GROUP}/left"
# On what a step holds for a Promise that is not its own, until the step of that Promise takes it over.
HELD_ANNOTATION: Final = f"{GROUP}/held-for"
DOCUMENT_ANNOTATION: Final = f"{GROUP}/document"
# On a Destination: the provider-kubernetes ProviderConfig that reaches its cluster. Its own name where not set.
PROVIDER_CONFIG_ANNOTATION: Final = f"{GROUP}/provider-config"
# On an EnvironmentConfig that stands for a Destination where Kratix is not installed.
INVENTORY_LABEL: Final = f"{GROUP}/destination-inventory"

# On everything that a bridge applies to a cluster: whose it is (the label for selectors, the annotation in full), and a
# digest of what was applied, so that a bridge that starts anew sees that nothing changed.
OWNER_LABEL: Final = f"{GROUP}/bridge"
OWNER_ANNOTATION: Final = f"{GROUP}/bridge"
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
# How the bridge is called among the managers of an object's fields.
FIELD_MANAGER: Final = "kratix-crossplane-bridge"

# On an XR that a Promise's request was delegated to: whose it is. The namespace is not always the XR's own, and
# PROMISE_LABEL is not set: a Composition may hand labels down, and the function takes what has that one for its own.
REQUEST_PROMISE_LABEL: Final = f"{GROUP}/request-promise"
REQUEST_NAME_LABEL: Final = f"{GROUP}/request-name"
REQUEST_NAMESPACE_LABEL: Final = f"{GROUP}/request-namespace"
# On an XR, with those three: it mirrors a request of the platform, and the bridge applies it (bridge/sync/requests.py).
MIRRORS_LABEL: Final = f"{GROUP}/mirrors-request"
# On the ConfigMap that says by its change that such an XR's status has changed (function/beacon.py).
BEACON_LABEL: Final = f"{GROUP}/beacon"
# What its key has behind the Promise's name; no document's or run's key has an empty part.
BEACON_KEY: Final = "//beacon"

# Kratix's labels that its scheduler and writers read (internal/controller/scheduler.go).
KRATIX_WORK_LABEL: Final = "kratix.io/work"
KRATIX_GROUP_ID_LABEL: Final = "kratix.io/workload-group-id"
KRATIX_TARGET_LABEL: Final = "kratix.io/targetDestinationName"
KRATIX_PIPELINE_LABEL: Final = "kratix.io/pipeline-name"
KRATIX_MISPLACED_LABEL: Final = "kratix.io/misplaced"
KRATIX_DRY_RUN_LABEL: Final = "kratix.io/dry-run"

# On what is composed for a Promise's own pipelines, and on the ConfigMaps in which their output comes back. None of
# Kratix's: where it is on the same cluster its workflow engine would take a Job with them for one of its own
# (lib/workflow/reconciler.go finds Jobs by labels alone), and app.kubernetes.io/managed-by: Kratix would have the Job's
# pods removed (workflow_job_pod_cleanup_controller.go).
OUTPUT_OF_LABEL: Final = f"{GROUP}/output-of"
RUN_LABEL: Final = f"{GROUP}/run"
PIPELINE_LABEL: Final = f"{GROUP}/pipeline"
WORKFLOW_LABEL: Final = f"{GROUP}/workflow"
ACTION_LABEL: Final = f"{GROUP}/action"
RUN_DIGEST_LABEL: Final = f"{GROUP}/run-digest"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
CHUNK_ANNOTATION: Final = f"{GROUP}/chunk"
CHUNKS_ANNOTATION: Final = f"{GROUP}/chunks"
OUTPUT_DIGEST_ANNOTATION: Final = f"{GROUP}/output-digest"

# On a Job: which run of the workflow it is of, counted from 1; its pipeline's place in it, such as 2/3; and what the
# XR's labels for a manual run and for going on were when it was made.
RUN_NUMBER_ANNOTATION: Final = f"{GROUP}/run-number"
PLACE_ANNOTATION: Final = f"{GROUP}/place"
ASKED_ANNOTATION: Final = f"{GROUP}/manual-reconciliation"
RESUMED_ANNOTATION: Final = f"{GROUP}/workflow-suspended"
# On a Job that was ended before its time, by `suspend`, to make way for another.
ENDED_ANNOTATION: Final = f"{GROUP}/ended"
# On a Job that was there while its XR or Promise was paused: a new run follows once it no longer is, as in Kratix.
PAUSED_ANNOTATION: Final = f"{GROUP}/paused"

# Kratix's labels on a request by which a person steers its workflow (lib/resourceutil/util.go, api/v1alpha1).
KRATIX_MANUAL_LABEL: Final = "kratix.io/manual-reconciliation"
KRATIX_SUSPENDED_LABEL: Final = "kratix.io/workflow-suspended"
# On a request or its Promise: nothing changes meanwhile (promise_controller.go: pauseReconciliationLabel).
KRATIX_PAUSED_LABEL: Final = "kratix.io/paused"
# On a Promise whose resource workflow is not Kratix's at all: that label then keeps Kratix off it, and nobody else.
BRIDGE_WORKFLOW_LABEL: Final = "bridge.kratix.io/workflow"
BRIDGE_WORKFLOW_OF_FUNCTION: Final = "function"
# On a Promise: how often its pipelines run again though nothing changed (promiserevision_types.go).
KRATIX_INTERVAL_ANNOTATION: Final = "kratix.io/reconciliation-interval"

# In the key of everything that is composed to run a pipeline: <Promise>/run/<pipeline>/...
RUN_KEY: Final = "/run/"

# On an XR: its Promise's delete pipelines run before it goes (bridge/sync/deletions.py).
DELETE_FINALIZER: Final = f"{GROUP}/delete-workflow"
# On what runs them: the XR's UID, and what Crossplane would know it by. It has no owner: with an owner that is deleted
# in the foreground the garbage collector would delete it at once.
DELETED_UID_LABEL: Final = f"{GROUP}/deleted-uid"
KEY_ANNOTATION: Final = f"{GROUP}/key"
# The condition of an XR that says how far they are; Kratix's own (lib/resourceutil/util.go).
DELETE_WORKFLOW_COMPLETED: Final = "DeleteWorkflowCompleted"

# What the writer in a Job's pod is told, beside Kratix's variables.
ENV_RUN: Final = "KRATIX_FN_RUN"
ENV_NAMESPACE: Final = "KRATIX_FN_NAMESPACE"
ENV_OUTPUT_OF: Final = "KRATIX_FN_OUTPUT_OF"
ENV_JOB_UID: Final = "KRATIX_FN_JOB_UID"

# Under which names the function requires what it reads; a Composition that declares the same spares it a call.
REQUIRED_PROMISE: Final = "kratix/promise"
REQUIRED_DESTINATIONS: Final = "kratix/destinations"
REQUIRED_PLACEMENTS: Final = "kratix/workplacements"
REQUIRED_OUTPUTS: Final = "kratix/outputs"
REQUIRED_PODS: Final = "kratix/pods"
REQUIRED_DEFINITION: Final = "kratix/definition"
REQUIRED_CONTEXT: Final = "kratix/context/"

# Crossplane's annotation that holds a composed resource's key.
COMPOSITION_RESOURCE_NAME: Final = "crossplane.io/composition-resource-name"

CHECKS_PASSED: Final = "ChecksPassed"
WORKFLOW_COMPLETED: Final = "WorkflowCompleted"
# A condition's reason while an XR has Kratix's label for a dry run.
DRY_RUN: Final = "DryRun"
# Kratix's own reason (lib/resourceutil/util.go).
PAUSED: Final = "PausedReconciliation"
SCHEDULED: Final = "Scheduled"
DELIVERED: Final = "Delivered"
# Reasons of WorkflowCompleted with which nothing is wrong: a Job runs, or will by itself.
UNDER_WAY: Final = ("Running", "Superseded", "Restarting", "Repeating", "WaitingToRetry")
CONDITIONS: Final = (CHECKS_PASSED, WORKFLOW_COMPLETED, SCHEDULED, DELIVERED)
# In `status.kratix`: what later steps of a pipeline say of their Promises, by the Promise's name.
STEPS: Final = "steps"

# Crossplane's own: False while its circuit breaker lets no events of an XR through.
RESPONSIVE: Final = "Responsive"

LABEL_LIMIT: Final = 63
NAME_LIMIT: Final = 253

_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_UNSAFE = re.compile(r"[^a-z0-9-]+")


def digest(*parts: str, length: int = 10) -> str:
    """A short hexadecimal digest of the parts; the parts are delimited, so `("a", "bc")` and `("ab", "c")` differ."""
    sha = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return sha.hexdigest()[:length]


def output_of(promise: str, identity: Sequence[str]) -> str:
    """The value of OUTPUT_OF_LABEL: every output of an XR's pipelines of a Promise has it, and nothing else has."""
    return digest(promise, *identity, length=40)


# The least limit for `bounded`: a few letters, a dash and a digest.
BOUNDED_MIN: Final = 16


def bounded(readable: str, *identity: str, limit: int = LABEL_LIMIT, digits: int = 10) -> str:
    """A DNS label that a person can read and that no other identity has.

    The digest of the whole identity is always there: what is cut from the readable part cannot make two names equal.
    """
    tail = digest(*identity, length=digits)
    head = _UNSAFE.sub("-", readable.lower())[: limit - len(tail) - 1].strip("-")
    return f"{head}-{tail}" if head else f"x-{tail}"


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes the text as a label's value."""
    return len(text) <= LABEL_LIMIT and _LABEL.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Whether Kubernetes takes the text as the key of a label or annotation."""
    return len(text) <= NAME_LIMIT + 1 + LABEL_LIMIT and _is_label_key(text)


@functools.lru_cache(maxsize=512)  # nearly all come from templates, and so are the same few
def _is_label_key(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= LABEL_LIMIT and _QUALIFIED.fullmatch(name) is not None


def condition_type(step: str, type_: str) -> str:
    """The type that an XR shows a condition under.

    Args:
        step: The Promise where an earlier step of the pipeline has conditions of its own; else empty.
    """
    return f"{step}.{type_}" if step else type_


def is_subdomain(text: str) -> bool:
    """Whether Kubernetes takes the text as an object's name."""
    return len(text) <= NAME_LIMIT and _SUBDOMAIN.fullmatch(text) is not None


def condition_status(text: object) -> Literal["True", "False", "Unknown"] | None:
    """The text as a condition's status, or None where it is none."""
    return text if text in ("True", "False", "Unknown") else None
