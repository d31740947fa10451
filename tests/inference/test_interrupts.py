"""Interrupts while sampling without gradients: what was drawn is kept, or it is said that there is nothing to keep."""

import os
import signal

import numpy as np
import pymc as pm
import pytest

from hmminfer.errors import Interrupted, interruptible
from hmminfer.inference.interrupts import Waiting, deferred
from hmminfer.inference.sampling import fit

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def delivered():
    """An interrupt is one here, also in a suite run in the background, which hands down that it is ignored."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


def interrupt_at(monkeypatch, call):
    """Ctrl-C, twice, at a number of draws."""
    stop, calls = Waiting.stop, []

    def counted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) in (call, call + 1):
            os.kill(os.getpid(), signal.SIGINT)
        stop(self, *args, **kwargs)

    monkeypatch.setattr(Waiting, "stop", counted)


def test_an_interrupt_waits_for_its_place():
    with deferred() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            interrupt.stop()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_demetropolis_keeps_its_draws(coupons, monkeypatch):
    interrupt_at(monkeypatch, 150)
    tree = fit(coupons, sampler="demetropolis", draws=10_000, tune=50, chains=2, seed=1, progress=False)
    assert tree.attrs["interrupted"] == 1
    assert 90 <= tree["posterior"].sizes["draw"] <= 100
    assert np.isfinite(tree["posterior"]["matrix_modulus"].values).all()


def test_demetropolis_has_nothing_before_it_is_tuned(coupons, monkeypatch):
    interrupt_at(monkeypatch, 20)
    with pytest.raises(Interrupted, match="before any draw was kept"):
        fit(coupons, sampler="demetropolis", draws=10_000, tune=50, chains=2, seed=1, progress=False)


def test_smc_ends_at_once_whatever_compiled_code_makes_of_it(coupons, monkeypatch):
    def sample(**choices):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set") from None

    monkeypatch.setattr(pm, "sample_smc", sample)
    with pytest.raises(KeyboardInterrupt):
        fit(coupons, sampler="smc", draws=100, chains=1, seed=1, progress=False)


def test_an_interrupt_in_compiled_code_is_no_system_error():
    """Python turns an interrupt that falls into a compiled call into a SystemError; of fit, preview, predict and commands it comes out as it was."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()
    with pytest.raises(SystemError), interruptible():
        raise SystemError("another")
