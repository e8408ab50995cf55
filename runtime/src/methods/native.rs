//! Loops of the operations whose reductions are run most: `+ * min max fmin fmax & | ^` of plain numbers.

use super::combine::{Column, Combine, RowMut, Run, RunMut};
use crate::Result;
use crate::reduce::{Extreme, Real};
use crate::tree::{Join, LANES, LEAF, float_subtree};
use crate::wide::{Base, Lanes, Level, Task, Wide};
use kjit_ir::{DType, Opcode};
use std::marker::PhantomData;
use std::ops::Range;

/// An operation on a type.
trait Op<T: Copy>: Send + Sync + 'static {
    /// Is the result the same in whatever order elements are combined?
    const ANY_ORDER: bool;

    fn apply(a: T, b: T) -> T;

    /// The tree of at least one element. It is called inside of the level.
    fn subtree<L: Level>(level: L, values: &[T]) -> T;

    /// Is there a loop for elements of this other dtype?
    #[inline(always)]
    fn widens(_: DType) -> bool {
        false
    }

    /// The tree of elements of another dtype.
    ///
    /// # Safety
    /// There are `n` aligned elements, and there is a loop for them.
    #[inline(always)]
    unsafe fn widening_subtree(_from: DType, _x: *const u8, _n: usize) -> T {
        unreachable!("bug in kjit: elements that are not widened")
    }
}

struct Add;
struct Mul;
struct Min;
struct Max;
struct FMin;
struct FMax;
struct And;
struct Or;
struct Xor;

macro_rules! ops {
    ($($Op:ident [$($T:ty)*] |$a:ident, $b:ident| $value:expr;)*) => {$($(
        impl Op<$T> for $Op {
            const ANY_ORDER: bool = true;

            #[inline(always)]
            fn apply($a: $T, $b: $T) -> $T { $value }

            #[inline(always)]
            fn subtree<L: Level>(_: L, values: &[$T]) -> $T {
                any_order::<$T, $Op>(values)
            }
        }
    )*)*};
}

/// Of at least one element.
#[inline(always)]
fn any_order<T: Copy, O: Op<T>>(values: &[T]) -> T {
    values[1..]
        .iter()
        .fold(values[0], |all, value| O::apply(all, *value))
}

// Where signs make no difference, signed integers take the loops of unsigned ones.
ops! {
    Add [u8 u16 u32] |a, b| a.wrapping_add(b);
    Mul [u8 u16 u32 u64] |a, b| a.wrapping_mul(b);
    Min [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.min(b);
    Max [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.max(b);
    And [u8 u16 u32 u64] |a, b| a & b;
    Or [u8 u16 u32 u64] |a, b| a | b;
    Xor [u8 u16 u32 u64] |a, b| a ^ b;
}

macro_rules! float_ops {
    ($($Op:ident $lanes:ident [$($T:ident $Lanes:ident)*] |$a:ident, $b:ident| $value:expr;)*) => {$($(
        impl Op<$T> for $Op {
            const ANY_ORDER: bool = false;

            #[inline(always)]
            fn apply($a: $T, $b: $T) -> $T { $value }

            #[inline(always)]
            fn subtree<L: Level>(_: L, values: &[$T]) -> $T {
                // SAFETY: inside of the level.
                unsafe { float_subtree::<$T, L::$Lanes, $Op, _>(values) }
            }
        }

        impl Join<$T> for $Op {
            #[inline(always)]
            fn lanes<V: Lanes<$T>>(a: V, b: V) -> V { a.$lanes(b) }

            #[inline(always)]
            fn one(a: $T, b: $T) -> $T { <$Op as Op<$T>>::apply(a, b) }
        }
    )*)*};
}

float_ops! {
    Add add [f32 F32 f64 F64] |a, b| a + b;
    Mul mul [f32 F32 f64 F64] |a, b| a * b;
}

macro_rules! extremes {
    ($($Op:ident $max:literal $subtree:ident |$a:ident, $b:ident| $odd:expr;)*) => {$(
        extremes!($Op f32 $max $subtree |$a, $b| $odd);
        extremes!($Op f64 $max $subtree |$a, $b| $odd);
    )*};
    ($Op:ident $T:ident $max:literal $subtree:ident |$a:ident, $b:ident| $odd:expr) => {
        impl Op<$T> for $Op {
            const ANY_ORDER: bool = true;

            // Comparisons and selects only, so that loops vectorise.
            #[inline(always)]
            fn apply($a: $T, $b: $T) -> $T {
                // Of different numbers both are the better one; of equal zeros each is another one.
                let p = if (if $max { $a > $b } else { $a < $b }) { $a } else { $b };
                let q = if (if $max { $b > $a } else { $b < $a }) { $b } else { $a };
                let best = p.bits_of(q, !$max);
                let (odd, instead) = $odd;
                if odd { instead } else { best }
            }

            #[inline(always)]
            fn subtree<L: Level>(level: L, values: &[$T]) -> $T {
                Extreme::<$T, $max>::$subtree(level, values)
            }
        }
    };
}

// Where one is NaN, the comparisons have picked it in one of two: see to what NaNs ask for.
extremes! {
    Min false of |a, b| (a.is_nan() | b.is_nan(), <_ as Real>::nan());
    Max true of |a, b| (a.is_nan() | b.is_nan(), <_ as Real>::nan());
    FMin false of_numbers |a, b| (a.is_nan() | b.is_nan(), if a.is_nan() { b } else { a });
    FMax true of_numbers |a, b| (a.is_nan() | b.is_nan(), if a.is_nan() { b } else { a });
}

/// The loops of an operation on a dtype, where there are any.
pub(super) fn combine(op: Opcode, dtype: DType) -> Option<Box<dyn Combine>> {
    match Wide::found() {
        Some(wide) => combine_at(wide, op, dtype),
        None => combine_at(Base, op, dtype),
    }
}

fn combine_at<L: Level>(level: L, op: Opcode, dtype: DType) -> Option<Box<dyn Combine>> {
    macro_rules! native {
        ($T:ty: $($Op:ident)*) => {
            match op {
                $(Opcode::$Op => {
                    let native = Native::<$T, $Op, L> { dtype, level, op: PhantomData };
                    Some(Box::new(native) as Box<dyn Combine>)
                })*
                _ => None,
            }
        };
    }
    macro_rules! int {
        ($signed:ty, $unsigned:ty) => {
            match (op, dtype.is_unsigned_int()) {
                (Opcode::Min | Opcode::Max, false) => native!($signed: Min Max),
                _ => native!($unsigned: Add Mul Min Max And Or Xor),
            }
        };
    }
    match dtype {
        // A bool is a byte that is 0 or 1.
        DType::Bool => native!(u8: And Or Xor),
        DType::I8 | DType::U8 => int!(i8, u8),
        DType::I16 | DType::U16 => int!(i16, u16),
        DType::I32 | DType::U32 => int!(i32, u32),
        DType::I64 | DType::U64 => int!(i64, u64),
        DType::F32 => native!(f32: Add Mul Min Max FMin FMax),
        DType::F64 => native!(f64: Add Mul Min Max FMin FMax),
        DType::F16 | DType::C64 | DType::C128 => None,
    }
}

/// Sums of small integers, widened on the way.
impl Op<u64> for Add {
    const ANY_ORDER: bool = true;

    #[inline(always)]
    fn apply(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn subtree<L: Level>(_: L, values: &[u64]) -> u64 {
        any_order::<u64, Add>(values)
    }

    #[inline(always)]
    fn widens(from: DType) -> bool {
        from.is_int() && from.size() < 8
    }

    #[inline(always)]
    unsafe fn widening_subtree(from: DType, x: *const u8, n: usize) -> u64 {
        macro_rules! widened {
            ($T:ty as $wide:ty) => {{
                // SAFETY: the caller vouches for `n` aligned elements.
                let values = unsafe { std::slice::from_raw_parts(x.cast::<$T>(), n) };
                (values.iter()).fold(0, |sum: u64, v| sum.wrapping_add(*v as $wide as u64))
            }};
        }
        match from {
            DType::I8 => widened!(i8 as i64),
            DType::I16 => widened!(i16 as i64),
            DType::I32 => widened!(i32 as i64),
            DType::U8 => widened!(u8 as u64),
            DType::U16 => widened!(u16 as u64),
            _ => widened!(u32 as u64),
        }
    }
}

/// Rows that a lane takes in at a time: so many streams of memory are read side by side.
const STREAMS: usize = 8;

/// `to[i]` is `first[i]` combined with the `i`-th element of each row, one row after the other.
///
/// # Safety
/// All have `n` elements; `to` may be `first` and overlaps nothing else.
#[inline(always)]
unsafe fn chain<T: Copy, O: Op<T>>(first: *const T, rows: &[*const T], to: *mut T, n: usize) {
    let mut i = 0;
    // SAFETY: elements up to `n` at the most.
    unsafe {
        // Some registers of accumulators, with as many left for what is done with them.
        let wide = if size_of::<T>() == 8 { 16 } else { 32 };
        while i + wide <= n {
            match wide {
                16 => chain_at::<T, O, 16>(first, rows, to, i),
                _ => chain_at::<T, O, 32>(first, rows, to, i),
            }
            i += wide;
        }
        while i + 4 <= n {
            chain_at::<T, O, 4>(first, rows, to, i);
            i += 4;
        }
        while i < n {
            chain_at::<T, O, 1>(first, rows, to, i);
            i += 1;
        }
    }
}

/// # Safety
/// As [`chain`], for `N` elements from `i`.
#[inline(always)]
unsafe fn chain_at<T: Copy, O: Op<T>, const N: usize>(
    first: *const T,
    rows: &[*const T],
    to: *mut T,
    i: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut value: [T; N] = first.add(i).cast::<[T; N]>().read();
        for row in rows {
            let next: [T; N] = row.add(i).cast::<[T; N]>().read();
            for j in 0..N {
                value[j] = O::apply(value[j], next[j]);
            }
        }
        to.add(i).cast::<[T; N]>().write(value);
    }
}

/// `to[i]` is the `i`-th element of the lanes that are present, combined with each other.
///
/// # Safety
/// The lanes have `n` elements each; `to` as well, and it overlaps none of them.
#[inline(always)]
unsafe fn halve<T: Copy, O: Op<T>>(
    lanes: &[*const T; LANES],
    present: usize,
    to: *mut T,
    n: usize,
) {
    let mut i = 0;
    // SAFETY: elements up to `n` at the most.
    unsafe {
        while present == LANES && i + 8 <= n {
            halve_at::<T, O, 8>(lanes, LANES, to, i);
            i += 8;
        }
        while i + 4 <= n {
            halve_at::<T, O, 4>(lanes, present, to, i);
            i += 4;
        }
        while i < n {
            halve_at::<T, O, 1>(lanes, present, to, i);
            i += 1;
        }
    }
}

/// # Safety
/// As [`halve`], for `N` elements from `i`.
#[inline(always)]
unsafe fn halve_at<T: Copy, O: Op<T>, const N: usize>(
    lanes: &[*const T; LANES],
    present: usize,
    to: *mut T,
    i: usize,
) {
    // SAFETY: the caller's promise; lanes that are not present are not read.
    unsafe {
        let first = lanes[0].add(i).cast::<[T; N]>().read();
        let mut value = [first; LANES];
        for k in 1..present {
            value[k] = lanes[k].add(i).cast::<[T; N]>().read();
        }
        for w in [8, 4, 2, 1] {
            for k in 0..w.min(present.saturating_sub(w)) {
                let right = value[k + w];
                for (left, right) in value[k].iter_mut().zip(right) {
                    *left = O::apply(*left, right);
                }
            }
        }
        to.add(i).cast::<[T; N]>().write(value[0]);
    }
}

/// The tree of each of `n` neighbouring columns of `rows` elements; rows lie `x.1` bytes apart.
///
/// # Safety
/// As [`Combine::across`].
#[inline(always)]
unsafe fn across<T: Copy, O: Op<T>>(
    x: (*const T, isize),
    rows: usize,
    memory: *mut T,
    to: *mut T,
    n: usize,
) {
    let row = |r: usize| x.0.wrapping_byte_offset(r as isize * x.1);
    let mut list = [x.0; STREAMS];
    // SAFETY: rows up to `rows` are read; memory has room for all lanes.
    unsafe {
        if O::ANY_ORDER {
            let mut first = x.0;
            let mut at = 1;
            while at < rows || std::ptr::eq(first, x.0) {
                let count = STREAMS.min(rows - at);
                for (k, place) in list.iter_mut().enumerate().take(count) {
                    *place = row(at + k);
                }
                chain::<T, O>(first, &list[..count], to, n);
                (first, at) = (to, at + count);
            }
            return;
        }
        // A lane of one row is that row; others come together in memory.
        let present = rows.min(LANES);
        let mut lanes: [*const T; LANES] = std::array::from_fn(row);
        for start in (LANES..rows).step_by(STREAMS * LANES) {
            for (j, lane) in lanes.iter_mut().enumerate() {
                let mut count = 0;
                for r in (start + j..rows).step_by(LANES).take(STREAMS) {
                    list[count] = row(r);
                    count += 1;
                }
                if count > 0 {
                    let place = memory.add(j * n);
                    chain::<T, O>(*lane, &list[..count], place, n);
                    *lane = place;
                }
            }
        }
        halve::<T, O>(&lanes, present, to, n);
    }
}

/// [`Combine::rows`].
struct Chain<T, O> {
    first: *const T,
    row: *const T,
    to: *mut T,
    n: usize,
    op: PhantomData<O>,
}

impl<T: Copy, O: Op<T>> Task for Chain<T, O> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self, _: L) {
        // SAFETY: whoever asks for it vouches for `n` elements of each.
        unsafe { chain::<T, O>(self.first, &[self.row], self.to, self.n) };
    }
}

/// [`Combine::across`].
struct Across<T, O> {
    x: (*const T, isize),
    rows: usize,
    memory: *mut T,
    to: *mut T,
    n: usize,
    op: PhantomData<O>,
}

impl<T: Copy, O: Op<T>> Task for Across<T, O> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self, _: L) {
        // SAFETY: whoever asks for it vouches for the rows and the room.
        unsafe { across::<T, O>(self.x, self.rows, self.memory, self.to, self.n) };
    }
}

/// [`Combine::subtrees`].
struct Subtrees<T, O> {
    /// The dtype of the elements, if it is another one.
    from: Option<DType>,
    x: Column,
    count: usize,
    to: *mut T,
    op: PhantomData<O>,
}

impl<T: Copy, O: Op<T>> Task for Subtrees<T, O> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> bool {
        let x = self.x;
        if self.from.is_some_and(|from| !O::widens(from)) {
            return false;
        }
        for n in 0..self.count {
            let first = x.first.wrapping_offset(n as isize * x.step);
            // SAFETY: whoever asks for it vouches for the elements, aligned for their dtype, and for room.
            unsafe {
                *self.to.add(n) = match self.from {
                    None if x.len < LANES => {
                        few::<T, O>(std::slice::from_raw_parts(first.cast::<T>(), x.len))
                    }
                    None => O::subtree(level, std::slice::from_raw_parts(first.cast::<T>(), x.len)),
                    Some(from) => O::widening_subtree(from, first, x.len),
                };
            }
        }
        true
    }
}

/// [`Combine::slices`].
struct Slices<'a, T, O> {
    first: *const T,
    slices: &'a [Range<usize>],
    to: *mut T,
    op: PhantomData<O>,
}

impl<T: Copy, O: Op<T>> Task for Slices<'_, T, O> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self, level: L) {
        for (n, slice) in self.slices.iter().enumerate() {
            // SAFETY: whoever asks for it vouches for the elements and for room.
            unsafe {
                let first = self.first.add(slice.start);
                let values = std::slice::from_raw_parts(first, slice.len());
                *self.to.add(n) = match values.len() < LANES {
                    true => few::<T, O>(values),
                    false => O::subtree(level, values),
                };
            }
        }
    }
}

/// The tree of up to 15 elements, at least one: lanes `j` and `j + w` are combined for `w` = 8, 4, 2, 1.
#[inline(always)]
fn few<T: Copy, O: Op<T>>(values: &[T]) -> T {
    let n = values.len();
    if O::ANY_ORDER || n < 3 {
        return any_order::<T, O>(values);
    }
    if let [a, b, c] = *values {
        return O::apply(O::apply(a, c), b);
    }
    // Lane `j` of four, after the widths 8 and 4.
    let lane = |j: usize| {
        let pair = |k: usize| {
            // SAFETY: places of the slice: `k` is, as the caller sees to.
            let x = |k: usize| unsafe { *values.get_unchecked(k) };
            if k + 8 < n {
                O::apply(x(k), x(k + 8))
            } else {
                x(k)
            }
        };
        if j + 4 < n {
            O::apply(pair(j), pair(j + 4))
        } else {
            pair(j)
        }
    };
    let (left, right) = (O::apply(lane(0), lane(2)), O::apply(lane(1), lane(3)));
    O::apply(left, right)
}

/// The loops of one operation on one type, which is that of the dtype or its bits.
struct Native<T, O, L> {
    dtype: DType,
    level: L,
    op: PhantomData<(T, O)>,
}

impl<T: Copy + Send + Sync + 'static, O: Op<T>, L: Level> Combine for Native<T, O, L> {
    unsafe fn rows(&self, a: *const u8, b: *const u8, to: *mut u8, n: usize) -> Result<()> {
        // A chunk is read before it is written, so that `to` may be either.
        self.level.run(Chain::<T, O> {
            first: a.cast(),
            row: b.cast(),
            to: to.cast(),
            n,
            op: PhantomData,
        });
        Ok(())
    }

    unsafe fn leaf(&self, first: *const u8, len: usize, to: *mut u8) -> Result<()> {
        let x = Column {
            first,
            len,
            step: 0,
        };
        // SAFETY: passed on; it has a loop for its own dtype.
        unsafe { self.subtrees(self.dtype, x, 1, to) };
        Ok(())
    }

    unsafe fn subtrees(&self, from: DType, x: Column, count: usize, to: *mut u8) -> bool {
        self.level.run(Subtrees::<T, O> {
            from: (from != self.dtype).then_some(from),
            x,
            count,
            to: to.cast(),
            op: PhantomData,
        })
    }

    unsafe fn slices(
        &self,
        from: DType,
        first: *const u8,
        slices: &[Range<usize>],
        to: *mut u8,
    ) -> bool {
        from == self.dtype && {
            self.level.run(Slices::<T, O> {
                first: first.cast(),
                slices,
                to: to.cast(),
                op: PhantomData,
            });
            true
        }
    }

    unsafe fn across(&self, x: Run, rows: usize, memory: *mut u8, to: *mut u8, n: usize) -> bool {
        if rows > LEAF && !O::ANY_ORDER {
            return false;
        }
        self.level.run(Across::<T, O> {
            x: (x.0.cast(), x.1),
            rows,
            memory: memory.cast(),
            to: to.cast(),
            n,
            op: PhantomData,
        });
        true
    }

    unsafe fn fold(&self, acc: *mut u8, x: Run, n: usize) -> Result<()> {
        let acc = acc.cast::<T>();
        // SAFETY: the caller vouches for the accumulator and `n` elements.
        unsafe {
            let mut value = *acc;
            for i in 0..n as isize {
                value = O::apply(value, *x.0.offset(i * x.1).cast::<T>());
            }
            *acc = value;
        }
        Ok(())
    }

    unsafe fn scan(&self, x: Run, to: RunMut, n: usize) -> Result<()> {
        // SAFETY: the caller vouches for `n` elements of `x` and one more of `to`.
        unsafe {
            let mut value = *to.0.cast::<T>();
            for i in 0..n as isize {
                value = O::apply(value, *x.0.offset(i * x.1).cast::<T>());
                *to.0.offset((i + 1) * to.1).cast::<T>() = value;
            }
        }
        Ok(())
    }

    unsafe fn scatter(&self, to: RunMut, positions: &[usize], x: Run) -> bool {
        for (n, i) in positions.iter().enumerate() {
            // SAFETY: the caller vouches for the positions and the elements.
            unsafe {
                let place = to.0.offset(*i as isize * to.1).cast::<T>();
                *place = O::apply(*place, *x.0.offset(n as isize * x.1).cast::<T>());
            }
        }
        true
    }

    unsafe fn join(&self, a: RowMut, b: RowMut, n: usize) -> bool {
        let (x, y) = (a.values.cast::<T>(), b.values.cast::<T>());
        for i in 0..n {
            // SAFETY: the caller vouches for `n` elements of each. Absent elements are initialised memory,
            // and the operations are total.
            unsafe {
                let (p, q) = (*a.present.add(i), *b.present.add(i));
                let (left, right) = (*x.add(i), *y.add(i));
                let both = O::apply(left, right);
                let value = if p != 0 { both } else { right };
                *x.add(i) = if q != 0 { value } else { left };
                *a.present.add(i) = p | q;
            }
        }
        true
    }

    fn ns(&self) -> f64 {
        0.05 + 0.03 * size_of::<T>() as f64
    }
}

#[cfg(test)]
mod tests {
    //! Every level against the other and against a plain reading of the tree.

    use super::*;
    use crate::tests::Rng;

    /// Numbers with NaNs, infinities and zeros of both signs among them.
    fn floats(rng: &mut Rng, n: usize) -> Vec<f64> {
        let odd = [f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY];
        let rare = 1 + rng.below(3000);
        let some = rng.below(2) == 0;
        (0..n)
            .map(|_| match rng.below(rare) {
                0 if some => odd[rng.below(5)],
                1 => odd[1 + rng.below(2)],
                _ if rare < 50 => [0.0, -0.0][rng.below(2)],
                _ => rng.below(1 << 20) as f64 / 1e6 - 0.5,
            })
            .collect()
    }

    /// The tree as `crate::tree` words it.
    fn tree<T: Copy>(values: &[T], f: impl Fn(T, T) -> T + Copy) -> T {
        if values.len() > LEAF {
            let leaves = values.len().div_ceil(LEAF);
            let half = leaves.next_power_of_two() / 2 * LEAF;
            return f(tree(&values[..half], f), tree(&values[half..], f));
        }
        let mut lanes: Vec<T> = values.iter().take(LANES).copied().collect();
        for (i, value) in values.iter().enumerate().skip(LANES) {
            lanes[i % LANES] = f(lanes[i % LANES], *value);
        }
        for w in [8, 4, 2, 1] {
            for j in 0..w.min(lanes.len().saturating_sub(w)) {
                lanes[j] = f(lanes[j], lanes[j + w]);
            }
        }
        lanes[0]
    }

    fn same(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
    }

    macro_rules! check {
        ($T:ident, $dtype:expr, $rng:expr; $($Op:ident)*) => {$(
            for case in 0..60 {
                let long = [16, 17, 31, 40, 1024, 1025, 2500, 5000];
                let rows = if case < 32 { 1 + case / 2 } else { long[case % 8] };
                let columns = [1, 3, 4, 20, 33, 70][$rng.below(6)];
                let x: Vec<$T> = floats($rng, rows * columns).iter().map(|v| *v as $T).collect();
                let expected = |column: &[$T]| tree(column, <$Op as Op<$T>>::apply);
                for combine in [
                    combine_at(Base, Opcode::$Op, $dtype),
                    Wide::found().and_then(|wide| combine_at(wide, Opcode::$Op, $dtype)),
                ] {
                    let Some(combine) = combine else { continue };
                    let mut results = vec![0.0 as $T; columns];
                    let (first, to) = (x.as_ptr().cast(), results.as_mut_ptr().cast());
                    let down = Column {
                        first,
                        len: rows,
                        step: (rows * size_of::<$T>()) as isize,
                    };
                    // SAFETY: columns of `rows` elements, and room for a result each.
                    assert!(unsafe { combine.subtrees($dtype, down, columns, to) });
                    for (column, result) in x.chunks(rows).zip(&results) {
                        let expected = expected(column);
                        let what = format!("{} of {rows}", stringify!($Op));
                        assert!(same(expected as f64, *result as f64), "{what}: {expected} {result}");
                    }
                    let slices: Vec<_> = (0..columns).map(|n| n * rows..(n + 1) * rows).collect();
                    let mut others = vec![0.0 as $T; columns];
                    // SAFETY: the same elements as slices.
                    unsafe { combine.slices($dtype, first, &slices, others.as_mut_ptr().cast()) };
                    for (a, b) in results.iter().zip(&others) {
                        assert!(same(*a as f64, *b as f64), "slices of {rows}");
                    }
                    let mut memory = vec![0.0 as $T; LANES * columns];
                    let (step, lanes) = (columns * size_of::<$T>(), memory.as_mut_ptr().cast());
                    // SAFETY: rows of `columns` elements, and room for lanes and results.
                    if !unsafe { combine.across((first, step as isize), rows, lanes, to, columns) } {
                        assert!(rows > LEAF);
                        continue;
                    }
                    for (n, result) in results.iter().enumerate() {
                        let column: Vec<$T> = x.iter().skip(n).step_by(columns).copied().collect();
                        let expected = expected(&column);
                        let what = format!("{} across {rows}", stringify!($Op));
                        assert!(same(expected as f64, *result as f64), "{what}: {expected} {result}");
                    }
                }
            }
        )*};
    }

    #[test]
    fn every_level_has_the_bits_of_the_tree() {
        let mut rng = Rng(17);
        check!(f32, DType::F32, &mut rng; Add Mul Min Max FMin FMax);
        check!(f64, DType::F64, &mut rng; Add Mul Min Max FMin FMax);
    }
}
