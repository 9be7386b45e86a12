"""What services there are and of which messages, for tools such as grpcurl; loaded when one asks for the first time.

It needs the classes of protobuf's own descriptors: a tenth of a start, and 3 MB, for what no Crossplane asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

SERVICE_NAME = "grpc.reflection.v1alpha.ServerReflection"


def handler(services: Sequence[str]) -> grpc.GenericRpcHandler:
    """What a server takes.

    Args:
        services: The full names of those that are listed.
    """

    @cache
    def servicer() -> Any:
        from grpc_reflection.v1alpha import reflection

        return reflection.aio.ReflectionServicer(services)

    def read(content: bytes) -> ServerReflectionRequest:
        from grpc_reflection.v1alpha import reflection_pb2

        return reflection_pb2.ServerReflectionRequest.FromString(content)

    async def info(
        requests: AsyncIterator[ServerReflectionRequest], context: Any
    ) -> AsyncIterator[ServerReflectionResponse]:
        async for answer in servicer().ServerReflectionInfo(requests, context):
            yield answer

    method: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
        info, request_deserializer=read, response_serializer=lambda answer: answer.SerializeToString()
    )
    return grpc.method_handlers_generic_handler(SERVICE_NAME, {"ServerReflectionInfo": method})
