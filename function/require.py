"""Which objects a request needs to read: required resources, by name or by labels.

Computed from the input, the XR and what is composed for it (rule 2), which stay the same over all calls of a reconcile:
Crossplane calls again while the set changes, and gives up after six calls (internal/xfn/required_resources.go:
MaxRequirementsIterations). What no Job wrote and no Work placed is not asked for, so a Promise without pipelines costs
Crossplane no informer for pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from function import cel
from function.api import names, work
from function.api.errors import InvalidError
from function.api.input import ContextSource, PromiseInput
from function.model import Observed, Plan, Request, Requirement, lookup, texts

PROMISE = names.REQUIRED_PROMISE
DESTINATIONS = names.REQUIRED_DESTINATIONS
PLACEMENTS = names.REQUIRED_PLACEMENTS
OUTPUTS = names.REQUIRED_OUTPUTS
PODS = names.REQUIRED_PODS
DEFINITION = names.REQUIRED_DEFINITION
CONTEXT = names.REQUIRED_CONTEXT


def resources(
    plan: Plan, xr: Request, observed: Iterable[Observed], jobs: Sequence[Observed]
) -> tuple[Requirement, ...]:
    """Every required resource of an input, for one XR.

    Args:
        observed: What was delivered earlier.
        jobs: What was composed earlier to run pipelines.

    Raises:
        InvalidError: A context's name, namespace or label cannot be computed from this XR.
    """
    given = plan.input
    wanted = []
    if given.promise.ref:
        wanted.append(Requirement(PROMISE, names.KRATIX_API_VERSION, "Promise", name=given.promise.ref.name))
    if plan.reads_destinations:
        wanted.append(_inventory(given))
    if given.deliver.as_ == "Work":
        # Delivered and Ready come from the WorkPlacements: a Work's own Ready means scheduled, not written.
        own = work.name(xr.kind, xr.name, given.promise_name, xr.identity)
        works = {"": (own, given.deliver.namespace), **_works(observed)}
        for pipeline, (name, namespace) in sorted(works.items()):
            key = f"{PLACEMENTS}/{pipeline}" if pipeline else PLACEMENTS
            where, labels = xr.namespace or namespace, {names.KRATIX_WORK_LABEL: name}
            wanted.append(Requirement(key, names.KRATIX_API_VERSION, "WorkPlacement", where, labels=labels))
    if given.workflow.pipelines != "None" and jobs:
        wanted += _of_jobs(plan, xr, jobs)
    scope = cel.Scope({"request": xr.body})
    return (*wanted, *(_context(source, scope, f"context[{i}]") for i, source in enumerate(given.context)))


def _works(observed: Iterable[Observed]) -> dict[str, tuple[str, str]]:
    """The names and namespaces of the Works that are there, by pipeline; empty for that of native documents.

    Crossplane keeps them there, whatever `deliver.namespace` says later (composition_functions.go).
    """
    found = {}
    for each in observed:
        if each.manifest.get("kind") == "Work":
            metadata = each.manifest["metadata"]
            pipeline = texts(metadata.get("labels")).get(names.PIPELINE_LABEL, "")
            found[pipeline] = (str(metadata.get("name")), str(metadata.get("namespace") or ""))
    return found


def _of_jobs(plan: Plan, xr: Request, jobs: Sequence[Observed]) -> list[Requirement]:
    given = plan.input
    labels = {names.OUTPUT_OF_LABEL: names.output_of(given.promise_name, xr.identity)}
    # A Promise that says another namespace leaves the output in force in the one before; then it is all namespaces.
    where = {str(lookup(o.manifest, "metadata", "namespace")) for o in jobs if o.manifest.get("kind") == "Job"}
    namespace = xr.namespace or (next(iter(where)) if len(where) == 1 else "")
    wanted = [
        Requirement(OUTPUTS, "v1", "ConfigMap", namespace, labels=labels),
        # A field of the status that the XRD does not declare makes Crossplane fail to write any of it.
        Requirement(
            DEFINITION, names.DEFINITION_API_VERSION, "CompositeResourceDefinition", name=_definition(plan, xr)
        ),
    ]
    return [*wanted, Requirement(PODS, "v1", "Pod", namespace, labels=labels)] if given.workflow.read_pods else wanted


def _definition(plan: Plan, xr: Request) -> str:
    """The name of the XR's XRD, which is its plural and its group.

    The plural is the Promise's where that is pinned with it and not that of another kind; else what Kubernetes'
    generators would make of the kind.
    """
    kind = xr.kind.lower()
    plural = (
        f"{kind[:-1]}ies"
        if kind.endswith("y")
        else f"{kind}es"
        if kind.endswith(("s", "x", "ch", "sh"))
        else f"{kind}s"
    )
    pinned = plan.promise.plural if plan.promise and plan.promise.kind in ("", xr.kind) else ""
    return f"{pinned or plural}.{xr.identity[0]}"


def _inventory(given: PromiseInput) -> Requirement:
    if given.schedule.inventory == "Destination":
        return Requirement(DESTINATIONS, names.KRATIX_API_VERSION, "Destination")
    labels = {names.INVENTORY_LABEL: "true"}
    return Requirement(DESTINATIONS, names.ENVIRONMENT_CONFIG_API_VERSION, "EnvironmentConfig", labels=labels)


def _context(source: ContextSource, scope: cel.Scope, path: str) -> Requirement:
    labels = source.match_labels
    name = _filled(source.match_name, scope, f"{path}.matchName")
    if labels is None and not names.is_subdomain(name):
        # Without a name Crossplane would hand over every object of the kind (proto: neither match means all).
        raise InvalidError(f"{path}.matchName", f"must give a Kubernetes name, not {name[:80]!r}")
    return Requirement(
        CONTEXT + source.name,
        source.api_version,
        source.kind,
        namespace=_namespace(source.namespace, scope, f"{path}.namespace"),
        name=name,
        labels=None if labels is None else {k: _label(v, scope, f"{path}.matchLabels.{k}") for k, v in labels.items()},
    )


def _namespace(value: str | None, scope: cel.Scope, path: str) -> str:
    """A namespace that is written but comes out empty would be all of them, for whoever writes the XR to choose.

    Raises:
        InvalidError: It is none.
    """
    found = _filled(value, scope, path)
    if value and not names.is_subdomain(found):
        raise InvalidError(path, f"must give a namespace, not {found[:80]!r}")
    return found


def _label(value: str, scope: cel.Scope, path: str) -> str:
    """The value of a label; Crossplane takes it as it is into a selector, where a comma would be a further term.

    Raises:
        InvalidError: It is none.
    """
    found = _filled(value, scope, path)
    if not names.is_label_value(found):
        raise InvalidError(path, f"must give a label's value, not {found[:80]!r}")
    return found


def _filled(value: str | None, scope: cel.Scope, path: str) -> str:
    return cel.text(value, scope, path, cel.REQUEST) if value else ""
