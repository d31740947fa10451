"""PyMC's own search and its sequential Monte Carlo work on the model that ``build`` gives of every system."""

import numpy as np
import pymc as pm
import pytest
from pymc.blocking import DictToArrayBijection, RaveledVars

from hmminfer import build, models
from hmminfer.inference.problem import Problem


@pytest.fixture(scope="module", params=models.names())
def built(request):
    return build(next(iter(models.get(request.param).EXPERIMENTS.values())).model())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # find_MAP says how it will return its result one day
def test_find_map_reaches_a_mode(built):
    """There the step of Newton's method promises no rise of the log density, and no direction rises: it is no saddle."""
    point = pm.find_MAP(model=built, progressbar=False)
    at = DictToArrayBijection.map({v.name: point[v.name] for v in built.value_vars})
    slope = built.compile_dlogp(jacobian=False)
    gradient = lambda x: slope(DictToArrayBijection.rmap(RaveledVars(x, at.point_map_info)))  # noqa: E731
    step = 1e-4
    hessian = np.stack([(gradient(at.data + step * e) - gradient(at.data - step * e)) / (2.0 * step) for e in np.eye(at.data.size)])
    curvature = np.linalg.eigvalsh(0.5 * (hessian + hessian.T))
    assert curvature.max() < 1e-6 * np.abs(curvature).max()  # zero along what only a uniform prior holds
    rise = 0.5 * gradient(at.data) @ np.linalg.pinv(-hessian, rcond=1e-9) @ gradient(at.data)
    assert abs(rise) < 1e-5


def test_find_map_leaves_the_saddle_of_an_angle():
    """Angle 0 is a saddle: the coupon at 10 degrees is missed by 5 sd there."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model()
    with pytest.warns(FutureWarning):
        point = pm.find_MAP(model=build(model), progressbar=False)
    problem = Problem.of(model)
    y = problem.model.evaluate({p.name: point[p.name] for p in problem.model.parameters if p.name in point})
    assert np.abs((problem.table.value - y) / problem.sd).max() < 1.5
    assert abs(float(point["fibre_angle"])) > 5.0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sequential_monte_carlo(built):
    """It begins at draws of the prior, where some systems have no solution."""
    with built:
        trace = pm.sample_smc(draws=40, chains=1, cores=1, random_seed=1, progressbar=False)
    assert all(np.isfinite(v).all() for v in trace["posterior"].values())
