"""Pods of Jobs on a control plane without a node: how a kubelet would end them, and what the writer in them would store.

The rest, which is the Job controller's, is done by that.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kubernetes.dynamic import exceptions
from urllib3.exceptions import HTTPError

from function.api import names
from function.api.output import Output, Owner, config_maps
from testbed.cluster import Cluster

Manifest = dict[str, Any]


class Kubelet:
    """Ends the pods of delete pipelines: for each XR the first ones fail, and then one succeeds.

    Args:
        fails: How many of them fail.
    """

    def __init__(self, cluster: Cluster, namespace: str, *, fails: int) -> None:
        self._cluster, self._namespace, self._fails = cluster, namespace, fails
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.tries: Counter[str] = Counter()  # by the XR's UID

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            try:
                for job in self._cluster.list(
                    "batch/v1", "Job", self._namespace, labels=f"{names.ACTION_LABEL}=delete"
                ):
                    self._look(job)
            except (HTTPError, exceptions.DynamicApiError):
                continue  # the API server is down, or the Job is another one by now

    def _look(self, job: Manifest) -> None:
        metadata = job["metadata"]
        of = metadata["labels"][names.DELETED_UID_LABEL]
        for pod in self._cluster.list("v1", "Pod", self._namespace, labels=f"job-name={metadata['name']}"):
            if (pod.get("status") or {}).get("phase") != "Pending":
                continue
            phase = "Failed" if self.tries[of] < self._fails else "Succeeded"
            if phase == "Succeeded":
                self._store(job)
            name = {field: pod["metadata"][field] for field in ("name", "namespace")}
            self._cluster.patch_status(
                {"apiVersion": "v1", "kind": "Pod", "metadata": name, "status": {"phase": phase}}
            )
            self.tries[of] += 1

    def _store(self, job: Mapping[str, Any]) -> None:
        """What the writer in the Job's pod stores of a pipeline that put out nothing."""
        metadata, pod = job["metadata"], job["spec"]["template"]["spec"]
        environment = {e["name"]: e.get("value") for e in pod["containers"][0]["env"]}
        run, output_of = metadata["labels"][names.RUN_LABEL], environment[names.ENV_OUTPUT_OF]
        owner = Owner(self._namespace, run, metadata["uid"], output_of)
        self._cluster.apply(*config_maps(owner, Output({})))
