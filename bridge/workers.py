"""Threads that work on a queue's keys, and what becomes of a key whose work failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic

from bridge.queue import Key, Queue

_log = logging.getLogger(__name__)


class Workers(Generic[Key]):
    """Threads that work on the keys of a queue.

    Args:
        work: Is called with a key; returns in how many seconds it wants to see it again, or None.
        expected: Errors that are logged as one sentence; an attribute `retry_after` is the least wait. All others are
            bugs, and are logged with where they happened.
        count: How many threads.
    """

    def __init__(
        self,
        queue: Queue[Key],
        work: Callable[[Key], float | None],
        *,
        expected: tuple[type[Exception], ...] = (),
        count: int = 1,
    ) -> None:
        self._queue = queue
        self._work = work
        self._expected = expected
        self._lock = threading.Lock()
        self._errors = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"{queue.name}-{number}", daemon=True) for number in range(count)
        ]

    @property
    def errors(self) -> int:
        """How often work on a key failed."""
        with self._lock:
            return self._errors

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> bool:
        """Shut the queue down, and wait until what waits in it is worked on; at once where they were never started.

        Args:
            timeout: Seconds to wait; the threads do not hold up the end of the process.

        Returns:
            Whether all threads have ended.
        """
        self._queue.shut_down()
        if any(thread.ident is None for thread in self._threads):
            return True
        drained = self._queue.drained(timeout)
        for thread in self._threads:
            if drained:
                thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (key := self._queue.get()) is not None:
            try:
                self._once(key)
            finally:
                self._queue.done(key)

    def _once(self, key: Key) -> None:
        try:
            again = self._work(key)
        except self._expected as error:
            wait = self._failed(key, error)
            _log.warning("%s: %s; next try in %.1f s", self._queue.name, error, wait)
        except Exception as error:  # noqa: BLE001 - a bug in work on one key must not end the work on all others
            wait = self._failed(key, error)
            _log.exception("%s: a bug in the work on %s; next try in %.1f s", self._queue.name, key, wait)
        else:
            self._queue.forget(key)
            if again is not None:
                self._queue.add_after(key, again)

    def _failed(self, key: Key, error: Exception) -> float:
        with self._lock:
            self._errors += 1
        return self._queue.add_failed(key, at_least=getattr(error, "retry_after", None) or 0.0)
