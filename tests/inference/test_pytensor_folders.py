"""Folders of PyTensor: nothing is left in the temporary folder, and a home that cannot be written is a sentence."""

import os
import subprocess
import sys

IMPORT = "import hmminfer.inference, pytensor; print(pytensor.config.generated_src_dir)"


def run(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_generated_sources_go_to_the_cache(tmp_path):
    done = run(IMPORT, HMMINFER_CACHE=str(tmp_path), PYTENSOR_FLAGS="")
    assert done.stdout.strip() == str(tmp_path / "pytensor")
    own = run(IMPORT, PYTENSOR_FLAGS=f"generated_src_dir={tmp_path / 'mine'}")
    assert own.stdout.strip() == str(tmp_path / "mine")


def test_a_home_that_cannot_be_written_is_a_sentence():  # not even by root, who runs the tests in containers
    done = run("import hmminfer.inference", HOME="/dev/null", PYTENSOR_FLAGS="")
    assert "PyTensor cannot compile in '/dev/null/.pytensor', which cannot be written; set HOME" in done.stderr
