"""Every label, annotation and name of the bridge alone, in one place; function.api.names has those that are shared."""

from __future__ import annotations

from typing import Final

GROUP: Final = "bridge.kratix.io"
API_VERSION: Final = f"{GROUP}/v1alpha1"
KIND: Final = "CrossplaneCluster"
PLURAL: Final = "crossplaneclusters"

# On a Promise: publish it. A CrossplaneCluster may select by other labels.
PUBLISH_LABEL: Final = f"{GROUP}/publish"
# On an XRD of a Crossplane cluster: make it a Promise. A CrossplaneCluster may select by other labels.
IMPORT_LABEL: Final = f"{GROUP}/import"
# On a ConfigMap in the bridge's namespace: the Promise whose checks, documents, schedule and delivery it holds.
INPUT_LABEL: Final = f"{GROUP}/input-for"
INPUT_KEY: Final = "input.yaml"

# On what stands for a Destination: its name, which the object's own may not be.
DESTINATION_ANNOTATION: Final = f"{GROUP}/destination"

# On a Promise: its requests on the platform become XRs ("mirrored requests", sync/requests.py).
MIRROR_LABEL: Final = f"{GROUP}/mirror"
# On a Promise or a request, an annotation: the labels that a CrossplaneCluster must have, as `zone=eu,tier=prod`.
CLUSTERS_ANNOTATION: Final = f"{GROUP}/clusters"
# On a Promise, an annotation: Keep or Move, as `schedule.whenMisplaced` of the function's input.
MISPLACED_ANNOTATION: Final = f"{GROUP}/when-misplaced"
# On a Promise, an annotation: the keys of the labels of a request that its XR gets, with commas; by default all that
# belong to nobody (translate/delegate.py).
LABELS_ANNOTATION: Final = f"{GROUP}/labels"
# On a CrossplaneCluster: mirrored requests leave it, and none comes.
DRAIN_LABEL: Final = f"{GROUP}/drain"
# On an XR, an annotation: a ResourceBinding pins the version that it selects, and no roll-out chose it.
PINNED_ANNOTATION: Final = f"{GROUP}/pinned"

REACHABLE: Final = "Reachable"
SYNCED: Final = "Synced"

LEASE: Final = "kratix-crossplane-bridge"
# Always there where Kratix is, whatever namespace the bridge is installed in: two bridges meet at one Lease.
LEASE_NAMESPACE: Final = "kratix-platform-system"
NAMESPACE: Final = "kratix-bridge-system"
