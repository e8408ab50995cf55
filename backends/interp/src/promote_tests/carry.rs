//! Elements of outputs that loops carry: `carry_elements` behind `promote_loops`, and by itself.

use super::*;
use kjit_ir::passes::carry_elements;

/// Loops of a random kernel, around accesses that are in bounds because their loops run.
fn accumulate(
    k: &mut Build,
    arrays: &[ArrayRef],
    next: &mut impl FnMut(i128) -> i128,
    depth: i128,
    counters: &[(u32, Value)],
) {
    let dim = next(2) as u32;
    k.over(dim, |k, i| {
        let counters = [counters, &[(dim, i)]].concat();
        for _ in 0..1 + next(3) {
            if depth > 0 && next(3) == 0 {
                accumulate(k, arrays, next, depth - 1, &counters);
            } else {
                change(k, arrays, next, &counters);
            }
        }
        if depth > 0 {
            accumulate(k, arrays, next, depth - 1, &counters);
        }
    });
}

/// An index of an array that is in bounds, if the loops around say so.
fn index(
    k: &mut Build,
    array: ArrayRef,
    next: &mut impl FnMut(i128) -> i128,
    counters: &[(u32, Value)],
) -> Option<Vec<Value>> {
    let core = k.b.func.arrays[array.index()].core.clone();
    let mut value = |dim: &DimRef| {
        let known: Vec<Value> = (counters.iter())
            .filter(|(d, _)| *d == dim.0)
            .map(|(_, value)| *value)
            .collect();
        match next(5) {
            _ if known.is_empty() => None,
            0 => Some(k.int(0)),
            // The last one there is.
            1 => {
                let (one, n) = (k.int(1), k.extent(dim.0));
                Some(k.plus(n, -1, one))
            }
            _ => Some(known[next(known.len() as i128) as usize]),
        }
    };
    core.iter().map(&mut value).collect()
}

/// `c[..] = c[..] * 3 + x[..]` or less of it.
fn change(
    k: &mut Build,
    arrays: &[ArrayRef],
    next: &mut impl FnMut(i128) -> i128,
    counters: &[(u32, Value)],
) {
    let mut value = k.b.int(DType::I32, 1);
    for _ in 0..next(3) {
        let array = arrays[next(5) as usize];
        if let Some(at) = index(k, array, next, counters) {
            let other = k.b.core_load(array, &at);
            value = k.b.binary(Opcode::Add, value, other);
        }
    }
    let array = arrays[3 + next(2) as usize];
    let Some(at) = index(k, array, next, counters) else {
        return;
    };
    if next(4) > 0 {
        let old = k.b.core_load(array, &at);
        let three = k.b.int(DType::I32, 3);
        let old = k.b.binary(Opcode::Mul, old, three);
        value = k.b.binary(Opcode::Add, value, old);
    }
    if next(8) == 0 {
        // Under a condition: such an element stays in memory.
        let zero = k.b.int(DType::I32, 0);
        let condition = k.b.binary(Opcode::Gt, value, zero);
        let store = |b: &mut FunctionBuilder| {
            b.core_store(array, &at, value);
            b.yield_(&[]);
        };
        k.b.if_else(condition, &[], store, |b| b.yield_(&[]));
    } else {
        k.b.core_store(array, &at, value);
    }
}

#[test]
fn random_accumulations_keep_their_meaning() {
    let mut carried = 0;
    for seed in 1..=300u32 {
        let mut next = numbers(seed);
        let mut k = Build::new();
        let shapes: [&[u32]; 4] = [&[0], &[1], &[0, 1], &[1, 0]];
        let mut arrays = Vec::new();
        for n in 0..5 {
            let mode = if n < 3 { In } else { InOut };
            arrays.push(k.array(mode, shapes[next(4) as usize]));
        }
        accumulate(&mut k, &arrays, &mut next, 2, &[]);
        let kernel = k.finish();
        carried += usize::from(carry_elements(&mut kernel.clone()));
        check(&kernel, seed);
    }
    assert!(carried > 100, "{carried} kernels carry elements");
}

#[test]
fn a_product_that_adds_to_its_output_keeps_sums_in_registers() {
    let mut k = Build::new();
    let (a, b, out) = (
        k.array(In, &[0, 1]),
        k.array(In, &[1, 0]),
        k.array(InOut, &[0, 0]),
    );
    k.over(0, |k, i| {
        k.over(0, |k, j| {
            k.over(1, |k, p| {
                let (x, y) = (k.b.core_load(a, &[i, p]), k.b.core_load(b, &[p, j]));
                let product = k.b.binary(Opcode::Mul, x, y);
                let old = k.b.core_load(out, &[i, j]);
                let sum = k.b.binary(Opcode::Add, old, product);
                k.b.core_store(out, &[i, j], sum);
            });
        });
    });
    let kernel = k.finish();
    assert_eq!(check(&kernel, 1), [2]);
    let kernel = optimize_gufunc(promote_loops(&kernel).remove(0));
    let text = kernel.to_string();
    let (_, of_loop) = text.split_once("loop (").unwrap();
    let (of_loop, _) = of_loop.split_once("continue").unwrap();
    assert!(!of_loop.contains("core.store"), "{text}");
    assert_eq!(of_loop.matches("core.load").count(), 2, "{text}");
}
