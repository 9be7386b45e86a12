"""Delivery: what is composed, what is kept or held of what was composed before, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from function import compose, intent, jobs, readiness
from function.api import names, object
from function.api.errors import InvalidError
from function.model import (
    Composed,
    Delivery,
    Document,
    JsonObject,
    Observed,
    Schedule,
    Seen,
    group_key,
    lookup,
    objects,
    texts,
)

_PREVIEWED = 10


def send(seen: Seen, documents: Sequence[Document], schedule: Schedule) -> Delivery:
    """Compose what each Destination should get, and keep what must not go yet.

    Raises:
        InvalidError: Something that Kratix or Crossplane would choke on; nothing is emitted then.
    """
    composed = tuple(
        Composed(key, manifest, ready=not readiness.problem(seen, manifest, seen.observed.get(key)))
        for key, manifest in compose.resources(seen, documents, schedule)
    )
    delivery = readiness.delivery(seen, composed)
    kept = _kept(seen, documents, schedule, composed, delivered=delivery.delivered)
    return readiness.delivery(seen, (*composed, *kept)) if kept else delivery


def _kept(
    seen: Seen, documents: Sequence[Document], schedule: Schedule, composed: Sequence[Composed], *, delivered: bool
) -> tuple[Composed, ...]:
    """What is composed no longer but stays for now, so that nothing is without its documents in between (rule 1).

    While a directory has no Destination everything stays where it is; after a change of `deliver.as`, or of the API of
    Objects, the old way stays until the new one has delivered; and what moves stays on the Destination that it leaves
    until the new one has it.

    Raises:
        InvalidError: Documents that were composed as themselves have no Destination now.
    """
    taken = {item.key for item in composed}
    left = [(key, observed) for key, observed in sorted(seen.observed.items()) if key not in taken]
    if not left:
        return ()
    itself = _itself(seen, documents)
    if schedule.unplaced and seen.input.deliver.as_ != "Work" and any(_is_composed(observed) for _, observed in left):
        raise InvalidError("deliver.as", "cannot change from Composed while no Destination takes the documents")
    arrived, ways = _arrived(composed), {_way(item.manifest) for item in composed}
    taken_over = _taken_over(seen, composed, schedule)
    kept = []
    for key, observed in left:
        manifest = itself.get(key) if _is_composed(observed) else _rebuilt(observed.manifest)
        if manifest is None:
            continue  # no document gives it any more, so it goes as it did while it was composed
        group, destination = _place(manifest)
        there = arrived.get(group, {}) if destination else {}
        changed = _way(manifest) not in ways
        stays = bool(schedule.unplaced) or (changed and not delivered)
        if there and destination not in there:
            stays = stays or not all(there.values())
            manifest["metadata"]["labels"][names.LEFT_LABEL] = "true"
        elif changed and _remote(manifest) in taken_over:
            # The object is one and the same, however it comes there, and must not be deleted with the old way.
            orphaned = object.orphaned(manifest)
            stays, manifest = stays or orphaned != manifest, orphaned
        if stays:
            kept.append(Composed(key, manifest, ready=not readiness.problem(seen, manifest, observed)))
    return tuple(kept)


def _way(manifest: JsonObject) -> tuple[Any, Any]:
    """How something is delivered: provider-kubernetes has two APIs for Objects."""
    mode = lookup(manifest, "metadata", "labels", names.DELIVER_LABEL)
    return mode, manifest.get("apiVersion") if mode == "Object" else None


def _taken_over(seen: Seen, composed: Sequence[Composed], schedule: Schedule) -> set[tuple[Any, ...]]:
    """Which objects are on a Destination by the way that is asked for now."""
    if seen.input.deliver.as_ == "Object":
        return {_remote(item.manifest) for item in composed}
    groups = {(group.pipeline, group.id): group for group in schedule.groups}
    return {
        (placement.destination, *_identity(document.manifest))
        for placement in schedule.placements
        if (group := groups.get((placement.pipeline, placement.group_id)))
        for document in group.documents
        if document.manifest is not None
    }


def _remote(manifest: JsonObject) -> tuple[Any, ...]:
    """The Destination of an Object, and which object is there."""
    return _place(manifest)[1], *_identity(lookup(manifest, "spec", "forProvider", "manifest"))


def _identity(manifest: Any) -> tuple[Any, ...]:
    """What tells an object from all others of its cluster."""
    metadata = lookup(manifest, "metadata")
    named = (lookup(metadata, "namespace"), lookup(metadata, "name"))
    return lookup(manifest, "apiVersion"), lookup(manifest, "kind"), *named


def _arrived(composed: Sequence[Composed]) -> dict[str, dict[str, bool]]:
    """By workload group and Destination, whether all of the group is there."""
    found: dict[str, dict[str, bool]] = {}
    for item in composed:
        group, destination = _place(item.manifest)
        if destination:
            there = found.setdefault(group, {})
            there[destination] = there.get(destination, True) and item.ready
    return found


def _place(manifest: JsonObject) -> tuple[str, str]:
    """The workload group and the Destination of something composed; empty where it says none."""
    labels = texts(lookup(manifest, "metadata", "labels"))
    group = group_key(labels.get(names.DIRECTORY_ID_LABEL, ""), labels.get(names.PIPELINE_LABEL, ""))
    return group, labels.get(names.DESTINATION_LABEL, "")


def _itself(seen: Seen, documents: Sequence[Document]) -> dict[str, JsonObject]:
    """What is composed as itself, made of the documents again."""
    there = {key for key, observed in seen.observed.items() if _is_composed(observed)}
    made = compose.itself(seen, documents) if there else ()
    return {key: manifest for key, manifest in made if key in there}


def preview(seen: Seen, documents: Sequence[Document], schedule: Schedule) -> str:
    """What `send` would change, in a sentence.

    Raises:
        InvalidError: As `send` does.
    """
    wanted = {item.key: item for item in send(seen, documents, schedule).composed}
    changes = [
        *(("create", item) for key, item in sorted(wanted.items()) if key not in seen.observed),
        *(("change", item) for key, item in sorted(wanted.items()) if _would_change(item, seen.observed.get(key))),
        *(
            ("delete", Composed(key, observed.manifest, ready=True))
            for key, observed in sorted(seen.observed.items())
            if key not in wanted
        ),
    ]
    said = [
        f"{verb} {item.manifest.get('kind')} {item.manifest['metadata'].get('name', item.key)}"
        for verb, item in changes
    ]
    more = f", and {len(said) - _PREVIEWED} more" if len(said) > _PREVIEWED else ""
    what = f"would {', '.join(said[:_PREVIEWED])}{more}" if said else "nothing would change"
    return f"nothing is delivered while the label {names.KRATIX_DRY_RUN_LABEL} is true: {what}"


def _would_change(item: Composed, observed: Observed | None) -> bool:
    if observed is None:
        return False
    if _is_composed(observed):
        return not _carries(observed.manifest, item.manifest)
    return _rebuilt(observed.manifest) != _rebuilt(item.manifest)


def _carries(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return all(key in there and _carries(there[key], value) for key, value in wanted.items())
    return bool(there == wanted)


def hold(seen: Seen, *, waiting: bool) -> Delivery | None:
    """What was delivered, as it was (rule 1).

    Args:
        waiting: Crossplane will call again in this same reconcile, so nothing of this answer is applied.

    Returns:
        None where that cannot be told: Crossplane then has to change nothing.
    """
    return _kept_as_it_was(seen) if waiting or can_hold(seen) else None


def can_hold(seen: Seen) -> bool:
    """Whether what was delivered can be kept as it was without making it anew.

    A spec that is this function's alone can; of what was composed as itself it must be noted what Crossplane applied.
    """
    return all(not _is_composed(observed) or intent.is_known(observed.manifest) for observed in seen.observed.values())


def _kept_as_it_was(seen: Seen, made: Sequence[Composed] = ()) -> Delivery:
    """How far what was delivered has come, with what is made again of it; and what is another step's."""
    own = sorted((*_held(seen, seen.observed), *made), key=lambda item: item.key)
    return replace(readiness.delivery(seen, own), others=tuple(_held(seen, seen.strangers)))


def _held(seen: Seen, there: Mapping[str, Observed]) -> Iterator[Composed]:
    """What is there, as it was. Of what was composed as itself, what Crossplane applied: others own fields too."""
    for key, observed in sorted(there.items()):
        manifest = intent.of(observed.manifest) if _is_composed(observed) else _rebuilt(observed.manifest)
        if names.RUN_LABEL in _labels(observed):
            manifest = dict(jobs.held(observed.manifest))
        if key in seen.strangers:
            # An input that names another Promise by mistake must not delete what the right one delivered.
            held = {names.HELD_ANNOTATION: _labels(observed)[names.PROMISE_LABEL]}
            manifest["metadata"]["annotations"] = {**manifest["metadata"].get("annotations", {}), **held}
        yield Composed(key, manifest, ready=not readiness.problem(seen, manifest, observed))


def keep(seen: Seen, documents: Sequence[Document], schedule: Schedule, *, again: bool) -> Delivery:
    """What was delivered, as it was, while the workflow is on its way to something newer.

    Args:
        documents: Those of the output in force.
        again: Whether there is an output in force, so that what was delivered and somebody deleted is made again.

    Raises:
        InvalidError: As `send` does.
    """
    fresh = dict(compose.resources(seen, documents, schedule))
    gone = fresh.keys() - seen.observed.keys() if again else set()
    made = [Composed(key, fresh[key], ready=False) for key in sorted(gone) if _was_delivered(seen, key, fresh[key])]
    return _kept_as_it_was(seen, made)


def _was_delivered(seen: Seen, key: str, manifest: JsonObject) -> bool:
    """Whether something that is not there was, and so does not wait for the pipelines that run.

    What pipelines wrote is of a run that has succeeded. Of all else the status knows, within its limit.
    """
    metadata = manifest["metadata"]
    if names.PIPELINE_LABEL in metadata["labels"]:
        return True
    who = (manifest["kind"], metadata.get("name", key))
    return any((entry.get("kind"), entry.get("name")) == who for entry in objects(seen.status.get("deliveries")))


def _is_composed(observed: Observed) -> bool:
    return _labels(observed).get(names.DELIVER_LABEL) == "Composed"


def _rebuilt(manifest: JsonObject) -> dict[str, Any]:
    named = {field: value for field in ("name", "namespace") if (value := lookup(manifest, "metadata", field))}
    own = {
        field: ours
        for field in ("labels", "annotations")
        if (ours := {k: v for k, v in texts(lookup(manifest, "metadata", field)).items() if _is_ours(k)})
    }
    body = {k: v for k, v in manifest.items() if k not in ("metadata", "status")}
    if isinstance(body.get("spec"), Mapping):
        # Kratix writes a Work back with a time that is null (work_types.go: LastExecutionTimestamp); it is not ours.
        body["spec"] = {k: v for k, v in body["spec"].items() if v is not None}
    return {**body, "metadata": {**named, **own}}


def _is_ours(key: str) -> bool:
    path_labels = (
        names.KRATIX_WORK_LABEL,
        names.KRATIX_GROUP_ID_LABEL,
        names.KRATIX_TARGET_LABEL,
        names.KRATIX_PIPELINE_LABEL,
    )
    return key.startswith(f"{names.GROUP}/") or key in path_labels


def _labels(observed: Observed) -> Mapping[str, str]:
    return texts(lookup(observed.manifest, "metadata", "labels"))
