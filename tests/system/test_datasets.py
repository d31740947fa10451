"""Synthetic datasets are what their script writes."""

import numpy as np
import pytest

from hmminfer import datasets
from hmminfer.datasets import make_synthetic, synthetic_composites


def test_every_synthetic_dataset_has_its_writer():
    synthetic = {n for n in datasets.names() if "make_synthetic" in str(datasets.describe(n))}
    assert synthetic == set(make_synthetic.writers())


@pytest.mark.parametrize("name", [name for script in make_synthetic.scripts() for name in script.TESTED])
def test_the_script_repeats_the_file(name):
    raw, text = make_synthetic.writers()[name]()
    kept = datasets.load(name)
    assert kept.settings == raw.settings
    assert [r["value"] for r in kept.rows] == [r["value"] for r in raw.rows]
    assert (datasets.path(name) / "provenance.toml").read_text() == text


def test_the_benchmark_of_blocks_on_a_coarser_mesh():
    """48 bicubic elements a side instead of 256: no more than the corner singularities' share away."""
    raw, _ = synthetic_composites.aristoff_bangerth(48)
    kept = datasets.load("aristoff_bangerth")
    a, b = (np.array([float(r["value"]) for r in t.rows]) for t in (raw, kept))
    assert np.max(np.abs(a - b)) < 1e-4
