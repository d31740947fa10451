"""The ``hmminfer`` command. A user's mistake prints one sentence on stderr and gives exit code 1.

Heavy modules are imported inside the commands, so that help and error messages appear at once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hmminfer import __version__
from hmminfer.errors import HmmInferError, Interrupted, abridged, interruptible, unknown
from hmminfer.terminal import say, working

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Pairs = list[str] | None


def main() -> None:
    """Entry point. SIGTERM, which batch systems and shutdowns send, is an interrupt like Ctrl-C: what was drawn is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="hmminfer")


def command(function: Callable[..., None], **options: Any) -> Callable[..., None]:
    """Register a command that reports errors without a traceback."""

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> None:
        try:
            with interruptible():
                function(*args, **kwargs)
        except Interrupted as error:
            say(f"Interrupted: {error}", err=True)
            raise typer.Exit(130) from None
        except HmmInferError as error:
            say(f"Error: {error}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt as interrupt:
            say(f"Interrupted{': ' if interrupt.args else '.'}{''.join(map(str, interrupt.args))}", err=True)
            raise typer.Exit(130) from None
        except OSError as error:
            what = abridged(str(error.filename)) if error.filename else "A file"
            remedy = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "see who may do so"
            say(f"Error: {what} could not be read or written ({error.strerror or error}); {remedy}, or choose another place.", err=True)
            raise typer.Exit(1) from None
        except MemoryError:
            say("Error: There is not enough memory; take fewer draws or rows, or another machine.", err=True)
            raise typer.Exit(1) from None

    return app.command(**options)(told)


def pairs(items: Pairs, option: str) -> dict[str, str]:
    """Names and values of a repeated option."""
    out = {}
    for item in items or []:
        name, eq, value = item.partition("=")
        if not eq or not name.strip() or not value.strip():
            raise HmmInferError(f"{option} {item!r} is not a name and a value; write {option} name=value.")
        out[name.strip()] = value.strip()
    return out


@command
def fit(
    model: Annotated[str, typer.Argument(help="Physical system; see: hmminfer models", show_default=False)] = "",
    experiment: Annotated[str, typer.Option(help="How it was tested; default: what the data say, or the first")] = "",
    data: Annotated[Path | None, typer.Option(help="CSV file of measurements; see: hmminfer template MODEL")] = None,
    dataset: Annotated[str, typer.Option(help="Dataset of the package; see: hmminfer datasets")] = "",
    set_: Annotated[Pairs, typer.Option("--set", help="Setting of the experiment, name=value; repeatable")] = None,
    prior: Annotated[Pairs, typer.Option(help='"matrix_modulus=LogNormal(3.5 GPa, 0.2)"; repeatable')] = None,
    fix: Annotated[Pairs, typer.Option(help="Known parameter, volume_fraction=0.6 (several values: 0.2,0.3); repeatable")] = None,
    noise: Annotated[Pairs, typer.Option(help="3%, infer, or quantity=1um or =3% (repeatable); default: column sd")] = None,
    discrepancy: Annotated[str, typer.Option(help="Model error: none, extra (inferred per quantity) or homogenisation (learnt)")] = "",
    draws: Annotated[int | None, typer.Option(help="Draws of each chain (1000); 0 stops before sampling")] = None,
    tune: Annotated[int | None, typer.Option(help="Tuning steps of each chain (1000)")] = None,
    chains: Annotated[int | None, typer.Option(help="Chains (4)")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; drawn and recorded when not given")] = None,
    target_accept: Annotated[float | None, typer.Option(help="Raise when NUTS diverges (0.8)")] = None,
    sampler: Annotated[str, typer.Option(help="nuts, smc, demetropolis or abc (nuts; abc for a simulated experiment)")] = "",
    output: Annotated[Path | None, typer.Option(help="New folder for the run; default: MODEL_EXPERIMENT")] = None,
    run: Annotated[Path | None, typer.Option(help="Repeat the run of this run.toml exactly")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only a fast Gaussian approximation; with --draws: that first")] = False,
    prior_predictive: Annotated[bool, typer.Option("--prior-predictive", help="First what the priors predict")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the folder and warnings")] = False,
) -> None:
    """Infer hidden parameters from data and save the posterior in a new folder.

    Examples:  hmminfer fit fibre_composite
    |  hmminfer fit fibre_composite --data my.csv --fix volume_fraction=0.6 --preview
    |  hmminfer fit fibre_composite --set temperature=463K --noise infer --output hot
    """
    from hmminfer.app.recipe import Recipe, versions_now

    given: dict[str, Any] = {
        "model": model,
        "experiment": experiment,
        "data": str(data or ""),
        "dataset": dataset,
        "settings": pairs(set_, "--set"),
        "noise": _noise(noise),
        "priors": pairs(prior, "--prior"),
        "fixed": pairs(fix, "--fix"),
        "discrepancy": discrepancy,
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "seed": seed,
        "target_accept": target_accept,
        "sampler": sampler,
    }
    given = {k: v for k, v in given.items() if v is not None and v != "" and v != {}}
    if run is not None:
        recipe = Recipe.read(run)
        if given.keys() - {"model"} or given.get("model", recipe.model) != recipe.model:
            raise HmmInferError("--run repeats a run exactly; leave the other choices out, or edit a copy of its run.toml.")
        old, now = dict(recipe.versions), versions_now()
        changed = ", ".join(f"{k} {old[k]} is now {now[k]}" for k in now if k in old and old[k] != now[k])
        if changed:
            say(f"Note: {changed}; the draws may differ in rounding.", err=True)
        recipe = Recipe(**{**recipe.__dict__, "versions": now})
    else:
        if "model" not in given:
            raise HmmInferError("No model is named; write for example: hmminfer fit fibre_composite.")
        if preview and not given.keys() & {"draws", "tune", "chains", "target_accept", "sampler"}:
            given["sampler"], preview = "laplace", False  # nothing of a sampler is asked for
        recipe = Recipe(**given)
    _sample(recipe, output, preview, prior_predictive, quiet)


def _noise(items: Pairs) -> Any:
    if not items:
        return None
    if any("=" in item for item in items):
        return pairs(items, "--noise")
    try:
        return items[-1] if "_" in items[-1] else float(items[-1])  # Python's own spelling 1_000 is no number here
    except ValueError:
        return items[-1]


def _sample(recipe: Any, output: Path | None, preview: bool, prior_predictive: bool, quiet: bool) -> None:
    """Print the problem, sample, print the outcome."""
    with working("setting up the model (the first time it is compiled)", show=not quiet):
        problem = recipe.problem
    from hmminfer.app import folder as runs
    from hmminfer.app.console import PREVIEW, asked, modes_text, prior_table
    from hmminfer.diagnostics.checking import checks, checks_table
    from hmminfer.diagnostics.sensitivity import identifiability
    from hmminfer.diagnostics.summary import derived_table, summary, summary_table
    from hmminfer.inference import sampling as inference
    from hmminfer.inference.reading import Reading
    from hmminfer.system.remarks import remarks

    inference.sampler_of(problem.model, recipe.sampler)
    alone = recipe.sampler == "laplace"
    if preview or alone:
        inference.previewable(problem.model)
    folder = output or runs.free_folder(f"{problem.model.name}_{problem.model.experiment}{'_preview' if alone else ''}")
    runs.check_new(folder, again=True)
    notes = [f"Note: {sentence}" for sentence in remarks(problem.model)]
    if quiet and notes:
        say(*notes, err=True)
    if not quiet:
        with working("asking what the data can see"):
            seen = identifiability(problem).text()
        say(*asked(problem, recipe), "", *notes, *[""] * bool(notes), seen, "")
    if prior_predictive:
        say(prior_table(problem, recipe.seed), "")
    if preview and not alone:
        tree = inference.preview(recipe.experiment_model, seed=recipe.seed, progress=not quiet, **recipe.choices)
        reading = Reading.of(tree)
        say(summary_table(summary(reading), PREVIEW), *derived_table(reading), *modes_text(problem, tree), "", checks_table(checks(reading)), "")
    if recipe.draws == 0:
        say("Nothing was sampled, as --draws 0 asks.")
        return
    with _saying_what_is_left(folder, recipe.sampler or "nuts"):
        run = runs.run(recipe, folder, progress=not quiet)
    _end(run, quiet)


@contextlib.contextmanager
def _saying_what_is_left(folder: Path, sampler: str = "nuts") -> Iterator[None]:
    """An interrupt that says what the folder of the run holds."""
    try:
        yield
    except KeyboardInterrupt:
        from hmminfer.app import folder as runs

        raise KeyboardInterrupt(runs.left(folder, sampler)) from None


def _end(run: Any, quiet: bool) -> None:
    """Print the outcome of a run; an interrupted run exits with the code of an interrupt."""
    from hmminfer.app.console import outcome

    with _saying_what_is_left(run.folder):
        outcome(run, quiet)
    if run.tree.attrs.get("interrupted", 0):
        raise typer.Exit(130)


def _loaded(path: Path, quiet: bool = False) -> Any:
    """A run from its folder or file; a word if its file has no checksum."""
    from hmminfer.app import folder as runs

    run = runs.load(path, progress=not quiet)
    if not run.sealed:
        say("Note: this result has no checksum, as it was written by an earlier version or another program; damage to it cannot be seen.", err=True)
    return run


@functools.partial(command, add_help_option=False)  # its own --help knows the predictions of a system
def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Physical system; see: hmminfer models", show_default=False)] = "",
    posterior: Annotated[Path | None, typer.Option(help="Folder of a run, or its posterior.nc")] = None,
    what: Annotated[str, typer.Option(help="Prediction; default: the first of the run's experiment, or the model's")] = "",
    set_: Annotated[Pairs, typer.Option("--set", "--value", help='Setting or parameter, "length=50 mm"; several numbers: 0,15,30')] = None,
    draws: Annotated[int | None, typer.Option(help="Use at most this many draws of the posterior")] = None,
    output: Annotated[Path | None, typer.Option(help="New file: .nc holds every draw, .csv a summary")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar, no table")] = False,
    help_: Annotated[bool, typer.Option("--help", help="This; with the name of a system: its predictions and their settings")] = False,
) -> None:
    """Predict from named values, or from a whole posterior with the settings of its run.

    Examples:  hmminfer predict fibre_composite --help
    |  hmminfer predict fibre_composite --set volume_fraction=0.6 --set "matrix_modulus=3.5 GPa"
    |  hmminfer predict fibre_composite --posterior RUN --what fields --set load=stress --output plate.nc
    """
    if help_:
        from hmminfer.app.console import predictions_page

        say(context.get_help(), *(predictions_page(model, what) if model else ["More: hmminfer predict MODEL --help"]))
        return
    if not model:
        raise HmmInferError("No model is named; write for example: hmminfer predict fibre_composite.")
    from hmminfer.app import prediction
    from hmminfer.terminal import frame

    if output is not None:
        prediction.check_file(output)
    tree = None if posterior is None else _loaded(posterior, quiet).tree
    result = prediction.predict(model, what, pairs(set_, "--set"), tree, draws, progress=not quiet)
    if not quiet:
        title = f"{result.attrs['experiment']} of {model}, given {result.attrs['given']}"
        say(frame(title, prediction.shortened(prediction.table(result)), prediction.note(result)))
        if result.attrs["assumed"]:
            say(f"Not given, and taken at a fixed value or the prior's median: {result.attrs['assumed']}")
        if result.attrs.get("run_settings"):
            say(f"Settings of the run: {result.attrs['run_settings']}")
    if tree is not None and tree.attrs.get("modes", "").count("weight") > 1:
        say("Note: the posterior has separate modes, and these means run over all of them.", err=True)
    if "unsolved" in result.attrs:
        say(f"Note: {result.attrs['unsolved']}", err=True)
    if output is not None:
        prediction.save(result, output)
        say(f"Saved in {output}")


@command
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its posterior.nc; draws of a killed run are recovered")],
    output: Annotated[Path | None, typer.Option(help="New folder for the figures and tables of the report")] = None,
) -> None:
    """Diagnose a run: convergence, predictive checks, prior sensitivity, figures.

    Example:  hmminfer report fibre_composite_coupons --output report
    """
    from hmminfer.app import folder as runs
    from hmminfer.diagnostics import reporting

    if output is not None:
        runs.check_new(output)
    done = _loaded(run)
    if done.recovered:
        say(f"The draws of the interrupted run were put in place: {done.folder / runs.RESULT}")
    with contextlib.nullcontext() if output is None else runs.new_folder(output) as folder:
        reporting.report(done.tree, done.problem, folder=folder, show=True)
    if folder is not None:
        say(f"Saved in {folder}")


@command
def extend(
    run: Annotated[Path, typer.Argument(help="Folder of a run")],
    draws: Annotated[int, typer.Option(help="Further draws of each chain")] = 1000,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the folder and warnings")] = False,
) -> None:
    """Continue a run: more draws, appended to the existing ones.

    Example:  hmminfer extend fibre_composite_coupons --draws 2000
    """
    from hmminfer.app import folder as runs

    begun = _loaded(run, quiet)
    with _saying_what_is_left(begun.folder):
        longer = runs.extend(begun, draws, progress=not quiet)
    _end(longer, quiet)


@command
def template(
    model: Annotated[str, typer.Argument(help="Physical system; see: hmminfer models")],
    experiment: Annotated[str, typer.Option(help="How it is tested; default: the model's first")] = "",
    output: Annotated[Path | None, typer.Option(help="New CSV file; default: MODEL_EXPERIMENT.csv")] = None,
) -> None:
    """Write a CSV file to fill in with one's own measurements.

    Example:  hmminfer template fibre_composite --output my.csv
    """
    from hmminfer import models
    from hmminfer.system.data import write_template

    known = models.get(model).EXPERIMENTS
    if experiment and experiment not in known:
        raise unknown("experiment", experiment, known)
    experiment = experiment or next(iter(known))
    file = output or Path(f"{model}_{experiment}.csv")
    write_template(file, known[experiment].schema)
    say(f"Wrote {file}. Fill it in, then: hmminfer fit {model} --data {file}")


@command
def convert(
    file: Annotated[Path, typer.Argument(help="Table with a column for each quantity, or export of DICe, VIC, MatchID, GOM, pyvale or Ncorr (.mat)")],
    model: Annotated[str, typer.Argument(help="Physical system; default: the one whose experiment the columns fit", show_default=False)] = "",
    experiment: Annotated[str, typer.Option(help="How it was tested; default: the one that the columns fit")] = "",
    column: Annotated[
        Pairs,
        typer.Option(
            help='What a column is, "C/C0=relative_concentration", "U=displacement_x [px]" or "E2=youngs_modulus at angle=90 deg"; repeatable'
        ),
    ] = None,
    pixel: Annotated[str, typer.Option(help='Size of a pixel, "25 um"')] = "",
    y_axis: Annotated[str, typer.Option(help="up, or down as in images; exports of image correlation are known")] = "",
    origin: Annotated[str, typer.Option(help='Lower left corner of the plate in the coordinates of the file, "120, 880 px"')] = "",
    set_: Annotated[Pairs, typer.Option("--set", help='Column that is the same in all rows, or setting, "flow=12 mL/h"; repeatable')] = None,
    frame: Annotated[int | None, typer.Option(help="Frame of an Ncorr file, from 1; default: the last")] = None,
    output: Annotated[Path | None, typer.Option(help="New CSV file; default: FILE_long.csv")] = None,
) -> None:
    """Turn a table with a column for each quantity, or an export of image correlation, into a data file; says what it drops.

    Example:  hmminfer convert DICe_solution_10.txt --experiment plate --pixel "25 um"
    """
    from hmminfer.app.convert import converted
    from hmminfer.system.tables import write_table

    named = {}
    for item in column or []:
        match = re.fullmatch(r"(.+?)=([^=]+?(?: at [\w ]+=.+)?)", item.strip())
        if match is None:
            raise HmmInferError(f"--column {item!r} is not a name and what it is; write --column 'NAME=quantity [unit]'.")
        named[match[1].strip()] = match[2].strip()
    raw, system, notes = converted(file, model, experiment, named, pixel, y_axis, origin, frame, pairs(set_, "--set"))
    target_file = output or Path(f"{file.stem}_long.csv")
    write_table(target_file, raw, (f"Converted from {file.name}.", *notes))
    say(
        *notes,
        f"Wrote {target_file}. Add what else is known as settings (hmminfer template {system}), then: hmminfer fit {system} --data {target_file}",
    )


@command
def models(name: Annotated[str, typer.Argument(help="Show this one", show_default=False)] = "") -> None:
    """List the physical systems; with a name: its experiments, settings, parameters and predictions."""
    from hmminfer.app.console import model_page

    say(*model_page(name))


@command
def datasets(name: Annotated[str, typer.Argument(help="Show this one", show_default=False)] = "") -> None:
    """List the datasets; with a name: source, licence, units and notes."""
    from hmminfer.app.console import dataset_page

    say(*dataset_page(name))


def _version(asked: bool) -> None:
    if asked:
        say(f"hmminfer {__version__}")
        raise typer.Exit


@app.callback()
def top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version")] = False) -> None:
    """Infer a material's hidden microstructure from how a piece of it behaves, with honest uncertainty.

    Start with:  hmminfer fit fibre_composite
    """
