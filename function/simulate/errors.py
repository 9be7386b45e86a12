"""What keeps a simulation, or a simulated reconcile, from going on."""

from __future__ import annotations


class SimulationError(Exception):
    """Why no outcome can be shown, in one sentence: "cannot X: why"."""


class PipelineError(Exception):
    """Why a simulated core applies nothing of a pipeline: an outcome, which the XR's condition Synced tells."""
