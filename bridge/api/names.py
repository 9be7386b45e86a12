"""Every label, annotation and name of the bridge alone, in one place; function.api.names has those that are shared."""

from __future__ import annotations

from typing import Final

GROUP: Final = "bridge.kratix.io"
API_VERSION: Final = f"{GROUP}/v1alpha1"
KIND: Final = "CrossplaneCluster"
PLURAL: Final = "crossplaneclusters"

# In managedFields of all that it applies. Another bridge has another owner, not another manager.
MANAGER: Final = "kratix-crossplane-bridge"

# On a Promise: publish it. A CrossplaneCluster may select by other labels.
PUBLISH_LABEL: Final = f"{GROUP}/publish"
# On a ConfigMap in the bridge's namespace: the Promise whose checks, documents, schedule and delivery it holds.
INPUT_LABEL: Final = f"{GROUP}/input-for"
INPUT_KEY: Final = "input.yaml"

# On all that it makes on a Crossplane cluster: what it watches there.
MANAGED_LABEL: Final = "app.kubernetes.io/managed-by"
# On all that it makes: PLATFORM/NAME, the platform's identity and the CrossplaneCluster's name.
OWNER_ANNOTATION: Final = f"{GROUP}/owner"
# On what stands for a Destination: its name, which the object's own may not be.
DESTINATION_ANNOTATION: Final = f"{GROUP}/destination"

REACHABLE: Final = "Reachable"
SYNCED: Final = "Synced"

LEASE: Final = "kratix-crossplane-bridge"
# Always there where Kratix is, whatever namespace the bridge is installed in: two bridges meet at one Lease.
LEASE_NAMESPACE: Final = "kratix-platform-system"
NAMESPACE: Final = "kratix-bridge-system"
