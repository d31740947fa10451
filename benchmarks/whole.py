"""The main job as a user runs it: seconds of the whole command, caches empty and filled, and its peak memory."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

# program of the hmminfer command; on Linux it prints its own peak, because the one from wait4 includes that of the benchmarks before exec
START = """
import atexit, os
def tell():
    if os.path.exists("/proc/self/status"):
        print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
atexit.register(tell)
from hmminfer.app.cli import main
main()
"""


@cache
def main_job() -> tuple[dict[str, float], dict[str, float]]:
    """Two processes of ``hmminfer fit fibre_composite``, caches empty before the first and kept for the second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        caches = {
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HMMINFER_CACHE": str(folder / "hmminfer"),
            "MPLCONFIGDIR": str(folder / "matplotlib"),
            "MPLBACKEND": "Agg",
        }
        cold, warm = (_timed(["fit", "fibre_composite", "--output", str(folder / out)], caches) for out in ("first", "second"))
    return cold, warm


def _timed(arguments: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall seconds, CPU seconds and peak memory (MB) of one command."""
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", START, *arguments],
            {**os.environ, **environment},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)],
        )
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - begin
        output.seek(0)
        said = output.read().decode(errors="replace")
        if os.waitstatus_to_exitcode(status) != 0:
            raise RuntimeError("hmminfer fit failed:\n" + said[-3000:])
    own = re.search(r"VmHWM:\s+(\d+) kB", said)
    per_mb = 1e6 if sys.platform == "darwin" and not own else 1024.0  # bytes there, kilobytes here
    peak = (float(own[1]) if own else usage.ru_maxrss) / per_mb
    return {"wall_s": seconds, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak}


def cold_start_s(quick: bool) -> dict[str, Any]:
    """First process of ``hmminfer fit fibre_composite``, caches empty, whole command, wall seconds."""
    cold, _ = main_job()
    return {"value": cold["wall_s"], "detail": cold}


def warm_start_s(quick: bool) -> dict[str, Any]:
    """The same command again in a new process, wall seconds."""
    _, warm = main_job()
    return {"value": warm["wall_s"], "detail": warm}


def memory_mb(quick: bool) -> dict[str, Any]:
    """Peak resident memory of the main job, MB, the larger of both processes."""
    cold, warm = main_job()
    return {"value": max(cold["peak_mb"], warm["peak_mb"]), "detail": {"first": cold["peak_mb"], "second": warm["peak_mb"]}}
