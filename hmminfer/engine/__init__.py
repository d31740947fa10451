"""Interface between physics and probability: kernels, their composition, and their PyTensor operator."""

from hmminfer.engine.cache import check_private

check_private()  # before numba reads anything from its cache
