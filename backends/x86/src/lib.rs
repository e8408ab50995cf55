//! AVX2 and AVX-512 machine code.

pub mod encode;
mod features;

pub use features::Features;
