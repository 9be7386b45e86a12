"""The clusters of example/object: a platform with Crossplane and provider-kubernetes, and two that it reaches."""

from __future__ import annotations

from developer import crd, namespace

from testbed import example
from testbed.cluster import eventually
from testbed.profiles import Testbed

_API = "xp.fleet.example.org/v1alpha1"
_SLOW = 60.0
_RULES = crd("PrometheusRule", "prometheusrules", "monitoring.coreos.com")


def install(testbed: Testbed) -> None:
    """Apply example/object without its XR, with a way to reach each Destination, and wait until its API is served."""
    eu_1, eu_2 = testbed.others
    platform, loaded = testbed.plane.cluster, example.load("object")
    eu_1.cluster.apply(_RULES, namespace("monitoring"))
    for config, cluster in {"eu-1-admin": eu_1, "eu-2": eu_2, "watch": eu_1}.items():
        testbed.provider.reach(cluster, config=config)
    platform.apply(namespace("tenants"), *loaded.required, loaded.xrd, loaded.composition)
    eventually("the XRD's API is served", lambda: platform.serves(_API, "TeamSpace"), timeout=_SLOW)
