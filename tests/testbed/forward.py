"""Carries connections from a socket of the host's to a port inside a network namespace.

The socket was opened outside and is handed on by its number; a socket stays in the namespace it was opened in. So a
kubectl on the host reaches an API server that only listens on the loopback of its own namespace.
"""

from __future__ import annotations

import asyncio
import socket
import sys

_CHUNK = 65536


async def _serve(descriptor: int, port: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()  # refused, as the one it speaks for would
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    server = await asyncio.start_server(accept, sock=socket.socket(fileno=descriptor))
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass  # one side hung up: so do we
    finally:
        sink.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
