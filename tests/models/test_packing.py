"""Packing, cell and refine are settings, and work alike in every system that has them: in the data file, by keyword, in a prediction and from a run."""

import pytest
import xarray as xr

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.system.data import write_template
from hmminfer.system.tables import read_table

WITH_PACKING = [
    (system, name)
    for system in models.CATALOGUE
    for name, e in models.get(system).EXPERIMENTS.items()
    if "packing" in {s.name for s in e.schema.settings}
]


def test_there_are_some():
    assert {system for system, _ in WITH_PACKING} == {"fibre_composite", "heat_composite", "thermoelastic_composite"}


@pytest.mark.parametrize(("system", "name"), WITH_PACKING, ids="-".join)
def test_packing_is_the_same_from_everywhere(system, name, tmp_path):
    experiment = models.get(system).EXPERIMENTS[name]
    (setting,) = (s for s in experiment.schema.settings if s.name == "packing")
    other = next(c for c in setting.choices if c != setting.default)
    small = {k: v for k, v in experiment.small.items() if k != "packing"}
    path = tmp_path / "my.csv"
    write_template(path, experiment.schema)
    path.write_text(path.read_text(encoding="utf-8").replace(f'# packing = "{setting.default}"', f'# packing = "{other}"'), encoding="utf-8")
    from_file = experiment.model(path, **small)
    assert from_file.about["packing"] == other
    assert read_table(path).settings["packing"] == other
    back = experiment.model(path, packing=setting.default, **small)
    assert back.about["packing"] == setting.default
    values = from_file.evaluate()
    by_keyword = experiment.model(path, packing=other, **small)
    assert by_keyword.evaluate().tolist() == values.tolist() != back.evaluate().tolist()
    with pytest.raises(HmmInferError, match="Unknown packing 'cubic'"):
        experiment.model(path, packing="cubic", **small)
    draws = xr.Dataset(
        {p.name: (("chain", "draw"), [[p.prior.centre]]) for p in from_file.parameters if p.size is None and p.name not in from_file.fixed}
    )
    draws.attrs = {"model": system, "experiment": name, "settings": f'{{"packing": "{other}"}}'}
    for key, prediction in experiment.predictions.items():
        if "packing" not in {s.name for s in prediction.settings}:
            continue
        quick = {k: v for k, v in prediction.small.items() if k != "packing"}
        asked = prediction(packing=other, **quick)
        inherited = prediction.of(draws, **quick)
        assert asked.about["packing"] == inherited.about["packing"] == other, key
        assert asked.evaluate().tolist() == inherited.evaluate().tolist() != prediction(packing=setting.default, **quick).evaluate().tolist()
