"""Morphogen and tissue: each likelihood against the exact one, and what real and synthetic profiles can tell."""

import functools

import numpy as np
import pytest
from scipy.special import gammaln

from hmminfer import datasets, models
from hmminfer.errors import HmmInferError
from hmminfer.inference.montecarlo import pilot
from hmminfer.inference.sampling import fit
from hmminfer.inference.stochastic import abc, counts_of, detected_log_likelihood, poisson_log_likelihood, pseudo_marginal
from hmminfer.micro.cells import gillespie, line, steady_mean
from hmminfer.micro.movement import move
from hmminfer.models.morphogen_tissue.tissue import kernel_of
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Uniform
from hmminfer.system.tables import RawTable

morphogen = models.get("morphogen_tissue")
GRADIENT = morphogen.EXPERIMENTS["gradient"]

# --- counts in a small linear network: the exact posterior on a grid

CELLS, DETECTION = 4, 0.5
NETWORK = ParameterSet(
    (Parameter("degradation", "1/h", LogNormal(1.0, 0.6), "", 0.0, 1e3), Parameter("production", "1/h", LogNormal(12.0, 0.6), "", 0.0, 1e4))
)
COUNTS = np.array([8, 4, 2, 1])


def network(values):
    """Source and rates (1/h) of the network."""
    return np.array([values["production"], 0.0, 0.0, 0.0]), np.array([3.0, 4.0, 4.0, 2.0 * values["degradation"], 0.0])


def seen_mean(values):
    j, rates = network(values)
    return DETECTION * steady_mean(line(CELLS), j, rates).sum(axis=0)


def simulated(values, rng, n):
    """Molecules (n, cells) of a tissue left alone for five lifetimes, then looked at twice in each: unbiased, if correlated."""
    j, rates = network(values)
    none, k = np.zeros(CELLS, np.int64), values["degradation"]
    return gillespie(rng, line(CELLS), j, rates, none, none, (5.0 + 0.5 * np.arange(n)) / k)[0].sum(axis=1)


def on_grid(log_likelihood):
    """Means and sds of the logarithms under the exact posterior: 61 x 61 points over 3 prior sds."""
    z = np.linspace(-3.0, 3.0, 61)
    points = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    x = points * 0.6 + np.log([1.0, 12.0])
    logp = np.array([log_likelihood({"degradation": np.exp(a), "production": np.exp(b)}) for a, b in x])
    logp -= 0.5 * np.sum(points**2, axis=1)
    w = np.exp(logp - logp.max())
    w /= w.sum()
    mean = w @ x
    return mean, np.sqrt(w @ (x - mean) ** 2)


def logarithms(tree):
    return np.stack([np.log(tree["posterior"][n].values) for n in NETWORK.names])


@pytest.mark.validates(
    "morphogen_tissue",
    "pseudo-marginal posterior of two rates, every molecule simulated",
    against="the exact product-Poisson posterior on a grid",
    bar="0.15 posterior standard deviations, widths 12 %",
)
def test_pseudo_marginal_chain_has_the_exact_posterior_of_counts():
    """Every molecule simulated, half of them seen: y is Poisson exactly. ESS about 1,000: 4 errors are 0.13 sds of a mean, 9 % of an sd."""
    mean, sd = on_grid(lambda v: poisson_log_likelihood(seen_mean(v), COUNTS))
    tree = pseudo_marginal(
        lambda v, rng: detected_log_likelihood(simulated(v, rng, 40), COUNTS, DETECTION),
        NETWORK,
        draws=2500,
        tune=500,
        chains=2,
        seed=1,
        progress=False,
    )
    x = logarithms(tree)
    assert np.all(np.abs(x.mean(axis=(1, 2)) - mean) < 0.15 * sd)
    assert x.std(axis=(1, 2)) == pytest.approx(sd, rel=0.12)
    assert 0.1 < tree.attrs["loglik_sd"] < 1.5
    assert set(tree.children) >= {"posterior", "prior", "sample_stats"}


def test_estimate_of_the_likelihood_is_unbiased(rng):
    values = {"degradation": 1.3, "production": 20.0}
    exact = poisson_log_likelihood(seen_mean(values), COUNTS)
    ratio = np.exp([detected_log_likelihood(simulated(values, rng, 40), COUNTS, DETECTION) - exact for _ in range(400)])
    assert ratio.mean() == pytest.approx(1.0, abs=4.0 * ratio.std() / 20.0)
    assert ratio.std() > 0.1  # it is an estimate
    few = np.log([np.exp(detected_log_likelihood(simulated(values, rng, 2), COUNTS, DETECTION)) + 1e-300 for _ in range(400)])
    assert few.mean() < exact - 0.3  # and its logarithm is biased: a chain must not average logarithms


@pytest.mark.validates(
    "morphogen_tissue",
    "ABC posterior of two rates",
    against="its likelihood summed over all counts",
    bar="0.23 posterior standard deviations, widths 16 %",
)
def test_abc_has_the_posterior_of_its_own_epsilon():
    """The ABC posterior of Poisson counts can be summed: E exp(-(s - s_obs)^2 / 2 eps^2) over s, cell by cell."""
    epsilon, n = 0.4, np.arange(80)
    root = np.sqrt(n + 0.375)
    near = np.exp(-0.5 * ((root[None] - np.sqrt(COUNTS + 0.375)[:, None]) / epsilon) ** 2)

    def log_likelihood(v):
        m = seen_mean(v)[:, None]
        return np.sum(np.log(np.sum(np.exp(n * np.log(m) - m - gammaln(n + 1.0)) * near, axis=1)))

    mean, sd = on_grid(log_likelihood)
    _, exact_sd = on_grid(lambda v: poisson_log_likelihood(seen_mean(v), COUNTS))
    tree = abc(
        lambda v, rng: np.sqrt(rng.poisson(seen_mean(v)) + 0.375),
        np.sqrt(COUNTS + 0.375),
        NETWORK,
        epsilon,
        draws=500,
        chains=2,
        seed=2,
        progress=False,
    )
    x = logarithms(tree)
    # 1,000 particles of sequential Monte Carlo, worth some 300 draws: 4 errors are 0.23 sds of a mean, 16 % of an sd
    assert np.all(np.abs(x.mean(axis=(1, 2)) - mean) < 0.23 * sd)
    assert x.std(axis=(1, 2)) == pytest.approx(sd, rel=0.16)
    assert np.all(sd > exact_sd)  # wider than the exact posterior, as it must be
    assert tree.attrs["epsilon"] == [epsilon] * 4


def test_abc_of_moving_cells():
    """A block of cells spreads and crumbles: its density profile and contacts, seen once. Truth in the 95 % intervals, and a ridge."""
    parameters = ParameterSet(
        (Parameter("motility", "1/h", LogNormal(1.0, 0.7), "", 0.0, 1e3), Parameter("adhesion", "", Uniform(0.0, 1.5), "", 0.0, 1.5))
    )
    begin = np.zeros((36, 24), int)
    begin[:18] = 1

    def summaries(values, rng):
        density, sites, _, _ = move(rng, begin, values["motility"], values["adhesion"], np.array([15.0]))
        contacts = np.mean(np.sum(sites * np.roll(sites, 1, axis=1), axis=1)) / 12.0
        return np.array([*density[0].reshape(6, 6).mean(axis=1)[2:5], contacts])

    truth = {"motility": 1.5, "adhesion": 0.6}
    observed = summaries(truth, np.random.default_rng(12))
    tree = abc(summaries, observed, parameters, 0.03, draws=150, chains=1, seed=3, progress=False)["posterior"]
    for name, value in truth.items():
        low, high = np.quantile(tree[name], [0.025, 0.975])
        assert low < value < high
    m, e = np.log(tree["motility"].values.ravel()), tree["adhesion"].values.ravel()
    assert m.std() < 0.85 * 0.7  # of the priors
    assert e.std() < 0.7 * 1.5 / np.sqrt(12.0)
    assert np.corrcoef(m, e)[0, 1] > 0.6  # faster cells that hold on more spread alike: one look tells them apart poorly


def test_priors_of_a_pseudo_marginal_chain():
    """No data: the chain draws its priors, each through its own transform."""
    some = ParameterSet(
        (
            Parameter("a", "", HalfNormal(2.0), "", 0.0),
            Parameter("b", "", Uniform(-1.0, 3.0), "", -1.0, 3.0),
            Parameter("c", "", LogNormal(2.0, 0.3), "", 0.0),
        )
    )
    tree = pseudo_marginal(lambda v, rng: 0.0, some, draws=4000, tune=1000, chains=2, seed=4, progress=False)
    for p in some:  # ESS about 1,000: 4 errors
        x = tree["posterior"][p.name].values
        assert np.quantile(x, 0.5) == pytest.approx(p.prior.centre, abs=0.15 * p.prior.sd)
        assert x.std() == pytest.approx(p.prior.sd, rel=0.12)


# --- Langevin bursts with fixed normals


def coordinates(model):
    """Names of the unknowns (weights of the Monte Carlo error aside) and whether each is taken by its logarithm."""
    free = [p for p in model.parameters if p.name not in model.fixed and not p.nuisance]
    return [p.name for p in free], np.array([isinstance(p.prior, LogNormal) for p in free])


@functools.cache
def covariance_of(model):
    """Noise and Monte Carlo error, (rows, rows)."""
    v = np.zeros((len(model.table), 0))
    if "monte_carlo_error" in model.parameters.names:
        v = model.kernel.jacobian(model.vector())[:, model.parameters.slices()["monte_carlo_error"]]
    return v @ v.T + np.diag(model.table.sd**2)


def log_posterior(model, theta):
    """Up to a constant, in the measure of the coordinates; the modes of the Monte Carlo error integrated out: a full covariance."""
    away = model.kernel(theta) - model.table.value
    out = -0.5 * away @ np.linalg.solve(covariance_of(model), away)
    for p, x in zip(model.parameters, theta, strict=False):
        if p.name not in model.fixed and not p.nuisance:
            normal = (
                (np.log(x / p.prior.median) / p.prior.sigma) if isinstance(p.prior, LogNormal) else (x - p.prior.mean) / p.prior.standard_deviation
            )
            out -= 0.5 * normal**2
    return out


def laplace(model):
    """Mode (in users' units) and covariance of the coordinates."""
    theta = pilot(model.kernel, model.parameters, model.fixed, model.table)
    names, logarithmic = coordinates(model)
    free = [model.parameters.names.index(n) for n in names]
    j = model.kernel.jacobian(theta)[:, free] * np.where(logarithmic, theta[free], 1.0)
    j = np.linalg.solve(np.linalg.cholesky(covariance_of(model)), j)
    width = [p.sigma if isinstance(p, LogNormal) else p.sd for p in (model.parameters[n].prior for n in names)]
    return theta[free], np.linalg.inv(j.T @ j + np.diag(1.0 / np.square(width)))


def quadrature(model, n=7, natural=True):
    """Means and sds of the unknowns, or of their coordinates, by a Gauss-Hermite product rule around the mode: no sampler, no compiled posterior."""
    centre, covariance = laplace(model)
    node, weight = np.polynomial.hermite_e.hermegauss(n)
    d = len(centre)
    z, w = (np.stack(np.meshgrid(*[a] * d, indexing="ij"), -1).reshape(-1, d) for a in (node, weight))
    step = z @ np.linalg.cholesky(1.3 * covariance).T
    names, logarithmic = coordinates(model)
    x = np.where(logarithmic, centre * np.exp(np.where(logarithmic, step, 0.0)), centre + step)
    logp = [log_posterior(model, model.vector(dict(zip(names, v, strict=True)))) for v in x]
    logp = np.array(logp) + np.log(w).sum(axis=1) + 0.5 * (z**2).sum(axis=1)
    share = np.exp(logp - logp.max())
    share /= share.sum()
    x = x if natural else np.where(logarithmic, np.log(np.where(logarithmic, x, 1.0)), x)
    mean = share @ x
    return {k: (m, s) for k, m, s in zip(names, mean, np.sqrt(share @ (x - mean) ** 2), strict=True)}


def gradient_of(values, counts_at, total, length=100.0, cell=1.0, nodes=41):
    """The experiment on summed counts, as a user would hand them over: value and Poisson sd."""
    rows = [
        {"quantity": "intensity", "position": f"{x:g}", "value": f"{v:g}", "unit": "", "sd": f"{np.sqrt(v + 1.0):g}"}
        for x, v in zip(counts_at, total, strict=True)
    ]
    s = {"experiment": "gradient", "length": length, "cell_size": cell, "nodes": nodes, "patch": 2}
    header = ("quantity", "position [%]", "value", "unit", "sd")
    return GRADIENT.model(RawTable("counts", "", s, header, rows, list(range(2, 2 + len(rows))), {}), **values)


@pytest.mark.validates(
    "morphogen_tissue",
    "posterior of 200 tissues by Langevin bursts",
    against="the exact product-Poisson posterior on a grid",
    bar="0.35 posterior standard deviations, widths 10 %",
)
def test_langevin_bursts_against_the_exact_posterior_of_counts():
    """200 tissues counted, cell by cell: the product-Poisson posterior of k and the amplitude, on a grid, is the bursts' posterior.

    Means within 0.35 sds and sds within 10 %: counts of 50 to 20,000 are Gaussian to 1 %, lambda of the bursts is right to 0.3 %.
    """
    length, n, tissues = 100.0, 100, 200
    d, kappa, k_off = 0.4, 1.0, 5.0  # k / k_off is 1e-3: the bursts' coefficients are those of fast binding
    cells = np.array([2, 7, 12, 20, 28, 36])
    place = 100.0 * (cells + 0.5) / n

    def mean(k, amplitude):
        j = amplitude * np.sqrt(d * k * kappa) / (1.0 + kappa)
        return tissues * steady_mean(line(n), np.concatenate([[j], np.zeros(n - 1)]), np.array([d, kappa * k_off, k_off, k, 0.0])).sum(axis=0)[cells]

    total = np.random.default_rng(13).poisson(mean(0.004, 100.0))
    assert total.min() > 50
    known = {"diffusivity": f"{d} um^2/s", "background": 0.0, "unbinding_rate": f"{k_off} 1/s"}
    model = gradient_of(known, place, total, length)
    approximate = quadrature(model)
    k = 0.004 * np.exp(np.linspace(-0.1, 0.1, 61))
    a = 100.0 * np.exp(np.linspace(-0.1, 0.1, 61))
    logp = np.empty((61, 61))
    for i in range(61):
        unit = mean(k[i], 1.0)
        for m in range(61):
            logp[i, m] = poisson_log_likelihood(a[m] * unit, total)
    w = np.exp(logp - logp.max())
    w /= w.sum()
    for name, grid, weight, factor in (("degradation", k, w.sum(axis=1), 3600.0), ("amplitude", a, w.sum(axis=0), float(tissues))):
        centre = weight @ grid
        sd = np.sqrt(weight @ (grid - centre) ** 2)
        assert weight[0] + weight[-1] < 1e-3  # the grid holds the posterior
        found, spread = approximate[name]
        assert found / factor == pytest.approx(centre, abs=0.35 * sd)
        assert spread / factor == pytest.approx(sd, rel=0.1)


@pytest.mark.validates(
    "morphogen_tissue", "posterior of the Bicoid profile with four seeds of the bursts", against="each other", bar="0.2 posterior standard deviations"
)
def test_posteriors_of_four_seeds_agree_within_a_fifth_of_their_sd():
    known = {"diffusivity": "2.6 um^2/s"}
    found = []
    for seed in (1, 2, 3, 4):
        found.append(quadrature(GRADIENT.model("bicoid_profile", seed=seed, **known)))
    for name in ("degradation", "amplitude", "background"):
        means, sds = np.array([f[name] for f in found]).T
        assert np.ptp(means) < 0.2 * sds.mean()
        assert sds == pytest.approx(sds.mean(), rel=0.05)
        assert np.ptp(means) > 0.0


@pytest.mark.validates(
    "morphogen_tissue",
    "decay length of the Bicoid profile",
    against="the published exponential fit, 23.5 % of the length",
    bar="1.5 posterior standard deviations",
)
def test_bicoid_gives_the_decay_length_and_only_the_ratio_of_its_rates():
    model = GRADIENT.model("bicoid_profile")
    assert len(model.table) == 20
    assert 0.0 < model.about["monte_carlo_over_noise"] < 0.2
    posterior = fit(model, draws=400, tune=300, chains=2, seed=1, progress=False)["posterior"]
    percent = morphogen.decay_length(posterior) / 4.9
    assert float(percent.mean()) == pytest.approx(23.5, abs=1.5 * float(percent.std()))  # the published fit has no closed end
    assert 0.5 < float(percent.std()) < 2.5
    d, k = (np.log(posterior[name].values.ravel()) for name in ("diffusivity", "degradation"))
    assert np.corrcoef(d, k)[0, 1] > 0.95
    for name, (mean, sd) in quadrature(model, 6, natural=False).items():  # ESS some 500 of 800 draws: 4 errors are 0.18 sds, 13 % of an sd
        x = posterior[name].values
        x = x if name == "background" else np.log(x)
        assert x.mean() == pytest.approx(mean, abs=0.2 * sd)
        assert x.std() == pytest.approx(sd, rel=0.15)
    # along the ridge nothing is learnt: the sd is that of both priors joined, 1.5 and 1.0, on ln D - ln k = const
    assert d.std() == pytest.approx(1.0 / np.hypot(1.0 / 1.5, 1.0), rel=0.2)


def test_bicoid_without_the_closed_end_is_the_exponential_fit():
    """Twice the tissue, so that its end does not matter: A exp(-x / l) + b of the reference, l = 23.5 % (23.3 with these weights)."""
    raw = datasets.load("bicoid_profile")
    rows = [{**r, "position": f"{float(r['position']) / 2.0:g}"} for r in raw.rows]
    settings = {**raw.settings, "length": "980 um", "from": "5 %", "to": "45 %", "nodes": 49}
    model = GRADIENT.model(RawTable("twice", "", settings, raw.header, rows, raw.lines, {}), diffusivity="2.6 um^2/s")
    at = model.parameters.values(pilot(model.kernel, model.parameters, model.fixed, model.table))
    assert morphogen.decay_length(at) / 4.9 == pytest.approx(23.3, abs=0.5)
    assert at["background"] == pytest.approx(7.0, abs=1.0)


@pytest.mark.validates(
    "morphogen_tissue",
    "four unknowns of a growing profile",
    against="the truth of a full Gillespie simulation",
    bar="3 posterior standard deviations",
)
def test_growth_tells_diffusivity_and_degradation_apart():
    """Data of a full Gillespie simulation: the truth within 3 sds of Laplace's approximation, and no ridge."""
    model = morphogen.EXPERIMENTS["growth"].model("morphogen_growth")
    x, covariance = laplace(model)
    sd = np.sqrt(np.diag(covariance))
    truth = np.array([0.2, 1.8144, 120.0, 6.0])
    away = np.append(np.log(x / truth)[:3], (x - truth)[3])
    assert np.all(np.abs(away) < 3.0 * sd)
    assert np.all(sd[:3] < 0.06)
    assert covariance[0, 1] / (sd[0] * sd[1]) < 0.8
    names = ("diffusivity", "degradation", "amplitude", "background")
    residual = (model.kernel(model.vector(dict(zip(names, x, strict=True)))) - model.table.value) / model.table.sd
    assert np.sum(residual**2) < 46.0 + 3.0 * np.sqrt(2.0 * 46.0)


def test_predictions():
    profile = morphogen.profile([0.0, 10.0, 25.0]).predict(diffusivity=0.3, degradation=1.08, amplitude=150.0, background=0.0)["intensity"].values
    length = np.sqrt(0.3 / 3e-4)
    exact = 150.0 * np.cosh((490.0 - np.array([0.0, 49.0, 122.5])) / length) / np.sinh(490.0 / length)
    assert profile == pytest.approx(exact, rel=0.02)  # elements of 1.3 lambda
    later = morphogen.history([10.0], [0.0, 1.0, 20.0], steps=64)
    y = later.predict(diffusivity=0.3, degradation=1.08, amplitude=150.0, background=2.0)["intensity"].values
    assert y[0] == 2.0
    assert y[2] == pytest.approx(2.0 + 150.0 * np.exp(-49.0 / length), rel=0.02)


# --- what is refused


def test_what_it_refuses(tmp_path):
    for counts, words in (([3.0, 2.5], "Count 2 of 2 is 2.5"), ([3.0, -1.0], "Count 2 of 2 is -1"), ([], "no counts")):
        with pytest.raises(HmmInferError, match=words):
            counts_of(counts)
    with pytest.raises(HmmInferError, match=r"patch of 24\.5 um is larger than the spacing of"):
        GRADIENT.model("bicoid_profile", patch=10)
    with pytest.raises(HmmInferError, match="no bond in its middle; give an even number"):
        GRADIENT.model("bicoid_profile", patch=3)
    with pytest.raises(HmmInferError, match="the profile is empty; widen from and to"):
        GRADIENT.model("bicoid_profile", **{"from": "98 %"})
    with pytest.raises(HmmInferError, match="odd number of at least 5"):
        GRADIENT.model("bicoid_profile", nodes=24)
    with pytest.raises(HmmInferError, match=r"Monte Carlo error is .* of the noise .* raise molecules above 30"):
        GRADIENT.model("bicoid_profile", molecules=30)
    with pytest.raises(HmmInferError, match=r"'degradation' = -1 1/h is outside its support"):
        fit(GRADIENT.model("bicoid_profile"), fixed={"degradation": -1.0}, progress=False)
    with pytest.raises(HmmInferError, match=r"'position': .* is not a list of numbers"):
        morphogen.profile([])
    growth = morphogen.EXPERIMENTS["growth"].model
    with pytest.raises(HmmInferError, match=r"A leap of this history is too large .* more steps than 32, or implicit"):
        growth("morphogen_growth", leap="explicit")
    with pytest.raises(HmmInferError, match=r"cannot resolve data at time 900 s: .* give at least 32 steps"):
        growth("morphogen_growth", steps=31)
    with pytest.raises(
        HmmInferError, match=r"of the largest intensity at the prior medians, more than accuracy = 0\.001 .*give steps = 64, which passes"
    ):
        fit(growth("morphogen_growth", accuracy=1e-3), progress=False)
    with pytest.raises(HmmInferError, match=r"at these values, more than accuracy"):
        morphogen.history([10.0], [1.0, 10.0], steps=20).predict(degradation=30.0, progress=False)
    with pytest.raises(HmmInferError, match="motility is -1"):
        move(np.random.default_rng(0), np.ones((3, 1)), -1.0, 0.0, np.array([1.0]))
    with pytest.raises(HmmInferError, match=r"0 .empty. and 1"):
        move(np.random.default_rng(0), 2 * np.ones((3, 1)), 1.0, 0.0, np.array([1.0]))
    with pytest.raises(HmmInferError, match="epsilon is 0"):
        abc(lambda v, rng: np.zeros(1), np.zeros(1), NETWORK, 0.0)
    with pytest.raises(HmmInferError, match="likelihood is 0 at 20 prior draws"):
        pseudo_marginal(lambda v, rng: -np.inf, NETWORK, progress=False)
    with pytest.raises(HmmInferError, match="detection is 2"):
        detected_log_likelihood(np.ones((1, 1)), np.ones(1, int), 2.0)


def test_monte_carlo_error_is_the_covariance_over_seeds():
    """What noise and modes add to the column sd is the covariance of profiles over other seeds at the pilot point, correlations included.

    32 seeds tell variances to a quarter, 48 others to a fifth. Sums of neighbouring rows tell rows that go together from independent ones.
    """
    settings = {"molecules": 2500, "diffusivity": "2.6 um^2/s"}
    model = GRADIENT.model("bicoid_profile", **settings)
    given = np.array([float(r["sd"]) for r in datasets.load("bicoid_profile").rows if 10 <= float(r["position"]) <= 90])
    added = covariance_of(model) - np.diag(given**2)
    assert 2 <= model.parameters["monte_carlo_error"].size < 10
    theta = pilot(model.kernel, model.parameters, model.fixed, model.table)[:7]
    s, position = model.table.settings, model.table.columns["position"]
    found = np.cov(np.array([kernel_of(s, position, seed=n)(theta) for n in range(50, 98)]).T)
    near = np.exp(-0.5 * ((np.arange(20)[:, None] - np.arange(20)) / 3.0) ** 2)
    told, seen, alone = (np.einsum("ij,jk,ik->i", near, c, near) for c in (added, found, np.diag(np.diag(found))))
    assert np.trace(added) == pytest.approx(np.trace(found), rel=0.4)
    assert np.mean(told / seen) == pytest.approx(1.0, abs=0.4)
    assert np.mean(seen / alone) > 2.0  # independent rows would say less than half of it
    assert model.about["monte_carlo_over_noise"] == pytest.approx(np.max(np.sqrt(np.diag(added)) / given), abs=1e-3)


def test_the_fast_rate_is_not_seen():
    """Sensitivity to the logarithm of the unbinding rate over the noise: 0.02 for a factor e, 700 times below the diffusivity's; order k / k_off."""
    model = GRADIENT.model("bicoid_profile")
    theta = pilot(model.kernel, model.parameters, model.fixed, model.table)
    scaled = model.kernel.jacobian(theta) * theta / model.table.sd[:, None]
    fast, slow = (np.abs(scaled[:, model.parameters.names.index(n)]).max() for n in ("unbinding_rate", "diffusivity"))
    assert fast < 3e-3 * slow
    assert fast < 0.1  # of the noise, for a factor e
