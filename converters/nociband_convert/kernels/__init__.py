"""The fused kernels of S0 as C: packed weights, tables, and assembly for the Cortex-M4F."""
