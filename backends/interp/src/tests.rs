//! Kernels and functions as text, run in scalar and in vector form.

use super::*;
use kjit_ir::text::parse_module;
use kjit_ir::{DType, Module, Trap};

fn module(text: &str) -> Module {
    parse_module(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// One array of a call: its memory and its step in bytes.
struct Array {
    bytes: Vec<u8>,
    step: isize,
}

fn array<const N: usize>(elements: &[Scalar; N]) -> Array {
    let mut bytes = Vec::new();
    for element in elements {
        let (image, size) = element.to_ne_bytes();
        bytes.extend(&image[..size]);
    }
    let step = (bytes.len() / N) as isize;
    Array { bytes, step }
}

fn f32s<const N: usize>(elements: [f32; N]) -> Array {
    array(&elements.map(Scalar::f32))
}

fn i32s<const N: usize>(elements: [i32; N]) -> Array {
    array(&elements.map(|x| Scalar::int(DType::I32, x as i128)))
}

impl Array {
    fn i32s(&self) -> Vec<i32> {
        let chunks = self.bytes.chunks_exact(4);
        chunks
            .map(|b| i32::from_ne_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn f32s(&self) -> Vec<f32> {
        self.i32s()
            .into_iter()
            .map(|x| f32::from_bits(x as u32))
            .collect()
    }
}

struct Args {
    pointers: Vec<*mut u8>,
    steps: Vec<isize>,
}

fn args(arrays: &mut [Array]) -> Args {
    Args {
        pointers: arrays.iter_mut().map(|a| a.bytes.as_mut_ptr()).collect(),
        steps: arrays.iter().map(|a| a.step).collect(),
    }
}

/// Runs the first function of the text over `count` elements; gives what the status says of traps.
fn call(interp: Interp, text: &str, count: isize, arrays: &mut [Array]) -> u32 {
    let module = module(text);
    let kernel = interp
        .compile(&module.functions[0])
        .unwrap_or_else(|e| panic!("{e}"));
    let args = args(arrays);
    let status = KernelStatus::default();
    // SAFETY: the tests give arrays that fit.
    unsafe {
        kernel.call(
            args.pointers.as_ptr(),
            &count,
            args.steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    status.trap.into_inner()
}

const SAXPY: &str = "kernel saxpy {
    array a0 in f32 uniform \"a\"
    array a1 in f32 strided \"x\"
    array a2 inout f32 contiguous \"y\"
    v0 = load a0
    v1 = load a1
    v2 = load a2
    v3 = mul v0, v1
    v4 = add v3, v2
    store a2, v4
    return
}";

const VECTOR_SAXPY: &str = "vector kernel saxpy {
    array a0 in f32 uniform \"a\"
    array a1 in f32 strided \"x\"
    array a2 inout f32 contiguous \"y\"
    v0 = load a0
    v1 = load a1
    v2 = load a2
    v5 = splat v0
    v3 = mul v5, v1
    v4 = add v3, v2
    store a2, v4
    return
}";

#[test]
fn arrays_are_read_by_their_steps() {
    for (interp, text) in [
        (Interp::default(), SAXPY),
        (Interp::with_lanes(1), VECTOR_SAXPY),
        (Interp::with_lanes(2), VECTOR_SAXPY),
        (Interp::with_lanes(4), VECTOR_SAXPY),
    ] {
        let mut arrays = [
            f32s([2.0]),
            f32s([1.0, -1.0, 2.0, -1.0, 3.0, -1.0, 4.0]),
            f32s([10.0, 20.0, 30.0, 40.0]),
        ];
        arrays[0].step = 0;
        arrays[1].step = 8;
        assert_eq!(call(interp, text, 4, &mut arrays), 0);
        assert_eq!(arrays[2].f32s(), [12.0, 24.0, 36.0, 48.0], "{interp:?}");
        assert_eq!(call(interp, text, 0, &mut arrays), 0);
    }
}

#[test]
fn negative_steps_and_unaligned_elements() {
    let text = "kernel k {
    array a0 in f32 strided \"x\"
    array a1 out f32 strided \"y\"
    v0 = load a0
    store a1, v0
    return
}";
    let mut arrays = [f32s([1.0, 2.0, 3.0]), f32s([0.0; 4])];
    arrays[1].bytes.insert(0, 0);
    let module = module(text);
    let kernel = Interp::default().compile(&module.functions[0]).unwrap();
    // SAFETY: element 2 of x, element 0 of y past one byte.
    unsafe {
        let pointers = [
            arrays[0].bytes.as_mut_ptr().add(8),
            arrays[1].bytes.as_mut_ptr().add(1),
        ];
        kernel.call(pointers.as_ptr(), &3, [-4, 4].as_ptr(), std::ptr::null());
    }
    arrays[1].bytes.remove(0);
    assert_eq!(arrays[1].f32s(), [3.0, 2.0, 1.0, 0.0]);
}

/// Collatz steps: a loop whose length differs by element, swapping nothing but the lanes' fates.
const COLLATZ: &str = "kernel collatz {
    array a0 in i32 contiguous \"n\"
    array a1 out i32 contiguous \"steps\"
    v0 = load a0
    v1 = const i32 1
    v2 = const i32 0
    v20 = const i32 3
    v3 = loop (v4: i32 = v0, v5: i32 = v2) -> (i32) {
        v6 = eq v4, v1
        if v6 {
            break v5
        } else {
            yield
        }
        v7 = and v4, v1
        v8 = eq v7, v1
        v9 = if v8 -> (i32) {
            v10 = mul v4, v20
            v11 = add v10, v1
            yield v11
        } else {
            v12 = shr v4, v1
            yield v12
        }
        v13 = add v5, v1
        continue v9, v13
    }
    store a1, v3
    return
}";

/// The same in vector form, as the vectorize pass would write it: lanes that are done keep their values.
const VECTOR_COLLATZ: &str = "vector kernel collatz {
    array a0 in i32 contiguous \"n\"
    array a1 out i32 contiguous \"steps\"
    v0 = load a0
    v1 = const i32 1
    v2 = splat v1
    v3 = const i32 0
    v4 = splat v3
    v5 = const i32 3
    v6 = splat v5
    v30 = ne v0, v2
    v7 = loop (v8: i32* = v0, v9: i32* = v4, v10: bool* = v30) -> (i32*) {
        v11 = any v10
        if v11 {
            yield
        } else {
            break v9
        }
        v12 = and v8, v2
        v13 = eq v12, v2
        v14 = mul v8, v6
        v15 = add v14, v2
        v16 = shr v8, v2
        v17 = select v13, v15, v16
        v18 = add v9, v2
        v19 = select v10, v17, v8
        v20 = select v10, v18, v9
        v21 = ne v19, v2
        v22 = and v10, v21
        continue v19, v20, v22
    }
    store a1, v7
    return
}";

#[test]
fn loops_and_ifs_in_both_forms() {
    for (interp, text) in [
        (Interp::default(), COLLATZ),
        (Interp::with_lanes(1), VECTOR_COLLATZ),
        (Interp::with_lanes(3), VECTOR_COLLATZ),
        (Interp::with_lanes(6), VECTOR_COLLATZ),
    ] {
        let mut arrays = [i32s([1, 2, 3, 6, 7, 27]), i32s([-1; 6])];
        assert_eq!(call(interp, text, 6, &mut arrays), 0);
        assert_eq!(arrays[1].i32s(), [0, 1, 7, 8, 16, 111], "{interp:?}");
    }
}

#[test]
fn a_loop_may_swap_its_values() {
    let text = "function fibonacci(v0: i32) -> (i32, i32) {
    v1 = const i32 1
    v2 = const i32 0
    v3, v4 = loop (v5: i32 = v2, v6: i32 = v1, v7: i32 = v0) -> (i32, i32) {
        v8 = eq v7, v2
        if v8 {
            break v6, v5
        } else {
            yield
        }
        v9 = sub v7, v1
        continue v6, v5, v9
    }
    return v3, v4
}";
    let function = &module(text).functions[0];
    let run = |n| {
        let results = run_function(None, function, &[Scalar::int(DType::I32, n)]).unwrap();
        (results[0].as_int(), results[1].as_int())
    };
    assert_eq!([run(0), run(1), run(2)], [(1, 0), (0, 1), (1, 0)]);
}

#[test]
fn masks_keep_lanes_out() {
    let text = "vector kernel k {
    array a0 in i32 contiguous \"x\"
    array a1 index i64 contiguous \"i\"
    array a2 inout i32 contiguous \"y\"
    local l0 [i32; 2] \"t\"
    trap trap0 index_out_of_bounds \"t\" 2
    v0 = index a1
    v1 = const i64 5
    v2 = splat v1
    v3 = lt v0, v2
    v4 = load a0, v3
    v5 = const i32 1
    local.store l0, v5, v4, v3
    v6 = local.load l0, v5
    v7 = add v6, v4
    v8 = not v3
    guard trap0, v3, v3
    guard trap0, v8, v8
    store a2, v7, v3
    return
}";
    for lanes in [1, 2, 4] {
        let mut arrays = [i32s([1, 2, 3, 4]), i32s([0]), i32s([-1; 4])];
        // The index starts at 3 and grows by 1: not a pointer.
        let mut pointers = args(&mut arrays).pointers;
        pointers[1] = std::ptr::without_provenance_mut(3);
        let status = KernelStatus::default();
        let module = module(text);
        let kernel = Interp::with_lanes(lanes)
            .compile(&module.functions[0])
            .unwrap();
        assert_eq!(kernel.lanes(), lanes);
        // SAFETY: four elements each.
        unsafe {
            let data = (&raw const status).cast();
            kernel.call(pointers.as_ptr(), &4, [4, 1, 4].as_ptr(), data);
        }
        assert_eq!(arrays[2].i32s(), [2, 4, -1, -1], "{lanes} lanes");
        assert_eq!(status.trap.into_inner(), 0);
    }
}

const GUARDED: &str = "kernel k {
    array a0 in i32 contiguous \"i\"
    array a1 inout i32 contiguous \"y\"
    local l0 [i32; 4] \"table\"
    trap trap0 loop_limit
    trap trap1 index_out_of_bounds \"table\" 4 @1:10-14
    v0 = load a0
    v1 = const i32 0
    v2 = const i32 4
    v3 = ge v0, v1
    v4 = lt v0, v2
    v5 = and v3, v4
    guard trap1, v5
    local.store l0, v0, v0
    v6 = const i32 3
    v7 = local.load l0, v6
    store a1, v7
    return
}";

#[test]
fn a_failed_guard_is_reported_and_the_kernel_goes_on() {
    let mut arrays = [i32s([0, 3, 9, -5]), i32s([7; 4])];
    assert_eq!(call(Interp::default(), GUARDED, 4, &mut arrays), 2);
    // Locals are zero when an element starts, and indices are clamped.
    assert_eq!(arrays[1].i32s(), [0, 3, 9, 0]);
}

#[test]
fn the_first_failing_element_is_found_without_writing() {
    let module = module(GUARDED);
    let kernel = &module.functions[0];
    let mut arrays = [i32s([0, 3, 9, -5]), i32s([7; 4])];
    let args = args(&mut arrays);
    let find = |count: isize| {
        let (pointers, steps) = (args.pointers.as_ptr(), args.steps.as_ptr());
        // SAFETY: at most four elements each.
        unsafe { Interp::first_trap(kernel, pointers, &count, steps) }
    };
    let report = TrapReport {
        trap: TrapRef(1),
        element: 2,
        value: Some(Scalar::int(DType::I32, 9)),
        extent: None,
    };
    assert_eq!(find(4), Some(report));
    assert_eq!(find(2), None);
    assert_eq!(arrays[1].i32s(), [7; 4]);
}

#[test]
fn endless_loops_run_out_of_fuel() {
    let endless = |traps: &str| {
        format!(
            "kernel k {{
    array a0 out i32 contiguous \"y\"
    {traps}
    v0 = const i32 1
    loop () {{
        continue
    }}
    store a0, v0
    return
}}"
        )
    };
    let limited = Interp::default().with_fuel(1000);
    let mut arrays = [i32s([7])];
    assert_eq!(call(limited, &endless(""), 1, &mut arrays), OUT_OF_FUEL);
    assert_eq!(
        call(limited, &endless("trap trap0 loop_limit"), 1, &mut arrays),
        1
    );
    assert_eq!(arrays[0].i32s(), [7]);
    let text = "function f() {\n loop () {\n continue\n }\n return\n}";
    let result = run_function_with_fuel(None, &module(text).functions[0], &[], 1000);
    assert_eq!(result, Err(InterpError::OutOfFuel));
}

#[test]
fn functions_call_functions() {
    let text = "function main(v0: i32) -> i32 {
    v1, v2 = call fn1, v0 -> (i32, bool)
    v3 = if v2 -> (i32) {
        return v1
    } else {
        v4 = neg v1
        yield v4
    }
    return v3
}
function halve(v0: i32) -> (i32, bool) {
    trap trap0 index_out_of_bounds \"x\" 100
    v1 = const i32 2
    v2 = div v0, v1
    v3 = rem v0, v1
    v4 = const i32 0
    v5 = eq v3, v4
    v6 = const i32 100
    v7 = lt v0, v6
    guard trap0, v7
    return v2, v5
}
function forever() {
    call fn2
    return
}";
    let module = module(text);
    let run = |f: usize, args: &[i128]| {
        let args: Vec<_> = args.iter().map(|x| Scalar::int(DType::I32, *x)).collect();
        let results = run_function(Some(&module), &module.functions[f], &args)?;
        Ok(results.into_iter().map(Scalar::as_int).collect::<Vec<_>>())
    };
    assert_eq!(run(0, &[10]), Ok(vec![5]));
    assert_eq!(run(0, &[11]), Ok(vec![-5]));
    assert_eq!(run(1, &[11]), Ok(vec![5, 0]));
    let trap: Trap = module.functions[1].traps[0].clone();
    assert_eq!(run(0, &[100]), Err(InterpError::Trap(trap)));
    assert_eq!(run(2, &[]), Err(InterpError::TooDeep));
    assert!(matches!(run(0, &[]), Err(InterpError::Arguments(_))));
    let alone = run_function(None, &module.functions[2], &[]);
    assert_eq!(
        alone,
        Err(InterpError::Unsupported("there is no function fn2".into()))
    );
}

#[test]
fn what_cannot_run_is_refused() {
    let refused = |text: &str| match Interp::default().compile(&module(text).functions[0]) {
        Err(BackendError::Internal(message)) => message,
        Err(BackendError::Unsupported(message)) => panic!("{message}"),
        Ok(_) => panic!("compiled"),
    };
    assert_eq!(refused("function f() {\n return\n}"), "`f` is not a kernel");
    let huge = module("function f() {\n local l0 [f64; 4000000000] \"t\"\n return\n}");
    let result = run_function(None, &huge.functions[0], &[]);
    assert!(
        matches!(result, Err(InterpError::Unsupported(_))),
        "{result:?}"
    );
    let called = refused(
        "kernel k {\n array a0 in f32 strided \"x\"\n call fn1\n return\n}\nfunction f() {\n return\n}",
    );
    assert!(called.starts_with("`k` is not inlined"), "{called}");
    let malformed = refused("kernel k {\n array a0 in f32 strided \"x\"\n yield\n}");
    assert!(malformed.contains("`yield` outside an arm"), "{malformed}");
}

#[test]
fn bools_in_memory_are_zero_or_not() {
    let text = "kernel k {
    array a0 in bool contiguous \"x\"
    array a1 out bool contiguous \"y\"
    v0 = load a0
    v1 = not v0
    v2 = not v1
    store a1, v2
    return
}";
    let mut arrays = [
        array(&[Scalar::bool(false); 3]),
        array(&[Scalar::bool(false); 3]),
    ];
    arrays[0].bytes = vec![0, 1, 200];
    call(Interp::default(), text, 3, &mut arrays);
    assert_eq!(arrays[1].bytes, [0, 1, 1]);
}
