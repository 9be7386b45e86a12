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
        size: Bytes of all together at most: of the messages that they were made of, or what `get` is told.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._left = self._size = size
        self._values: OrderedDict[bytes, tuple[int, T]] = OrderedDict()

    def get(self, message: Message, make: Callable[[], T], weigh: Callable[[T], int | None] | None = None) -> T:
        """The value that was made of the same bytes before, or a new one; what `make` raises is not kept.

        Args:
            weigh: The bytes of a value; None where it does not follow from the message alone, so that it is not kept.
                Where it is not given a value counts as the message, and follows from it.
        """
        content = message.SerializeToString(deterministic=True)  # maps have no order of their own
        digest = hashlib.sha256(content).digest()
        known = self._values.get(digest)
        if known is not None:
            self._values.move_to_end(digest)
            return known[1]
        value = make()
        size = len(content) if weigh is None else weigh(value)
        if size is not None and size <= self._size:
            self._keep(digest, size, value)
        return value

    def _keep(self, digest: bytes, size: int, value: T) -> None:
        self._values[digest] = size, value
        self._left -= size
        while self._left < 0 or len(self._values) > self._count:
            _, (freed, _) = self._values.popitem(last=False)
            self._left += freed
