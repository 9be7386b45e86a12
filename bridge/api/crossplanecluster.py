"""CrossplaneCluster, bridge.kratix.io/v1alpha1: a cluster with Crossplane, and what of the platform it gets.

The CRD under package/deploy/bridge/ is generated from these models (crd.py). The API server validates by it and fills
in its defaults, so what is read here is valid, unless an older CRD is installed: then defaults are the models'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

import pydantic
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from bridge.api.names import IMPORT_LABEL, PUBLISH_LABEL
from bridge.translate import gitops
from bridge.translate.composition import FUNCTION, Place
from bridge.translate.xrd import PREFIX, Scope
from function.api.errors import from_pydantic

# etcd takes no object over 1.5 MiB, and nobody reads a list of a thousand.
MAX_LISTED: Final = 100
MAX_REASON: Final = 512

Labels = Annotated[dict[str, str], Field(max_length=32)]
Name = Annotated[str, Field(min_length=1, max_length=253)]


class _Model(pydantic.BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Selector(_Model):
    """Objects by their labels."""

    match_labels: Labels = Field(default_factory=dict, description="Each must be there with that value; none is all.")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items())


class InCluster(_Model):
    """The cluster that the bridge itself talks to, as the one with Kratix."""


class SecretKey(_Model):
    """A key of a Secret in the bridge's own namespace."""

    name: Name = Field(description="The Secret's name.")
    key: Name = Field("kubeconfig", description="The key with the kubeconfig.")


class Kubeconfig(_Model):
    """A cluster by its kubeconfig."""

    secret_ref: SecretKey = Field(
        description="Where the kubeconfig is. It must hold its certificates and tokens: files and commands that it "
        "names are not used."
    )


class GitOps(_Model):
    """Clusters that a GitOps agent brings in step; the bridge never talks to them."""

    destination_selector: Selector = Field(
        default_factory=lambda: Selector(match_labels=dict(gitops.SELECTOR)),
        description="The Destinations that are these clusters. A Work for them holds what the bridge would apply.",
    )


class Imports(_Model):
    """XRDs of a cluster that become Promises of the platform."""

    image: str = Field(
        min_length=1, max_length=512, description="This project's image, which delegates requests to XRs."
    )
    xrd_selector: Selector = Field(
        default_factory=lambda: Selector(match_labels={IMPORT_LABEL: "true"}),
        description="The XRDs that become Promises.",
    )
    destination_selector: Selector = Field(
        default_factory=lambda: Selector(match_labels=dict(gitops.SELECTOR)),
        description="The Destinations that are this cluster: XRD, Compositions and XRs go there.",
    )
    namespace: str = Field(
        "", max_length=63, description="Where all XRs go there; by default each stays in its request's namespace."
    )


class Replies(_Model):
    """What comes back to requests of the XRs that they were delegated to."""

    connection_secrets: bool = Field(
        default=False,
        description="Connection Secrets too: into the request's namespace, under the name that they have there.",
    )


class Deletions(_Model):
    """Delete pipelines of Promises run before their XRs go."""

    image: str = Field(
        "",
        max_length=512,
        description="This project's image, for the reader and the writer of a pipeline's pod, where the Promise's "
        "input says none. By default what the bridge's environment says in FUNCTION_KRATIX_IMAGE.",
    )


class Spec(_Model):
    """What a CrossplaneCluster is to be."""

    in_cluster: InCluster | None = Field(None, description="Crossplane is on the platform cluster, beside Kratix.")
    kubeconfig: Kubeconfig | None = Field(None, description="Crossplane is on another cluster.")
    gitops: GitOps | None = Field(None, description="A GitOps agent brings it there.")
    promise_selector: Selector = Field(
        default_factory=lambda: Selector(match_labels={PUBLISH_LABEL: "true"}),
        description="The Promises that are published there.",
    )
    destination_selector: Selector = Field(
        default_factory=Selector,
        description="The Destinations of its inventory; all by default. A cluster beside Kratix has none of it.",
    )
    prefix: str = Field(
        PREFIX,
        max_length=63,
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*$",
        description="What an XR's group has before the Promise's own. Another one makes other XRDs; those that XRs "
        "need stay.",
    )
    scope: Scope = Field("Namespaced", description="Of the XRs.")
    topology: Literal["Together", "Fleet"] | None = Field(
        None, description="Together: Kratix is there too. Fleet: it is not. By default Together with inCluster alone."
    )
    function: Name = Field(FUNCTION, description="The name of function-kratix as it is installed there.")
    imports: Imports | None = Field(None, description="Make XRDs of this cluster Promises of the platform.")
    deletions: Deletions | None = Field(
        None, description="Run a Promise's delete pipelines before an XR of it goes, which a finalizer sees to."
    )
    replies: Replies | None = Field(
        None, description="Bring health and status of XRs back to the requests that were delegated to them."
    )

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.in_cluster, self.kubeconfig, self.gitops)) != 1:
            raise ValueError("must have exactly one of inCluster, kubeconfig and gitops")
        beside = (self.imports, self.deletions, self.replies)
        if self.gitops is not None and any(each is not None for each in beside):
            cause = "the bridge does not talk to that cluster"
            raise ValueError(f"cannot have imports, deletions or replies with gitops: {cause}")
        return self

    @property
    def place(self) -> Place:
        """Whether Kratix is there."""
        together = self.topology == "Together" or (self.topology is None and self.in_cluster is not None)
        return Place.together if together else Place.fleet


class Condition(_Model):
    """One of Reachable and Synced."""

    type: str = Field(min_length=1, max_length=316, description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(min_length=1, max_length=1024, description="Why, in one word.")
    message: str = Field("", max_length=32768, description="Why, in one sentence.")
    last_transition_time: str = Field(description="When the status became what it is.")
    observed_generation: int = Field(0, description="The generation of the spec that it is about.")


class Counts(_Model):
    """How many Promises and Destinations there are of each kind."""

    promises: int = Field(0, description="Selected Promises.")
    published: int = Field(0, description="Of those, published as they are now.")
    refused: int = Field(0, description="Of those, not published, or not as they are now.")
    kept: int = Field(0, description="XRDs of Promises that are no longer selected, and that XRs need.")
    destinations: int = Field(0, description="Destinations in the inventory there.")
    deleting: int = Field(0, description="Of those, gone while documents are still placed on them.")


class Published(_Model):
    """A Promise that is published."""

    promise: str = Field(max_length=253, description="Its name.")
    version: str = Field("", max_length=63, description="Its version.")
    xrd: str = Field(max_length=253, description="The XRD's name.")


class Verdict(_Model):
    """Why something is not as it would be."""

    kind: str = Field("Promise", max_length=63, description="Promise, Destination, XRD or Request.")
    name: str = Field(max_length=253, description="Its name.")
    reason: str = Field(max_length=MAX_REASON, description="Why, in one sentence.")


class Status(_Model):
    """What a CrossplaneCluster is."""

    observed_generation: int = Field(0, description="The generation of the spec that this is about.")
    core_version: str = Field("", max_length=63, description="Of Crossplane's core there; empty where it says none.")
    counts: Counts = Field(default_factory=Counts, description="How many there are.")
    published: Annotated[list[Published], Field(max_length=MAX_LISTED)] = Field(
        default_factory=list, description=f"The first {MAX_LISTED} by name."
    )
    refused: Annotated[list[Verdict], Field(max_length=MAX_LISTED)] = Field(
        default_factory=list, description=f"The first {MAX_LISTED} by name, with the reason."
    )
    kept: Annotated[list[Verdict], Field(max_length=MAX_LISTED)] = Field(
        default_factory=list, description=f"The first {MAX_LISTED} by name, with the reason."
    )
    conditions: Annotated[list[Condition], Field(max_length=8)] = Field(
        default_factory=list, description="Reachable and Synced."
    )


class CrossplaneCluster(_Model):
    """A cluster with Crossplane that gets the platform's Promises and Destinations."""

    spec: Spec = Field(description="What it is to be.")
    status: Status | None = Field(None, description="What it is.")


def read(manifest: Mapping[str, Any]) -> Spec:
    """The spec of a CrossplaneCluster.

    Raises:
        InvalidError: It is not as its CRD says, with the field's path.
    """
    try:
        return Spec.model_validate(manifest.get("spec") or {})
    except pydantic.ValidationError as error:
        raise from_pydantic(error, ()).within("spec") from None
