"""One decision of the function, without a reconcile: what it makes of a request with what can be read now.

Where no Crossplane core is (a Kratix pipeline's container), this answers the function's requirements in core's stead,
by the same rounds, and hands over what it decided instead of what it would compose.
"""

from __future__ import annotations

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from function import fn, read, structs
from function.model import JsonObject, Outcome
from function.simulate import steps
from function.simulate.cluster import Reader
from function.simulate.errors import SimulationError


def decide(request: JsonObject, given: JsonObject, reader: Reader) -> Outcome:
    """What the function decides for one request.

    Args:
        request: The XR, or what stands for it.
        given: The PromiseInput.
        reader: Answers the requirements.

    Raises:
        SimulationError: The input or the request is invalid, with the field's path.
    """
    base = fnv1.RunFunctionRequest()
    structs.fill(base.observed.composite.resource, request)
    base.desired.SetInParent()
    base.context.SetInParent()
    rounds = steps.call(steps.Step("promise", fn.run, given), base, reader)
    if rounds.error or rounds.fatal:
        raise SimulationError(rounds.error or rounds.fatal)
    last = rounds.calls[-1].request
    return fn.decide(read.request(last, read.plan(last), fn.host()))
