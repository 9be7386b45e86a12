"""The command line of the reader and the writer."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from function.api import folders, names
from function.api.output import EXIT_REFUSED, MAX_SENTENCE, Output, OutputError, Owner

_OBJECT: Final = "object.yaml"
_TERMINATION_LOG: Final = Path("/dev/termination-log")
_USAGE: Final = "usage: python -m function.adapter (read REQUEST INPUT | write OUTPUT METADATA)"
_EXIT_FAILED: Final = 1
_EXIT_USAGE: Final = 2


class AdapterError(Exception):
    """What another try may mend, in one sentence."""


def main(arguments: list[str]) -> int:
    """Run the reader or the writer; gives the exit code."""
    try:
        match arguments:
            case ["read", request, target]:
                return _read(Path(request), Path(target))
            case ["write", output, metadata]:
                return _write(output, metadata)
    except AdapterError as error:
        return _failed(str(error), _EXIT_FAILED)
    return _failed(_USAGE, _EXIT_USAGE)


def _read(request: Path, target: Path) -> int:
    """Put the request where the pipeline's containers find it.

    What is mounted is a link into the ConfigMap's data; the containers get a file of their own, as from Kratix.
    """
    try:
        path = target / _OBJECT
        size = path.write_bytes((request / _OBJECT).read_bytes())
    except OSError as error:
        raise AdapterError(f"cannot copy the request to {target}: {error.filename}: {error.strerror}") from None
    _say(f"reader: wrote {path} ({size} bytes)")
    return 0


def _write(output_folder: str, metadata_folder: str) -> int:
    """Store what the containers left behind, or why it cannot be taken."""
    from function.adapter import store

    owner = _owner()
    try:
        client = store.Client.in_cluster()
        try:
            left = _collect(output_folder, metadata_folder)
            count = store.replace(client, owner, left)
        except OutputError as error:
            store.refuse(client, owner, str(error))
            return _failed(str(error), EXIT_REFUSED)
    except store.StoreError as error:
        raise AdapterError(f"cannot store the output of {owner.run}: {error}") from None
    _say(f"writer: stored {len(left.files)} files in {count} ConfigMaps")
    return 0


def _collect(output_folder: str, metadata_folder: str) -> Output:
    # A deletion workflow has no documents: Kratix's pod for it has no work-writer.
    wanted = os.environ.get("KRATIX_WORKFLOW_ACTION") != "delete"
    left = folders.collect(output_folder if wanted else None, metadata_folder)
    if any(raw is not None for raw in (left.status, left.destination_selectors, left.workflow_control)):
        from function.api import metadata

        metadata.read(left)
    return left


def _owner() -> Owner:
    values = []
    for variable in (names.ENV_NAMESPACE, names.ENV_RUN, names.ENV_JOB_UID, names.ENV_OUTPUT_OF):
        value = os.environ.get(variable)
        if not value:
            raise AdapterError(f"the environment variable {variable} is not set")
        values.append(value)
    return Owner(*values)


def _failed(sentence: str, code: int) -> int:
    text = sentence[:MAX_SENTENCE].encode("utf-8", "replace")
    sys.stderr.buffer.write(text + b"\n")
    with contextlib.suppress(OSError):
        if _TERMINATION_LOG.exists():
            _TERMINATION_LOG.write_bytes(text)
    return code


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
