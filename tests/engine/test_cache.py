"""The cache of offline work: whatever lies there, the arrays are the right ones; and a cache that others may write is refused."""

import os
import stat
import zipfile

import numpy as np
import pytest

from hmminfer.engine.cache import cached_arrays, check_private
from hmminfer.errors import HmmInferError

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2])}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("HMMINFER_CACHE", str(tmp_path))
    assert cached("x") == 1
    (path,) = tmp_path.iterdir()
    return path


def cached(key):
    """Number of times that the arrays were computed, and that they are right."""
    computed = []
    found = cached_arrays("test", key, lambda: computed.append(1) or ARRAYS)
    assert found.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value, strict=True)
    return len(computed)


def test_arrays_are_computed_once_for_each_key(file):
    assert cached("x") == 0
    assert cached("y") == 1
    assert len(list(file.parent.iterdir())) == 2


def scaled(file):
    np.savez(file, key=np.array("x"), **{**ARRAYS, "a": 1.01 * ARRAYS["a"]})


def without_an_array(file):
    np.savez(file, key=np.array("x"), a=ARRAYS["a"])


def one_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-70])


def pipe(file):
    file.unlink()
    os.mkfifo(file)


def directory(file):
    file.unlink()
    file.mkdir()


def flagged(offset, value):
    """Another method of compression (offset 8), or encryption (offset 6), in the heads of the zip file."""

    def damage(file):
        content = bytearray(file.read_bytes())
        with zipfile.ZipFile(file) as archive:
            heads = [info.header_offset for info in archive.infolist()]
        central = content.find(b"PK\x01\x02")
        for at in (*(h + offset for h in heads), central + offset + 2):
            content[at] = value
        file.write_bytes(content)

    return damage


@pytest.mark.parametrize("damage", [scaled, without_an_array, one_bit, cut, pipe, flagged(8, 99), flagged(6, 1)])
def test_a_damaged_file_is_made_anew(damage, file):
    damage(file)
    assert cached("x") == 1
    assert cached("x") == 0


def test_a_folder_in_the_place_of_a_file_costs_time_only(file):
    directory(file)
    assert cached("x") == cached("x") == 1


def test_a_cache_that_others_may_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HMMINFER_CACHE", str(tmp_path / "not_there_yet"))
    for mode in (0o700, 0o775, 0o1777):  # private, a group's, and open like /tmp, where others cannot replace what is ours
        tmp_path.chmod(mode)
        check_private()
    tmp_path.chmod(0o777)
    with pytest.raises(HmmInferError, match=r"everybody may write to it; chmod o-w .*, or set NUMBA_CACHE_DIR"):
        check_private()
    tmp_path.chmod(0o700)


def test_a_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HMMINFER_CACHE", str(tmp_path))
    real = os.stat

    def foreign(path, *args, **kwargs):
        found = real(path, *args, **kwargs)
        return os.stat_result((*found[:4], 4321, *found[5:10])) if str(path) == str(tmp_path) else found

    monkeypatch.setattr(os, "stat", foreign)
    assert stat.S_ISDIR(tmp_path.stat().st_mode)
    with pytest.raises(HmmInferError, match=r"belongs to another user \(4321\); set HMMINFER_CACHE"):
        check_private()
