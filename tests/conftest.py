"""What all tests share: strict floating point, a cache of their own, seeded randomness, and two models that take time to build."""

import os
import zlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# before anything reads them: results of offline work are kept beside the build, for all workers and the next run
os.environ["HMMINFER_CACHE"] = str(ROOT / "build" / "cache")
os.environ["MPLBACKEND"] = "Agg"
# one thread for each worker and for the processes that tests start: BLAS threads of several workers wait for each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import pytest

from hmminfer.micro.reduced_cell import ReducedCell, reduced_cell
from hmminfer.system.model import Model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of one kernel one after another: the worker that compiled it runs them, and the other does not compile it too."""
    from kernel_catalogue import JOINT, KERNELS

    order = {name: i for i, name in enumerate([*KERNELS, *JOINT])}

    def place(item: Any) -> int:
        return order.get(item.callspec.params.get("name"), -1) if hasattr(item, "callspec") else -1

    ordered = iter(sorted((item for item in items if place(item) >= 0), key=place))
    items[:] = [next(ordered) if place(item) >= 0 else item for item in items]


@pytest.fixture(autouse=True)
def strict_numpy():
    """An overflow, an invalid operation or a division by zero in NumPy is an error; underflow to zero is harmless."""
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        yield


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on nothing but the test's name."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def coupons() -> Model:
    """The flagship: real coupons at 295 K, reduced cell."""
    from hmminfer.models import fibre_composite

    return fibre_composite.EXPERIMENTS["coupons"].model()


@pytest.fixture(scope="session")
def small_reduced() -> ReducedCell:
    """Reduced basis of a coarse cell on a small box around a carbon/epoxy: seconds to train, and all code paths."""
    return reduced_cell(*small_box(), "hexagonal", 1, snapshots=32)


def small_box() -> tuple[np.ndarray, np.ndarray]:
    """Box of the eight cell parameters, in units of the matrix's modulus, for :func:`small_reduced`."""
    centre = np.array([65.0, 4.3, 5.1, 0.20, 0.25, 1.0, 0.36, 0.60])
    reach = np.array([12.0, 0.8, 1.0, 0.02, 0.02, 0.0, 0.02, 0.04])
    return centre - reach, centre + reach
