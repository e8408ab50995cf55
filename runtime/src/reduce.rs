//! Reductions of all elements to one value, on a tree that the length alone decides.
//!
//! The tree is that of [`crate::tree`], over the elements in C order.
//!
//! The map (what is summed) is computed some leaves at a time into cache-resident memory: no temporary array. Sums
//! of products have loops of their own, which never store a product.

mod complex;
mod flags;
mod rows;

pub(crate) use flags::flags_of_sum;
pub(crate) use rows::arg_extremes;

use crate::cache::Kernel;
use crate::exec::Execution;
use crate::methods::plain_operation;
use crate::schedule::Scheduler;
use crate::scratch::Scratch;
use crate::tree::{Join, LANES, LEAF, Products, Tree, float_subtree, subtree};
use crate::wide::{Base, Lanes, Level, Task, Wide};
use crate::{Array, Element, ReduceOp, Result, RuntimeError};
use half::f16;
use kjit_ir::{DType, Opcode, Scalar};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Bytes mapped at a time: half of a first-level cache.
const MAPPED_BYTES: usize = 16 << 10;
/// Leaves of the largest unit of work: a power of two, so that a unit is a whole subtree.
const MAX_UNIT: usize = 64;

/// The dtype of a reduction's result.
pub fn result_dtype(op: ReduceOp, dtype: DType) -> DType {
    match op {
        ReduceOp::Sum if dtype.is_float() || dtype.is_complex() => dtype,
        ReduceOp::Sum if dtype.is_unsigned_int() => DType::U64,
        ReduceOp::Sum | ReduceOp::ArgMin | ReduceOp::ArgMax => DType::I64,
        ReduceOp::Min | ReduceOp::Max => dtype,
    }
}

/// Where the elements come from.
pub(crate) enum Source<'a> {
    /// Contiguous memory of the host.
    Memory(&'a Array),
    /// The only output of a kernel.
    Map(&'a Execution<'a>, f64),
    /// Products of the elements of two arrays, contiguous and aligned memory of the host, with one of the
    /// dtypes of [`Source::products`].
    Products(&'a Array, &'a Array),
}

impl<'a> Source<'a> {
    /// The products that a kernel computes, if it does nothing else and there are loops for their sums.
    pub(crate) fn products(
        kernel: &Kernel,
        inputs: &'a [Cow<Array>],
        shape: &[usize],
        dtype: DType,
    ) -> Option<Source<'a>> {
        let [x, y] = inputs else { return None };
        let plain = |array: &Array| {
            array.dtype() == dtype
                && array.shape() == shape
                && array.is_contiguous()
                && (array.as_ptr()).is_some_and(|ptr| ptr.addr().is_multiple_of(dtype.size()))
        };
        let has_loops = dtype.is_int() || matches!(dtype, DType::F32 | DType::F64);
        (has_loops
            && plain(x)
            && plain(y)
            && plain_operation(kernel.function()) == Some(Opcode::Mul)
            && (kernel.function().arrays.iter()).all(|array| array.dtype == dtype))
        .then_some(Source::Products(x, y))
    }
}

/// Reduces `size` elements of a dtype.
pub(crate) fn reduce(
    source: &Source,
    dtype: DType,
    size: usize,
    op: ReduceOp,
    scheduler: &Scheduler,
) -> Result<Scalar> {
    if size == 0 {
        return match op {
            ReduceOp::Sum => Ok(Scalar::zero(result_dtype(op, dtype))),
            _ => Err(
                RuntimeError::value(format!("{} of no elements has no value", op.name()))
                    .help("reduce an array with at least one element"),
            ),
        };
    }
    let job = Job {
        source,
        size,
        scheduler,
    };
    macro_rules! with {
        ($T:ty, $sum:ty) => {
            match op {
                ReduceOp::Sum => job.run::<$T, Sum<$sum>>().map(|v| v.to_scalar()),
                ReduceOp::Min => job.run::<$T, Extreme<$T, false>>().map(|v| v.to_scalar()),
                ReduceOp::Max => job.run::<$T, Extreme<$T, true>>().map(|v| v.to_scalar()),
                ReduceOp::ArgMin => job
                    .run::<$T, ArgExtreme<$T, false>>()
                    .map(Scalar::from_index),
                ReduceOp::ArgMax => job
                    .run::<$T, ArgExtreme<$T, true>>()
                    .map(Scalar::from_index),
            }
        };
    }
    match dtype {
        // A bool is a byte that is 0 or 1.
        DType::Bool => match (op, with!(u8, i64)?) {
            (ReduceOp::Min | ReduceOp::Max, value) => Ok(Scalar::bool(value.as_bool())),
            (_, value) => Ok(value),
        },
        DType::I8 => with!(i8, i64),
        DType::I16 => with!(i16, i64),
        DType::I32 => with!(i32, i64),
        DType::I64 => with!(i64, i64),
        DType::U8 => with!(u8, u64),
        DType::U16 => with!(u16, u64),
        DType::U32 => with!(u32, u64),
        DType::U64 => with!(u64, u64),
        DType::F32 => with!(f32, f32),
        DType::F64 => with!(f64, f64),
        // Sums of f16 are f32 until the end, as in NumPy.
        DType::F16 => match (op, with!(f16, f32)?) {
            (ReduceOp::Sum, sum) => Ok(Scalar::f16(sum.to_f64())),
            (_, value) => Ok(value),
        },
        DType::C64 => complex::reduce::<f32>(&job, op),
        DType::C128 => complex::reduce::<f64>(&job, op),
    }
}

trait FromIndex {
    fn from_index(index: usize) -> Scalar;
}

impl FromIndex for Scalar {
    fn from_index(index: usize) -> Scalar {
        Scalar::int(DType::I64, index as i128)
    }
}

struct Job<'a> {
    source: &'a Source<'a>,
    size: usize,
    scheduler: &'a Scheduler,
}

impl Job<'_> {
    /// Reduces units (subtrees) wherever the scheduler puts them, then combines them in order.
    fn run<T: Element + bytemuck::Pod, A: Accumulator<T>>(&self) -> Result<A::Output> {
        let ns = match self.source {
            Source::Memory(_) => 0.03 * size_of::<T>() as f64 + 0.05,
            Source::Products(..) => 0.06 * size_of::<T>() as f64 + 0.05,
            Source::Map(_, ns) => ns + 0.05,
        };
        // Units cost about as much as what is worth handing to a thread.
        let wanted = (20_000.0 / (ns * LEAF as f64)) as usize;
        let leaves = wanted.clamp(1, MAX_UNIT).next_power_of_two().min(MAX_UNIT);
        let unit = leaves * LEAF;
        let units = self.size.div_ceil(unit);
        let done: Mutex<Vec<(usize, A)>> = Mutex::new(Vec::new());
        self.scheduler
            .run(units, 1, ns * unit as f64, &|range: Range<usize>| {
                let mut parts = Vec::with_capacity(range.len());
                for u in range {
                    let elements = u * unit..((u + 1) * unit).min(self.size);
                    let part = match Wide::found() {
                        Some(wide) => self.unit::<T, A, Wide>(wide, elements)?,
                        None => self.unit::<T, A, Base>(Base, elements)?,
                    };
                    parts.push((u, part));
                }
                done.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .append(&mut parts);
                Ok(())
            })?;
        let mut parts = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.sort_unstable_by_key(|(u, _)| *u);
        let mut tree = Tree::new();
        for (_, part) in parts {
            tree.push(part, A::combine);
        }
        Ok(tree
            .finish(A::combine)
            .expect("bug in kjit: reduced nothing")
            .finish())
    }

    /// Reduces the leaves of one unit.
    fn unit<T: Element + bytemuck::Pod, A: Accumulator<T>, L: Level>(
        &self,
        level: L,
        elements: Range<usize>,
    ) -> Result<A> {
        let size = size_of::<T>();
        let range = elements.start * size..elements.end * size;
        match self.source {
            Source::Memory(array) => match bytemuck::try_cast_slice(part(array, range.clone())) {
                Ok(values) => Ok(level.run(Of::<T, A>::new(values, elements.start))),
                // Unaligned: through a copy.
                Err(_) => {
                    let mut values = vec![T::zeroed(); elements.len()];
                    bytemuck::cast_slice_mut(&mut values).copy_from_slice(part(array, range));
                    Ok(level.run(Of::<T, A>::new(&values, elements.start)))
                }
            },
            Source::Products(x, y) => {
                let [x, y] = [x, y].map(|array| bytemuck::cast_slice(part(array, range.clone())));
                level.run(OfProducts::<T, A>::new(x, y)).ok_or_else(|| {
                    RuntimeError::internal("bug in kjit: products that are not added up")
                })
            }
            Source::Map(execution, _) => {
                let block = (MAPPED_BYTES / (LEAF * size)).clamp(1, 4) * LEAF;
                let mut tree = Tree::new();
                // The execution takes scratch memory of its own inside of this.
                Scratch::with(block * size, |scratch| {
                    let mut at = elements.start;
                    while at < elements.end {
                        let n = block.min(elements.end - at);
                        // SAFETY: the one output has no operand, and scratch has room for `n`.
                        unsafe { execution.run(at..at + n, scratch)? };
                        // SAFETY: `n` elements were just written; scratch is aligned and ours.
                        let values = unsafe { std::slice::from_raw_parts(scratch.cast(), n) };
                        tree.push(level.run(Of::<T, A>::new(values, at)), A::combine);
                        at += n;
                    }
                    Ok::<(), RuntimeError>(())
                })?;
                Ok(tree
                    .finish(A::combine)
                    .expect("bug in kjit: a unit without leaves"))
            }
        }
    }
}

/// [`Accumulator::of`].
struct Of<'a, T, A>(&'a [T], usize, PhantomData<A>);

impl<'a, T, A> Of<'a, T, A> {
    fn new(values: &'a [T], start: usize) -> Of<'a, T, A> {
        Of(values, start, PhantomData)
    }
}

impl<T, A: Accumulator<T>> Task for Of<'_, T, A> {
    type Output = A;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> A {
        A::of(level, self.0, self.1)
    }
}

/// [`Accumulator::of`], for the vectors of this machine.
fn of<T, A: Accumulator<T>>(values: &[T], start: usize) -> A {
    match Wide::found() {
        Some(wide) => wide.run(Of::new(values, start)),
        None => Base.run(Of::new(values, start)),
    }
}

/// [`Accumulator::of_products`].
struct OfProducts<'a, T, A>(&'a [T], &'a [T], PhantomData<A>);

impl<'a, T, A> OfProducts<'a, T, A> {
    fn new(x: &'a [T], y: &'a [T]) -> OfProducts<'a, T, A> {
        OfProducts(x, y, PhantomData)
    }
}

impl<T, A: Accumulator<T>> Task for OfProducts<'_, T, A> {
    type Output = Option<A>;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> Option<A> {
        A::of_products(level, self.0, self.1)
    }
}

/// Some bytes of an array in the memory of the host.
fn part(array: &Array, range: Range<usize>) -> &[u8] {
    &array.bytes().expect("bug in kjit: reduced in memory")[range]
}

/// What a subtree has come to.
pub(crate) trait Accumulator<T>: Sized + Send {
    type Output;
    /// Of elements that make up a subtree; the first has index `start`.
    ///
    /// It is called inside of the level, as are all functions here that take one.
    fn of<L: Level>(level: L, values: &[T], start: usize) -> Self;
    /// Of the products of elements that make up a subtree, if there is a loop for that.
    #[inline(always)]
    fn of_products<L: Level>(_: L, _x: &[T], _y: &[T]) -> Option<Self> {
        None
    }
    /// Of two neighbouring subtrees.
    fn combine(self, right: Self) -> Self;
    /// The result.
    fn finish(self) -> Self::Output;
}

/// Element types as reductions see them.
pub(crate) trait Real: Element + bytemuck::Pod + PartialOrd {
    /// Largest and smallest value (infinities for floats).
    const TOP: Self;
    const BOTTOM: Self;
    /// What a NaN among the elements makes of the result.
    fn is_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn nan() -> Self {
        Self::BOTTOM
    }
    /// -0 (or +0): for ordering zeros, which compare equal.
    fn is_negative_zero(self) -> bool {
        false
    }
    /// The bits that both have, or with `either` one has. Of two zeros that is the larger or the smaller one:
    /// -0 comes before +0.
    fn bits_of(self, _other: Self, _either: bool) -> Self {
        self
    }
    /// The extreme of some elements without regard to NaNs and signs of zeros, and whether one was NaN.
    #[inline(always)]
    fn plain_extreme<L: Level, const MAX: bool>(_: L, values: &[Self]) -> (Self, bool) {
        let start = if MAX { Self::BOTTOM } else { Self::TOP };
        values.iter().fold((start, false), |(a, nan), b| {
            let better = if MAX { *b > a } else { *b < a };
            (if better { *b } else { a }, nan | b.is_nan())
        })
    }
}

macro_rules! reals {
    ($($int:ident)*; $($float:ident $Lanes:ident)*) => {
        $(impl Real for $int {
            const TOP: $int = $int::MAX;
            const BOTTOM: $int = $int::MIN;
        })*
        $(impl Real for $float {
            const TOP: $float = $float::INFINITY;
            const BOTTOM: $float = $float::NEG_INFINITY;
            #[inline(always)]
            fn is_nan(self) -> bool { self.is_nan() }
            #[inline(always)]
            fn nan() -> $float { $float::NAN }
            #[inline(always)]
            fn is_negative_zero(self) -> bool { self == 0.0 && self.is_sign_negative() }
            #[inline(always)]
            fn bits_of(self, other: $float, either: bool) -> $float {
                let (a, b) = (self.to_bits(), other.to_bits());
                $float::from_bits(if either { a | b } else { a & b })
            }
            #[inline(always)]
            fn plain_extreme<L: Level, const MAX: bool>(_: L, values: &[$float]) -> ($float, bool) {
                // SAFETY: inside of the level.
                unsafe { plain_extreme::<$float, L::$Lanes, MAX>(values) }
            }
        })*
    };
}

reals! { i8 i16 i32 i64 u8 u16 u32 u64; f32 F32 f64 F64 }

impl Real for f16 {
    const TOP: f16 = f16::INFINITY;
    const BOTTOM: f16 = f16::NEG_INFINITY;
    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }
    #[inline(always)]
    fn nan() -> f16 {
        f16::NAN
    }
    fn is_negative_zero(self) -> bool {
        self.to_bits() == 0x8000
    }
}

/// A sum so far.
#[derive(Clone, Copy)]
struct Sum<S>(S);

/// The accumulator of a sum: wraps for integers.
trait Addend: Element + Copy {
    fn plus(self, other: Self) -> Self;
}

/// An element as an addend.
trait Widen<S: Addend>: Copy {
    fn widen(self) -> S;

    /// The sum of at least one element, on the tree where the order makes a difference.
    #[inline(always)]
    fn sum<L: Level>(_: L, values: &[Self]) -> S {
        subtree(values, Self::widen, S::plus)
    }

    /// The sum of the products of elements, rounded as kernels do it, if there is a loop for that.
    #[inline(always)]
    fn sum_of_products<L: Level>(_: L, _x: &[Self], _y: &[Self]) -> Option<S> {
        None
    }
}

impl Widen<f32> for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

/// Sums of floats.
struct Plus;

impl<T: std::ops::Add<Output = T>> Join<T> for Plus {
    #[inline(always)]
    fn lanes<V: Lanes<T>>(a: V, b: V) -> V {
        a.add(b)
    }

    #[inline(always)]
    fn one(a: T, b: T) -> T {
        a + b
    }
}

macro_rules! sums {
    ($($from:ty => $to:ty),*; $($float:ident $Lanes:ident),*) => {
        $(impl Widen<$to> for $from {
            #[inline(always)]
            fn widen(self) -> $to { self as $to }

            #[inline(always)]
            fn sum<L: Level>(_: L, values: &[$from]) -> $to {
                values.iter().fold(0, |sum: $to, x| sum.wrapping_add(*x as $to))
            }

            #[inline(always)]
            fn sum_of_products<L: Level>(_: L, x: &[$from], y: &[$from]) -> Option<$to> {
                let products = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y) as $to);
                Some(products.fold(0, <$to>::wrapping_add))
            }
        })*
        $(impl Widen<$float> for $float {
            #[inline(always)]
            fn widen(self) -> $float { self }

            #[inline(always)]
            fn sum<L: Level>(_: L, x: &[$float]) -> $float {
                // SAFETY: inside of the level.
                unsafe { float_subtree::<$float, L::$Lanes, Plus, _>(x) }
            }

            #[inline(always)]
            fn sum_of_products<L: Level>(_: L, x: &[$float], y: &[$float]) -> Option<$float> {
                let x = Products::new(x, y);
                // SAFETY: inside of the level.
                Some(unsafe { float_subtree::<$float, L::$Lanes, Plus, _>(x) })
            }
        })*
    };
}

sums!(i8 => i64, i16 => i64, i32 => i64, i64 => i64, u8 => i64, u8 => u64, u16 => u64, u32 => u64,
      u64 => u64; f32 F32, f64 F64);

macro_rules! addends {
    ($($int:ty)*; $($float:ty)*) => {
        $(impl Addend for $int {
            #[inline(always)]
            fn plus(self, other: $int) -> $int { self.wrapping_add(other) }
        })*
        $(impl Addend for $float {
            #[inline(always)]
            fn plus(self, other: $float) -> $float { self + other }
        })*
    };
}

addends! { i64 u64; f32 f64 }

impl<T: Element + Widen<S>, S: Addend> Accumulator<T> for Sum<S> {
    type Output = S;

    #[inline(always)]
    fn of<L: Level>(level: L, values: &[T], _: usize) -> Sum<S> {
        Sum(T::sum(level, values))
    }

    #[inline(always)]
    fn of_products<L: Level>(level: L, x: &[T], y: &[T]) -> Option<Sum<S>> {
        T::sum_of_products(level, x, y).map(Sum)
    }

    fn combine(self, right: Sum<S>) -> Sum<S> {
        Sum(self.0.plus(right.0))
    }

    fn finish(self) -> S {
        self.0
    }
}

/// The smallest (or with `MAX` the largest) element so far; -0 is below +0, and NaN beats all.
///
/// As the order is total, it does not depend on the shape of the tree.
pub(crate) struct Extreme<T, const MAX: bool>(T);

impl<T: Real, const MAX: bool> Extreme<T, MAX> {
    /// Of some elements.
    #[inline(always)]
    pub(crate) fn of<L: Level>(level: L, values: &[T]) -> T {
        let (best, nan) = T::plain_extreme::<L, MAX>(level, values);
        if nan {
            return T::nan();
        }
        zero_of::<T, MAX>(best, values)
    }

    /// Of those elements that are numbers; NaN if none is.
    #[inline(always)]
    pub(crate) fn of_numbers<L: Level>(level: L, values: &[T]) -> T {
        let (best, nan) = T::plain_extreme::<L, MAX>(level, values);
        let none = if MAX { T::BOTTOM } else { T::TOP };
        if nan && best == none && values.iter().all(|v| v.is_nan()) {
            return T::nan();
        }
        zero_of::<T, MAX>(best, values)
    }
}

/// The extreme of some elements but for the sign of a zero.
#[inline(always)]
fn zero_of<T: Real, const MAX: bool>(best: T, values: &[T]) -> T {
    if best != T::zeroed() {
        return best;
    }
    // A zero of the better sign is often near.
    let wanted = |v: &&T| **v == T::zeroed() && v.is_negative_zero() != MAX;
    values.iter().find(wanted).copied().unwrap_or(best)
}

/// [`Real::plain_extreme`] of floats.
///
/// # Safety
/// It is called inside of the level of `V`.
#[inline(always)]
unsafe fn plain_extreme<T: Real, V: Lanes<T>, const MAX: bool>(values: &[T]) -> (T, bool) {
    let start = if MAX { T::BOTTOM } else { T::TOP };
    let (mut best, mut more) = (V::splat(start), V::splat(start));
    // Lanes that have seen a NaN. Two elements are asked at once.
    let mut odd = V::splat(T::zeroed());
    let (rows, rest) = values.as_chunks::<{ 2 * LANES }>();
    // SAFETY: whole rows, and what is left over.
    unsafe {
        for row in rows {
            let (a, b) = (V::load(row.as_ptr()), V::load(row.as_ptr().add(LANES)));
            best = a.pick::<MAX>(best);
            more = b.pick::<MAX>(more);
            odd = odd.or(a.unordered(b));
        }
        for row in rest.chunks(LANES) {
            let row = match row.len() {
                LANES => V::load(row.as_ptr()),
                n => V::load_first(row.as_ptr(), n).first(n, V::splat(start)),
            };
            best = row.pick::<MAX>(best);
            odd = odd.or(row.unordered(row));
        }
    }
    let better = |a: T, b: T| if MAX { a > b } else { a < b };
    let best = best.pick::<MAX>(more).to_array();
    let best = best
        .into_iter()
        .fold(start, |a, b| if better(b, a) { b } else { a });
    let nan = odd
        .to_array()
        .into_iter()
        .fold(false, |nan, v| nan | v.is_nan());
    (best, nan)
}

impl<T: Real, const MAX: bool> Accumulator<T> for Extreme<T, MAX> {
    type Output = T;

    #[inline(always)]
    fn of<L: Level>(level: L, values: &[T], _: usize) -> Self {
        Extreme(Extreme::<T, MAX>::of(level, values))
    }

    fn combine(self, right: Self) -> Self {
        Extreme(Extreme::<T, MAX>::of(Base, &[self.0, right.0]))
    }

    fn finish(self) -> T {
        self.0
    }
}

/// The first extreme element so far, with its index; the first NaN beats all.
struct ArgExtreme<T, const MAX: bool> {
    value: T,
    index: usize,
}

impl<T: Real, const MAX: bool> Accumulator<T> for ArgExtreme<T, MAX> {
    type Output = usize;

    #[inline(always)]
    fn of<L: Level>(level: L, values: &[T], start: usize) -> Self {
        let (best, nan) = T::plain_extreme::<L, MAX>(level, values);
        let found = if nan {
            values.iter().position(|v| v.is_nan())
        } else {
            values.iter().position(|v| *v == best)
        };
        let at = found.expect("bug in kjit: an extreme that is no element");
        ArgExtreme {
            value: values[at],
            index: start + at,
        }
    }

    fn combine(self, right: Self) -> Self {
        let better = if MAX {
            right.value > self.value
        } else {
            right.value < self.value
        };
        if !self.value.is_nan() && (right.value.is_nan() || better) {
            right
        } else {
            self
        }
    }

    fn finish(self) -> usize {
        self.index
    }
}
