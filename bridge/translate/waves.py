"""Which version of a Promise each XR that mirrors a request of it should follow: pinned ones, and a roll-out in waves.

    metadata:
      annotations:
        bridge.kratix.io/rollout: '{"version": "v2.0.0", "waves": [{"env": "dev"}, {"env": "prod"}]}'

A wave is labels of XRs; the next begins when all of the ones before are on the version and Ready, and none does while
one has failed. Rolling back is a roll-out of the earlier version. What a ResourceBinding pins is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from function.api.errors import InvalidError
from function.api.names import is_label_key, is_label_value

ANNOTATION: Final = "bridge.kratix.io/rollout"
# What Kratix calls a ResourceBinding's version that follows the Promise (resourcebinding_types.go).
LATEST: Final = "latest"
MAX_WAVES: Final = 32
_PATH: Final = f"metadata.annotations[{ANNOTATION}]"
_SHOWN: Final = 3
_SUCH: Final = '{"version": "v2.0.0", "waves": [{"env": "dev"}]}'

State = Literal["good", "moving", "failing", "unknown"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A version and who gets it first.

    Attributes:
        waves: Labels of XRs, in order; an empty one matches all. XRs that none matches stay as they are.
    """

    version: str
    waves: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Member:
    """An XR.

    Attributes:
        name: What tells it from all others, for people.
        pinned: The version that its request's ResourceBinding says, if that is one; empty otherwise.
        selected: The version that it selects; empty where it follows the newest.
        applied: The version that was run for it last; empty where none was.
        state: `unknown` where its cluster is not reached.
        said: What is wrong with it; empty where its cluster is only not reached yet.
    """

    name: str
    labels: Mapping[str, str]
    pinned: str = ""
    selected: str = ""
    applied: str = ""
    state: State = "moving"
    said: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be.

    Attributes:
        wanted: The version of each XR, by name; empty to follow the newest.
        stopped: Why no further wave begins; empty where one does, or all are through.
        message: Which wave is under way, and what holds it up that nobody there can mend; changes only with that.
    """

    wanted: Mapping[str, str]
    stopped: str = ""
    message: str = ""


def read(annotations: Mapping[str, str]) -> Rollout | None:
    """The roll-out that a Promise asks for.

    Raises:
        InvalidError: It cannot be read, with the field's path.
    """
    text = annotations.get(ANNOTATION)
    if text is None:
        return None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidError(_PATH, f"is not JSON such as {_SUCH}") from None
    if not isinstance(given, Mapping) or not given.keys() <= {"version", "waves"}:
        raise InvalidError(_PATH, f"must be an object with version and waves such as {_SUCH}")
    version, waves = given.get("version"), given.get("waves", [{}])
    if not isinstance(version, str) or not version or not is_label_value(version) or version == LATEST:
        raise InvalidError(f"{_PATH}.version", "must be a version of the Promise, such as v2.0.0")
    if not isinstance(waves, list) or not 0 < len(waves) <= MAX_WAVES:
        raise InvalidError(f"{_PATH}.waves", f"must be a list of 1 to {MAX_WAVES} waves")
    return Rollout(version, tuple(_wave(wave, f"{_PATH}.waves[{i}]") for i, wave in enumerate(waves)))


def _wave(given: Any, path: str) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidError(path, 'must be an object of labels, such as {"env": "dev"}')
    for key, value in given.items():
        if not is_label_key(key) or not isinstance(value, str) or not is_label_value(value):
            raise InvalidError(f"{path}[{key[:80]}]", "must be a label's value under a label's key")
    return dict(given)


def plan(rollout: Rollout | None, members: Sequence[Member]) -> Plan:
    """The version that each XR should follow now."""
    wanted = {member.name: member.pinned for member in members}
    if rollout is None:
        return Plan(wanted)
    free = [member for member in sorted(members, key=lambda m: m.name) if not member.pinned]
    waves = _sorted(rollout, free)
    # Whoever is in no wave, or in one that has not begun, stays where it is, whatever is published meanwhile.
    wanted |= {member.name: member.selected or member.applied for member in free}
    for number, wave in enumerate(waves, 1):
        wanted |= {member.name: rollout.version for member in wave}
        where = f"wave {number} of {len(waves)} to {rollout.version}"
        failed = [m for m in wave if m.selected == rollout.version and m.state == "failing"]
        if failed:
            stopped = f"{where} has stopped: {_listed([f'{m.name}: {m.said}' for m in failed])}"
            return Plan(wanted, stopped, stopped)
        open_ = [m for m in wave if not _is_through(m, rollout.version)]
        if open_:
            return Plan(wanted, "", f"{where} is under way: {_counted(len(wave))}{_held_up(open_)}")
    return Plan(wanted, "", f"the roll-out to {rollout.version} is through")


def _counted(number: int) -> str:
    return f"{number} XR{'' if number == 1 else 's'}"


def _held_up(members: Sequence[Member]) -> str:
    unknown = [f"{m.name}: {m.said}" for m in members if m.state == "unknown" and m.said]
    return f"; it waits for {_listed(unknown)}" if unknown else ""


def _is_through(member: Member, version: str) -> bool:
    return member.selected == member.applied == version and member.state == "good"


def _sorted(rollout: Rollout, members: Sequence[Member]) -> list[list[Member]]:
    """The members of each wave; one is in the first that matches it."""
    found: list[list[Member]] = [[] for _ in rollout.waves]
    for member in members:
        for wave, labels in zip(found, rollout.waves, strict=True):
            if labels.items() <= member.labels.items():
                wave.append(member)
                break
    return found


def _listed(texts: Sequence[str]) -> str:
    more = f", and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
