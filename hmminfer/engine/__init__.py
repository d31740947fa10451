"""The seam between physics and probability: kernels, their composition and their operator."""
