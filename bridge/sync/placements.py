"""Which Crossplane cluster a request goes to: chosen once, with a reason, and written down before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.api import names as own
from bridge.store import Key
from bridge.sync import mirror, requests
from bridge.sync.answers import Answers, Case
from bridge.sync.intake import Intake, Of
from bridge.sync.ledger import Ledger
from bridge.sync.mirror import Offer
from bridge.sync.platform import Platform
from bridge.sync.report import Reach
from bridge.sync.site import Site
from function.api import fit
from function.api.errors import InvalidError
from function.api.placing import Decision

NAME: Final = "request-place"
_LONG: Final = 10.0  # seconds after which a request that waits is told so


@dataclass(frozen=True, slots=True)
class Placements:
    """Chooses.

    Attributes:
        sites: The Crossplane clusters, by name.
        unmade: Why there is none of a name; None also where nobody has looked yet.
        clock: Monotonic seconds.
    """

    platform: Platform
    intake: Intake
    answers: Answers
    ledger: Ledger
    sites: Callable[[], Mapping[str, Site]]
    unmade: Callable[[str], Reach | None]
    clock: Callable[[], float]

    def reconcile(self, of: Of) -> float | None:
        """Choose a cluster for a request; returns in how many seconds to look again, if nothing happens before.

        Raises:
            ClusterError: The platform does not take what is decided.
        """
        found = self.intake.get(of)
        if found is None:
            return requests.SOON if of.promise in self.intake.opened else None
        opened, request = found
        sites, holding = self.sites(), self.ledger.holding(of)
        if request is None or request.leaving:
            _carry(sites, holding, of)
            for name in filter(self._is_gone, holding):
                self.ledger.leave(of, name)  # nobody will see that its XR is there no more
            self.ledger.undecide(of)
            return None
        # What was decided here and the watch has not shown yet counts, or it would be decided anew.
        at = self.ledger.decided(of)
        cluster, placement = (at.name, (at.state, at.reason)) if at else (request.cluster, request.placement)
        before = [cluster] if cluster else sorted(name for name in holding if not self._is_gone(name))
        case = Case(of, opened, request)
        unread = {} if before else dict(self._unread(of.promise, sites))
        untried = [name for name, tried in unread.items() if not tried]
        if untried:
            # The XR may be there, and a cluster may be free, as soon as all have been looked at.
            if self.ledger.waited(of.promise, self.clock()) > _LONG:
                self.answers.write(case, mirror.waiting(None, f"cluster {untried[0]} has not been read yet"))
            return requests.SOON
        if not before:
            self.ledger.waits_no_longer(of.promise)
        try:
            offers = self._offers(of.promise, sites, before)
            decisions, nobody = mirror.choose(opened.mirror, request.packed.body, offers, before)
        except InvalidError as error:
            # One that is somewhere stays there, whatever is asked for now.
            decisions = (Decision(cluster, "Misplaced", str(error)),) if cluster else ()
            nobody = str(error)
        if not decisions:
            cannot = f"; {fit.listed(sorted(unread))} cannot be read" if unread else ""
            self.answers.write(case, mirror.waiting(None, f"{nobody}{cannot}"))
            return None
        self._settle(case, mirror.remembered(decisions[0], cluster, placement), sites)
        _carry(sites, holding | {decisions[0].name}, of)
        return None

    def _settle(self, case: Case, at: Decision, sites: Mapping[str, Site]) -> None:
        """Say where it is to be before it is there: a bridge that ends in between does not choose anew."""
        site, request = sites.get(at.name), case.request
        self.ledger.decide(case.of, at)
        if site is None and self._is_to_come(at.name):
            return
        if site is None or site.reach.status == "False":
            self.answers.lost(case, at)
        elif request.cluster != at.name:
            self.answers.write(case, mirror.waiting(at, f"it is sent to cluster {at.name}"))
        # A reason that is another one now is told with all else that the XR says.

    def _unread(self, promise: str, sites: Mapping[str, Site]) -> Iterator[tuple[str, bool]]:
        """The clusters on which an XR of a new request may be that nobody has seen, and whether that was tried in vain.

        One that answers and refuses its lists for good is as one that is lost: nobody waits for it. No request gets a
        second XR by that as long as statuses are kept: where a request is to be is in its status before it has an XR.
        """
        for key, _ in self.platform.sites.store.items():  # noqa: PERF102 - a store has no keys()
            name, site = key.name, sites.get(key.name)
            if site is None:
                if self._is_to_come(name):
                    yield name, False
                continue
            if not self._may_take(promise, site) or site.reach.status == "False" or site.obstacle:
                continue
            if not site.ready:
                yield name, any(h.error and h.lists >= requests.TRIES for h in (watch.health for watch in site.watches))
            elif not self.ledger.is_swept(name, promise):
                yield name, self.ledger.tries(name, promise) >= requests.TRIES

    def _is_to_come(self, name: str) -> bool:
        """Whether nobody has tried to connect to a CrossplaneCluster yet, as when the process has just begun."""
        return not self._is_gone(name) and self.unmade(name) is None

    def _is_gone(self, name: str) -> bool:
        return self.platform.sites.store.get(Key("", name)) is None

    def _may_take(self, promise: str, site: Site) -> bool:
        return not site.by_gitops and self.platform.promise(promise, site.spec) is not None

    def _offers(self, promise: str, sites: Mapping[str, Site], before: list[str]) -> Iterator[Offer]:
        for key, there in self.platform.sites.store.items():
            site = sites.get(key.name)
            takes = site is not None and self._may_take(promise, site) and self._is_open(promise, site)
            if takes or key.name in before:
                yield Offer(key.name, there.labels, draining=there.labels.get(own.DRAIN_LABEL) == "true")

    def _is_open(self, promise: str, site: Site) -> bool:
        is_reached = site.ready and site.reach.status == "True" and self.ledger.is_swept(site.name, promise)
        return is_reached and bool(site.board.read_one("Promise", promise).xrd)


def _carry(sites: Mapping[str, Site], where: frozenset[str], of: Of) -> None:
    for name in sorted(where & sites.keys()):
        sites[name].add(requests.NAME, [str(of)])
