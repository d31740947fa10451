"""Figures: that they say what the result says, for one mode and two, few data and many, numbers and fields."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from hmminfer.figures import overview as figures
from hmminfer.figures import sampling_figures
from hmminfer.macro.plate_mesh import rectangle
from hmminfer.system.parameters import Field, Parameter, ParameterSet
from hmminfer.system.priors import Axial, LogNormal, Normal


def result(angle, rows=5, field_size=0, **fixed):
    """A made-up result with volume fraction and angle, ``rows`` displacements on a 100 x 50 mm plate."""
    rng = np.random.default_rng(0)
    chains, n = angle.shape
    dims = ["chain", "draw"]
    truth = np.linspace(1.0, 2.0, rows)
    place = {"stretch_x": ("stretch_row", np.linspace(5, 95, rows)), "stretch_y": ("stretch_row", np.linspace(5, 45, rows))}

    def parameters(shape, theta):
        out = {
            "volume_fraction": (dims, 0.6 + 0.02 * rng.standard_normal(shape), {"units": "", "axial": 0, "symbol": "v_f"}),
            "fibre_angle": (dims, theta, {"units": "deg", "axial": 1, "symbol": "\\theta"}),
        }
        if field_size:
            out["angle_field"] = ([*dims, "k"], 0.1 * rng.standard_normal((*shape, field_size)), {"axial": 0, "units": "deg"})
        return xr.Dataset(out)

    def noisy(shape):
        y = truth + 0.05 * rng.standard_normal((*shape, rows))
        return xr.Dataset({"stretch": ([*dims, "stretch_row"], y, {"units": "um"})}, coords=place)

    tree = xr.DataTree.from_dict(
        {
            "posterior": parameters((chains, n), angle),
            "prior": parameters((1, 200), rng.uniform(-90, 90, (1, 200))),
            **{g: noisy((chains, n)) for g in ("predictions", "posterior_predictive")},
            "prior_predictive": noisy((1, 200)),
            "observed_data": xr.Dataset({"stretch": ("stretch_row", truth, {"units": "um"})}, coords=place),
            "constant_data": xr.Dataset({"stretch": ("stretch_row", np.full(rows, 0.05))}),
            "sample_stats": xr.Dataset({"diverging": (dims, rng.random((chains, n)) < 0.01)}),
        }
    )
    tree.attrs = {"method": "nuts", "modes": "[]", "fixed": json.dumps(fixed)}
    return tree


def plate_model(field_size=0, rows=40):
    known = (Parameter("volume_fraction", "", LogNormal(0.6, 0.1)), Parameter("fibre_angle", "deg", Axial(), axial=True))
    fields = [Field("angle_field", "deg", Normal(0, 1), size=field_size, frequencies=np.ones((field_size, 2)), axial=True)]
    return SimpleNamespace(
        home="hmminfer.models.fibre_composite.plate",
        name="made_up",
        experiment="plate",
        parameters=ParameterSet((*known, *(fields if field_size else []))),
        about={"packing": "hexagonal"},
        table=None,
        scene={"plate": rectangle(100.0, 50.0, 4, 2), "settings": {"field_x": 3, "field_y": 2}},
        panels=(
            "orientation_map" if field_size else "angles",
            *(("against", "residual_map") if rows > 12 else ("ratios", "scores")),
            "section",
            "orientation_sd" if field_size else "body",
        ),
    )


def one(seed=1):
    x = np.random.default_rng(seed).standard_normal((4, 200))
    return 27.0 + 0.4 * (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def words(figure):
    import matplotlib.text

    figure.canvas.draw()  # everything must be drawable, and without warnings
    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_one_mode_on_a_plate():
    text = words(figures.posterior_figure(result(one(), rows=40), plate_model()))
    assert "27.0° ± 0.4°" in text
    assert "hexagonal packing" in text
    assert "residuals over the plate" in text
    assert "volume fraction 0.60" in text or "volume fraction 0.59" in text
    assert "measured (um)" in text


def test_two_modes_are_both_drawn_with_their_shares():
    angle = one() * np.array([1, 1, 1, -1])[:, None]
    text = words(figures.posterior_figure(result(angle), plate_model(rows=5)))
    assert "27.0° ± 0.4°  (75 %)" in text
    assert "\N{MINUS SIGN}27.0° ± 0.4°  (25 %)" in text
    assert "fibre angle: \N{MINUS SIGN}27.0° ± 0.4°, 25 % of the draws" in text


def test_a_field_is_a_map_with_its_uncertainty():
    figure = figures.posterior_figure(result(one(), rows=40, field_size=6), plate_model(6))
    text = words(figure)
    assert "inferred fibre orientation" in text
    assert "sd of the angle (deg)" in text


def test_field_map_shows_the_angle_of_the_draws():
    tree = result(one(), rows=40, field_size=6)
    tree["posterior"]["angle_field"][:] = 0.0
    figure = figures.posterior_figure(tree, plate_model(6))
    meshes = [c for ax in figure.axes for c in ax.collections if type(c).__name__ == "QuadMesh"]
    shown = [np.asarray(m.get_array()).mean() for m in meshes[:1]]
    assert shown == pytest.approx([27.0], abs=0.1)


def test_the_fibres_drawn_fill_the_stated_fraction():
    from matplotlib.patches import Circle

    tree = result(one())
    tree["posterior"]["volume_fraction"][:] = 0.55
    figure = figures.posterior_figure(tree, plate_model(rows=5))
    circles = [p for ax in figure.axes for p in ax.patches if isinstance(p, Circle)]
    assert np.pi * circles[0].radius ** 2 / (np.sqrt(3) / 2) == pytest.approx(0.55, rel=1e-12)  # spacing 1


def test_fibres_run_at_the_inferred_angle():
    from matplotlib.collections import LineCollection

    figure = figures.posterior_figure(result(one()), plate_model(rows=5))
    (lines,) = [c for ax in figure.axes for c in ax.collections if isinstance(c, LineCollection)]
    start, end = lines.get_segments()[0]
    assert np.degrees(np.arctan2(*(end - start)[::-1])) == pytest.approx(27.0, abs=0.1)


@pytest.mark.parametrize("rows", [5, 40])
def test_the_figures_for_judging(rows):
    tree = result(one(), rows=rows)
    assert "rank among all draws" in words(sampling_figures.rank_figure(tree))
    assert "ticks: divergences" in words(sampling_figures.trace_figure(tree))
    assert "standard normal" in words(sampling_figures.predictive_figure(tree))
    assert "$v_f$" in words(sampling_figures.prior_posterior_figure(tree))


def test_a_preview_of_one_chain_and_a_known_volume_fraction():
    tree = result(one()[:1], volume_fraction=0.58)
    del tree["posterior"]["volume_fraction"]
    assert "0.58 (known)" in words(figures.posterior_figure(tree, plate_model(rows=5)))


@pytest.mark.parametrize(("rows", "shown"), [(5, "predicted minus measured"), (40, "measured (um)")])
def test_a_system_without_panels_shows_its_data_and_numbers(rows, shown):
    model = SimpleNamespace(panels=())
    text = words(figures.posterior_figure(result(one(), rows=rows), model))
    assert shown in text
    assert "(c) prior (grey) and posterior (blue)" in text


def test_a_system_may_bring_its_own_panel():
    model = SimpleNamespace(panels=(lambda ax, tree, model: ax.set_title("water in the film"),))
    assert "(a) water in the film" in words(figures.posterior_figure(result(one()), model))
