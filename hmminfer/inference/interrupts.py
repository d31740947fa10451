"""Interrupts (Ctrl-C, and SIGTERM where the command has made it one) that wait for a place where nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from hmminfer.errors import HmmInferError, Interrupted


class Waiting:
    """Interrupts that have been asked for in the block of :func:`deferred`."""

    asked = False
    raising = False

    def note(self, *_: Any) -> None:
        """Handler of the signals."""
        self.asked = True
        if self.raising:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Interrupts in this block are noted and raised."""
        self.raising = True
        try:
            self.stop()
            yield
            self.stop()
        finally:
            self.raising = False

    def stop(self, *_: Any, **__: Any) -> None:
        """Raise the interrupt that waits, if one does; called at places where nothing is lost."""
        if self.asked:
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferred() -> Iterator[Waiting]:
    """Interrupts in this block are only noted: compiled code that calls back into Python, and files half read, are not left by one.

    Outside the main thread Python delivers no signals, and nothing is changed.
    """
    waiting = Waiting()
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return
    # a handler that is None was set outside Python and cannot be put back
    old = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    ours = [s for s, handler in old.items() if callable(handler)]
    for s in ours:
        signal.signal(s, waiting.note)
    try:
        yield waiting
    finally:
        for s in ours:
            signal.signal(s, old[s])


def nothing_kept() -> HmmInferError:
    """Error for a run that was interrupted before it had a draw to keep."""
    return Interrupted("The run was interrupted before any draw was kept; run it again, with a smaller tune to see draws sooner.")
