"""A Kratix Destination, as much of it as scheduling and delivery need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
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
