"""Mutated data tables, run files, results and command lines: each is used or refused in a sentence, never with a traceback, never endlessly."""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds without an answer that count as a hang; the first input of a worker loads and compiles
JUNK = (
    *(
        "",
        "0",
        "-1",
        "1e400",
        "-1e-300",
        "nan",
        "inf",
        "1_0",
        "3 GPa",
        "3 parsec",
        "0 %",
        "true",
        "[]",
        "{}",
        "[[1]]",
        "1979-05-27",
        '"',
        "'",
        "#",
        "=",
    ),
    *("\\", "\0", "\x7f", "\ufeff", "µ", "é" * 300, "a" * 5000, "9" * 5000, "Normal(0, 0)", "LogNormal(1e308, 9)", "../..", "/dev/full", "coupons"),
)
TABLE = """# experiment = "coupons"
# temperature = "295 K"
quantity,specimen,angle [deg],value,unit,sd
youngs_modulus,A,10,140,GPa,4
shear_modulus,B,,5,GPa,1
"""
RUN = """model = "fibre_composite"
experiment = "coupons"
dataset = "raghavan_meshii"
noise = "3%"
draws = 10
tune = 10
chains = 2
seed = 1
target_accept = 0.8
sampler = "nuts"

[settings]
cell = "full"

[priors]
matrix_modulus = "LogNormal(3.5 GPa, 0.2)"

[fixed]
volume_fraction = 0.6

[resolved.settings]
refine = 2

[versions]
numba = "0.60"
"""
OPTIONS = (
    *("--experiment", "--data", "--dataset", "--set", "--prior", "--fix", "--noise", "--discrepancy", "--tune", "--chains", "--seed"),
    *("--target-accept", "--sampler", "--run"),
)
NAMES = ("temperature", "cell", "refine", "volume_fraction", "matrix_modulus", "fibre_angle", "youngs_modulus", "x")


def mutated(text: str, rng: random.Random) -> str:
    """Text with a few places changed: a piece dropped, doubled, moved, or junk in its place."""
    for _ in range(rng.randint(1, 3)):
        lines = text.splitlines(keepends=True) or [""]
        i = rng.randrange(len(lines))
        a, b = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        before, line, after = "".join(lines[:i]), lines[i], "".join(lines[i + 1 :])
        key, equals, _ = line.partition("=")
        changed = ("", line + line, f"{key}{equals}{rng.choice(JUNK)}\n", ",".join(rng.choice((c, rng.choice(JUNK))) for c in line.split(",")))
        text = rng.choice((text[:a] + text[min(b, a + 20) :], text[:a] + rng.choice(JUNK) + text[a:], *(before + c + after for c in changed)))
    return text


def table(folder: Path, rng: random.Random) -> None:
    """A data file is read and checked."""
    from hmminfer.models import fibre_composite
    from hmminfer.system.tables import read_table

    file = folder / "my.csv"
    file.write_bytes(mutated(TABLE, rng).encode("utf-8", "surrogatepass"))
    fibre_composite.EXPERIMENTS["coupons"].schema.check(read_table(file))


def run_file(folder: Path, rng: random.Random) -> None:
    """A run file is read, and its problem set up."""
    from hmminfer.app.recipe import Recipe

    file = folder / "run.toml"
    file.write_bytes(mutated(RUN, rng).encode("utf-8", "surrogatepass"))
    Recipe.read(file).problem  # noqa: B018  computed on first access


def result(folder: Path, rng: random.Random) -> None:
    """A result is loaded and summarised: with its checksum and other bytes, or without it and with other attributes and groups."""
    import h5py

    from hmminfer.app.folder import load
    from hmminfer.diagnostics.checking import checks
    from hmminfer.inference.reading import Reading

    good, file = _good_result(), folder / "posterior.nc"
    if rng.random() < 0.5:
        content = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])
    else:
        file.write_bytes(good[:-80])
        with h5py.File(file, "r+") as opened:
            place = rng.choice([opened, opened["posterior"]])
            if rng.random() < 0.8:
                place.attrs[rng.choice(list(place.attrs))] = rng.choice((*(j for j in JUNK if "\0" not in j), "{", "3", '["x"]', '{"a": "b"}'))
            else:
                del place[rng.choice(list(place))]
    reading = Reading.of(load(file, progress=False).tree)
    checks(reading)


def _good_result() -> bytes:
    """A preview of the coupons as a file, made once in each process."""
    if not _kept:
        from hmminfer.app.storage import write_netcdf
        from hmminfer.inference.sampling import preview
        from hmminfer.models import fibre_composite

        with tempfile.TemporaryDirectory() as name:
            write_netcdf(preview(fibre_composite.EXPERIMENTS["coupons"].model(), draws=50, seed=1, progress=False), Path(name) / "posterior.nc")
            _kept.append((Path(name) / "posterior.nc").read_bytes())
    return _kept[0]


_kept: list[bytes] = []


def command_line(folder: Path, rng: random.Random) -> None:
    """A command, up to sampling."""
    from typer.testing import CliRunner

    from hmminfer.app.cli import app

    junk = [j for j in JUNK if "\0" not in j]
    arguments = [rng.choice(("fit", "fit", "fit", "predict", "models", "datasets", "report", "extend", "fi"))]
    arguments.append(rng.choice(("fibre_composite", "fibre_composite", "fibre_composite", rng.choice(junk))))
    for _ in range(rng.randint(0, 3)):
        value = rng.choice(junk)
        arguments += [rng.choice(OPTIONS), rng.choice((value, f"{rng.choice(NAMES)}={value}"))]
    if arguments[0] == "fit":
        arguments += ["--draws", "0", "--quiet"]
    if rng.random() < 0.3:
        arguments += ["--output", str(folder / rng.choice(junk).replace("/", "_"))]
    done = CliRunner().invoke(app, arguments)
    if done.exit_code == 2 or (done.exit_code == 1 and "Error: " in done.output and isinstance(done.exception, SystemExit)):
        raise SystemExit(done.exit_code)
    if done.exception is not None:
        raise done.exception


KINDS: dict[str, Callable[[Path, random.Random], None]] = {"tables": table, "run files": run_file, "results": result, "command lines": command_line}


def _work(kind: str, first: int, number: int, answers: Any) -> None:
    """Try inputs ``first`` to ``number``, and send the outcome of each."""
    import warnings

    from hmminfer.errors import HmmInferError

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        for i in range(first, number):
            try:
                KINDS[kind](Path(name), random.Random(f"{kind} {i}"))
                answers.send(("used", ""))
            except (HmmInferError, SystemExit):
                answers.send(("sentence", ""))
            except BaseException as error:
                answers.send(("traceback", f"{type(error).__name__}: {str(error)[:100]}"))


def _tried(kind: str, number: int) -> tuple[Counter, dict[int, str]]:
    """Outcomes of ``number`` inputs, and what was wrong with which; a worker that does not answer, or crashes, is replaced."""
    outcomes: Counter = Counter()
    wrong: dict[int, str] = {}
    while (done := outcomes.total()) < number:
        ours, theirs = multiprocessing.Pipe()
        worker = multiprocessing.get_context("spawn").Process(target=_work, args=(kind, done, number, theirs))
        worker.start()
        theirs.close()
        while (done := outcomes.total()) < number:
            try:
                outcome, what = ours.recv() if ours.poll(PATIENCE) else ("hang", "no answer")
            except EOFError:
                outcome, what = "traceback", "the process crashed"
            outcomes[outcome] += 1
            if what:
                wrong[done] = what
            if what in ("no answer", "the process crashed"):
                break
        worker.kill()
        worker.join()
    return outcomes, wrong


def fuzz(quick: bool = False) -> dict[str, Any]:
    """Tracebacks and hangs among mutated tables, run files, results and command lines."""
    detail: dict[str, Any] = {}
    for kind in KINDS:
        number = 100 if quick else 2500
        outcomes, wrong = _tried(kind, number)
        detail[kind] = {
            "files": number,
            **{k: outcomes[k] for k in ("used", "sentence", "traceback", "hang")},
            "first": dict(list(wrong.items())[:10]),
        }
        print(kind, json.dumps(detail[kind]), flush=True)
    return {"value": sum(d["traceback"] + d["hang"] for d in detail.values()), "detail": detail}
