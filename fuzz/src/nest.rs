//! The fuzzer of loop nests: whatever the strides, a plan visits the elements of a naive walk, each once,
//! inside the extents it states, and however its positions are cut into ranges.

use crate::rng::Rng;
use kjit_runtime::nest::{Layout, LoopNest, Order, matching_strides};

/// Most elements of a case.
const MOST: usize = 3000;

/// One case.
///
/// # Panics
/// When a plan visits other elements than a naive walk does; the message carries the seed.
pub fn case(seed: u64) {
    let mut rng = Rng::new(seed);
    let shape = shape(&mut rng);
    let sizes: Vec<usize> = (0..1 + rng.below(4))
        .map(|_| *rng.pick(&[1, 2, 4, 8, 16]))
        .collect();
    let strides: Vec<Vec<isize>> = sizes
        .iter()
        .map(|size| strides(&mut rng, &shape, *size))
        .collect();
    let layouts: Vec<Layout> = strides
        .iter()
        .zip(&sizes)
        .map(|(strides, size)| Layout {
            strides,
            size: *size,
        })
        .collect();
    let about = format!("seed {seed}: shape {shape:?}, strides {strides:?}, sizes {sizes:?}");
    for order in [Order::Any, Order::C] {
        check_plan(&mut rng, &shape, &layouts, order, &about);
    }
    check_matching_strides(&shape, &layouts, &about);
}

/// A shape of up to five axes; empty ones may have extents as large as they like.
fn shape(rng: &mut Rng) -> Vec<usize> {
    let mut shape: Vec<usize> = Vec::new();
    for _ in 0..rng.below(6) {
        let extent = *rng.pick(&[1, 1, 2, 2, 3, 4, 5, 7, 16, 33]);
        let room = MOST / shape.iter().product::<usize>();
        shape.push(extent.min(room.max(1)));
    }
    if !shape.is_empty() && rng.one_in(12) {
        for _ in 0..1 + rng.below(2) {
            let axis = rng.below(shape.len());
            shape[axis] = usize::MAX >> rng.below(40);
        }
        let axis = rng.below(shape.len());
        shape[axis] = 0;
    }
    shape
}

/// Strides that an array of this shape can have: every element of it has an address.
fn strides(rng: &mut Rng, shape: &[usize], size: usize) -> Vec<isize> {
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    let shuffled = rng.one_in(2);
    for i in (1..axes.len()).rev() {
        if shuffled {
            axes.swap(i, rng.below(i + 1));
        }
    }
    let empty = shape.contains(&0);
    let mut strides = vec![0isize; shape.len()];
    let mut step = size as isize;
    // Half of all addresses, shared among the axes, so that no sum of spans overflows.
    let mut room = isize::MAX / 2;
    for axis in axes.into_iter().rev() {
        let extent = shape[axis];
        let mut stride = match rng.below(16) {
            0 | 1 => 0,
            2 | 3 => -step,
            4 => step * 2,
            5 => step * -3,
            6 => step + 1,                       // unaligned
            7 => size as isize,                  // elements that overlap
            8 => 1 - (rng.below(40) as isize),   // small, any sign
            9 => (rng.bits() >> 2) as isize,     // huge
            10 => -((rng.bits() >> 2) as isize), // huge, backwards
            _ => step,
        };
        if empty || extent <= 1 {
            // No element is ever one step away, so any number may stand here.
            strides[axis] = match rng.below(6) {
                0 => isize::MIN,
                1 => isize::MAX,
                2 => rng.bits() as isize,
                _ => stride,
            };
            continue;
        }
        let most = room / 2 / (extent - 1) as isize;
        stride = stride.clamp(-most, most);
        room -= stride.abs() * (extent - 1) as isize;
        strides[axis] = stride;
        step = stride.abs().saturating_mul(extent as isize).max(1);
        if step > 1 << 40 {
            step = size as isize;
        }
    }
    strides
}

/// Addresses of all operands at each element, in C order of the shape.
fn naive_walk(shape: &[usize], operands: &[Layout]) -> Vec<Vec<isize>> {
    if shape.contains(&0) {
        return Vec::new();
    }
    let mut walk = vec![vec![0; operands.len()]];
    for (axis, extent) in shape.iter().enumerate() {
        walk = walk
            .iter()
            .flat_map(|place: &Vec<isize>| {
                (0..*extent as isize).map(move |i| {
                    let step = |operand: &Layout| match i {
                        0 => 0,
                        _ => i * operand.strides[axis],
                    };
                    place
                        .iter()
                        .zip(operands)
                        .map(|(a, o)| a + step(o))
                        .collect()
                })
            })
            .collect();
    }
    walk
}

fn check_plan(rng: &mut Rng, shape: &[usize], operands: &[Layout], order: Order, about: &str) {
    let nest = LoopNest::plan(shape, operands, order);
    let mut expected = naive_walk(shape, operands);
    assert_eq!(nest.size(), expected.len(), "{about}, {order:?}");

    let mut visited: Vec<Vec<isize>> = Vec::with_capacity(expected.len());
    let mut at = 0;
    while at < nest.size() {
        let end = (at + 1 + rng.below(2 * nest.size())).min(nest.size());
        let mut cursor = nest.cursor(at);
        while at < end {
            let run = cursor.run();
            assert!(run > 0 && run <= nest.inner(), "{about}, {order:?}");
            let n = run.min(end - at).min(1 + rng.below(64));
            for k in 0..n as isize {
                let offset = |o: usize| cursor.offsets[o] + k * nest.inner_step(o);
                visited.push((0..operands.len()).map(offset).collect());
            }
            cursor.advance(n);
            at += n;
        }
    }

    for (number, operand) in operands.iter().enumerate() {
        let addresses = || expected.iter().map(|place| place[number]);
        if let (Some(low), Some(high)) = (addresses().min(), addresses().max()) {
            // Exact, not only wide enough: an access outside memory is found by it.
            assert_eq!(
                nest.extent_of(number),
                (low, high),
                "operand {number}; {about}, {order:?}"
            );
        }
        let fixed = addresses().all(|a| a == 0);
        if nest.is_fixed(number) {
            assert!(fixed, "operand {number} moves; {about}, {order:?}");
        }
        if nest.is_linear(number, operand.size) {
            let first = nest.extent_of(number).0;
            let follows = |(k, place): (usize, &Vec<isize>)| {
                place[number] == first + (k * operand.size) as isize
            };
            assert!(
                visited.iter().enumerate().all(follows),
                "operand {number} is not linear; {about}, {order:?}"
            );
        }
    }
    if order == Order::Any {
        visited.sort_unstable();
        expected.sort_unstable();
    }
    assert!(
        visited == expected,
        "{about}, {order:?}: visited {visited:?}, not {expected:?}"
    );
}

/// A fresh array laid out like its operands has a place of its own for each element, and no gaps.
fn check_matching_strides(shape: &[usize], operands: &[Layout], about: &str) {
    if shape.contains(&0) {
        return;
    }
    let size = 4;
    let strides = matching_strides(shape, operands, size);
    let layout = Layout {
        strides: &strides,
        size,
    };
    let mut addresses: Vec<isize> = naive_walk(shape, &[layout]).concat();
    addresses.sort_unstable();
    let dense = addresses
        .iter()
        .enumerate()
        .all(|(k, a)| *a == (k * size) as isize);
    assert!(dense, "{about}: a fresh array has strides {strides:?}");
}
