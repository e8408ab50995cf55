//! The tree of a reduction, which the number of elements alone decides.
//!
//! Elements are cut into leaves of [`LEAF`] consecutive ones. Inside a leaf, lane `j` of [`LANES`] combines
//! elements `j`, `j + 16`, `j + 32`, .. one after the other, starting from its first (lanes without
//! elements are absent); then lanes `j` and `j + w` are combined for `w` = 8, 4, 2, 1 where the latter
//! is present. Leaves `lo..hi` are combined by a balanced binary tree that splits at the largest power of
//! two below `hi - lo`. No thread count, vector width or schedule appears in this, so every target
//! computes the same bits; and as sums are blocked and pairwise, they stay accurate.

/// Elements of a leaf.
pub const LEAF: usize = 1024;
/// Lanes of a leaf.
pub const LANES: usize = 16;

/// One leaf of at least one element: `first` makes an accumulator of an element, `join` combines two.
#[inline(always)]
pub(crate) fn leaf<T: Copy, A: Copy>(
    values: &[T],
    first: impl Fn(T) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
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
    for w in [8, 4, 2, 1] {
        for j in 0..w {
            if j + w < present {
                lanes[j] = join(lanes[j], lanes[j + w]);
            }
        }
    }
    lanes[0]
}

/// Combines subtrees from left to right into the balanced tree of the module documentation, holding
/// one subtree per level.
pub(crate) struct Tree<A> {
    /// Subtrees, and the number of pushed ones each consists of: falling powers of two.
    levels: Vec<(A, usize)>,
}

impl<A> Tree<A> {
    pub(crate) fn new() -> Tree<A> {
        Tree { levels: Vec::new() }
    }

    /// How many subtrees it holds.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Adds the next subtree on the right.
    pub(crate) fn push(&mut self, part: A, mut join: impl FnMut(A, A) -> A) {
        let (mut part, mut count) = (part, 1);
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
