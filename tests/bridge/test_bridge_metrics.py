"""What the bridge tells Prometheus is as much for twenty Promises as for one."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_bridge_main import SIZE, Bench, bench  # noqa: F401 - a fixture

import promises
from bridge import lease, main
from bridge.api import names
from bridge.store import Key
from bridge.sync import kinds

Series = frozenset[tuple[str, tuple[tuple[str, str], ...]]]
# Of what a cluster has few: kinds, queues, API servers, and what can come of something.
LABELS = {"cluster", "code", "controller", "host", "method", "name", "resource", "result", "state"}


def scraped(bench: Bench) -> Series:  # noqa: F811 - it is the fixture
    """Every series, by its metric's name and labels."""
    families = text_string_to_metric_families(bench.page("/metrics")[1])
    return frozenset((s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples)


def publish(bench: Bench, number: int) -> None:  # noqa: F811 - so too
    api = promises.api(promises.version(spec={"type": "object", **SIZE}), kind=f"Store{number}")
    labels = {names.PUBLISH_LABEL: "true"}
    promise = promises.promise(f"store{number}", labels=labels, api=api)
    bench.platform.put(kinds.PROMISE, f"store{number}", labels=labels, spec=promise["spec"])


def published(bench: Bench) -> int:  # noqa: F811 - so too
    """How many Promises the CrossplaneCluster's status counts, which is written last."""
    status = bench.platform.there(kinds.CLUSTER)[Key("", "eu-1")].get("status") or {}
    return int((status.get("counts") or {}).get("published") or 0)


def test_no_series_grows_with_the_objects(bench: Bench, monkeypatch: pytest.MonkeyPatch):  # noqa: F811 - so too
    monkeypatch.setattr(lease, "RETRY", 0.05)
    known: list[Series] = []

    def then() -> None:
        bench.until_said("leading")
        bench.register()
        publish(bench, 0)
        bench.until("one is published", lambda: published(bench) == 1)
        bench.until("the Lease is renewed", lambda: 'method="PUT"' in bench.page("/metrics")[1])
        bench.until("it is reported", lambda: '_count{controller="report"}' in bench.page("/metrics")[1])
        known.append(scraped(bench))
        for number in range(1, 21):
            publish(bench, number)
        bench.until("all are published", lambda: published(bench) == 21)
        known.append(scraped(bench))

    assert bench.run(then) == main.OK
    assert known[0] == known[1]
    assert {label for _, labels in known[1] for label, _ in labels} - {"le"} == LABELS
    assert not [each for each in known[1] if "store" in str(each).lower()], "none is about an object"
    assert len(known[1]) < 250
