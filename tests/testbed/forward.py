"""Carries connections from a listening socket to a port of the network namespace that this process runs in.

    forward.py --listen ADDRESS PORT COMMAND...   open a socket here, then become COMMAND, with the socket's number added
    forward.py PORT DESCRIPTOR                    carry

A socket stays in the namespace it was opened in, and it is handed on by its number. So a kubectl on the host reaches an
API server that only listens on the loopback of its own namespace, and a process with a namespace to itself does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

_CHUNK = 65536


def _listen(address: str, port: int, command: list[str]) -> None:
    listening = socket.create_server((address, port))
    listening.set_inheritable(True)
    os.execvp(command[0], [*command, str(listening.fileno())])  # noqa: S606 - no shell is wanted


async def _serve(port: int, descriptor: int) -> None:
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
    if sys.argv[1] == "--listen":
        _listen(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
