"""Figures that any result can show."""

from hmminfer.figures.overview import PANELS, posterior_figure

__all__ = ["PANELS", "posterior_figure"]
