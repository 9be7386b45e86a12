"""The versions of every real program that the tests run.

Each is built from its published Go module. `go/<name>/go.mod` and `go.sum` pin it with all it needs; after a change
here, `make pin` makes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is found or built.

    Attributes:
        name: Its folder under `go/` and in the cache.
        variable: The environment variable that names a binary to use instead.
        module: Its Go module.
        package: The package with its `main`, below the module.
        stamp: The Go variable that its version is linked into; empty where it needs none.
    """

    name: str
    variable: str
    module: str
    version: str
    package: str
    stamp: str = ""


CROSSPLANE_CORE = Tool(
    name="crossplane-core",
    variable="CROSSPLANE_CORE",
    module="github.com/crossplane/crossplane/v2",
    version="v2.3.4",
    package="cmd/crossplane",
    # Unstamped it has no version, and every package's spec.crossplane.version constraint fails.
    stamp="github.com/crossplane/crossplane-runtime/v2/pkg/version.version",
)
CROSSPLANE_CLI = Tool(
    name="crossplane-cli",
    variable="CROSSPLANE_CLI",
    module="github.com/crossplane/cli/v2",
    version="v2.5.0",
    package="cmd/crossplane",
)

TOOLS = (CROSSPLANE_CORE, CROSSPLANE_CLI)
