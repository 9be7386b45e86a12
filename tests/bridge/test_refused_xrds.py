"""XRD -> Promise: what is refused, in one sentence that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from definitions import CLAIMS, GROUP, IMAGE, OPTIONS, SPEC, version, xrd

from bridge.translate import definition, promise
from function.api.errors import InvalidError


@dataclass(frozen=True)
class Refused:
    """What is refused, and in which words."""

    xrd: Mapping[str, Any]
    says: str
    reason: str
    options: promise.Options = OPTIONS


REFUSED: dict[str, Refused] = {
    "no served version": Refused(
        xrd(version(served=False)),
        "spec.versions: has no served version, so there is no API to offer",
        "nobody could make a request",
    ),
    "two referenceable": Refused(
        xrd(version("v1"), version("v2")),
        "spec.versions[1].referenceable: spec.versions[0] is already the referenceable version",
        "a CRD stores one version",
    ),
    "none referenceable": Refused(
        xrd(version(referenceable=False)),
        "spec.versions: has no referenceable version; exactly one must be it",
        "a CRD stores one version",
    ),
    "referenceable but not served": Refused(
        xrd(version(served=False), version("v2", referenceable=False)),
        "spec.versions[0].served: must be true: it is the referenceable version, in which Kratix reads requests",
        "Kratix reads the stored version",
    ),
    "one name twice": Refused(
        xrd(version(), version(referenceable=False)),
        "spec.versions[1].name: v1 is the name of spec.versions[0]",
        "a CRD has each version once",
    ),
    "webhook conversion": Refused(
        xrd(version("v1"), version("v2", referenceable=False), conversion={"strategy": "Webhook"}),
        "spec.conversion.strategy: must be None, not Webhook: the webhook that converts v1, v2 is not on Kratix's cluster",
        "requests could not be converted there",
    ),
    "wrong name": Refused(
        {**xrd(), "metadata": {"name": "databases"}},
        f"metadata.name: must be postgreses.{GROUP}: its plural and its group",
        "Crossplane refuses it",
    ),
    "claims of a namespaced XRD": Refused(
        xrd(api="v1", scope="Namespaced", claimNames=CLAIMS),
        "spec.claimNames: goes with the scope LegacyCluster, not with Namespaced",
        "there are no claims for it",
    ),
    "a rule over status": Refused(
        xrd(version(root={"type": "object", "x-kubernetes-validations": [{"rule": "self.status.a == 1"}]})),
        "spec.versions[0].schema.openAPIV3Schema.x-kubernetes-validations[0].rule: must not read status, as "
        "'self.status.a == 1' does: Kratix has a schema of its own there",
        "the API server would refuse the CRD that Kratix makes",
    ),
    "a spec that is no object": Refused(
        xrd(version(spec={"type": "string"})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.type: must be object, not string",
        "a request's spec is one",
    ),
    "a field that is no schema": Refused(
        xrd(version(spec={"properties": {"size": 3}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.size: must be an object",
        "it has no default to look for",
    ),
    "int or string with a type": Refused(
        xrd(version(spec={"properties": {"port": {"type": "string", "x-kubernetes-int-or-string": True}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.port.type: must not be there beside "
        "x-kubernetes-int-or-string, which says it",
        "no API server serves it, and Kratix would not name the file",
    ),
    "a field without a type": Refused(
        xrd(version(spec={"properties": {"ports": {"type": "array", "items": {}}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.ports.items.type: is required, or "
        "x-kubernetes-int-or-string, or x-kubernetes-preserve-unknown-fields",
        "a schema has to be structural",
    ),
    "a list of anything": Refused(
        xrd(version(spec={"properties": {"ports": {"type": "array"}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.ports.items: is required of an array",
        "a schema has to be structural",
    ),
    "a type that is none": Refused(
        xrd(version(spec={"properties": {"a": {"additionalProperties": {"type": "text"}, "type": "object"}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.a.additionalProperties.type: must be one of "
        "array, boolean, integer, number, object, string, not text",
        "no API server knows it",
    ),
    "fields and a map at once": Refused(
        xrd(version(spec={"properties": {"a": {"type": "object", **SPEC, "additionalProperties": True}}})),
        "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.a.additionalProperties: must not be there "
        "where properties are",
        "a schema has to be structural",
    ),
    "own group": Refused(
        xrd(),
        f"group: must not be {GROUP}, the XRD's own: Kratix and Crossplane would each want its CRD",
        "on one cluster they would overwrite each other",
        promise.Options(IMAGE, {}, group=GROUP),
    ),
    "a name that is too long": Refused(
        xrd(),
        f"name: must be a Kubernetes name of at most 32 characters, not {'n' * 33}: Kratix makes longer names of it",
        "Kratix's webhook refuses it",
        promise.Options(IMAGE, {}, name="n" * 33),
    ),
    "a namespace for a cluster-scoped XR": Refused(
        xrd(scope="Cluster"),
        "namespace: has no meaning: Postgres is cluster-scoped",
        "it would be passed over in silence",
        promise.Options(IMAGE, {}, namespace="databases"),
    ),
    "names too short to be made": Refused(
        xrd(
            version(root={"type": "object", "properties": {"metadata": {"properties": {"name": {"maxLength": 9}}}}}),
            scope="Cluster",
        ),
        "xrd: lets an XR's name have 9 characters, too few to tell requests apart",
        "two requests of one name would be one XR",
    ),
    "a namespace that is none": Refused(
        xrd(),
        "namespace: must be a namespace's name, not A B",
        "every request would fail, and only on the cluster",
        promise.Options(IMAGE, {}, namespace="A B"),
    ),
    "a version that is no label's value": Refused(
        xrd(),
        "version: must be a label's value such as v1.0.0, not v1 beta: Kratix reads it from a label",
        "the API server would name a label that nobody wrote",
        promise.Options(IMAGE, {}, version="v1 beta"),
    ),
    "no image": Refused(
        xrd(),
        "image: must be an image, not ''",
        "the Job would wait for ever",
        promise.Options("", {}),
    ),
    "no label": Refused(
        xrd(), "selector: must be a label, not zone=?", "nothing would match", promise.Options(IMAGE, {"zone": "?"})
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_promise(name: str):
    case = REFUSED[name]
    with pytest.raises(InvalidError) as refused:
        promise.promise(definition.read(case.xrd), [], [], case.options)
    assert str(refused.value) == case.says, case.reason
