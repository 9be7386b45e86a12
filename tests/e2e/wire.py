"""A wire between a client and an API server, on loopback, that breaks in the ways that wires do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

_RESET = struct.pack("ii", 1, 0)


class Wire:
    """Carries connections to a port.

    Args:
        to: The port.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._cut: list[tuple[int, bool]] = []
        self._refusing = False
        self._mute = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after: int, *, reset: bool = False) -> None:
        """Have the next connection end after so many bytes from the server."""
        with self._lock:
            self._cut.append((after, reset))

    @property
    def cuts(self) -> int:
        """How many are still to come."""
        return len(self._cut)

    def drop(self, *, reset: bool = False) -> None:
        """End all connections."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair, reset=reset)

    def refuse(self, refusing: bool) -> None:
        """End each new connection at once, or no more."""
        self._refusing = refusing

    def mute(self, muted: bool) -> None:
        """Carry nothing from the server, on any connection, or again."""
        if muted:
            self._mute.set()
        else:
            self._mute.clear()

    def close(self) -> None:
        self._listening.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            if self._refusing:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            with self._lock:
                pair = near, far
                self._pairs.add(pair)
                cut, reset = self._cut.pop(0) if self._cut else (None, False)
            threading.Thread(target=self._carry, args=(pair, near, far, None, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(pair, far, near, cut, reset), daemon=True).start()

    def _carry(
        self,
        pair: tuple[socket.socket, socket.socket],
        source: socket.socket,
        sink: socket.socket,
        left: int | None,
        reset: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                if source is pair[1]:
                    while self._mute.is_set():
                        threading.Event().wait(0.01)
                sink.sendall(content if left is None else content[:left])
                if left is not None:
                    left -= len(content)
                    if left <= 0:
                        break
        self._end(pair, reset=reset)

    def _end(self, pair: tuple[socket.socket, socket.socket], *, reset: bool) -> None:
        with self._lock:
            if pair not in self._pairs:
                return
            self._pairs.remove(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # A thread that waits for bytes would keep it open after it was closed, and the peer would hear nothing.
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            end.close()
