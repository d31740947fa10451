"""Law: what a macro solver may ask of a point.

In the heterogeneous multiscale method a macro solver lacks its constitutive law and asks for it point by point::

    law(theta, U, z, dt) -> (flux, z_new)

*Lift* the macro state U to the micro problem's boundary data, *solve* the micro problem, *restrict* its solution to the flux.
Three kinds occur, and each is a :class:`~hmminfer.engine.kernel.Kernel`, so its derivative is as exact as any:

linear
    The flux is A(theta) U with no memory: the micro problem is solved for unit macro states once per theta, whatever the number of
    points. The kernel is ``theta -> A`` (effective data, flattened), and the macro problem applies it where it needs it.
nonlinear
    The kernel is ``(U, theta) -> flux`` and whatever else the macro problem wants to know there, asked anew at each point and iterate
    (:mod:`hmminfer.macro.membrane` asks one at each quadrature point of each Newton step).
with memory
    ``(theta, U, z, dt) -> (flux, z_new)``, concatenated.

A linear law is enough to say which parameters it takes and what its output means.
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
    parameters : what the vector of the kernel holds, in order.
    kernel : ``theta -> effective data``; NaN where no such material exists.
    quantity : what the effective data are ("stiffness", "conductivity"), with ``unit`` and ``shape``; C order in the vector.
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
