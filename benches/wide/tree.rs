//! Sums in the order of docs/numerics.md: leaves of 1024 elements, 16 lanes each, then a balanced binary tree.

use super::vector::{Lane, Vector};

const LEAF: usize = 1024;
const LANES: usize = 16;

/// The sum of whole leaves; as many leaves side by side as the vector has parts.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn sum<V: Vector>(x: *const V::Lane, n: usize) -> V::Lane {
    let mut tree = Tree::new();
    let mut at = 0;
    while at < n {
        // SAFETY: the caller's promise.
        unsafe {
            let (from, apart) = (x.add(at), apart::<V>(n - at));
            let mut lanes = load::<V>(from, apart);
            for row in (LANES..LEAF).step_by(LANES) {
                let more = load::<V>(from.add(row), apart);
                for (sum, more) in lanes.iter_mut().zip(more).take(rows::<V>()) {
                    *sum = sum.add(more);
                }
            }
            at += tree.push_leaves(lanes, apart);
        }
    }
    tree.finish()
}

/// The sum of the products of whole leaves.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn dot<V: Vector>(x: *const V::Lane, y: *const V::Lane, n: usize) -> V::Lane {
    let mut tree = Tree::new();
    let mut at = 0;
    while at < n {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, y, apart) = (x.add(at), y.add(at), apart::<V>(n - at));
            let mut lanes = load::<V>(x, apart);
            for (x, y) in lanes.iter_mut().zip(load::<V>(y, apart)).take(rows::<V>()) {
                *x = x.mul(y);
            }
            for row in (LANES..LEAF).step_by(LANES) {
                let (x, y) = (load::<V>(x.add(row), apart), load::<V>(y.add(row), apart));
                for (sum, (x, y)) in lanes.iter_mut().zip(x.into_iter().zip(y)).take(rows::<V>()) {
                    *sum = sum.add(x.mul(y));
                }
            }
            at += tree.push_leaves(lanes, apart);
        }
    }
    tree.finish()
}

/// Vectors of 16 lanes.
#[inline(always)]
fn rows<V: Vector>() -> usize {
    LANES / (V::LANES / V::PARTS)
}

/// How far the parts are apart where so many elements are left: where there are too few they are the same leaf.
#[inline(always)]
fn apart<V: Vector>(left: usize) -> usize {
    if left >= V::PARTS * LEAF { LEAF } else { 0 }
}

/// The 16 lanes of each part: of four vectors, the first ones count.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn load<V: Vector>(from: *const V::Lane, apart: usize) -> [V; 4] {
    let each = V::LANES / V::PARTS;
    // SAFETY: the caller's promise.
    unsafe {
        let mut all = [V::load_apart(from, apart); 4];
        for (n, one) in all.iter_mut().enumerate().skip(1).take(rows::<V>() - 1) {
            *one = V::load_apart(from.add(n * each), apart);
        }
        all
    }
}

/// Sums of subtrees, from the largest to the smallest.
struct Tree<T> {
    sums: [T; 64],
    /// A bit for each size of which there is one.
    sizes: u64,
}

impl<T: Lane> Tree<T> {
    #[inline(always)]
    fn new() -> Tree<T> {
        Tree {
            sums: [T::ZERO; 64],
            sizes: 0,
        }
    }

    /// The lanes of leaves, each part one; gives how many elements these are.
    ///
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    unsafe fn push_leaves<V: Vector<Lane = T>>(&mut self, lanes: [V; 4], apart: usize) -> usize {
        let each = V::LANES / V::PARTS;
        let mut all = [[T::ZERO; 64]; 4];
        for (vector, to) in lanes.into_iter().zip(&mut all).take(rows::<V>()) {
            // SAFETY: there is room for the largest.
            unsafe { vector.store(to.as_mut_ptr()) };
        }
        let count = if apart > 0 { V::PARTS } else { 1 };
        for part in 0..count {
            let mut leaf = [T::ZERO; LANES];
            for (n, lane) in leaf.iter_mut().enumerate() {
                *lane = all[n / each][part * each + n % each];
            }
            for half in [8, 4, 2, 1] {
                for n in 0..half {
                    leaf[n] = leaf[n].plus(leaf[n + half]);
                }
            }
            self.push(leaf[0]);
        }
        count * LEAF
    }

    #[inline(always)]
    fn push(&mut self, leaf: T) {
        let (mut sum, mut size) = (leaf, 0);
        while self.sizes & (1 << size) != 0 {
            sum = self.sums[size].plus(sum);
            size += 1;
        }
        self.sums[size] = sum;
        self.sizes = (self.sizes >> size | 1) << size;
    }

    #[inline(always)]
    fn finish(&self) -> T {
        let mut found = None;
        for size in (0..64).filter(|size| self.sizes & (1 << size) != 0) {
            let sum = self.sums[size];
            found = Some(found.map_or(sum, |small| sum.plus(small)));
        }
        found.unwrap_or(T::ZERO)
    }
}
