"""What a run of a pipeline left behind, and how it travels: packed into ConfigMaps that the Job owns.

The writer in a Job's pod packs it (`function/adapter.py`), the function unpacks it again. Standard library only: the
writer must start at once, and pydantic or YAML would cost it more than its work.

A set of ConfigMaps is one output, or the sentence that says why there is none. All of a set carry the digest of the
whole and how many there are, so that a set that is still being written, or was cut short, is known to be incomplete.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from function.api import names

# A ConfigMap takes 1 MiB. All outputs of a request reach the function in one gRPC message, base64 and all, and the
# Work that they become is one object in etcd: more than this could not be delivered anyway.
CHUNK: Final = 512 * 1024
MAX_CHUNKS: Final = 4
MAX_PACKED: Final = CHUNK * MAX_CHUNKS
MAX_UNPACKED: Final = 16 * 1024 * 1024
MAX_FILES: Final = 1024
MAX_METADATA: Final = 256 * 1024
MAX_SENTENCE: Final = 1024

# The writer's exit code where the output cannot be taken: another try would find the same output.
EXIT_REFUSED: Final = 65

DATA_KEY: Final = "output"
ERROR_KEY: Final = "error"
METADATA_FILES: Final = ("status.yaml", "destination-selectors.yaml", "workflow-control.yaml")

_GZIP: Final = 31
_GZIP_OS: Final = 9
_MAX_HEADER: Final = 2 * 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,4}")


class OutputError(ValueError):
    """What a pipeline left behind cannot be taken, in one sentence."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a pipeline left behind.

    Attributes:
        files: By path below /kratix/output, with `/` between segments; the bytes as they were written.
        status: /kratix/metadata/status.yaml, raw; None where the pipeline wrote none.
        destination_selectors: /kratix/metadata/destination-selectors.yaml, raw.
        workflow_control: /kratix/metadata/workflow-control.yaml, raw.
    """

    files: Mapping[str, bytes]
    status: bytes | None = None
    destination_selectors: bytes | None = None
    workflow_control: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The writer took nothing of what the pipeline left behind.

    Attributes:
        sentence: Why, for a person: names the file and the cause, without a trailing full stop.
    """

    sentence: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The Job that an output belongs to.

    Attributes:
        run: The Job's name, which is the run's.
        uid: The Job's own uid: a Job that was made again under the same name owns nothing of the one before.
        output_of: The value of the label that the function requires outputs by.
    """

    namespace: str
    run: str
    uid: str
    output_of: str


def name(run: str, index: int) -> str:
    """The name of a ConfigMap of an output; `index` counts from 0."""
    return f"{run}-output-{index}"


def all_names(run: str) -> tuple[str, ...]:
    """Every name that a ConfigMap of a run's output can have: all that its writer may touch."""
    return tuple(name(run, index) for index in range(MAX_CHUNKS))


def pack(output: Output) -> tuple[bytes, ...]:
    """An output as chunks of at most CHUNK bytes; the same output gives the same bytes.

    A header in JSON says what is in it, the bytes follow in its order; gzip without a time around both.

    Raises:
        OutputError: It is over a bound.
    """
    if len(output.files) > MAX_FILES:
        raise OutputError(f"there are {len(output.files)} files in the output; at most {MAX_FILES} can be taken")
    paths = sorted(output.files)
    metadata = (output.status, output.destination_selectors, output.workflow_control)
    size = sum(map(len, output.files.values())) + sum(len(raw) for raw in metadata if raw is not None)
    if size > MAX_UNPACKED:
        raise OutputError(f"the output has {size} bytes; at most {MAX_UNPACKED} can be taken")
    header = {
        "files": [[path, len(output.files[path])] for path in paths],
        "metadata": [None if raw is None else len(raw) for raw in metadata],
    }
    body = b"".join(
        (
            json.dumps(header, separators=(",", ":")).encode("ascii"),
            b"\n",
            *(output.files[path] for path in paths),
            *(raw for raw in metadata if raw is not None),
        )
    )
    packed = _compress(body)
    if len(packed) > MAX_PACKED:
        raise OutputError(f"the output has {len(packed)} bytes when compressed; at most {MAX_PACKED} can be taken")
    return tuple(packed[start : start + CHUNK] for start in range(0, len(packed), CHUNK))


def unpack(chunks: Sequence[bytes]) -> Output:
    """The output that was packed; never more than its bounds are decompressed.

    Raises:
        OutputError: The chunks are no whole output.
    """
    packed = b"".join(chunks)
    if len(packed) > MAX_PACKED:
        raise OutputError(f"the output has {len(packed)} bytes when compressed; at most {MAX_PACKED} can be taken")
    line, newline, blobs = _decompress(packed).partition(b"\n")
    if not newline:
        raise OutputError("the output has no header")
    files, metadata = _header(line)
    sizes = [*(size for _, size in files), *(size for size in metadata if size is not None)]
    if sum(sizes) != len(blobs):
        raise OutputError(f"the output has {len(blobs)} bytes, and {sum(sizes)} by its header")
    parts, start = [], 0
    for size in sizes:
        parts.append(blobs[start : start + size])
        start += size
    rest = iter(parts[len(files) :])
    status, selectors, control = (None if size is None else next(rest) for size in metadata)
    return Output(dict(zip((path for path, _ in files), parts, strict=False)), status, selectors, control)


def _compress(body: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    packed = bytearray(compressor.compress(body) + compressor.flush())
    packed[_GZIP_OS] = 255  # "unknown" (RFC 1952); zlib writes no time by itself
    return bytes(packed)


def _decompress(packed: bytes) -> bytes:
    decompressor = zlib.decompressobj(_GZIP)
    limit = MAX_UNPACKED + _MAX_HEADER
    try:
        body = decompressor.decompress(packed, limit)
    except zlib.error as error:
        raise OutputError("the output is not gzip") from error
    if decompressor.unconsumed_tail:
        raise OutputError(f"the output has more than {limit} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise OutputError("the output is cut short" if not decompressor.eof else "the output has something behind it")
    return body


def _header(line: bytes) -> tuple[list[tuple[str, int]], list[int | None]]:
    try:
        header = json.loads(line)
        files = [(path, size) for path, size in header["files"]]
        metadata = list(header["metadata"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise OutputError("the output's header cannot be read") from error
    sizes = [*(size for _, size in files), *(size for size in metadata if size is not None)]
    wrong = any(not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_UNPACKED for size in sizes)
    if wrong or len(metadata) != len(METADATA_FILES) or not all(isinstance(path, str) for path, _ in files):
        raise OutputError("the output's header cannot be read")
    if len(files) > MAX_FILES or len({path for path, _ in files}) != len(files):
        raise OutputError("the output's header names too many files, or one twice")
    return files, metadata


def config_maps(owner: Owner, output: Output) -> tuple[dict[str, Any], ...]:
    """The ConfigMaps that hold an output.

    Raises:
        OutputError: It is over a bound.
    """
    chunks = pack(output)
    digest = _digest(chunks)
    return tuple(
        _config_map(owner, index, len(chunks), digest)
        | {"binaryData": {DATA_KEY: base64.b64encode(chunk).decode("ascii")}}
        for index, chunk in enumerate(chunks)
    )


def refusal(owner: Owner, sentence: str) -> dict[str, Any]:
    """The one ConfigMap that says why there is no output."""
    text = sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[: MAX_SENTENCE - 1]}…"
    return _config_map(owner, 0, 1, _digest((text.encode("utf-8", "replace"),))) | {"data": {ERROR_KEY: text}}


def _digest(chunks: Iterable[bytes]) -> str:
    sha = hashlib.sha256()
    for chunk in chunks:
        sha.update(chunk)
    return sha.hexdigest()


def _config_map(owner: Owner, index: int, count: int, digest: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(owner.run, index),
            "namespace": owner.namespace,
            "labels": {names.OUTPUT_OF_LABEL: owner.output_of, names.RUN_LABEL: owner.run},
            "annotations": {
                names.CHUNK_ANNOTATION: str(index),
                names.CHUNKS_ANNOTATION: str(count),
                names.OUTPUT_DIGEST_ANNOTATION: digest,
            },
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": owner.run, "uid": owner.uid}],
        },
    }


def read(config_maps: Iterable[Mapping[str, Any]], owner: Owner) -> Output | Refused | None:
    """What a Job's writer stored: the output, why there is none, or None while it is not all there.

    ConfigMaps of other runs, of an earlier Job of the same name, and chunks that an earlier pod of this Job left are
    passed over.

    Raises:
        OutputError: All of it is there, and it is no output: somebody else wrote into it.
    """
    sets: dict[tuple[str, int], dict[int, Mapping[str, Any]]] = {}
    for config_map in config_maps:
        placed = _place(config_map, owner)
        if placed is not None:
            digest, count, index = placed
            sets.setdefault((digest, count), {})[index] = config_map
    whole = [(digest, chunks) for (digest, count), chunks in sorted(sets.items()) if len(chunks) == count]
    # There is one chunk 0 under its one name, so there is one whole set at most.
    if not whole:
        return None
    digest, chunks = whole[0]
    sentence = _mapping(chunks[0], "data").get(ERROR_KEY) if len(chunks) == 1 else None
    if isinstance(sentence, str):
        return Refused(sentence[:MAX_SENTENCE])
    data = [_chunk(chunks[index]) for index in range(len(chunks))]
    if _digest(data) != digest:
        raise OutputError(f"the output in ConfigMaps {owner.run}-output-* was changed after it was written")
    return unpack(data)


def _place(config_map: Mapping[str, Any], owner: Owner) -> tuple[str, int, int] | None:
    metadata = _mapping(config_map, "metadata")
    if _mapping(metadata, "labels").get(names.RUN_LABEL) != owner.run or metadata.get("namespace") != owner.namespace:
        return None
    owners = metadata.get("ownerReferences")
    if not any(
        isinstance(o, Mapping) and o.get("uid") == owner.uid for o in (owners if isinstance(owners, list) else ())
    ):
        return None
    annotations = _mapping(metadata, "annotations")
    index, count, digest = (
        str(annotations.get(key))
        for key in (names.CHUNK_ANNOTATION, names.CHUNKS_ANNOTATION, names.OUTPUT_DIGEST_ANNOTATION)
    )
    if not (_NUMBER.fullmatch(index) and _NUMBER.fullmatch(count)):
        return None
    if not int(index) < int(count) <= MAX_CHUNKS or metadata.get("name") != name(owner.run, int(index)):
        return None
    return digest, int(count), int(index)


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _chunk(config_map: Mapping[str, Any]) -> bytes:
    text = _mapping(config_map, "binaryData").get(DATA_KEY)
    try:
        return base64.b64decode(text if isinstance(text, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise OutputError("the output is not base64") from error
