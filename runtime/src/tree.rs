//! The tree of a reduction, which the number of elements alone decides.
//!
//! Elements are cut into leaves of [`LEAF`] consecutive ones. Inside a leaf, lane `j` of [`LANES`] combines
//! elements `j`, `j + 16`, `j + 32`, .. one after the other, starting from its first (lanes without
//! elements are absent); then lanes `j` and `j + w` are combined for `w` = 8, 4, 2, 1 where the latter
//! is present. Leaves `lo..hi` are combined by a balanced binary tree that splits at the largest power of
//! two below `hi - lo`. No thread count, vector width or schedule appears in this, so every target
//! computes the same bits; and as sums are blocked and pairwise, they stay accurate.

use crate::nest::Few;
use crate::wide::Lanes;

/// Elements of a leaf.
pub const LEAF: usize = 1024;
/// Lanes of a leaf.
pub const LANES: usize = 16;

/// The tree of at least one element: `first` makes an accumulator of an element, `join` combines two.
#[inline(always)]
pub(crate) fn subtree<T: Copy, A: Copy>(
    values: &[T],
    first: impl Fn(T) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
    if values.len() <= LEAF {
        return leaf(values, &first, &join);
    }
    let mut tree = Tree::new();
    for values in values.chunks(LEAF) {
        tree.push(leaf(values, &first, &join), &join);
    }
    tree.finish(&join).expect("bug in kjit: a tree of nothing")
}

/// One leaf of at least one element.
#[inline(always)]
fn leaf<T: Copy, A: Copy>(values: &[T], first: &impl Fn(T) -> A, join: &impl Fn(A, A) -> A) -> A {
    let mut lanes = [first(values[0]); LANES];
    let present = values.len().min(LANES);
    for (lane, value) in lanes.iter_mut().zip(values) {
        *lane = first(*value);
    }
    let (rows, rest) = values[present..].as_chunks::<LANES>();
    for row in rows {
        for j in 0..LANES {
            lanes[j] = join(lanes[j], first(row[j]));
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, first(*value));
    }
    halve(lanes, present, join)
}

/// Combines the lanes that are present.
#[inline(always)]
fn halve<A: Copy>(mut lanes: [A; LANES], present: usize, join: &impl Fn(A, A) -> A) -> A {
    for w in [8, 4, 2, 1] {
        for j in 0..w {
            if j + w < present {
                lanes[j] = join(lanes[j], lanes[j + w]);
            }
        }
    }
    lanes[0]
}

/// Rows of floats, 16 elements each: of one slice or made of two.
pub(crate) trait Rows<T, V: Lanes<T>>: Copy {
    /// Are two leaves to be worked on side by side? Then there are twice as many chains of operations that do not
    /// wait for each other, and twice as many streams of memory.
    const PAIRED: bool;

    /// How many elements there are.
    fn len(&self) -> usize;

    /// The 16 elements at a place.
    ///
    /// # Safety
    /// There are so many, and it is called inside of the level of `V`.
    unsafe fn row(&self, at: usize) -> V;

    /// The `n` elements at a place, in front of some others.
    ///
    /// # Safety
    /// As [`Rows::row`], of `n` elements up to 16.
    unsafe fn first(&self, at: usize, n: usize) -> V;
}

impl<T: Copy, V: Lanes<T>> Rows<T, V> for &[T] {
    const PAIRED: bool = size_of::<T>() < 8;

    #[inline(always)]
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline(always)]
    unsafe fn row(&self, at: usize) -> V {
        debug_assert!(at + LANES <= <[T]>::len(self), "a row");
        // SAFETY: the caller's promise.
        unsafe { V::load(self.as_ptr().add(at)) }
    }

    #[inline(always)]
    unsafe fn first(&self, at: usize, n: usize) -> V {
        debug_assert!(at + n <= <[T]>::len(self) && n <= LANES, "part of a row");
        // SAFETY: the caller's promise.
        unsafe { V::load_first(self.as_ptr().add(at), n) }
    }
}

/// The products of elements of two slices of one length.
#[derive(Clone, Copy)]
pub(crate) struct Products<'a, T>(&'a [T], &'a [T]);

impl<'a, T> Products<'a, T> {
    pub(crate) fn new(x: &'a [T], y: &'a [T]) -> Products<'a, T> {
        let n = x.len().min(y.len());
        Products(&x[..n], &y[..n])
    }
}

impl<T: Copy, V: Lanes<T>> Rows<T, V> for Products<'_, T> {
    const PAIRED: bool = false;

    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    unsafe fn row(&self, at: usize) -> V {
        // SAFETY: passed on.
        unsafe { Rows::<T, V>::row(&self.0, at).mul(Rows::<T, V>::row(&self.1, at)) }
    }

    #[inline(always)]
    unsafe fn first(&self, at: usize, n: usize) -> V {
        // SAFETY: passed on.
        unsafe { Rows::<T, V>::first(&self.0, at, n).mul(Rows::<T, V>::first(&self.1, at, n)) }
    }
}

/// How floats are combined: lanes and single elements alike.
///
/// A type and not a function that is handed over, so that it is inlined for certain.
pub(crate) trait Join<T> {
    fn lanes<V: Lanes<T>>(a: V, b: V) -> V;
    fn one(a: T, b: T) -> T;
}

/// As [`subtree`], with all lanes in registers.
///
/// # Safety
/// It is called inside of the level of `V`.
#[inline(always)]
pub(crate) unsafe fn float_subtree<T: Copy, V: Lanes<T>, J: Join<T>, R: Rows<T, V>>(x: R) -> T {
    let n = x.len();
    // SAFETY: rows are cut so that they lie inside.
    unsafe {
        if n <= LEAF {
            return float_leaf::<T, V, J>(x, 0, n);
        }
        let mut tree = Tree::new();
        let mut at = 0;
        while R::PAIRED && at + 2 * LEAF <= n {
            let (mut left, mut right) = (x.row(at), x.row(at + LEAF));
            for row in (LANES..LEAF).step_by(LANES) {
                left = J::lanes(left, x.row(at + row));
                right = J::lanes(right, x.row(at + LEAF + row));
            }
            let left = halve(left.to_array(), LANES, &J::one);
            let right = halve(right.to_array(), LANES, &J::one);
            tree.push_subtree(J::one(left, right), 2, J::one);
            at += 2 * LEAF;
        }
        while at < n {
            let end = (at + LEAF).min(n);
            tree.push(float_leaf::<T, V, J>(x, at, end), J::one);
            at = end;
        }
        tree.finish(J::one).expect("bug in kjit: a tree of nothing")
    }
}

/// One leaf: elements `at..end`, of which there are any.
///
/// # Safety
/// As [`float_subtree`].
#[inline(always)]
unsafe fn float_leaf<T: Copy, V: Lanes<T>, J: Join<T>>(
    x: impl Rows<T, V>,
    at: usize,
    end: usize,
) -> T {
    debug_assert!(at < end && end - at <= LEAF, "a leaf");
    // SAFETY: rows end at `end` at the latest.
    unsafe {
        if end - at < LANES {
            return halve(x.first(at, end - at).to_array(), end - at, &J::one);
        }
        let mut lanes = x.row(at);
        let mut row = at + LANES;
        while row + LANES <= end {
            lanes = J::lanes(lanes, x.row(row));
            row += LANES;
        }
        if row < end {
            let rest = end - row;
            lanes = J::lanes(lanes, x.first(row, rest)).first(rest, lanes);
        }
        halve(lanes.to_array(), LANES, &J::one)
    }
}

/// Combines subtrees from left to right into the balanced tree of the module documentation, holding
/// one subtree per level.
pub(crate) struct Tree<A> {
    /// Subtrees, and the number of leaves (or pushed parts) each consists of: falling powers of two.
    levels: Few<(A, usize)>,
}

impl<A> Tree<A> {
    pub(crate) fn new() -> Tree<A> {
        Tree { levels: Few::new() }
    }

    /// How many subtrees it holds.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Adds the next part on the right.
    pub(crate) fn push(&mut self, part: A, join: impl FnMut(A, A) -> A) {
        self.push_subtree(part, 1, join);
    }

    /// Adds a subtree of a power of two of parts on the right; all before were of at least as many.
    pub(crate) fn push_subtree(&mut self, part: A, count: usize, mut join: impl FnMut(A, A) -> A) {
        let (mut part, mut count) = (part, count);
        while self.levels.last().is_some_and(|(_, c)| *c == count) {
            let (left, _) = self.levels.pop().expect("bug in kjit: not empty");
            part = join(left, part);
            count *= 2;
        }
        self.levels.push((part, count));
    }

    /// The whole tree, unless nothing was pushed.
    pub(crate) fn finish(mut self, mut join: impl FnMut(A, A) -> A) -> Option<A> {
        let (mut right, _) = self.levels.pop()?;
        while let Some((left, _)) = self.levels.pop() {
            right = join(left, right);
        }
        Some(right)
    }
}
