"""A run and its folder: its choices and its results on disk, to load, repeat or extend it.

    run.toml        every choice, the seed and the versions: repeats the run exactly, see :mod:`hmminfer.app.recipe`
    data/           copies of the files the run read; a dataset of the package is named in run.toml instead
    draws.zarr      draws while sampling, removed once posterior.nc holds them; :func:`load` recovers those of a killed run
    posterior.nc    the result of :func:`hmminfer.fit` (NetCDF), replaced as a whole or not at all
    summary.txt, summary.csv, figure.png

Nothing is overwritten, except that an extension writes the files anew: posterior.nc then holds the earlier draws and the new ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hmminfer.app.recipe import NAME as RECIPE
from hmminfer.app.recipe import Recipe, replace_text
from hmminfer.errors import HmmInferError

if TYPE_CHECKING:
    import xarray as xr

    from hmminfer.inference.problem import Problem

RESULT, STORE = "posterior.nc", "draws.zarr"


@dataclass(frozen=True, eq=False)
class Run:
    """A result with its folder and its recipe.

    ``recipe`` is None for a posterior.nc without a run.toml; ``recovered``: True if the result was rebuilt from the draws of a killed run.
    """

    tree: xr.DataTree
    folder: Path
    recipe: Recipe | None = None
    recovered: bool = False

    @property
    def problem(self) -> Problem | None:
        """The inference problem, set up anew from the recipe; None without a recipe."""
        return None if self.recipe is None else self.recipe.problem


def check_new(path: str | Path) -> None:
    """Raise an error if a folder holds anything: results are never overwritten."""
    path = Path(path)
    if path.is_dir() and any(path.iterdir()):
        raise HmmInferError(f"The folder '{path}' exists already and is not overwritten; choose another --output, or move it away.")
    if path.exists() and not path.is_dir():
        raise HmmInferError(f"'{path}' exists already and is not a folder; choose another --output, or move it.")


def new_folder(path: str | Path) -> Path:
    """Make a folder for results, which must not exist yet or be empty."""
    path = Path(path)
    check_new(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HmmInferError(f"The folder '{path}' cannot be made ({error.strerror}); choose another --output.") from None
    return path


def free_folder(stem: str) -> Path:
    """``stem``, or the first of ``stem-2``, ``stem-3`` ... that does not exist."""
    n = 1
    while (path := Path(stem if n == 1 else f"{stem}-{n}")).exists():
        n += 1
    return path


def run(recipe: Recipe, folder: str | Path, progress: bool = True) -> Run:
    """Fit and save in a new folder. Draws are stored on disk while sampling; a run that fails before its first draw leaves no folder."""
    recipe.problem  # noqa: B018  a mistake is an error before anything is written
    folder = new_folder(folder)
    with _in_use(folder):
        recipe = recipe.write(folder)
        (folder / STORE).mkdir()
        try:
            tree = recipe.fit(folder / STORE, progress)
            save(tree, folder, recipe)
        except BaseException:
            if not (folder / RESULT).exists() and not has_draws(folder):
                shutil.rmtree(folder)  # made above, and holds only run.toml and copies of input files
            raise
    return Run(tree, folder, recipe)


def save(tree: xr.DataTree, folder: str | Path, recipe: Recipe | None = None) -> None:
    """Write posterior.nc, run.toml (of a recipe), the summary and the figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{RESULT}.part"
    tree.to_netcdf(temporary, engine="h5netcdf")
    os.replace(temporary, folder / RESULT)
    if recipe is not None:
        recipe.write(folder)
    shutil.rmtree(folder / STORE, ignore_errors=True)
    from hmminfer.diagnostics.checking import checks, checks_table
    from hmminfer.diagnostics.summary import derived_table, summary, summary_table
    from hmminfer.inference.reading import Reading
    from hmminfer.terminal import text_of

    reading = Reading.of(tree)
    table = summary(reading)
    replace_text(folder / "summary.csv", table.to_csv())
    replace_text(folder / "summary.txt", text_of(summary_table(table), *derived_table(reading), "", checks_table(checks(reading))))
    if recipe is not None:
        from hmminfer.figures.overview import posterior_figure

        posterior_figure(reading, recipe.problem.model).savefig(folder / "figure.png", dpi=150)


def load(path: str | Path, progress: bool = True) -> Run:
    """A run from its folder, or from a posterior.nc. Draws left by a killed process are recovered first."""
    path = Path(path)
    folder = path.parent if path.is_file() else path
    if not path.exists():
        raise HmmInferError(f"There is no run '{path}'; give the folder that hmminfer fit wrote, or its {RESULT}.")
    recipe = Recipe.read(folder) if (folder / RECIPE).exists() and path.name in (folder.name, RESULT) else None
    if path == folder and recipe is not None and (folder / STORE).exists():
        try:
            return recover(folder, progress)
        except HmmInferError:
            if not (folder / RESULT).exists():
                raise
    file = folder / RESULT if path == folder else path
    if not file.exists():
        raise HmmInferError(f"The folder '{folder}' holds no {RESULT}; give a folder that hmminfer fit wrote.")
    return Run(_with_files(_read(file), recipe), folder, recipe)


def _with_files(tree: xr.DataTree, recipe: Recipe | None) -> xr.DataTree:
    """The result with the present paths of the files that its settings name; a folder may have been moved since it was written."""
    posterior = tree["posterior"]
    settings = json.loads(posterior.attrs.get("settings", "{}"))
    here = {k: v for k, v in (recipe.settings if recipe else {}).items() if k in settings and Path(str(v)).is_file()}
    posterior.attrs["settings"] = json.dumps({**settings, **here})
    return tree


def _read(file: Path) -> xr.DataTree:
    import xarray as xr

    try:
        with xr.open_datatree(file, engine="h5netcdf") as opened:
            tree = opened.load()
    except Exception as error:  # h5py and xarray raise many types for a damaged file
        raise HmmInferError(f"'{file}' cannot be read as a result of hmminfer ({error}); give a {RESULT} that hmminfer fit wrote.") from None
    if "hmminfer" not in tree.attrs or "posterior" not in tree.children:
        raise HmmInferError(f"'{file}' is not a result of hmminfer; give a {RESULT} that hmminfer fit wrote.")
    return tree


def recover(folder: str | Path, progress: bool = True) -> Run:
    """The run of a killed process, rebuilt from the draws on disk, which are written to posterior.nc."""
    from hmminfer.inference import sampling as inference

    folder = Path(folder)
    recipe = Recipe.read(folder)
    if not has_draws(folder):
        raise HmmInferError(
            f"The run in '{folder}' was stopped before its first draw was stored; repeat it with "
            f"hmminfer fit --run {folder / RECIPE} --output NEW_FOLDER."
        )
    with _in_use(folder):
        old = _read(folder / RESULT) if (folder / RESULT).exists() else None
        more = None if old is None else _extension(recipe, 0)
        seed = recipe.seed if more is None else more["seed"]
        tree = inference.recover(recipe.problem, folder / STORE, seed=seed, tune=recipe.tune, resume=old, progress=progress)
        if old is not None and more is not None and tree is not old:
            more["draws"] = tree["posterior"].sizes["draw"] - old["posterior"].sizes["draw"]
            recipe = replace(recipe, extensions=(*recipe.extensions, more))
        save(tree, folder, recipe)
    return Run(tree, folder, recipe, recovered=True)


def extend(run: Run, draws: int, progress: bool = True) -> Run:
    """Continue the chains from their last points; posterior.nc then holds the earlier draws and the new ones."""
    from hmminfer.inference.sampling import fit

    if run.recipe is None:
        raise HmmInferError(f"There is no {RECIPE} beside the result in '{run.folder}'; only a whole run can be extended.")
    if (method := run.tree.attrs["method"]) != "nuts":
        raise HmmInferError(f"The run in '{run.folder}' was sampled by {method}; only nuts can go on. Fit again with more draws.")
    if draws < 1:
        raise HmmInferError(f"draws is {draws}; give a whole number of at least 1.")
    recipe, more = run.recipe, _extension(run.recipe, draws)
    with _in_use(run.folder):
        (run.folder / STORE).mkdir(exist_ok=True)
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
        except BaseException:
            if not has_draws(run.folder):
                shutil.rmtree(run.folder / STORE)
            raise
        recipe = replace(recipe, extensions=(*recipe.extensions, more))
        save(tree, run.folder, recipe)
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

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HmmInferError(f"The run in '{folder}' is being sampled by another process; wait until it ends, or stop it.") from None
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            (folder / ".lock").unlink()
