//! Vectors of 256 and 512 bits over intrinsics, so that each hand-written kernel is written once.
//!
//! Everything is inlined into functions that are compiled for the instructions ([`super::hand`]): to call a method is
//! safe there alone.

use std::arch::x86_64::*;

/// Floats side by side.
///
/// # Safety
/// All functions: the machine has the instructions, and the caller is compiled for them.
pub trait Vector: Copy {
    type Lane: Lane;
    /// As many integers of the same size.
    type Ints: Copy;
    type Mask: Copy;
    /// As many `i32`, or what becomes these in [`Vector::store_counts`].
    type Counts: Copy;
    const LANES: usize;
    /// Vectors that this is made of.
    const PARTS: usize = 1;

    unsafe fn load(from: *const Self::Lane) -> Self;
    /// The parts, so many elements apart.
    unsafe fn load_apart(from: *const Self::Lane, apart: usize) -> Self;
    unsafe fn store(self, to: *mut Self::Lane);
    /// The number nearest to a constant, in all lanes.
    unsafe fn splat(value: f64) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// `self * b + c`.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    /// `c - self * b`.
    unsafe fn fnma(self, b: Self, c: Self) -> Self;
    /// `self * b - c`.
    unsafe fn fms(self, b: Self, c: Self) -> Self;
    /// `-(self * b) - c`.
    unsafe fn fnms(self, b: Self, c: Self) -> Self;
    /// The second one where one is NaN.
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    unsafe fn less(self, other: Self) -> Self::Mask;
    /// `self` where the mask is set.
    unsafe fn or_else(self, mask: Self::Mask, other: Self) -> Self;

    unsafe fn bits(self) -> Self::Ints;
    unsafe fn of_bits(bits: Self::Ints) -> Self;
    unsafe fn int(value: i64) -> Self::Ints;
    unsafe fn int_add(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_sub(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_and(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_or(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_above(a: Self::Ints, b: Self::Ints) -> Self::Mask;
    unsafe fn shl<const N: u32>(a: Self::Ints) -> Self::Ints;
    unsafe fn shr<const N: u32>(a: Self::Ints) -> Self::Ints;
    /// With signs; of 32 bits.
    unsafe fn sar<const N: u32>(a: Self::Ints) -> Self::Ints;
    /// Of 32 bits.
    unsafe fn int_to_float(a: Self::Ints) -> Self;
    unsafe fn any(mask: Self::Mask) -> bool;

    unsafe fn no_counts() -> Self::Counts;
    unsafe fn all() -> Self::Mask;
    /// `self <= other` in lanes of the mask.
    unsafe fn within(self, other: Self, mask: Self::Mask) -> Self::Mask;
    unsafe fn count(counts: Self::Counts, mask: Self::Mask) -> Self::Counts;
    unsafe fn store_counts(counts: Self::Counts, to: *mut i32);
}

/// A float.
pub trait Lane: Copy + PartialEq + std::fmt::Debug + 'static {
    const DOUBLE: bool;
    const ZERO: Self;
    fn plus(self, other: Self) -> Self;
    fn ln(self) -> Self;
}

macro_rules! lane {
    ($float:ident $double:literal) => {
        impl Lane for $float {
            const DOUBLE: bool = $double;
            const ZERO: $float = 0.0;

            #[inline(always)]
            fn plus(self, other: $float) -> $float {
                self + other
            }

            fn ln(self) -> $float {
                $float::ln(self)
            }
        }
    };
}

lane!(f32 false);
lane!(f64 true);

/// The functions that are one intrinsic each.
macro_rules! forwarded {
    ($($name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = $body:expr;)*) => {
        $(#[inline(always)]
        unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the promise of the trait; pointers are to memory of a whole vector.
            unsafe { $body }
        })*
    };
}

/// A vector type: the intrinsics by their names.
macro_rules! common {
    (
        $float:ident, $ints:ty, $set:ident,
        $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $sqrt:ident
        $fma:ident $fnma:ident $fms:ident $fnms:ident $min:ident $max:ident $bits:ident $of_bits:ident
        $int:ident $int_type:ident $int_add:ident $int_sub:ident $int_and:ident $int_or:ident
    ) => {
        forwarded! {
            load(from: *const $float) -> Self = $load(from);
            load_apart(from: *const $float, _apart: usize) -> Self = $load(from);
            store(self: Self, to: *mut $float) = $store(to, self);
            splat(value: f64) -> Self = $set(value as $float);
            add(self: Self, other: Self) -> Self = $add(self, other);
            sub(self: Self, other: Self) -> Self = $sub(self, other);
            mul(self: Self, other: Self) -> Self = $mul(self, other);
            div(self: Self, other: Self) -> Self = $div(self, other);
            sqrt(self: Self) -> Self = $sqrt(self);
            fma(self: Self, b: Self, c: Self) -> Self = $fma(self, b, c);
            fnma(self: Self, b: Self, c: Self) -> Self = $fnma(self, b, c);
            fms(self: Self, b: Self, c: Self) -> Self = $fms(self, b, c);
            fnms(self: Self, b: Self, c: Self) -> Self = $fnms(self, b, c);
            min(self: Self, other: Self) -> Self = $min(self, other);
            max(self: Self, other: Self) -> Self = $max(self, other);
            abs(self: Self) -> Self = Self::of_bits($int_and($bits(self), $int($int_type::MAX)));
            bits(self: Self) -> $ints = $bits(self);
            of_bits(bits: $ints) -> Self = $of_bits(bits);
            int(value: i64) -> $ints = $int(value as $int_type);
            int_add(a: $ints, b: $ints) -> $ints = $int_add(a, b);
            int_sub(a: $ints, b: $ints) -> $ints = $int_sub(a, b);
            int_and(a: $ints, b: $ints) -> $ints = $int_and(a, b);
            int_or(a: $ints, b: $ints) -> $ints = $int_or(a, b);
        }
    };
}

macro_rules! shifts {
    ($ints:ty, $shl:ident $shr:ident) => {
        #[inline(always)]
        unsafe fn shl<const N: u32>(a: $ints) -> $ints {
            // SAFETY: the promise of the trait.
            unsafe { $shl(a, _mm_cvtsi32_si128(N as i32)) }
        }

        #[inline(always)]
        unsafe fn shr<const N: u32>(a: $ints) -> $ints {
            // SAFETY: the promise of the trait.
            unsafe { $shr(a, _mm_cvtsi32_si128(N as i32)) }
        }
    };
}

impl Vector for __m256 {
    type Lane = f32;
    type Ints = __m256i;
    type Mask = __m256;
    type Counts = __m256i;
    const LANES: usize = 8;

    common!(
        f32, __m256i, _mm256_set1_ps,
        _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps _mm256_sqrt_ps
        _mm256_fmadd_ps _mm256_fnmadd_ps _mm256_fmsub_ps _mm256_fnmsub_ps _mm256_min_ps _mm256_max_ps
        _mm256_castps_si256 _mm256_castsi256_ps
        _mm256_set1_epi32 i32 _mm256_add_epi32 _mm256_sub_epi32 _mm256_and_si256 _mm256_or_si256
    );
    shifts!(__m256i, _mm256_sll_epi32 _mm256_srl_epi32);

    #[inline(always)]
    unsafe fn sar<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: the promise of the trait.
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }

    forwarded! {
        less(self: Self, other: Self) -> __m256 = _mm256_cmp_ps::<_CMP_LT_OQ>(self, other);
        or_else(self: Self, mask: __m256, other: Self) -> Self = _mm256_blendv_ps(other, self, mask);
        int_above(a: __m256i, b: __m256i) -> __m256 = _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b));
        int_to_float(a: __m256i) -> Self = _mm256_cvtepi32_ps(a);
        any(mask: __m256) -> bool = _mm256_movemask_ps(mask) != 0;
        no_counts() -> __m256i = _mm256_setzero_si256();
        all() -> __m256 = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
        within(self: Self, other: Self, mask: __m256) -> __m256 =
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(self, other), mask);
        count(counts: __m256i, mask: __m256) -> __m256i = _mm256_sub_epi32(counts, _mm256_castps_si256(mask));
        store_counts(counts: __m256i, to: *mut i32) = _mm256_storeu_si256(to.cast(), counts);
    }
}

impl Vector for __m256d {
    type Lane = f64;
    type Ints = __m256i;
    type Mask = __m256d;
    type Counts = __m256i;
    const LANES: usize = 4;

    common!(
        f64, __m256i, _mm256_set1_pd,
        _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd _mm256_sqrt_pd
        _mm256_fmadd_pd _mm256_fnmadd_pd _mm256_fmsub_pd _mm256_fnmsub_pd _mm256_min_pd _mm256_max_pd
        _mm256_castpd_si256 _mm256_castsi256_pd
        _mm256_set1_epi64x i64 _mm256_add_epi64 _mm256_sub_epi64 _mm256_and_si256 _mm256_or_si256
    );
    shifts!(__m256i, _mm256_sll_epi64 _mm256_srl_epi64);

    unsafe fn sar<const N: u32>(_: __m256i) -> __m256i {
        unreachable!("of 32 bits")
    }

    unsafe fn int_to_float(_: __m256i) -> Self {
        unreachable!("of 32 bits")
    }

    forwarded! {
        less(self: Self, other: Self) -> __m256d = _mm256_cmp_pd::<_CMP_LT_OQ>(self, other);
        or_else(self: Self, mask: __m256d, other: Self) -> Self = _mm256_blendv_pd(other, self, mask);
        int_above(a: __m256i, b: __m256i) -> __m256d = _mm256_castsi256_pd(_mm256_cmpgt_epi64(a, b));
        any(mask: __m256d) -> bool = _mm256_movemask_pd(mask) != 0;
        no_counts() -> __m256i = _mm256_setzero_si256();
        all() -> __m256d = _mm256_castsi256_pd(_mm256_set1_epi64x(-1));
        within(self: Self, other: Self, mask: __m256d) -> __m256d =
            _mm256_and_pd(_mm256_cmp_pd::<_CMP_LE_OQ>(self, other), mask);
        count(counts: __m256i, mask: __m256d) -> __m256i = _mm256_sub_epi64(counts, _mm256_castpd_si256(mask));
        store_counts(counts: __m256i, to: *mut i32) = {
            let low = _mm256_permutevar8x32_epi32(counts, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(low))
        };
    }
}

impl Vector for __m512 {
    type Lane = f32;
    type Ints = __m512i;
    type Mask = __mmask16;
    type Counts = __m512i;
    const LANES: usize = 16;

    common!(
        f32, __m512i, _mm512_set1_ps,
        _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps _mm512_sqrt_ps
        _mm512_fmadd_ps _mm512_fnmadd_ps _mm512_fmsub_ps _mm512_fnmsub_ps _mm512_min_ps _mm512_max_ps
        _mm512_castps_si512 _mm512_castsi512_ps
        _mm512_set1_epi32 i32 _mm512_add_epi32 _mm512_sub_epi32 _mm512_and_si512 _mm512_or_si512
    );
    shifts!(__m512i, _mm512_sll_epi32 _mm512_srl_epi32);

    #[inline(always)]
    unsafe fn sar<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: the promise of the trait.
        unsafe { _mm512_sra_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }

    #[inline(always)]
    unsafe fn any(mask: __mmask16) -> bool {
        mask != 0
    }

    #[inline(always)]
    unsafe fn all() -> __mmask16 {
        !0
    }

    forwarded! {
        less(self: Self, other: Self) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self, other);
        or_else(self: Self, mask: __mmask16, other: Self) -> Self = _mm512_mask_blend_ps(mask, other, self);
        int_above(a: __m512i, b: __m512i) -> __mmask16 = _mm512_cmpgt_epi32_mask(a, b);
        int_to_float(a: __m512i) -> Self = _mm512_cvtepi32_ps(a);
        no_counts() -> __m512i = _mm512_setzero_si512();
        within(self: Self, other: Self, mask: __mmask16) -> __mmask16 =
            _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(mask, self, other);
        count(counts: __m512i, mask: __mmask16) -> __m512i =
            _mm512_mask_add_epi32(counts, mask, counts, _mm512_set1_epi32(1));
        store_counts(counts: __m512i, to: *mut i32) = _mm512_storeu_si512(to.cast(), counts);
    }
}

impl Vector for __m512d {
    type Lane = f64;
    type Ints = __m512i;
    type Mask = __mmask8;
    type Counts = __m256i;
    const LANES: usize = 8;

    common!(
        f64, __m512i, _mm512_set1_pd,
        _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd _mm512_sqrt_pd
        _mm512_fmadd_pd _mm512_fnmadd_pd _mm512_fmsub_pd _mm512_fnmsub_pd _mm512_min_pd _mm512_max_pd
        _mm512_castpd_si512 _mm512_castsi512_pd
        _mm512_set1_epi64 i64 _mm512_add_epi64 _mm512_sub_epi64 _mm512_and_si512 _mm512_or_si512
    );
    shifts!(__m512i, _mm512_sll_epi64 _mm512_srl_epi64);

    unsafe fn sar<const N: u32>(_: __m512i) -> __m512i {
        unreachable!("of 32 bits")
    }

    unsafe fn int_to_float(_: __m512i) -> Self {
        unreachable!("of 32 bits")
    }

    #[inline(always)]
    unsafe fn any(mask: __mmask8) -> bool {
        mask != 0
    }

    #[inline(always)]
    unsafe fn all() -> __mmask8 {
        !0
    }

    forwarded! {
        less(self: Self, other: Self) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(self, other);
        or_else(self: Self, mask: __mmask8, other: Self) -> Self = _mm512_mask_blend_pd(mask, other, self);
        int_above(a: __m512i, b: __m512i) -> __mmask8 = _mm512_cmpgt_epi64_mask(a, b);
        no_counts() -> __m256i = _mm256_setzero_si256();
        within(self: Self, other: Self, mask: __mmask8) -> __mmask8 =
            _mm512_mask_cmp_pd_mask::<_CMP_LE_OQ>(mask, self, other);
        count(counts: __m256i, mask: __mmask8) -> __m256i =
            _mm256_mask_add_epi32(counts, mask, counts, _mm256_set1_epi32(1));
        store_counts(counts: __m256i, to: *mut i32) = _mm256_storeu_si256(to.cast(), counts);
    }
}

/// A function of several vectors, one after the other.
macro_rules! each {
    ($($name:ident($first:ident: $first_type:ty $(, $arg:ident: $ty:ty)*) -> $ret:ty;)*) => {
        $(#[inline(always)]
        unsafe fn $name($first: $first_type $(, $arg: $ty)*) -> $ret {
            // SAFETY: the promise of the trait.
            unsafe {
                let mut all = [V::$name($first[0] $(, $arg[0])*); N];
                for (n, one) in all.iter_mut().enumerate().skip(1) {
                    *one = V::$name($first[n] $(, $arg[n])*);
                }
                all
            }
        })*
    };
}

/// Several vectors, worked on operation by operation: what waits for one result computes another.
impl<V: Vector, const N: usize> Vector for [V; N] {
    type Lane = V::Lane;
    type Ints = [V::Ints; N];
    type Mask = [V::Mask; N];
    type Counts = [V::Counts; N];
    const LANES: usize = N * V::LANES;
    const PARTS: usize = N;

    each! {
        add(self: Self, other: Self) -> Self;
        sub(self: Self, other: Self) -> Self;
        mul(self: Self, other: Self) -> Self;
        div(self: Self, other: Self) -> Self;
        sqrt(self: Self) -> Self;
        fma(self: Self, b: Self, c: Self) -> Self;
        fnma(self: Self, b: Self, c: Self) -> Self;
        fms(self: Self, b: Self, c: Self) -> Self;
        fnms(self: Self, b: Self, c: Self) -> Self;
        min(self: Self, other: Self) -> Self;
        max(self: Self, other: Self) -> Self;
        abs(self: Self) -> Self;
        less(self: Self, other: Self) -> Self::Mask;
        or_else(self: Self, mask: Self::Mask, other: Self) -> Self;
        bits(self: Self) -> Self::Ints;
        of_bits(bits: Self::Ints) -> Self;
        int_add(a: Self::Ints, b: Self::Ints) -> Self::Ints;
        int_sub(a: Self::Ints, b: Self::Ints) -> Self::Ints;
        int_and(a: Self::Ints, b: Self::Ints) -> Self::Ints;
        int_or(a: Self::Ints, b: Self::Ints) -> Self::Ints;
        int_above(a: Self::Ints, b: Self::Ints) -> Self::Mask;
        int_to_float(a: Self::Ints) -> Self;
        within(self: Self, other: Self, mask: Self::Mask) -> Self::Mask;
        count(counts: Self::Counts, mask: Self::Mask) -> Self::Counts;
    }

    forwarded! {
        splat(value: f64) -> Self = [V::splat(value); N];
        int(value: i64) -> Self::Ints = [V::int(value); N];
        no_counts() -> Self::Counts = [V::no_counts(); N];
        all() -> Self::Mask = [V::all(); N];
    }

    #[inline(always)]
    unsafe fn load(from: *const V::Lane) -> Self {
        // SAFETY: so many elements are there.
        unsafe { Self::load_apart(from, V::LANES) }
    }

    #[inline(always)]
    unsafe fn load_apart(from: *const V::Lane, apart: usize) -> Self {
        // SAFETY: so many elements are there.
        unsafe {
            let mut all = [V::load(from); N];
            for (n, one) in all.iter_mut().enumerate().skip(1) {
                *one = V::load(from.add(n * apart));
            }
            all
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut V::Lane) {
        for (n, one) in self.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { one.store(to.add(n * V::LANES)) };
        }
    }

    #[inline(always)]
    unsafe fn shl<const BY: u32>(a: Self::Ints) -> Self::Ints {
        // SAFETY: the promise of the trait.
        unsafe {
            let mut all = a;
            for one in &mut all {
                *one = V::shl::<BY>(*one);
            }
            all
        }
    }

    #[inline(always)]
    unsafe fn shr<const BY: u32>(a: Self::Ints) -> Self::Ints {
        // SAFETY: the promise of the trait.
        unsafe {
            let mut all = a;
            for one in &mut all {
                *one = V::shr::<BY>(*one);
            }
            all
        }
    }

    #[inline(always)]
    unsafe fn sar<const BY: u32>(a: Self::Ints) -> Self::Ints {
        // SAFETY: the promise of the trait.
        unsafe {
            let mut all = a;
            for one in &mut all {
                *one = V::sar::<BY>(*one);
            }
            all
        }
    }

    #[inline(always)]
    unsafe fn any(mask: Self::Mask) -> bool {
        let mut any = false;
        for one in mask {
            // SAFETY: the promise of the trait.
            any |= unsafe { V::any(one) };
        }
        any
    }

    #[inline(always)]
    unsafe fn store_counts(counts: Self::Counts, to: *mut i32) {
        for (n, one) in counts.into_iter().enumerate() {
            // SAFETY: so many elements are there.
            unsafe { V::store_counts(one, to.add(n * V::LANES)) };
        }
    }
}
