//! Loops of the host compiled for the vectors that its processor has.
//!
//! The one place of this crate that asks what the machine can do. A loop is compiled once for every machine of
//! the architecture and once for 256-bit vectors, and one of the two is called. No operation of the loop changes
//! by that: nothing is contracted or regrouped, so the results are the same. Loops over integers, and over
//! arrays from memory to memory, are ordinary Rust; those that keep the 16 lanes of a leaf
//! ([`crate::tree`]) in registers say so with [`Lanes`].

#[cfg(target_arch = "x86_64")]
mod avx2;

use crate::tree::LANES;

/// For which machines a loop is compiled.
pub(crate) trait Level: Copy + Send + Sync + 'static {
    /// The lanes of a leaf.
    type F32: Lanes<f32>;
    /// The same of wider elements.
    type F64: Lanes<f64>;

    /// Runs a task compiled for these machines.
    fn run<T: Task>(self, task: T) -> T::Output;
}

/// What is compiled for a level. A trait and no closure: [`Task::run`], and all that it calls, is to be
/// inlined for certain (`#[inline(always)]`), or else it is compiled for every machine.
pub(crate) trait Task {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<L: Level>(self, level: L) -> Self::Output;
}

/// Every machine of the architecture.
#[derive(Clone, Copy)]
pub(crate) struct Base;

impl Level for Base {
    type F32 = [f32; LANES];
    type F64 = [f64; LANES];

    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }
}

/// Machines with 256-bit vectors. Made by [`Wide::found`] alone, so that whoever has one may use them.
#[derive(Clone, Copy)]
pub(crate) struct Wide(());

impl Wide {
    /// Proof that this machine has such vectors, if so.
    #[inline]
    pub(crate) fn found() -> Option<Wide> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Some(Wide(()));
        }
        None
    }
}

impl Level for Wide {
    #[cfg(target_arch = "x86_64")]
    type F32 = avx2::F32;
    #[cfg(target_arch = "x86_64")]
    type F64 = avx2::F64;
    #[cfg(not(target_arch = "x86_64"))]
    type F32 = [f32; LANES];
    #[cfg(not(target_arch = "x86_64"))]
    type F64 = [f64; LANES];

    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: there is a `Wide` on machines with AVX2 alone.
            unsafe { avx2::run(self, task) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            task.run(self)
        }
    }
}

/// The 16 lanes of a leaf of floats, in registers.
///
/// Its functions may be called inside of [`Level::run`] of the level it belongs to alone.
pub(crate) trait Lanes<T>: Copy {
    /// The same value in each lane.
    fn splat(value: T) -> Self;

    /// Lanes from memory, of any alignment.
    ///
    /// # Safety
    /// There are 16 elements.
    unsafe fn load(from: *const T) -> Self;

    /// As [`Lanes::load`], of the first `n` lanes; the others are some number.
    ///
    /// # Safety
    /// There are `n` elements, and no more than 16.
    unsafe fn load_first(from: *const T, n: usize) -> Self;

    /// The first `n` lanes of this, the others of `rest`.
    fn first(self, n: usize, rest: Self) -> Self;

    /// The lanes in memory.
    fn to_array(self) -> [T; LANES];

    /// Sums.
    fn add(self, other: Self) -> Self;

    /// Products.
    fn mul(self, other: Self) -> Self;

    /// `if self > other { self } else { other }`, or the same with less than.
    fn pick<const MAX: bool>(self, other: Self) -> Self;

    /// In each lane all bits set if either is NaN, else none.
    fn unordered(self, other: Self) -> Self;

    /// The bits that either has.
    fn or(self, other: Self) -> Self;
}

macro_rules! plain {
    ($($T:ident)*) => {$(
        impl Lanes<$T> for [$T; LANES] {
            #[inline(always)]
            fn splat(value: $T) -> Self {
                [value; LANES]
            }

            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                // SAFETY: the caller's promise.
                unsafe { from.cast::<Self>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn load_first(from: *const $T, n: usize) -> Self {
                // SAFETY: the caller's promise.
                std::array::from_fn(|j| if j < n { unsafe { from.add(j).read_unaligned() } } else { 0.0 })
            }

            #[inline(always)]
            fn first(self, n: usize, rest: Self) -> Self {
                std::array::from_fn(|j| if j < n { self[j] } else { rest[j] })
            }

            #[inline(always)]
            fn to_array(self) -> [$T; LANES] {
                self
            }

            #[inline(always)]
            fn add(mut self, other: Self) -> Self {
                for j in 0..LANES {
                    self[j] += other[j];
                }
                self
            }

            #[inline(always)]
            fn mul(mut self, other: Self) -> Self {
                for j in 0..LANES {
                    self[j] *= other[j];
                }
                self
            }

            #[inline(always)]
            fn pick<const MAX: bool>(mut self, other: Self) -> Self {
                for j in 0..LANES {
                    let better = if MAX { self[j] > other[j] } else { self[j] < other[j] };
                    self[j] = if better { self[j] } else { other[j] };
                }
                self
            }

            #[inline(always)]
            fn unordered(mut self, other: Self) -> Self {
                for j in 0..LANES {
                    let odd = self[j].is_nan() | other[j].is_nan();
                    self[j] = <$T>::from_bits(if odd { !0 } else { 0 });
                }
                self
            }

            #[inline(always)]
            fn or(mut self, other: Self) -> Self {
                for j in 0..LANES {
                    self[j] = <$T>::from_bits(self[j].to_bits() | other[j].to_bits());
                }
                self
            }
        }
    )*};
}

plain! { f32 f64 }
