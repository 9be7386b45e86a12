"""A stand-in for another composition function: it desires what it is told to, and nothing else.

`example/adopt` runs ours after another function. Those are published as images only, which a machine without a
container engine cannot run; what such a step hands on is its desired resources, and these can be given.

As a program, `python -m testbed.standin --desired FILE`, it is one that a real core can call.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from crossplane.function import resource
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

from function.api.names import COMPOSITION_RESOURCE_NAME


class _Desires(grpcv1.FunctionRunnerServiceServicer):
    def __init__(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        self._manifests = {key(manifest): without_key(manifest) for manifest in manifests}

    def RunFunction(self, request: fnv1.RunFunctionRequest, context: object) -> fnv1.RunFunctionResponse:  # noqa: N802 - gRPC's
        response = fnv1.RunFunctionResponse(desired=request.desired, context=request.context)
        response.meta.tag = request.meta.tag
        for name, manifest in self._manifests.items():
            resource.update(response.desired.resources[name], manifest)
            response.desired.resources[name].ready = fnv1.READY_TRUE  # as with readinessChecks of type None
        return response


def key(manifest: Mapping[str, Any]) -> str:
    """A composed resource's key: its annotation, or else the object's name."""
    metadata = manifest["metadata"]
    return str(metadata.get("annotations", {}).get(COMPOSITION_RESOURCE_NAME) or metadata["name"])


def without_key(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as a function would desire it: Crossplane sets the annotation, functions do not."""
    metadata = dict(manifest["metadata"])
    annotations = {
        name: text for name, text in metadata.pop("annotations", {}).items() if name != COMPOSITION_RESOURCE_NAME
    }
    if annotations:
        metadata["annotations"] = annotations
    return {**manifest, "metadata": metadata}


@contextmanager
def desiring(manifests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The address of a function that adds these composed resources to the desired state."""
    server = _server(manifests)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=1).wait()


def _server(manifests: Sequence[Mapping[str, Any]]) -> grpc.Server:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    grpcv1.add_FunctionRunnerServiceServicer_to_server(_Desires(manifests), server)  # type: ignore[no-untyped-call]
    return server


def main() -> None:
    """Serve until it is ended, with mTLS as a core expects it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--desired", type=Path, required=True, help="YAML file with what it desires")
    parser.add_argument("--address", required=True)
    parser.add_argument("--tls-certs-dir", type=Path, required=True)
    given = parser.parse_args()
    key_, certificate, authority = (
        given.tls_certs_dir.joinpath(n).read_bytes() for n in ("tls.key", "tls.crt", "ca.crt")
    )
    credentials = grpc.ssl_server_credentials([(key_, certificate)], authority, require_client_auth=True)
    server = _server([m for m in yaml.safe_load_all(given.desired.read_text(encoding="utf-8")) if m])
    server.add_secure_port(given.address, credentials)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
