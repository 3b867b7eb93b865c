"""Generated Triton kernels for pointwise cells."""
