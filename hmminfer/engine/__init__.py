"""Interface between physics and probability: kernels, their composition, and their PyTensor operator."""
