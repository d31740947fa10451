"""The preview says how near its Gaussians are to the posterior."""

import numpy as np
import pytest

from hmminfer import models, preview
from hmminfer.diagnostics.checking import checks
from hmminfer.inference.laplace import FAR_OFF, effective_share
from hmminfer.inference.modes import Mode
from hmminfer.inference.posterior import Compiled
from hmminfer.inference.problem import Problem


@pytest.fixture(scope="module")
def problem():
    return Problem.of(models.swelling_gel.EXPERIMENTS.equilibrium.model())


def test_weights_are_of_the_posterior_and_see_a_gaussian_that_is_not_near(problem):
    compiled = Compiled(problem)
    (mode,) = compiled.modes(1)
    rng = np.random.default_rng(0)

    def found(q):
        x = q.sample(rng, 2000)
        named = problem.constrain(x)
        y = problem.model.batch(problem.model.vector({k: v for k, v in named.items() if k in problem.model.parameters.names}), strict=False)
        return effective_share(problem, x, problem.log_likelihood(y, named).sum(axis=-1), [q])

    assert found(mode) > 0.8
    assert found(Mode(mode.x + 3.0 * np.sqrt(np.diag(mode.covariance)), mode.logp, mode.covariance / 9.0)) < FAR_OFF


def test_a_preview_of_no_gaussian_is_flagged(problem):
    tree = preview(problem.model, seed=1, progress=False)
    (check,) = [c for c in checks(tree) if c.name == "sampling"]
    assert check.ok is None
    assert check.value == f"Laplace approximation, {100 * tree.attrs['effective_share']:.0f} % effective"
    tree.attrs["effective_share"] = 0.03
    (check,) = [c for c in checks(tree) if c.name == "sampling"]
    assert check.ok is False
    assert "no Gaussian" in check.advice


def test_a_concentrated_angle_is_weighed_in_degrees():
    """With data that say nothing the posterior is the prior, and the Gaussian of its double angle is nearly it."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model()
    fixed = {p.name: p.prior.centre for p in model.parameters if not p.axial}
    problem = Problem.of(model, priors={"fibre_angle": "Axial(30, 500)"}, fixed=fixed)
    x = Mode(np.radians([60.0]), 0.0, np.array([[1.0 / 500.0]])).sample(np.random.default_rng(0), 2000)
    assert effective_share(problem, x, np.zeros(2000), [Mode(np.radians([60.0]), 0.0, np.array([[1.0 / 500.0]]))]) > 0.9
