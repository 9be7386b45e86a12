"""The platform cluster, as its watches see it: what is to be published, and where."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.api import names as own
from bridge.api.crossplanecluster import Selector, Spec
from bridge.clusters import Cluster
from bridge.store import Key
from bridge.sync import kept, kinds
from bridge.watch import Watch
from function.api import goyaml
from function.api.errors import InvalidError

_MAX_INPUT: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Changed:
    """What is called when something is not as it was; each is told what was there and what is there now."""

    site: Callable[[str], None]
    promise: Callable[[str, kept.Promise | None, kept.Promise | None], None]
    destination: Callable[[str, kept.Destination | None, kept.Destination | None], None]
    input: Callable[[str], None]
    secret: Callable[[str], None]


class Platform:
    """The platform cluster.

    Args:
        identity: What no other platform has.
        namespace: The bridge's own: Secrets and inputs are read there.
    """

    def __init__(
        self, cluster: Cluster, *, identity: str, namespace: str, changed: Changed, clock: Callable[[], float]
    ) -> None:
        self.cluster = cluster
        self.identity = identity
        self.namespace = namespace
        self._changed = changed
        self._lock = threading.Lock()
        self._by_api: dict[str, set[str]] = {}
        self._inputs: dict[str, set[str]] = {}
        self.sites: Watch[kept.Site] = Watch(
            cluster, kinds.CLUSTER, keep=kept.site, on_change=lambda key, *_: changed.site(key.name), clock=clock
        )
        self.promises: Watch[kept.Promise] = Watch(
            cluster, kinds.PROMISE, keep=kept.promise, on_change=self._promise, clock=clock
        )
        self.destinations: Watch[kept.Destination] = Watch(
            cluster,
            kinds.DESTINATION,
            keep=kept.destination,
            on_change=lambda key, old, new: changed.destination(key.name, old, new),
            clock=clock,
        )
        self.inputs: Watch[kept.Input] = Watch(
            cluster,
            kinds.CONFIG_MAP,
            keep=kept.input_,
            on_change=self._input,
            clock=clock,
            namespace=namespace,
            labels=own.INPUT_LABEL,
        )
        self.secrets: Watch[kept.Secret] = Watch(
            cluster,
            kinds.SECRET,
            keep=kept.secret,
            on_change=lambda key, *_: changed.secret(key.name),
            clock=clock,
            namespace=namespace,
        )

    @property
    def watches(self) -> tuple[Watch[Any], ...]:
        """All of them."""
        return self.promises, self.destinations, self.inputs, self.secrets, self.sites

    def is_read(self) -> bool:
        """Whether all of it was read once: what is not there is not there."""
        return all(watch.health.synced for watch in self.watches)

    def promise(self, name: str, spec: Spec) -> kept.Promise | None:
        """A Promise that is published where a spec says; None where it is not."""
        found = self.promises.store.get(Key("", name))
        return found if found is not None and _selects(spec.promise_selector, found) else None

    def rivals(self, name: str, xrds: frozenset[str], spec: Spec) -> list[kept.Promise]:
        """Other Promises that would have one of these XRDs, where a spec says."""
        with self._lock:
            others = sorted({each for xrd in xrds for each in self._by_api.get(_api(xrd, spec.prefix), ())} - {name})
        return [found for each in others if (found := self.promise(each, spec)) is not None]

    def claimants(self, xrd: str, prefix: str) -> list[str]:
        """Names of all Promises that would have an XRD of that name."""
        with self._lock:
            return sorted(self._by_api.get(_api(xrd, prefix), ()))

    def selected(self, spec: Spec) -> frozenset[str]:
        """Names of the Promises that are published where a spec says."""
        found = (each for _, each in self.promises.store.items())
        return frozenset(each.name for each in found if _selects(spec.promise_selector, each))

    def destination(self, name: str, spec: Spec) -> kept.Destination | None:
        """A Destination of the inventory where a spec says; None where it is none."""
        found = self.destinations.store.get(Key("", name))
        return found if found is not None and _stocks(spec.destination_selector, found) else None

    def inventory(self, spec: Spec) -> frozenset[str]:
        """Names of the Destinations of an inventory."""
        found = (each for _, each in self.destinations.store.items())
        return frozenset(each.name for each in found if _stocks(spec.destination_selector, each))

    def logic(self, promise: str) -> Mapping[str, Any] | None:
        """What the platform team adds to a Promise, as in a PromiseInput; None where it adds nothing.

        Raises:
            InvalidError: The ConfigMap holds none, or there are two.
        """
        with self._lock:
            listed = sorted(self._inputs.get(promise, ()))
        # The index follows the store: one that went just now may be in it still.
        there = [(name, self.inputs.store.get(Key(self.namespace, name))) for name in listed]
        found = [(name, each) for name, each in there if each is not None and each.promise == promise]
        if not found:
            return None
        where = f"ConfigMap {self.namespace}/{found[0][0]}"
        if len(found) > 1:
            raise InvalidError(where, f"there is another one for Promise {promise}: {found[1][0]}")
        text = found[0][1].text
        if text is None:
            raise InvalidError(f"{where} data[{own.INPUT_KEY}]", "is required")
        if len(text) > _MAX_INPUT:
            raise InvalidError(f"{where} data[{own.INPUT_KEY}]", f"has more than {_MAX_INPUT} characters")
        try:
            read = [document for document in goyaml.documents(text) if document is not None]
        except goyaml.YamlError as error:
            raise InvalidError(f"{where} data[{own.INPUT_KEY}]", str(error)) from None
        if len(read) != 1 or not isinstance(read[0], Mapping):
            raise InvalidError(f"{where} data[{own.INPUT_KEY}]", "must be one PromiseInput")
        return {field: value for field, value in read[0].items() if field != "promise"}

    def _promise(self, key: Key, old: kept.Promise | None, new: kept.Promise | None) -> None:
        with self._lock:
            for each in (old, new):
                if each is not None:
                    _change(self._by_api, each.api, each.name, there=each is new)
        self._changed.promise(key.name, old, new)

    def _input(self, key: Key, old: kept.Input | None, new: kept.Input | None) -> None:
        with self._lock:
            for each in (old, new):
                if each is not None:
                    _change(self._inputs, each.promise, key.name, there=each is new)
        for promise in {each.promise for each in (old, new) if each is not None}:
            self._changed.input(promise)


def _change(index: dict[str, set[str]], at: str, name: str, *, there: bool) -> None:
    names = index.setdefault(at, set())
    (names.add if there else names.discard)(name)
    if not names:
        del index[at]


def _selects(selector: Selector, found: kept.Promise) -> bool:
    return not found.leaving and selector.matches(found.labels)


def _stocks(selector: Selector, found: kept.Destination) -> bool:
    return not selector.match_labels or selector.matches(found.labels)  # labels are unpacked


def _api(xrd: str, prefix: str) -> str:
    """`<plural>.<group>` of the API that an XRD of that name would have; nothing's where the prefix is another."""
    plural, _, group = xrd.partition(".")
    return f"{plural}.{group.removeprefix(prefix)}" if group.startswith(prefix) else "."
