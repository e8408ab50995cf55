//! Loop nests over random layouts.

use super::Rng;
use crate::nest::{Layout, LoopNest, Order};
use std::collections::HashMap;

/// Offsets of all elements of a layout in C order of the shape.
fn all_offsets(shape: &[usize], strides: &[isize]) -> Vec<isize> {
    let mut offsets = vec![0];
    for (n, s) in shape.iter().zip(strides) {
        offsets = offsets
            .iter()
            .flat_map(|o| (0..*n as isize).map(move |i| o + i * s))
            .collect();
    }
    offsets
}

/// Every element is visited once, by all operands together, inside their extents, however the
/// positions are cut into ranges.
#[test]
fn visits_every_element_once() {
    let mut rng = Rng(7);
    for case in 0..3000 {
        let ndim = rng.below(5);
        let shape: Vec<usize> = (0..ndim)
            .map(|_| [0, 1, 1, 2, 3, 4, 5, 7][rng.below(16).min(7)])
            .collect();
        let operands = 1 + rng.below(3);
        let mut strides: Vec<Vec<isize>> = (0..operands)
            .map(|_| {
                // Packed in a random order of axes, some flipped, some repeated, some padded.
                let mut axes: Vec<usize> = (0..ndim).collect();
                for i in (1..ndim).rev() {
                    if rng.below(2) == 0 {
                        axes.swap(i, rng.below(i + 1));
                    }
                }
                let (mut strides, mut step) = (vec![0isize; ndim], 4isize);
                for axis in axes.into_iter().rev() {
                    strides[axis] = match rng.below(8) {
                        0 => 0,
                        1 => -step,
                        2 => step * 2,
                        _ => step,
                    };
                    step *= shape[axis].max(1) as isize * if rng.below(8) == 0 { 2 } else { 1 };
                }
                strides
            })
            .collect();
        // One operand that tells elements apart.
        let mut step = 1;
        let mut index = vec![0isize; ndim];
        for axis in (0..ndim).rev() {
            index[axis] = step;
            step *= shape[axis] as isize;
        }
        strides.push(index);
        let layouts: Vec<Layout> = strides
            .iter()
            .map(|s| Layout {
                strides: s,
                size: 4,
            })
            .collect();
        let order = if case % 2 == 0 { Order::Any } else { Order::C };
        let nest = LoopNest::plan(&shape, &layouts, order);
        assert_eq!(nest.size(), shape.iter().product::<usize>());

        let expected: Vec<Vec<isize>> = strides.iter().map(|s| all_offsets(&shape, s)).collect();
        let mut seen: HashMap<isize, usize> = HashMap::new();
        let (mut at, mut linear) = (0, Vec::new());
        while at < nest.size() {
            let end = (at + 1 + rng.below(20)).min(nest.size());
            let mut cursor = nest.cursor(at);
            while at < end {
                let n = cursor.run().min(end - at).min(1 + rng.below(4));
                for k in 0..n as isize {
                    let offset = |o: usize| cursor.offsets[o] + k * nest.inner_step(o);
                    let id = offset(operands);
                    *seen.entry(id).or_default() += 1;
                    linear.push(id);
                    for (o, expected) in expected[..operands].iter().enumerate() {
                        assert_eq!(
                            offset(o),
                            expected[id as usize],
                            "case {case} {shape:?} {strides:?}"
                        );
                        let (low, high) = nest.extent_of(o);
                        assert!((low..=high).contains(&offset(o)));
                    }
                }
                cursor.advance(n);
                at += n;
            }
        }
        assert!(
            seen.len() == nest.size() && seen.values().all(|n| *n == 1),
            "case {case} {shape:?}"
        );
        if order == Order::C {
            assert!(linear.is_sorted(), "case {case} {shape:?}");
        }
    }
}

#[test]
fn merges_and_orders() {
    let plan = |shape: &[usize], strides: &[&[isize]], order| {
        let layouts: Vec<Layout> = strides
            .iter()
            .map(|s| Layout {
                strides: s,
                size: 4,
            })
            .collect();
        LoopNest::plan(shape, &layouts, order).extents().to_vec()
    };
    let (c, f): (&[isize], &[isize]) = (&[48, 16, 4], &[4, 8, 24]);
    assert_eq!(plan(&[2, 3, 4], &[c, c], Order::Any), [24]);
    assert_eq!(plan(&[2, 3, 4], &[f, f], Order::Any), [24]);
    assert_eq!(plan(&[2, 3, 4], &[f, f], Order::C), [2, 3, 4]);
    assert_eq!(plan(&[2, 3, 4], &[c, &[0, 0, 0]], Order::Any), [24]);
    assert_eq!(plan(&[2, 3, 4], &[c, &[0, 0, 4]], Order::Any), [6, 4]);
    assert_eq!(plan(&[2, 3, 4], &[&[-48, -16, -4]], Order::Any), [24]);
    assert_eq!(plan(&[1, 1], &[&[4, 4]], Order::Any), [1]);
    assert_eq!(plan(&[], &[&[]], Order::Any), [1]);
}
