"""Independent jobs on any executor, streamed, and kept in a folder as they finish, so that work that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from itertools import islice
from pathlib import Path
from typing import Any

from hmminfer.errors import HmmInferError
from hmminfer.system.pickling import packed

FACTS = "jobs.json"
_held: dict[str, dict[str, Any]] = {}  # in a worker: what all jobs share, by the hash of its bytes


def stream(
    work: Callable[..., Any], shared: Mapping[str, Any], numbers: Iterable[int], executor: Executor | None, ahead: int
) -> Generator[tuple[int, Any]]:
    """``(k, work(k, **shared))`` for each number, in the order in which they finish; ``ahead``: how many are with the executor at a time.

    A job is its number and the hash of what is shared. A worker that does not hold that yet answers None, and is sent the job again with it: what
    is shared goes to each worker about once, on any executor, to workers that join late or come back too. Results are never None.
    """
    if executor is None:
        yield from ((k, work(k, **shared)) for k in numbers)
        return
    data = packed(shared, "The calibration")
    key = hashlib.sha256(data).hexdigest()
    numbers = iter(numbers)
    pending: dict[Future, int] = {}
    try:
        for k in islice(numbers, ahead):
            pending[executor.submit(_job, work, key, k)] = k
        while pending:
            done = wait(pending, return_when=FIRST_COMPLETED).done
            for future in sorted(done, key=lambda f: f.exception() is not None):  # an error comes last: it takes no finished job with it
                k = pending.pop(future)
                result = future.result()
                if result is None:
                    pending[executor.submit(_job, work, key, k, data)] = k
                    continue
                for following in islice(numbers, 1):
                    pending[executor.submit(_job, work, key, following)] = following
                yield k, result
    except BrokenExecutor as error:
        raise HmmInferError(
            "A worker process ended before its job did: it was killed, ran out of memory, or could not import the script (which then needs "
            "if __name__ == '__main__'). Run again; jobs that finished in a folder= are not repeated."
        ) from error
    finally:
        for future in pending:
            future.cancel()


def _job(work: Callable[..., Any], key: str, k: int, data: bytes | None = None) -> Any:
    """One job in a worker; None if the worker holds nothing under ``key`` and was sent no data."""
    if data is not None and key not in _held:
        _held.clear()
        _held[key] = pickle.loads(data)
    shared = _held.get(key)
    return None if shared is None else work(k, **shared)


def finished(folder: Path, facts: Mapping[str, Any]) -> dict[int, Any]:
    """Results by number of the jobs that are in the folder; made if there is none. Jobs under other ``facts`` are refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HmmInferError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from None
    if (there := _read(folder / FACTS)) is None:
        if any(path.suffix != ".part" for path in folder.iterdir()):
            raise HmmInferError(f"The folder '{folder}' holds something else than finished jobs; give a new or an empty one.")
        _write(folder / FACTS, dict(facts))
        return {}
    if other := [name if isinstance(v, str) else f"{name} ({there.get(name)}, not {v})" for name, v in facts.items() if there.get(name) != v]:
        raise HmmInferError(f"The folder '{folder}' holds jobs of another {', '.join(other)}; give a new folder, or what these jobs were made with.")
    found = {int(path.stem): _read(path) for path in folder.glob("[0-9]*.json")}
    return {k: result for k, result in found.items() if result is not None}


def keep(folder: Path, k: int, result: Any) -> None:
    """Write the result of job k, whole or not at all."""
    _write(folder / f"{k}.json", result)


def _write(path: Path, content: Any) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    os.replace(temporary, path)


def _read(path: Path) -> Any:
    """Content of a file; None if there is none, or if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
