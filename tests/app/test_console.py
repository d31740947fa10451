"""What is printed of a result."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hmminfer.app.console import modes_text


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((1.0,), []),
        ((0.7, 0.3), ["2 separate modes", " 70 %  a = 1 GPa", " 30 %  a = 2 GPa"]),
        ((0.998, 0.002), ["1 further mode of less than 0.5 %"]),
        ((0.6, 0.398, 0.002), ["2 separate modes", " 60 %", " 40 %", "1 further mode of"]),
    ],
)
def test_modes_of_no_weight_are_no_possible_answers(weights, said):
    problem = SimpleNamespace(free=[SimpleNamespace(name="a", axial=False, size=None, unit="GPa")], constrain=lambda x: {"a": np.asarray(x)[0]})
    modes = [{"x": [i + 1.0], "logp": 0.0, "weight": w, "sd": [1.0]} for i, w in enumerate(weights)]
    text = "\n".join(modes_text(problem, SimpleNamespace(attrs={"modes": json.dumps(modes)})))
    assert all(words in text for words in said)
    assert " 0 %" not in text
    assert bool(text) == bool(said)
