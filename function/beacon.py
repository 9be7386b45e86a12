"""What says to the bridge that an XR's status has changed: a ConfigMap beside it, with a digest of the status.

An XR that mirrors a request of the platform (bridge/sync/requests.py) is of one of a thousand kinds, and a watch for
each kind and cluster would be too many. The beacons of all XRs are of one kind, so one watch sees them all. Crossplane
calls the function again when it has written an XR's status, as it watches XRs (definition/reconciler.go), so a beacon
follows the status by one reconcile. It tells nothing itself: the bridge then reads the XR.

Where no function is called there is no beacon: Crossplane tells such things as Warning events.
"""

from __future__ import annotations

import json

from function.api import names
from function.model import Composed, Seen, lookup, texts

_OF_REQUEST = (names.REQUEST_PROMISE_LABEL, names.REQUEST_NAMESPACE_LABEL, names.REQUEST_NAME_LABEL)


def lit(seen: Seen) -> Composed | None:
    """The beacon of an XR; None where it mirrors no request, or has no namespace to put it in (rule 5)."""
    xr = seen.request
    labels = texts(lookup(xr.body, "metadata", "labels"))
    if labels.get(names.MIRRORS_LABEL) != "true" or not xr.namespace:
        return None
    promise = seen.input.promise_name
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.bounded(f"{xr.name}-status", promise, *xr.identity),
            "namespace": xr.namespace,
            "labels": {names.BEACON_LABEL: "true", **{key: labels[key] for key in _OF_REQUEST if key in labels}},
        },
        "data": {"digest": names.digest(_status(seen), length=32)},
    }
    return Composed(f"{promise}{names.BEACON_KEY}", manifest, ready=True)


def _status(seen: Seen) -> str:
    """What comes back to the request: `status.kratix` is this function's own, and stays on the cluster."""
    status = lookup(seen.request.body, "status")
    told = {field: value for field, value in status.items() if field != "kratix"} if isinstance(status, dict) else {}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))
