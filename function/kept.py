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
        count: How many values it keeps.
        size: Of messages larger than this, in bytes, nothing is kept.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._values: OrderedDict[bytes, T] = OrderedDict()

    def get(self, message: Message, make: Callable[[], T]) -> T:
        """The value that was made of the same bytes before, or a new one; what `make` raises is not kept."""
        content = message.SerializeToString(deterministic=True)  # maps have no order of their own
        if len(content) > self._size:
            return make()
        digest = hashlib.sha256(content).digest()
        if digest in self._values:
            self._values.move_to_end(digest)
            return self._values[digest]
        value = self._values[digest] = make()
        if len(self._values) > self._count:
            self._values.popitem(last=False)
        return value
