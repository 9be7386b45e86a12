"""The bodies of answers, read within bounds: as a whole, or line by line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import urllib3

from bridge import sockets
from bridge.errors import UnreachableError

_PIECE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is under way.

    Attributes:
        cluster: The cluster's name.
        doing: What a message says is tried.
        closed: Is set when the cluster is closed.
    """

    cluster: str
    doing: str
    closed: threading.Event

    def failed(self, cause: str, *, retry_after: float | None = None) -> UnreachableError:
        """The error for a call that brought no answer."""
        return UnreachableError(self.cluster, self.doing, cause, retry_after=retry_after)

    def broke(self, error: Exception) -> UnreachableError:
        """The error for something that went wrong on the network."""
        return self.failed("its connection was closed" if self.closed.is_set() else sockets.cause(error))


def read(
    response: urllib3.BaseHTTPResponse, call: Call, *, size: int, deadline: float, clock: Callable[[], float]
) -> bytes:
    """All of it. The connection can be used again afterwards.

    Args:
        size: At most so many bytes.
        deadline: It must be there by then, by the clock.

    Raises:
        UnreachableError: It is not.
    """
    content = bytearray()
    try:
        while piece := response.read1(_PIECE):
            content += piece
            if clock() > deadline:
                raise call.failed("its answer takes too long")
            if len(content) > size:
                raise call.failed(f"its answer is larger than {size} bytes")
    except urllib3.exceptions.HTTPError as error:
        response.close()
        raise call.broke(error) from error
    except UnreachableError:
        response.close()
        raise
    response.release_conn()
    return bytes(content)


def decode(response: urllib3.BaseHTTPResponse, call: Call, content: bytes) -> Any:
    """JSON, decoded; plain text, as bytes.

    Raises:
        UnreachableError: It is neither. An answer that was cut in its headers is one of these: http.client takes the
            end of a connection for the end of the headers.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/plain":
        return content
    try:
        if kind == "application/json":
            return json.loads(content)
    except (ValueError, RecursionError):
        raise call.failed("its answer is not JSON") from None
    raise call.failed("its answer is neither JSON nor text")


class Stream:
    """The lines of a watch, as bytes without the line break.

    A last line without a line break is not given: it is what was left of one when the connection broke.

    Args:
        longest: The longest line, in bytes.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, call: Call, *, longest: int) -> None:
        self._response = response
        self._call = call
        self._longest = longest

    def __iter__(self) -> Iterator[bytes]:
        """The lines, as they come.

        Raises:
            UnreachableError: The connection broke or was silent, or a line is too long.
        """
        rest = bytearray()
        try:
            while piece := self._response.read1(_PIECE):
                rest += piece
                if b"\n" in piece:
                    *lines, last = bytes(rest).split(b"\n")
                    yield from (line for line in lines if line)
                    rest = bytearray(last)
                if len(rest) > self._longest:
                    raise self._call.failed(f"a line is longer than {self._longest} bytes")
        except urllib3.exceptions.HTTPError as error:
            raise self._call.broke(error) from error

    def interrupt(self) -> None:
        """End the iteration; from another thread, while one may be waiting for a line."""
        sockets.interrupt(self._response)

    def close(self) -> None:
        """Close the connection, when the iteration is over."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
