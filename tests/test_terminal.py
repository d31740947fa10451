"""Progress where there is no terminal: a line now and then, nothing for what is quick."""

import time

from hmminfer import terminal


def test_work_that_takes_long_says_so_and_quick_work_is_silent(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "EVERY", 0.1)
    with terminal.working("digging", total=4) as done:
        done()
        time.sleep(0.35)
    said = capsys.readouterr().err
    assert said.startswith("digging: 1 of 4, 0 s\n")
    assert 1 <= said.count("\n") <= 4
    assert list(terminal.track([1, 2], "counting")) == [1, 2]
    with terminal.working("digging", show=False):
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
