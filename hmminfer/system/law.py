"""Constitutive laws, which a macro solver evaluates at a point.

In the heterogeneous multiscale method the constitutive law of a macro problem is given by micro problems, point by point::

    law(theta, U, z, dt) -> (flux, z_new)

*Lift* the macro state U to the micro problem's boundary data, *solve* the micro problem, *restrict* its solution to the flux.
There are three kinds, and each is a :class:`~hmminfer.engine.kernel.Kernel` with an exact derivative:

linear
    The flux is A(theta) U with no memory: the micro problem is solved for unit macro states once per theta, whatever the number of
    points. The kernel is ``theta -> A`` (effective data, flattened), and the macro problem applies A at its points.
nonlinear
    The kernel is ``(U, theta) -> flux`` and other local results that the macro problem needs. It is evaluated at each point and each iterate
    (in :mod:`hmminfer.macro.membrane` at each quadrature point of each Newton step).
with memory
    ``(theta, U, z, dt) -> (flux, z_new)``, concatenated.

:class:`LinearLaw` adds to such a kernel its parameters and the meaning of its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hmminfer.engine.kernel import Kernel
from hmminfer.system.parameters import Parameter


@dataclass(frozen=True, eq=False)
class LinearLaw:
    """Effective data as a function of the micro parameters.

    Parameters
    ----------
    parameters : in the order of the kernel's vector.
    kernel : ``theta -> effective data``; NaN where no such material exists.
    quantity : name of the effective data ("stiffness", "conductivity"), with ``unit`` and ``shape``; C order in the vector.
    """

    parameters: tuple[Parameter, ...]
    kernel: Kernel
    quantity: str
    unit: str
    shape: tuple[int, ...]

    def __call__(self, *values: float) -> Any:
        """Effective data at the given parameter values, reshaped."""
        import numpy as np

        return self.kernel(np.array(values, dtype=float)).reshape(self.shape)
