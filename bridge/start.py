"""`kratix-crossplane bridge`: keeps Promises and Destinations in step with Crossplane clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.api.names import LEASE_NAMESPACE, NAMESPACE
from bridge.errors import FolderError, StartError

_KUBECONFIG = typer.Option(
    "--kubeconfig", envvar="KUBECONFIG", metavar="FILE", help="Of the platform cluster. In a pod of it, leave it out."
)
_CONTEXT = typer.Option("--context", help="Of the kubeconfig.")
_NAMESPACE = typer.Option(
    "--namespace", envvar="POD_NAMESPACE", help="The bridge's own: it reads kubeconfigs and inputs there."
)
_IDENTITY = typer.Option(
    "--identity",
    help="Whose what it makes is. By default the UID of the namespace kube-system; keep it after a restore.",
)
_LISTEN = typer.Option("--listen", metavar="HOST:PORT", help="For /healthz, /readyz and /metrics.")
_LEASE = typer.Option("--lease-namespace", help="Of the Lease: all bridges of a platform meet there.")
_RESYNC = typer.Option("--resync", metavar="DURATION", help="How often all is looked at again: 10m, 1h30m, ...")
_WORKERS = typer.Option("--workers", min=1, max=64, help="How many objects at once on each cluster.")
_DRY = typer.Option("--dry-run", help="Print what would change on the clusters, change nothing, and end.")
_RELEASE = typer.Option(
    "--release", help="Take the bridge's finalizer off all XRs, and end: before it is uninstalled. Stop bridges first."
)
_UI = typer.Option(
    "--ui-address",
    metavar="HOST:PORT",
    help="For the page /ui: see docs/status.md. By default there is none. Without --ui-tls on loopback alone.",
)
_UI_TLS = typer.Option("--ui-tls", metavar="FOLDER", help="With tls.crt and tls.key of the page.")
_TEXT = typer.Option("--text", help="Log for people; by default JSON.")
_DEBUG = typer.Option("--debug", "-d", help="Log more.")


def bridge(
    kubeconfig: Annotated[Path | None, _KUBECONFIG] = None,
    context: Annotated[str, _CONTEXT] = "",
    namespace: Annotated[str, _NAMESPACE] = NAMESPACE,
    identity: Annotated[str, _IDENTITY] = "",
    listen: Annotated[str, _LISTEN] = "0.0.0.0:8080",
    ui_address: Annotated[str, _UI] = "",
    ui_tls: Annotated[Path | None, _UI_TLS] = None,
    lease_namespace: Annotated[str, _LEASE] = LEASE_NAMESPACE,
    resync: Annotated[str, _RESYNC] = "10m",
    workers: Annotated[int, _WORKERS] = 4,
    dry_run: Annotated[bool, _DRY] = False,  # noqa: FBT002 - typer makes it a flag
    release: Annotated[bool, _RELEASE] = False,  # noqa: FBT002 - so too
    text: Annotated[bool, _TEXT] = False,  # noqa: FBT002 - so too
    debug: Annotated[bool, _DEBUG] = False,  # noqa: FBT002 - so too
) -> int:
    """Keep Promises and Destinations in step with Crossplane clusters: see docs/bridge.md.

    Publishes Promises as XRDs and Compositions to the clusters of all CrossplaneClusters, until SIGTERM. One process
    works at a time; others wait for its Lease.
    Exit code: 0 ended as asked, 1 error or the Lease is lost, 2 with --dry-run something would change.

    \b
    Examples:
      kratix-crossplane bridge
      kratix-crossplane bridge --kubeconfig ~/.kube/platform --text --listen 127.0.0.1:8080
      kratix-crossplane bridge --kubeconfig ~/.kube/platform --ui-address 127.0.0.1:8081
      kratix-crossplane bridge --kubeconfig ~/.kube/platform --dry-run
      kratix-crossplane bridge --kubeconfig ~/.kube/platform --release
    """
    from bridge import log, main
    from bridge.ui.serving import Page
    from function.api.fields import seconds

    try:
        period = seconds(resync)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--resync") from None
    if dry_run and release:
        raise typer.BadParameter("changes XRs, and --dry-run changes nothing", param_hint="--release")
    if ui_tls is not None and not ui_address:
        raise typer.BadParameter("goes with --ui-address", param_hint="--ui-tls")
    log.to_stderr(for_people=text or dry_run or release, verbose=debug, quiet=dry_run or release)
    page = Page(ui_address, ui_tls) if ui_address else None
    flags = main.Flags(
        kubeconfig,
        context,
        namespace,
        identity,
        listen,
        lease_namespace,
        float(period),
        workers,
        dry_run,
        release,
        page,
    )
    try:
        return main.run(flags)
    except StartError as error:
        raise FolderError(f"cannot run the bridge: {error}") from None
