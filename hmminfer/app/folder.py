"""A run and its folder: its choices and its results on disk, to load, repeat or extend it.

    run.toml        every choice, the seed and the versions: repeats the run exactly, see :mod:`hmminfer.app.recipe`
    data/           copies of the files the run read; a dataset of the package is named in run.toml instead
    draws.zarr      draws while sampling, removed once posterior.nc holds them; :func:`load` recovers those of a killed run
    posterior.nc    the result of :func:`hmminfer.fit` (NetCDF), replaced as a whole or not at all
    summary.txt, summary.csv, figure.png

Nothing is overwritten, except that an extension writes the files anew: posterior.nc then holds the earlier draws and the new ones. A run that was
killed before its first draw holds no result, and its folder can be taken for another.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hmminfer.app.entries import MANY
from hmminfer.app.recipe import COPIES, Recipe
from hmminfer.app.recipe import NAME as RECIPE
from hmminfer.app.storage import read_netcdf, write_bytes, write_netcdf, write_text
from hmminfer.engine.files import is_part
from hmminfer.errors import HmmInferError, abridged, whole
from hmminfer.system.draws import attribute

if TYPE_CHECKING:
    import xarray as xr

    from hmminfer.inference.problem import Problem

RESULT, STORE, DONE, LOCK = "posterior.nc", "draws.zarr", "draws.zarr.done", ".lock"
BEGUN = (LOCK, RECIPE, COPIES, STORE)  # what a run without a draw may hold


@dataclass(frozen=True, eq=False)
class Run:
    """A result with its folder and its recipe.

    ``recipe`` is None for a posterior.nc without a run.toml; ``recovered``: True if the result was rebuilt from the draws of a killed run;
    ``sealed``: False if its file has no checksum, so that damage cannot be seen.
    """

    tree: xr.DataTree
    folder: Path
    recipe: Recipe | None = None
    recovered: bool = False
    sealed: bool = True

    @property
    def problem(self) -> Problem | None:
        """The inference problem, set up anew from the recipe; None without a recipe."""
        return None if self.recipe is None else self.recipe.problem


def check_new(path: str | Path, again: bool = False) -> None:
    """Raise an error if a folder holds anything: results are never overwritten.

    ``again``: the folder of a run that was killed before its first draw is as good as an empty one.
    """
    path = Path(path)
    if os.path.isdir(path) and any(path.iterdir()) and not (again and _only_begun(path)):
        raise HmmInferError(f"The folder '{path}' exists already and is not overwritten; choose another --output, or move it away.")
    if os.path.exists(path) and not os.path.isdir(path):
        raise HmmInferError(f"'{path}' exists already and is not a folder; choose another --output, or move it.")


def _only_begun(folder: Path) -> bool:
    """True for the folder of a run that was killed before its first draw."""
    names = {file.name for file in folder.iterdir() if not is_part(file.name)}
    return names <= set(BEGUN) and bool(names & {LOCK, RECIPE}) and not has_draws(folder)


@contextlib.contextmanager
def new_folder(path: str | Path, again: bool = False) -> Iterator[Path]:
    """Make a folder for results, which must not exist yet or be empty; after an error, what was made and is empty is removed again."""
    path = Path(path)
    check_new(path, again)
    made = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise HmmInferError(f"The folder {abridged(str(path))} cannot be made ({why}); choose another --output.") from None
        if not os.access(path, os.W_OK):
            raise HmmInferError(f"The folder '{path}' cannot be written in; choose another --output.")
        yield path
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def free_folder(stem: str) -> Path:
    """``stem``, or the first of ``stem-2``, ``stem-3`` ... that does not exist."""
    n = 1
    while os.path.lexists(path := Path(stem if n == 1 else f"{stem}-{n}")):
        n += 1
    return path


def run(recipe: Recipe, folder: str | Path, progress: bool = True) -> Run:
    """Fit and save in a new folder. Draws are stored on disk while sampling; a run that fails before its first draw leaves no folder."""
    recipe.problem  # noqa: B018  a mistake is an error before anything is written
    with new_folder(folder, again=True) as place, _in_use(place):
        try:
            shutil.rmtree(place / STORE, ignore_errors=True)
            recipe = recipe.write(place)
            (place / STORE).mkdir()
            tree = recipe.fit(place / STORE, progress)
            save(tree, place, recipe)
        except BaseException as error:
            if not (place / RESULT).exists() and not has_draws(place):
                _clear(place)
            raise _with_draws(error, place) from None
    return Run(tree, place, recipe)


def _with_draws(error: BaseException, folder: Path) -> BaseException:
    """The error, with a word on the draws that are on the disk in spite of it."""
    told = isinstance(error, HmmInferError) and has_draws(folder)
    return HmmInferError(f"{error} The draws so far are kept: hmminfer report {folder}") if told else error


def _clear(folder: Path) -> None:
    """Remove what a run wrote before its first draw: its choices and copies of input files."""
    for file in folder.iterdir():
        if file.name not in BEGUN and not is_part(file.name):
            continue
        shutil.rmtree(file, ignore_errors=True) if file.is_dir() else file.unlink(missing_ok=True)


def save(tree: xr.DataTree, folder: str | Path, recipe: Recipe | None = None) -> None:
    """Write posterior.nc, run.toml (of a recipe), the summary and the figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_netcdf(tree, folder / RESULT)
    if recipe is not None:
        recipe.write(folder)
    if (folder / STORE).exists():
        shutil.rmtree(folder / DONE, ignore_errors=True)
        os.replace(folder / STORE, folder / DONE)  # at once: draws half removed would be taken for those of an extension
    shutil.rmtree(folder / DONE, ignore_errors=True)
    from hmminfer.diagnostics.checking import checks, checks_table
    from hmminfer.diagnostics.summary import derived_table, summary, summary_table
    from hmminfer.inference.reading import Reading
    from hmminfer.terminal import text_of

    reading = Reading.of(tree)
    table = summary(reading)
    write_text(folder / "summary.csv", table.to_csv())
    write_text(folder / "summary.txt", text_of(summary_table(table), *derived_table(reading), "", checks_table(checks(reading))))
    if recipe is not None:
        from hmminfer.figures.overview import posterior_figure

        picture = io.BytesIO()
        posterior_figure(reading, recipe.problem.model).savefig(picture, dpi=150)
        write_bytes(folder / "figure.png", picture.getvalue())


def left(folder: Path, sampler: str = "nuts") -> str:
    """Remains of an interrupted command in the folder of a run, and how to go on, as the end of a sentence."""
    if has_draws(folder):
        return f"the draws are kept: hmminfer report {folder}"
    if (folder / RESULT).exists():
        return f"{folder / RESULT} is complete; its tables and figures: hmminfer report {folder}"
    return "nothing was drawn yet." if sampler == "nuts" else f"nothing is kept, as {sampler} has no draws of the posterior before its end."


def load(path: str | Path, progress: bool = True) -> Run:
    """A run from its folder, or from a posterior.nc. Draws left by a killed process are recovered first."""
    path = Path(path)
    folder = path.parent if os.path.isfile(path) else path
    if not os.path.isfile(path) and not os.path.isdir(path):  # a pipe would be waited for
        raise HmmInferError(f"There is no run {abridged(str(path))}; give the folder that hmminfer fit wrote, or its {RESULT}.")
    recipe = Recipe.read(folder) if (folder / RECIPE).exists() and path.name in (folder.name, RESULT) else None
    if path == folder and recipe is not None and (folder / STORE).exists():
        try:
            return recover(folder, progress)
        except HmmInferError:
            if not (folder / RESULT).exists():
                raise
    file = folder / RESULT if path == folder else path
    if not os.path.isfile(file):
        raise HmmInferError(f"The folder '{folder}' holds no {RESULT}; give a folder that hmminfer fit wrote.")
    tree, sealed = read_netcdf(file)
    return Run(_with_files(tree, recipe), folder, recipe, sealed=sealed)


def _with_files(tree: xr.DataTree, recipe: Recipe | None) -> xr.DataTree:
    """The result with the present paths of the files that its settings name; a folder may have been moved since it was written."""
    posterior = tree["posterior"]
    settings: dict[str, Any] = attribute(posterior.attrs, "settings", {})
    here = {k: v for k, v in (recipe.settings if recipe else {}).items() if k in settings and Path(str(v)).is_file()}
    posterior.attrs["settings"] = json.dumps({**settings, **here})
    return tree


def recover(folder: str | Path, progress: bool = True) -> Run:
    """The run of a killed process, rebuilt from the draws on disk, which are written to posterior.nc."""
    from hmminfer.inference import sampling as inference

    folder = Path(folder)
    recipe = Recipe.read(folder)
    if not has_draws(folder):
        raise HmmInferError(
            f"The run in '{folder}' was stopped before its first draw was stored; begin it again with "
            f"hmminfer fit --run {folder / RECIPE} --output {folder}"
        )
    with _in_use(folder):
        old = read_netcdf(folder / RESULT)[0] if (folder / RESULT).exists() else None
        more = None if old is None else _extension(recipe, 0)
        seed = recipe.seed if more is None else more["seed"]
        tree = inference.recover(recipe.problem, folder / STORE, seed=seed, tune=recipe.tune, resume=old, progress=progress)
        if more is not None and tree.attrs.get("seed") == more["seed"]:  # also if it was killed after the result and before run.toml was written
            more["draws"] = int(tree.attrs["extended_by"])
            recipe = replace(recipe, extensions=(*recipe.extensions, more))
        save(tree, folder, recipe)
    return Run(tree, folder, recipe, recovered=True)


def extend(run: Run, draws: int, progress: bool = True) -> Run:
    """Continue the chains from their last points; posterior.nc then holds the earlier draws and the new ones."""
    from hmminfer.inference.sampling import fit

    if run.recipe is None:
        raise HmmInferError(f"There is no {RECIPE} beside the result in '{run.folder}'; only a whole run can be extended.")
    if (method := run.tree.attrs.get("method", "nuts")) != "nuts":
        raise HmmInferError(f"The run in '{run.folder}' was sampled by {method}; only nuts can go on. Fit again with more draws.")
    whole("draws", draws, 1, MANY)
    recipe, more = run.recipe, _extension(run.recipe, draws)
    with _in_use(run.folder):
        shutil.rmtree(run.folder / STORE, ignore_errors=True)  # of an extension that was killed before its first draw
        (run.folder / STORE).mkdir()
        try:
            tree = fit(
                recipe.experiment_model,
                draws=draws,
                tune=recipe.tune,
                target_accept=recipe.target_accept,
                seed=more["seed"],
                resume=run.tree,
                store=run.folder / STORE,
                progress=progress,
                **recipe.choices,
            )
            recipe = replace(recipe, extensions=(*recipe.extensions, more))
            save(tree, run.folder, recipe)
        except BaseException as error:
            if not has_draws(run.folder):
                shutil.rmtree(run.folder / STORE, ignore_errors=True)
            raise _with_draws(error, run.folder) from None
    return Run(tree, run.folder, recipe)


def _extension(recipe: Recipe, draws: int) -> dict[str, int]:
    """Draws and seed of the next extension; the seed follows from the run's."""
    state = np.random.SeedSequence([recipe.seed, len(recipe.extensions) + 1]).generate_state(1)
    return {"draws": draws, "seed": int(state[0] % 2**31)}


def has_draws(folder: Path) -> bool:
    """True if the sampler has stored draws that are not in posterior.nc yet."""
    return any((folder / STORE / "posterior" / "x").glob("c/*/*/*"))


@contextlib.contextmanager
def _in_use(folder: Path) -> Iterator[None]:
    """Lock a run folder against other processes; the operating system releases the lock if the process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HmmInferError(f"The run in '{folder}' is being sampled by another process; wait until it ends, or stop it.") from None
    except OSError as error:
        raise HmmInferError(f"The run in '{folder}' cannot be written ({error.strerror}); copy the folder to where you may write.") from None
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
