"""What a message yields, kept by the digest of its bytes.

Most of what a request holds is the same for all XRs of a Composition: its input, the Promise, prices, the inventory.
The same bytes yield the same value, so a value that is kept changes no answer; nobody changes one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")


class Kept(Generic[T]):
    """A bounded cache; the value that was asked for longest ago goes first.

    Args:
        count: How many values it keeps at most.
        size: Bytes of the messages that they were made of, all together at most.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._left = self._size = size
        self._values: OrderedDict[bytes, tuple[int, T]] = OrderedDict()

    def get(self, message: Message, make: Callable[[], T], lasts: Callable[[T], bool] | None = None) -> T:
        """The value that was made of the same bytes before, or a new one; what `make` raises is not kept.

        Args:
            lasts: Whether a value follows from the message alone; all do where it is not given.
        """
        content = message.SerializeToString(deterministic=True)  # maps have no order of their own
        digest = hashlib.sha256(content).digest()
        known = self._values.get(digest)
        if known is not None:
            self._values.move_to_end(digest)
            return known[1]
        value = make()
        if len(content) <= self._size and (lasts is None or lasts(value)):
            self._keep(digest, len(content), value)
        return value

    def _keep(self, digest: bytes, size: int, value: T) -> None:
        self._values[digest] = size, value
        self._left -= size
        while self._left < 0 or len(self._values) > self._count:
            _, (freed, _) = self._values.popitem(last=False)
            self._left += freed
