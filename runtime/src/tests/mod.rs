//! Arrays, loop nests, execution and reductions, driven by tables and random cases.

mod arrays;
mod calls;
#[cfg(feature = "gpu")]
mod device_methods;
mod execution;
mod fpe;
mod gufuncs;
mod method_flags;
mod methods;
mod methods_refused;
mod nests;
mod reductions;
mod streams;

/// A small random generator: the same cases every time.
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 33) % n as u64) as usize
    }
}
