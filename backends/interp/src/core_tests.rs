//! Core dimensions: `dim`, `core.load`, `core.store`, and traps that depend on extents.

use super::*;
use kjit_ir::text::parse_module;
use kjit_ir::{DType, Module};

fn module(text: &str) -> Module {
    parse_module(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The sum of an element.
const ROW_SUM: &str = "kernel rowsum {
    dim d0 \"n\"
    array a0 in i32 strided \"x\" core (d0)
    array a1 out i32 contiguous \"y\"
    v0 = dim d0
    v1 = const i64 0
    v2 = const i64 1
    v3 = const i32 0
    v4 = loop (v5: i64 = v1, v6: i32 = v3) -> i32 {
        v7 = lt v5, v0
        if v7 {
            yield
        } else {
            break v6
        }
        v8 = core.load a0, v5
        v9 = add v6, v8
        v10 = add v5, v2
        continue v10, v9
    }
    store a1, v4
    return
}";

/// `out[i, j] = x[p[i], j]`, checked: an index of the user's.
const TAKE: &str = "kernel take {
    dim d0 \"n\"
    dim d1 \"m\"
    dim d2 \"k\"
    array a0 in i16 strided \"x\" core (d0, d1)
    array a1 in i64 strided \"p\" core (d2)
    array a2 inout i16 strided \"out\" core (d2, d1)
    trap trap0 core_index_out_of_bounds \"x\" 0 d0 @1:2-3
    v0 = dim d0
    v1 = dim d1
    v2 = dim d2
    v3 = const i64 0
    v4 = const i64 1
    loop (v5: i64 = v3) {
        v6 = lt v5, v2
        if v6 {
            yield
        } else {
            break
        }
        v7 = core.load a1, v5
        v8 = ge v7, v3
        v9 = lt v7, v0
        v10 = and v8, v9
        guard trap0, v10
        if v10 {
            loop (v11: i64 = v3) {
                v12 = lt v11, v1
                if v12 {
                    yield
                } else {
                    break
                }
                v13 = core.load a0, v7, v11
                v14 = core.load a2, v5, v11
                v15 = add v13, v14
                core.store a2, v5, v11, v15
                v16 = add v11, v4
                continue v16
            }
            yield
        } else {
            yield
        }
        v17 = add v5, v4
        continue v17
    }
    return
}";

fn compile(interp: Interp, kernel: &Function) -> Arc<dyn CompiledKernel> {
    interp
        .compile(kernel)
        .unwrap_or_else(|e| panic!("{e}\n{kernel}"))
}

#[test]
fn rows_are_reached_by_core_steps() {
    let scalar = module(ROW_SUM).functions.remove(0);
    let vector = kjit_ir::passes::vectorize(&scalar);
    // Elements are the columns of a 3 by 4 matrix, taken from its last row to its first.
    let x: Vec<i32> = (0..12).collect();
    for (interp, kernel) in [
        (Interp::default(), &scalar),
        (Interp::with_lanes(1), &vector),
        (Interp::with_lanes(2), &vector),
        (Interp::with_lanes(4), &vector),
    ] {
        for rows in [0isize, 1, 3] {
            let mut y = [-1i32; 4];
            let last = (rows - 1).max(0) as usize * 4;
            let args = [x[last..].as_ptr() as *mut u8, y.as_mut_ptr().cast()];
            let dims = [4isize, rows];
            let steps = [4isize, 4, -16];
            let code = compile(interp, kernel);
            // SAFETY: the steps stay within `rows` rows of `x`, and in `y`.
            unsafe {
                code.call(
                    args.as_ptr(),
                    dims.as_ptr(),
                    steps.as_ptr(),
                    std::ptr::null(),
                )
            };
            let expected = [0, 1, 2, 3].map(|c| (0..rows as i32).map(|r| 4 * r + c).sum::<i32>());
            assert_eq!(y, expected, "{rows} rows");
        }
    }
}

/// Runs `TAKE` on three elements whose `p` is given; `out` starts as ones.
fn take(p: &[i64; 6], find: bool) -> (Vec<i16>, u32, Option<TrapReport>) {
    let kernel = module(TAKE).functions.remove(0);
    let x: Vec<i16> = (0..18).collect();
    let mut out = vec![1i16; 12];
    let args = [
        x.as_ptr() as *mut u8,
        p.as_ptr() as *mut u8,
        out.as_mut_ptr().cast(),
    ];
    // x: three elements of 3 by 2, p: of 2, out: of 2 by 2.
    let dims = [3isize, 3, 2, 2];
    let steps = [12isize, 16, 8, 4, 2, 8, 4, 2];
    let (args, dims, steps) = (args.as_ptr(), dims.as_ptr(), steps.as_ptr());
    if find {
        // SAFETY: the arrays are as large as the extents say.
        let report = unsafe { Interp::first_trap(&kernel, args, dims, steps) };
        return (out, 0, report);
    }
    let status = KernelStatus::default();
    let code = compile(Interp::default(), &kernel);
    // SAFETY: as above.
    unsafe { code.call(args, dims, steps, (&raw const status).cast()) };
    (out, status.trap.into_inner(), None)
}

#[test]
fn an_index_out_of_a_core_dimension_is_reported_with_its_extent() {
    let (out, trap, _) = take(&[0, 2, 1, 0, 2, 2], false);
    assert_eq!(out, [1, 2, 5, 6, 9, 10, 7, 8, 17, 18, 17, 18]);
    assert_eq!(trap, 0);
    let (_, trap, _) = take(&[0, 2, 1, 3, -7, 2], false);
    assert_eq!(trap, 1);
    let (out, _, report) = take(&[0, 2, 1, 3, -7, 2], true);
    let expected = TrapReport {
        trap: TrapRef(0),
        element: 1,
        value: Some(Scalar::int(DType::I64, 3)),
        extent: Some(3),
    };
    assert_eq!(report, Some(expected));
    assert_eq!(out, [1; 12], "finding it writes nothing");
    let (_, _, report) = take(&[0, 2, 1, 0, -7, 2], true);
    assert_eq!(
        report.and_then(|r| r.value),
        Some(Scalar::int(DType::I64, -7))
    );
    assert_eq!(take(&[0, 2, 1, 0, 2, 2], true).2, None);
}

#[test]
fn a_search_for_traps_sees_its_own_stores() {
    // y[0] = 7; y[1] = y[0]; the check is that y[1] is below 7.
    let text = "kernel k {
    dim d0 \"n\"
    array a0 inout i64 strided \"y\" core (d0)
    trap trap0 core_index_out_of_bounds \"z\" 0 d0
    v0 = const i64 0
    v1 = const i64 1
    v2 = const i64 7
    core.store a0, v0, v2
    v3 = core.load a0, v0
    core.store a0, v1, v3
    v4 = core.load a0, v1
    v5 = dim d0
    v6 = lt v4, v5
    guard trap0, v6
    return
}";
    let kernel = module(text).functions.remove(0);
    let mut y = [1i64, 2, 3];
    let args = [y.as_mut_ptr().cast::<u8>()];
    // SAFETY: one element of three.
    let report = unsafe {
        Interp::first_trap(
            &kernel,
            args.as_ptr(),
            [1isize, 3].as_ptr(),
            [0isize, 8].as_ptr(),
        )
    };
    let expected = TrapReport {
        trap: TrapRef(0),
        element: 0,
        value: Some(Scalar::int(DType::I64, 7)),
        extent: Some(3),
    };
    assert_eq!(report, Some(expected));
    assert_eq!(y, [1, 2, 3]);
}

#[test]
#[should_panic(expected = "bug in kjit: index 3 of core axis 0 of `x` is not below its extent 3")]
fn an_unproven_index_is_a_bug() {
    let text = ROW_SUM.replace("lt v5, v0", "le v5, v0");
    let code = compile(Interp::default(), &module(&text).functions[0]);
    let (x, mut y) = ([1i32, 2, 3], [0i32]);
    let args = [x.as_ptr() as *mut u8, y.as_mut_ptr().cast()];
    // SAFETY: the interpreter checks the index before it reads.
    unsafe {
        code.call(
            args.as_ptr(),
            [1isize, 3].as_ptr(),
            [12isize, 4, 4].as_ptr(),
            std::ptr::null(),
        );
    }
}
