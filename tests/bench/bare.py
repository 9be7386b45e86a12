"""A bare client: server-side applies over keep-alive connections, and nothing else.

python -m bench.bare WORKERS KUBECONFIG WRITES [KUBECONFIG WRITES]...

Each cluster gets WORKERS connections. A file of writes has a JSON list a line: the requests that one worker does after
each other, as [path with query, body] pairs. Prints how long it took and the CPU seconds of its own, as JSON.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import threading
import time
import urllib.parse
from collections import deque
from pathlib import Path
from typing import Any

import yaml

_Lot = list[tuple[str, bytes]]


def main(arguments: list[str]) -> None:
    workers = int(arguments[0])
    threads: list[threading.Thread] = []
    failures: list[str] = []
    for kubeconfig, writes in zip(arguments[1::2], arguments[2::2], strict=True):
        lots = deque(_read(Path(writes)))
        settings = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
        threads += [threading.Thread(target=_work, args=(settings, lots, failures)) for _ in range(workers)]
    began, computed = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"bare: {len(failures)} failures, the first: {failures[0]}")
    took = {"seconds": time.monotonic() - began, "cpu": time.process_time() - computed}
    sys.stdout.write(json.dumps(took) + "\n")


def _read(path: Path) -> list[_Lot]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[(target, body.encode()) for target, body in json.loads(line)] for line in lines]


def _work(settings: dict[str, Any], lots: deque[_Lot], failures: list[str]) -> None:
    cluster, token = settings["clusters"][0]["cluster"], settings["users"][0]["user"]["token"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    where = urllib.parse.urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, context=trust)
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/apply-patch+yaml",
        "accept": "application/json",
        "accept-encoding": "gzip",
    }
    while not failures:
        try:
            lot = lots.popleft()
        except IndexError:
            return
        for target, body in lot:
            connection.request("PATCH", target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 201:
                failures.append(f"{target}: {answer.status} {content[:300]!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
