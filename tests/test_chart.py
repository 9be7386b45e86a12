"""The bridge's Helm chart, rendered by Helm itself: it grants and runs what the files for kubectl and Kustomize do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from bridge.api import names
from chart import DIGEST, FOLDER, IMAGE, NAMESPACE, ROLES, helm, rendered

Manifest = dict[str, Any]


def named(manifests: list[Manifest]) -> dict[tuple[str, str, str], Manifest]:
    found = {(m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]): m for m in manifests}
    assert len(found) == len(manifests), "no object twice"
    return found


def files(*roles: str) -> list[Manifest]:
    """What kubectl would apply, in the chart's namespace."""
    texts = [
        (FOLDER / f"{role}.yaml").read_text(encoding="utf-8").replace(names.NAMESPACE, NAMESPACE) for role in roles
    ]
    manifests = [manifest for text in texts for manifest in yaml.safe_load_all(text)]
    return [manifest for manifest in manifests if manifest["kind"] != "Namespace"]


def without_labels(manifest: Manifest) -> Manifest:
    return {
        **manifest,
        "metadata": {k: v for k, v in manifest["metadata"].items() if k not in ("labels", "annotations")},
    }


def test_it_grants_what_the_files_grant():
    chart = named(rendered(IMAGE, f"roles={{{','.join(ROLES)}}}", "deploy=false", "crds.install=false"))
    plain = {
        key: without_labels(m)
        for key, m in {
            (m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]): m for m in files(*ROLES)
        }.items()
    }
    assert {key: without_labels(m) for key, m in chart.items()} == plain
    granted = {path.stem for path in FOLDER.glob("*.yaml") if "kind: ClusterRole" in path.read_text(encoding="utf-8")}
    assert granted == set(ROLES), "a new file of roles has to be in values.schema.json, and here"


def test_it_runs_what_the_deployment_runs():
    (plain,) = files("deployment")
    chart = next(m for m in rendered(IMAGE) if m["kind"] == "Deployment")
    container = chart["spec"]["template"]["spec"]["containers"][0]
    image = container.pop("image")
    assert image == "registry.example.org/function-kratix:0.1.0"
    assert container["env"].pop() == {"name": "FUNCTION_KRATIX_IMAGE", "value": image}, "a chart knows its image"
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    plain["spec"]["template"]["spec"]["containers"][0].pop("image")
    assert without_labels(chart) == without_labels(plain)


def test_the_crd_stays_when_the_chart_goes():
    (crd,) = (m for m in rendered(IMAGE) if m["kind"] == "CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    generated = yaml.safe_load((FOLDER / "bridge.kratix.io_crossplaneclusters.yaml").read_text(encoding="utf-8"))
    assert without_labels(crd) == without_labels(generated)


def test_all_that_can_be_turned_on():
    found = named(
        rendered(
            IMAGE,
            f"image.digest={DIGEST}",
            "serviceMonitor.enabled=true",
            "networkPolicy.enabled=true",
            "networkPolicy.apiServerPorts={443}",
            "options.workers=8",
            "options.resync=5m",
            "options.debug=true",
        )
    )
    kinds = {kind for kind, *_ in found}
    assert kinds >= {"PodDisruptionBudget", "ServiceMonitor", "NetworkPolicy", "Service", "Deployment"}
    pod = found["Deployment", NAMESPACE, "kratix-crossplane-bridge"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"registry.example.org/function-kratix@{DIGEST}"
    assert container["args"] == ["--resync=5m", "--workers=8", "--debug"]
    for kind in ("PodDisruptionBudget", "ServiceMonitor", "NetworkPolicy"):
        spec = found[kind, NAMESPACE, "kratix-crossplane-bridge"]["spec"]
        labels = (spec.get("selector") or spec["podSelector"])["matchLabels"]
        assert labels.items() <= pod["metadata"]["labels"].items()
    assert "PodDisruptionBudget" not in {m["kind"] for m in rendered(IMAGE, "replicas=1")}, "it would block a drain"


def test_a_cluster_that_the_bridge_only_reaches_gets_roles_alone():
    kinds = {m["kind"] for m in rendered("deploy=false", "roles={crossplane}")}
    assert kinds == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


def page(*values: str) -> dict[tuple[str, str, str], Manifest]:
    return named(rendered(IMAGE, "ui.enabled=true", "networkPolicy.enabled=true", *values))


def test_the_page_is_off_unless_it_is_asked_for():
    found = named(rendered(IMAGE, "networkPolicy.enabled=true"))
    assert "ui" not in str(found["Deployment", NAMESPACE, "kratix-crossplane-bridge"])
    assert ("ClusterRole", "", "kratix-crossplane-bridge:ui") not in found


def test_the_page_is_on_loopback_unless_it_has_a_certificate():
    found = page()
    pod = found["Deployment", NAMESPACE, "kratix-crossplane-bridge"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["--ui-address=127.0.0.1:8081"]
    assert [port["name"] for port in pod["containers"][0]["ports"]] == ["http"]
    assert ("ClusterRole", "", "kratix-crossplane-bridge:ui") in found, "its role comes with it"
    assert "Service" not in {kind for kind, *_ in found}
    (ingress,) = found["NetworkPolicy", NAMESPACE, "kratix-crossplane-bridge"]["spec"]["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": "http"}]


def test_the_page_with_a_certificate():
    found = page(
        "ui.tlsSecret=page-tls", "ui.port=8443", "ui.from[0].podSelector.matchLabels.app=proxy", "roles={platform,ui}"
    )
    pod = found["Deployment", NAMESPACE, "kratix-crossplane-bridge"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    folder = "/etc/kratix-crossplane-bridge/ui"
    assert container["args"] == ["--ui-address=0.0.0.0:8443", f"--ui-tls={folder}"]
    assert {"name": "ui", "containerPort": 8443} in container["ports"]
    assert {"name": "ui-tls", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
    assert {"name": "ui-tls", "secret": {"secretName": "page-tls"}} in pod["volumes"]
    service = found["Service", NAMESPACE, "kratix-crossplane-bridge-ui"]["spec"]
    assert service["ports"] == [{"name": "https", "port": 443, "targetPort": "ui"}]
    _, ingress = found["NetworkPolicy", NAMESPACE, "kratix-crossplane-bridge"]["spec"]["ingress"]
    assert ingress == {
        "ports": [{"protocol": "TCP", "port": "ui"}],
        "from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
    }


BAD = {
    "no image": ((), NAMESPACE, "image.repository: must say where the image of function-kratix is"),
    "a role that is none": ((IMAGE, "roles={root}"), NAMESPACE, "at '/roles/0': value must be one of 'platform'"),
    "a digest that is none": ((IMAGE, "image.digest=latest"), NAMESPACE, "at '/image/digest': 'latest' does not match"),
    "a field that is none": ((IMAGE, "replica=3"), NAMESPACE, "additional properties 'replica' not allowed"),
    "too many workers": ((IMAGE, "options.workers=65"), NAMESPACE, "at '/options/workers': maximum: got 65, want 64"),
    "a namespace with a role of its own": ((IMAGE,), "default", "--namespace: must not be default"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values(name: str):
    values, namespace, message = BAD[name]
    done = helm(*(part for value in values for part in ("--set", value)), namespace=namespace)
    assert done.returncode != 0
    assert re.sub(r"\s+", " ", message) in re.sub(r"\s+", " ", done.stderr), done.stderr
