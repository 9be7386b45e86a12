"""The floor: a function of the Python SDK that answers every request with what it was given.

python -m bench.empty ADDRESS
"""

from __future__ import annotations

import sys

import grpc
from crossplane.function import response, runtime
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1

LIMIT = 16 * 1024 * 1024


class Empty(grpcv1.FunctionRunnerServiceServicer):
    async def RunFunction(  # noqa: N802 - gRPC's
        self, req: fnv1.RunFunctionRequest, _: grpc.aio.ServicerContext
    ) -> fnv1.RunFunctionResponse:
        return response.to(req)


if __name__ == "__main__":
    sizes = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]
    runtime.serve(Empty(), sys.argv[1], creds=None, insecure=True, options=sizes)
