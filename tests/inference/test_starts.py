"""Starts belong to the numbers of chains: whoever asks first, each chain begins where its number says."""

import time
from dataclasses import replace

import numpy as np
import nutpie
import pytest

from hmminfer.inference.sampling import fit
from hmminfer.inference.starts import numbers_of_chains, start_of_chain


def test_the_numbers_with_which_chains_ask_follow_from_seed_and_chain_alone():
    numbers = numbers_of_chains(3, 6)
    assert len(set(numbers)) == 6
    for chains in (1, 2, 5):
        assert numbers_of_chains(3, chains) == numbers[:chains]
    assert not set(numbers_of_chains(4, 6)) & set(numbers)


def test_each_chain_gets_its_start_in_whatever_order_they_ask(rng):
    starts = rng.standard_normal((5, 3))
    numbers = numbers_of_chains(7, 5)
    for order in (range(5), [4, 2, 0, 1, 3]):
        start = start_of_chain(starts, 7)
        for i in order:
            np.testing.assert_array_equal(start(numbers[i]), starts[i])


def test_a_start_that_fails_is_followed_by_another_which_the_chain_alone_decides(rng):
    starts = rng.standard_normal((4, 2))
    number = numbers_of_chains(7, 4)[1]
    first, second = start_of_chain(starts, 7), start_of_chain(starts, 7)
    second(numbers_of_chains(7, 4)[3])  # another chain asks in between
    for start in (first, second):
        np.testing.assert_array_equal(start(number), starts[1])
    np.testing.assert_array_equal(first(12345), second(12345))
    assert any(np.array_equal(first(12345), s) for s in starts)


@pytest.mark.parametrize("late", [0, 1])
def test_equal_seeds_give_equal_draws_whoever_comes_first(coupons, monkeypatch, late):
    """Two modes, two chains on two threads: one of the chains is kept waiting, and the draws are those of a run without delay."""
    chosen = {"seed": 11, "draws": 40, "tune": 60, "chains": 2, "cores": 2, "progress": False}
    undisturbed = fit(coupons, **chosen)["posterior"]
    numbers, real = numbers_of_chains(11, 2), nutpie.sample
    asked = []

    def delayed(model, **arguments):
        if "initial_point_func" not in vars(model):  # the run that asks for the numbers
            return real(model, **arguments)
        start = model.initial_point_func

        def waits(number):
            if number == numbers[late]:
                time.sleep(0.3)  # the other chain has asked long before
            asked.append(number)
            return start(number)

        return real(replace(model, initial_point_func=waits), **arguments)

    monkeypatch.setattr(nutpie, "sample", delayed)
    disturbed = fit(coupons, **chosen)["posterior"]
    assert asked[:2] == [numbers[1 - late], numbers[late]], "the order of arrival was forced"
    for name in undisturbed.data_vars:
        np.testing.assert_array_equal(disturbed[name].values, undisturbed[name].values)
