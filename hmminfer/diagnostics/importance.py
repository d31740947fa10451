"""Independent draws of a small posterior by adaptive importance sampling, with a measure of how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, special, stats

from hmminfer.diagnostics.sensitivity import Standard
from hmminfer.engine.linalg import one_thread
from hmminfer.system.likelihood import log_density

TRUSTED = 0.7  # Pareto k below which weighted draws can be trusted (Vehtari et al. 2024)


@one_thread
def importance(
    std: Standard, data: np.ndarray, bank: np.ndarray, y_bank: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Independent posterior draws u, their y, and Pareto k: population Monte Carlo with a mixture of t densities
    (Cappe et al. 2008).

    Components start at modes reached from the best prior draws, with the Gauss-Newton covariance; their images under
    theta -> -theta are added; three rounds of weighted draws move and reshape them, and the last one is resampled.
    """
    prior = [p for p in std.problem.free if p.axial]
    axial = np.zeros(std.size, bool)
    for p in prior:
        axial[std.u_of[p.name]] = True
    period, centre = np.full(std.size, np.inf), np.zeros(std.size)
    for p in prior:
        period[std.u_of[p.name]], centre[std.u_of[p.name]] = 180.0 / p.prior.sd, -p.prior.centre / p.prior.sd

    def wrap(d: np.ndarray) -> np.ndarray:
        return np.where(axial, d - np.where(axial, period, 1.0) * np.round(d / np.where(axial, period, np.inf)), d)

    def target(u: np.ndarray, y: np.ndarray) -> np.ndarray:
        sigma = std.problem.sigma_of(std.named(u))
        out = np.sum(log_density(std.model.likelihood, data, y, sigma), axis=-1)
        out = out - 0.5 * np.sum(u[..., ~axial] ** 2, axis=-1)
        for p in prior:
            out = out + p.prior.concentration * np.sum(np.cos(np.radians(2.0 * p.prior.sd * u[..., std.u_of[p.name]])), axis=-1)
        return np.where(np.isfinite(out), out, -np.inf)

    sigma0 = np.broadcast_to(std.problem.sigma_of(std.named(np.zeros(std.size))), data.shape)
    free = np.isin(np.arange(std.size), std.iu)
    gauss = (~axial).astype(float)

    def residual(x: np.ndarray) -> np.ndarray:
        y = std.model.kernel(std.theta(x))
        return np.concatenate([np.where(np.isfinite(y), (y - data) / sigma0, 1e6), gauss * x])

    def slope(x: np.ndarray) -> np.ndarray:
        s = np.zeros((len(data), std.size))
        s[:, free] = np.nan_to_num(std.sensitivity(x, sigma0))
        return np.vstack([s, np.diag(gauss)])

    best = np.argsort(-target(bank, y_bank))[:6]
    centres: list[np.ndarray] = []
    shapes: list[np.ndarray] = []
    for i in best:
        x = optimize.least_squares(residual, bank[i], slope, method="trf", max_nfev=30, x_scale=1.0).x
        s = slope(x)
        covariance = np.linalg.inv(s.T @ s + np.diag(axial * 1.0))
        for image in (x, np.where(axial, 2.0 * centre - x, x)):
            image = wrap(image)
            flips = np.where(axial & (image != wrap(x)), -1.0, 1.0)
            if all(wrap(image - c) @ np.linalg.solve(v, wrap(image - c)) > 1.0 for c, v in zip(centres, shapes, strict=True)):
                centres.append(image)
                shapes.append(1.3 * covariance * np.outer(flips, flips))
    weight = np.full(len(centres), 1.0 / len(centres))
    for size in (400, 600, 1500):
        which = rng.choice(len(centres), size, p=weight)
        steps = stats.multivariate_t.rvs(np.zeros(std.size), np.eye(std.size), df=6, size=size, random_state=rng).reshape(size, -1)
        u = np.stack([wrap(centres[c] + np.linalg.cholesky(shapes[c]) @ e) for c, e in zip(which, steps, strict=True)])
        y = np.full((size, len(data)), np.nan)
        near = np.all(np.abs(u[:, ~axial]) < 4.0, axis=1)  # beyond is 1e-4 of the prior, and outside a reduced basis
        y[near] = std.model.batch(std.theta(u[near]), strict=False)
        parts = np.stack(
            [
                np.log(w + 1e-300) + stats.multivariate_t.logpdf(wrap(u - c), np.zeros(std.size), v, df=6)
                for w, c, v in zip(weight, centres, shapes, strict=True)
            ]
        )
        proposal = special.logsumexp(parts, axis=0)
        log_w = target(u, y) - proposal
        w = np.exp(log_w - special.logsumexp(log_w))
        kept = _reshape(u, np.minimum(w, np.sort(w)[-20]), np.exp(parts - proposal), centres, shapes, wrap)
        if size != 1500:
            weight, centres, shapes = kept
    from arviz_stats.base import array_stats

    smooth, k = array_stats.psislw(np.minimum(log_w.max() - log_w, 700.0))  # takes minus the log weights
    chosen = rng.choice(len(u), draws, p=np.exp(smooth) / np.exp(smooth).sum())
    return u[chosen], y[chosen], float(k) if np.isfinite(k) else np.inf


def _reshape(u: np.ndarray, w: np.ndarray, share: np.ndarray, centres: list, shapes: list, wrap: Callable) -> tuple[np.ndarray, list, list]:
    """Weight, centre and covariance of each component from weighted draws; one that lost its mass is dropped."""
    out: list[tuple[float, np.ndarray, np.ndarray]] = []
    for c, v, r in zip(centres, shapes, share, strict=True):
        mass = w * r
        total = mass.sum()
        if total < 1e-3 * w.sum():
            continue
        p = mass / total
        d = wrap(u - c)
        mean = p @ d
        effective = 1.0 / np.sum(p**2)
        trust = effective / (effective + 2.0 * len(c))  # few effective draws say little about a covariance
        out.append((total, wrap(c + trust * mean), trust * ((d - mean).T * p) @ (d - mean) + (1.0 - trust) * v))
    total = np.array([o[0] for o in out])
    return total / total.sum(), [o[1] for o in out], [o[2] for o in out]
