"""A Kratix Destination, as much of it as scheduling and delivery need."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple


class Destination(NamedTuple):
    """Where workloads can go.

    Attributes:
        name: The Destination's name.
        labels: Its labels; selectors match on them.
        strict_match_labels: `spec.strictMatchLabels`: a labelled Destination takes no workload without a selector.
        deleting: Whether it is being deleted; Kratix schedules nothing new to such a one.
        provider_config: The provider-kubernetes ProviderConfig that reaches it.
    """

    name: str
    labels: Mapping[str, str]
    strict_match_labels: bool = False
    deleting: bool = False
    provider_config: str = ""


class Inventory(tuple[Destination, ...]):
    """All Destinations that there are; with thousands of them it counts that the same question is answered once."""

    @cached_property
    def shown(self) -> list[dict[str, object]]:
        """As expressions see them; not to be changed."""
        return [{"name": each.name, "labels": each.labels} for each in self]

    @cached_property
    def by_name(self) -> Mapping[str, Destination]:
        """Each by its name."""
        return {each.name: each for each in self}

    @cached_property
    def answers(self) -> dict[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """Which of them take what asks for these labels; filled by whoever knows the rules."""
        return {}
