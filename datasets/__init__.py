"""Datasets that come with the package: one folder each, with ``data.csv`` (or ``data.nc``) and ``provenance.toml``.

They are found by their folders (:mod:`hmminfer.system.datasets`); the scripts here write the synthetic ones.
"""

from hmminfer.system.datasets import describe, load, names, path

__all__ = ["describe", "load", "names", "path"]
