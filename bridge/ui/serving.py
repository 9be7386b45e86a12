"""The page as the bridge serves it: with connections of its own, whoever leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.clusters import Cluster
from bridge.status.reading import Reading
from bridge.ui.access import Access
from bridge.ui.server import Server
from bridge.ui.views import Views

# Of so many kinds XRs are shown, where Crossplane is beside Kratix: each is a watch.
_XR_KINDS: Final = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Where the page is.

    Attributes:
        address: HOST:PORT.
        certificate: A folder with tls.crt and tls.key; None for loopback in the clear.
    """

    address: str
    certificate: Path | None = None


def serve(page: Page, connect: Callable[[], Cluster], clock: Callable[[], float]) -> Server:
    """Serve it, until the process ends.

    Args:
        connect: To the platform; each call is a connection of its own.
        clock: Monotonic seconds.

    Raises:
        StartError: It cannot be served there.
    """
    access = Access(connect(), clock)

    def read(changed: Callable[[], None]) -> Reading:
        return Reading(connect(), changed, clock, xrs=_XR_KINDS)

    server = Server(page.address, Views(read, access, clock), access, page.certificate)
    server.start()
    return server
