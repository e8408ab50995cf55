//! Kernels and functions as text.
