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
