"""The bridge's Helm chart, rendered by Helm itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from testbed import tools
from testbed.versions import HELM

Manifest = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "package/deploy/bridge"
NAMESPACE = "platform-bridge"
IMAGE = "image.repository=registry.example.org/function-kratix"
DIGEST = "sha256:" + "0123456789abcdef" * 4
# Those files of it that grant something.
ROLES = (
    "platform",
    "crossplane",
    "imports",
    "replies",
    "connection-secrets",
    "installations",
    "requests",
    "deletions",
    "versions",
    "ui",
)


def helm(*arguments: str, namespace: str = NAMESPACE) -> subprocess.CompletedProcess[str]:
    """Run `helm template`."""
    # Helm built as a module says that it is for Kubernetes 1.20.
    command = [tools.find(HELM), "template", "bridge", FOLDER, "--namespace", namespace, "--kube-version", "1.35.0"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def rendered(*values: str, namespace: str = NAMESPACE) -> list[Manifest]:
    """Its objects.

    Args:
        values: As in `--set`.
    """
    done = helm(*(part for value in values for part in ("--set", value)), namespace=namespace)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
