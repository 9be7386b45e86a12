"""A registry on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import tools
from testbed.versions import CRANE


@contextmanager
def served(disk: Path) -> Iterator[str]:
    """Serve a registry that keeps what it has in a folder; gives its host and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    serve = [tools.find(CRANE), "registry", "serve", f"--address={address}", f"--disk={disk}"]
    process = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while subprocess.run([tools.find(CRANE), "catalog", address], capture_output=True, check=False).returncode:
            assert time.monotonic() < until, "the registry answers"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)
