//! The lanes of a leaf in 256-bit registers.

use super::{Lanes, Task, Wide};
use crate::tree::LANES;
use std::arch::x86_64::*;

/// Runs a task compiled for AVX2.
///
/// # Safety
/// The machine has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<T: Task>(level: Wide, task: T) -> T::Output {
    task.run(level)
}

/// 16 lanes of `f32`.
#[derive(Clone, Copy)]
pub(crate) struct F32([__m256; 2]);

/// 16 lanes of `f64`.
#[derive(Clone, Copy)]
pub(crate) struct F64([__m256d; 4]);

/// All bits set, then none: from place `LANES - n` on, the mask of the first `n` lanes.
macro_rules! table {
    ($name:ident $T:ty) => {
        static $name: [$T; 2 * LANES] = {
            let mut mask = [0; 2 * LANES];
            let mut j = 0;
            while j < LANES {
                mask[j] = -1;
                j += 1;
            }
            mask
        };
    };
}

table!(FIRST_32 i32);
table!(FIRST_64 i64);

// The functions of a level are called where its features are, as `Lanes` says, and are inlined there.
macro_rules! lanes {
    ($Lanes:ident of $T:ident, $first:ident, [$($k:literal)*]: $width:literal;
     $splat:ident $load:ident $mask_load:ident $store:ident $blend:ident
     $add:ident $mul:ident $max:ident $min:ident $cmp:ident $or:ident $from_int:ident) => {
        impl $Lanes {
            /// The part of a mask of the first `n` lanes that belongs to a register.
            ///
            /// # Safety
            /// `n` is at most the number of lanes.
            #[inline(always)]
            unsafe fn mask(n: usize, register: usize) -> __m256i {
                let at = LANES - n + register * $width;
                // SAFETY: inside of the table, and AVX2 is there.
                unsafe { _mm256_loadu_si256($first.as_ptr().add(at).cast()) }
            }
        }

        impl Lanes<$T> for $Lanes {
            #[inline(always)]
            fn splat(value: $T) -> Self {
                // SAFETY: AVX2 is there, here and below.
                $Lanes([$({ let _ = $k; unsafe { $splat(value) } }),*])
            }

            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                // SAFETY: the caller's promise.
                $Lanes([$(unsafe { $load(from.add($k * $width)) }),*])
            }

            #[inline(always)]
            unsafe fn load_first(from: *const $T, n: usize) -> Self {
                // SAFETY: the caller's promise: nothing is read where the mask is not set.
                $Lanes([$(unsafe {
                    $mask_load(from.wrapping_add($k * $width), Self::mask(n, $k))
                }),*])
            }

            #[inline(always)]
            fn first(self, n: usize, rest: Self) -> Self {
                let n = n.min(LANES);
                // SAFETY: as above.
                $Lanes([$(unsafe {
                    $blend(rest.0[$k], self.0[$k], $from_int(Self::mask(n, $k)))
                }),*])
            }

            #[inline(always)]
            fn to_array(self) -> [$T; LANES] {
                let mut array = [0.0; LANES];
                // SAFETY: as above; the array has room for all lanes.
                $(unsafe { $store(array.as_mut_ptr().add($k * $width), self.0[$k]) };)*
                array
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: as above.
                $Lanes([$(unsafe { $add(self.0[$k], other.0[$k]) }),*])
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: as above.
                $Lanes([$(unsafe { $mul(self.0[$k], other.0[$k]) }),*])
            }

            // These instructions give the second operand where either is NaN and where both are equal.
            #[inline(always)]
            fn pick<const MAX: bool>(self, other: Self) -> Self {
                // SAFETY: as above.
                $Lanes([$(unsafe {
                    match MAX {
                        true => $max(self.0[$k], other.0[$k]),
                        false => $min(self.0[$k], other.0[$k]),
                    }
                }),*])
            }

            #[inline(always)]
            fn unordered(self, other: Self) -> Self {
                // SAFETY: as above.
                $Lanes([$(unsafe { $cmp::<_CMP_UNORD_Q>(self.0[$k], other.0[$k]) }),*])
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                // SAFETY: as above.
                $Lanes([$(unsafe { $or(self.0[$k], other.0[$k]) }),*])
            }
        }
    };
}

lanes! {
    F32 of f32, FIRST_32, [0 1]: 8;
    _mm256_set1_ps _mm256_loadu_ps _mm256_maskload_ps _mm256_storeu_ps _mm256_blendv_ps
    _mm256_add_ps _mm256_mul_ps _mm256_max_ps _mm256_min_ps _mm256_cmp_ps _mm256_or_ps _mm256_castsi256_ps
}

lanes! {
    F64 of f64, FIRST_64, [0 1 2 3]: 4;
    _mm256_set1_pd _mm256_loadu_pd _mm256_maskload_pd _mm256_storeu_pd _mm256_blendv_pd
    _mm256_add_pd _mm256_mul_pd _mm256_max_pd _mm256_min_pd _mm256_cmp_pd _mm256_or_pd _mm256_castsi256_pd
}
