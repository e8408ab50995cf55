//! Reductions of all elements to one value, on a tree that the length alone decides.
//!
//! The tree is that of [`crate::tree`], over the elements in C order.
//!
//! The map (what is summed) is computed leaf by leaf into cache-resident memory: no temporary array.

mod complex;
mod rows;

pub(crate) use rows::arg_extremes;

use crate::exec::Execution;
use crate::schedule::Scheduler;
use crate::scratch::Scratch;
use crate::tree::{LANES, LEAF, Tree, leaf};
use crate::{Array, Element, ReduceOp, Result, RuntimeError};
use half::f16;
use kjit_ir::{DType, Scalar};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Leaves mapped at a time.
const MAPPED_LEAVES: usize = 4;
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
                RuntimeError::value(format!("{} of no elements has no value", op_name(op)))
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

fn op_name(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Sum => "sum",
        ReduceOp::Min => "min",
        ReduceOp::Max => "max",
        ReduceOp::ArgMin => "argmin",
        ReduceOp::ArgMax => "argmax",
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
                    parts.push((u, self.unit::<T, A>(elements)?));
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
    fn unit<T: Element + bytemuck::Pod, A: Accumulator<T>>(
        &self,
        elements: Range<usize>,
    ) -> Result<A> {
        let mut tree = Tree::new();
        let mut leaves = |values: &[T], start: usize| {
            for (i, leaf) in values.chunks(LEAF).enumerate() {
                tree.push(A::leaf(leaf, start + i * LEAF), A::combine);
            }
        };
        match self.source {
            Source::Memory(array) => {
                let bytes = array.bytes().expect("bug in kjit: reduced in memory");
                let size = size_of::<T>();
                let part = &bytes[elements.start * size..elements.end * size];
                match bytemuck::try_cast_slice(part) {
                    Ok(values) => leaves(values, elements.start),
                    // Unaligned: leaf by leaf through a copy.
                    Err(_) => {
                        for (i, leaf) in part.chunks(LEAF * size).enumerate() {
                            let mut values = vec![T::zeroed(); leaf.len() / size];
                            bytemuck::cast_slice_mut(&mut values).copy_from_slice(leaf);
                            leaves(&values, elements.start + i * LEAF);
                        }
                    }
                }
            }
            Source::Map(execution, _) => {
                let block = MAPPED_LEAVES * LEAF;
                // The execution takes scratch memory of its own inside of this.
                Scratch::with(block * size_of::<T>(), |scratch| {
                    let mut at = elements.start;
                    while at < elements.end {
                        let n = block.min(elements.end - at);
                        // SAFETY: the one output has no operand, and scratch has room for `n`.
                        unsafe { execution.run(at..at + n, scratch)? };
                        // SAFETY: `n` elements were just written; scratch is aligned and ours.
                        leaves(unsafe { std::slice::from_raw_parts(scratch.cast(), n) }, at);
                        at += n;
                    }
                    Ok::<(), RuntimeError>(())
                })?;
            }
        }
        Ok(tree
            .finish(A::combine)
            .expect("bug in kjit: a unit without leaves"))
    }
}

/// What a subtree has come to.
pub(crate) trait Accumulator<T>: Sized + Send {
    type Output;
    /// Of one leaf, whose first element has index `start`.
    fn leaf(values: &[T], start: usize) -> Self;
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
    fn nan() -> Self {
        Self::BOTTOM
    }
    /// -0 (or +0): for ordering zeros, which compare equal.
    fn is_negative_zero(self) -> bool {
        false
    }
    /// Of two numbers that compare equal, the larger one (or the smaller): -0 comes before +0.
    fn zero_of(self, _other: Self, _larger: bool) -> Self {
        self
    }
}

macro_rules! reals {
    ($($int:ident)*; $($float:ident)*) => {
        $(impl Real for $int {
            const TOP: $int = $int::MAX;
            const BOTTOM: $int = $int::MIN;
        })*
        $(impl Real for $float {
            const TOP: $float = $float::INFINITY;
            const BOTTOM: $float = $float::NEG_INFINITY;
            #[inline(always)]
            fn is_nan(self) -> bool { self.is_nan() }
            fn nan() -> $float { $float::NAN }
            fn is_negative_zero(self) -> bool { self == 0.0 && self.is_sign_negative() }
            #[inline(always)]
            fn zero_of(self, other: $float, larger: bool) -> $float {
                let (a, b) = (self.to_bits(), other.to_bits());
                $float::from_bits(if larger { a & b } else { a | b })
            }
        })*
    };
}

reals! { i8 i16 i32 i64 u8 u16 u32 u64; f32 f64 }

impl Real for f16 {
    const TOP: f16 = f16::INFINITY;
    const BOTTOM: f16 = f16::NEG_INFINITY;
    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }
    fn nan() -> f16 {
        f16::NAN
    }
    fn is_negative_zero(self) -> bool {
        self.to_bits() == 0x8000
    }
}

impl Widen<f32> for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
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
trait Widen<S>: Copy {
    fn widen(self) -> S;
}

macro_rules! sums {
    ($($from:ty => $to:ty),*) => {$(
        impl Widen<$to> for $from {
            #[inline(always)]
            fn widen(self) -> $to { self as $to }
        }
    )*};
}

sums!(i8 => i64, i16 => i64, i32 => i64, i64 => i64, u8 => i64, u8 => u64, u16 => u64, u32 => u64,
      u64 => u64, f32 => f32, f64 => f64);

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

    fn leaf(values: &[T], _: usize) -> Sum<S> {
        Sum(leaf(values, Widen::widen, Addend::plus))
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
    #[inline]
    pub(crate) fn of(values: &[T]) -> T {
        <Self as Accumulator<T>>::leaf(values, 0).0
    }

    /// Of those elements that are numbers; NaN if none is.
    #[inline]
    pub(crate) fn of_numbers(values: &[T]) -> T {
        let (best, nan) = plain_extreme::<T, MAX>(values);
        let none = if MAX { T::BOTTOM } else { T::TOP };
        if nan && best == none && values.iter().all(|v| v.is_nan()) {
            return T::nan();
        }
        if best == T::zeroed() {
            let numbers = values.iter().copied().filter(|v| *v == T::zeroed());
            return numbers.reduce(|a, b| a.zero_of(b, MAX)).unwrap_or(best);
        }
        best
    }
}

/// The extreme of some elements without regard to NaNs and signs of zeros, and whether one was NaN.
#[inline(always)]
fn plain_extreme<T: Real, const MAX: bool>(values: &[T]) -> (T, bool) {
    let start = if MAX { T::BOTTOM } else { T::TOP };
    let pick = |a: T, b: T| {
        if MAX {
            if b > a { b } else { a }
        } else if b < a {
            b
        } else {
            a
        }
    };
    let mut lanes = [start; LANES];
    let mut nan = false;
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        let mut nans = false;
        for j in 0..LANES {
            lanes[j] = pick(lanes[j], row[j]);
            nans |= row[j].is_nan();
        }
        nan |= nans;
    }
    let mut best = rest.iter().fold(start, |a, b| pick(a, *b));
    nan |= rest.iter().any(|v| v.is_nan());
    for lane in lanes {
        best = pick(best, lane);
    }
    (best, nan)
}

impl<T: Real, const MAX: bool> Accumulator<T> for Extreme<T, MAX> {
    type Output = T;

    fn leaf(values: &[T], _: usize) -> Self {
        let (best, nan) = plain_extreme::<T, MAX>(values);
        if nan {
            return Extreme(T::nan());
        }
        if best == T::zeroed() {
            let negative = |v: &&T| v.is_negative_zero();
            let positive = |v: &&T| **v == T::zeroed() && !v.is_negative_zero();
            let zero = if MAX {
                values.iter().find(positive)
            } else {
                values.iter().find(negative)
            };
            return Extreme(zero.copied().unwrap_or(best));
        }
        Extreme(best)
    }

    fn combine(self, right: Self) -> Self {
        let pair = [self.0, right.0];
        <Self as Accumulator<T>>::leaf(&pair, 0)
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

    fn leaf(values: &[T], start: usize) -> Self {
        let (best, nan) = plain_extreme::<T, MAX>(values);
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
