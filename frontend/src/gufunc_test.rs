//! Gufuncs from text to kernels: signatures, proofs, and answers on the interpreter.

use super::*;
use kjit_interp::Interp;
use kjit_ir::abi::KernelStatus;
use kjit_ir::host::DimExpr;
use kjit_ir::passes::optimize;
use kjit_ir::target::Backend;
use kjit_ir::verify::verify;
use kjit_ir::{ArrayMode, DType, Function, Opcode, Role};

/// The kernel of a gufunc, verified before and after the optimiser.
fn kernel(text: &str, name: &str, generics: &[DType]) -> Function {
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, root) = checked
        .kernel(name, generics, false, false)
        .expect("no instantiation errors");
    for function in &module.functions {
        if let Err(errors) = verify(function, Some(&module)) {
            panic!("{errors:?}\n{function}");
        }
    }
    let optimized = optimize(&module, root);
    if let Err(errors) = verify(&optimized, None) {
        panic!("{errors:?}\n{optimized}");
    }
    module[root].clone()
}

fn count(kernel: &Function, op: Opcode) -> usize {
    kernel.insts.iter().filter(|inst| inst.op == op).count()
}

/// Has the first output a companion that says which elements are written?
pub(super) fn is_watched(kernel: &Function) -> bool {
    kernel
        .arrays
        .iter()
        .any(|a| matches!(a.role, Role::Written(_)))
}

/// Checks how many indices the kernel checks when it runs, and whether it watches its output.
#[track_caller]
fn expect(text: &str, guards: usize, watched: bool) -> Function {
    let name = text.split(['(', '<', ' ']).nth(1).expect("a name");
    let generics = if text.contains("<T") {
        vec![DType::F32]
    } else {
        Vec::new()
    };
    let kernel = kernel(text, name, &generics);
    assert_eq!(count(&kernel, Opcode::Guard), guards, "{kernel}");
    assert_eq!(is_watched(&kernel), watched, "{kernel}");
    kernel
}

const MATMUL: &str = "gufunc matmul<T: number>(a: [T; m, k], b: [T; k, n]) -> (c: [T; m, n]) {
    for i in 0..m { for j in 0..n {
        let mut acc: T = 0;
        for l in 0..k { acc += a[i, l] * b[l, j]; }
        c[i, j] = acc;
    } }
}";

#[test]
fn matmul_is_proven() {
    let kernel = expect(MATMUL, 0, false);
    assert_eq!(count(&kernel, Opcode::If), 3, "one a loop\n{kernel}");
    let names: Vec<&str> = kernel.dims.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["m", "k", "n"]);
    let modes: Vec<ArrayMode> = kernel.arrays.iter().map(|a| a.mode).collect();
    assert_eq!(modes, [ArrayMode::In, ArrayMode::In, ArrayMode::Out]);
}

#[test]
fn usual_index_patterns_are_proven() {
    let proven = [
        // moving average
        "gufunc ma<T: float>(x: [T; n], f: [T; w]) -> (y: [T; n - w + 1]) {
            for i in 0..n - w + 1 {
                let mut s: T = 0;
                for j in 0..w { s += x[i + j] * w2(f[j]); }
                y[i] = s;
            }
        }
        fn w2<T: float>(x: T) -> T { x }",
        // three points, ends by themselves
        "gufunc s3<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..n {
                if i > 0 && i < n - 1 { y[i] = x[i - 1] + x[i + 1]; } else { y[i] = x[i]; }
            }
        }",
        // three points, clamped
        "gufunc s3c<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..n { y[i] = x[max(i - 1, 0)] + x[min(i + 1, n - 1)]; }
        }",
        // three points, periodic
        "gufunc s3p<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..n { y[i] = x[(i + n - 1) % n] + x[(i + 1) % n]; }
        }",
        // the neighbour by an `if` that has a value
        "gufunc left<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..n { let k = if i > 0 { i - 1 } else { n - 1 }; y[i] = x[k]; }
        }",
        // leaving early
        "gufunc early<T: float>(x: [T; n], k: i64) -> (s: T) {
            s = 0;
            if k < 0 || k >= n { return; }
            s = x[k];
        }",
        "gufunc reverse<T: float>(x: [T; n]) -> (y: [T; n]) { for i in 0..n { y[i] = x[n - 1 - i]; } }",
        "gufunc outer<T: float>(x: [T; n], y: [T; m]) -> (z: [T; n * m]) {
            for i in 0..n { for j in 0..m { z[i * m + j] = x[i] * y[j]; } }
        }",
        "gufunc fixed<T: float>(x: [T; 3], y: [T; 3]) -> (z: [T; 3]) {
            for i in 0..3 { z[i] = x[(i + 1) % 3] * y[(i + 2) % 3]; }
        }",
        "gufunc cross<T: float>(x: [T; 3], y: [T; 3]) -> (z: [T; 3]) {
            z[0] = x[1] * y[2] - x[2] * y[1];
            z[1] = x[2] * y[0] - x[0] * y[2];
            z[2] = x[0] * y[1] - x[1] * y[0];
        }",
        "gufunc append<T: float>(x: [T; n], v: T) -> (y: [T; n + 1]) {
            for i in 0..n { y[i] = x[i]; }
            y[n] = v;
        }",
        "gufunc pairs<T: float>(x: [T; n]) -> (y: [T; n / 2]) {
            for i in 0..n / 2 { y[i] = x[2 * i] + x[2 * i + 1]; }
        }",
        "gufunc triangle<T: float>(x: [T; n, n]) -> (s: T) {
            s = 0;
            for i in 0..n { for j in i + 1..n { s += x[i, j]; } for j in 0..i { s += x[i, j]; } }
        }",
        "gufunc transpose<T: any>(x: [T; m, n]) -> (y: [T; n, m]) {
            for i in 0..m { for j in 0..n { y[j, i] = x[i, j]; } }
        }",
        // accumulates: starts as zeros
        "gufunc histogram(x: [i64; n], k: i64) -> (h: [i64; bins]) {
            for i in 0..n { let v = x[i]; if 0 <= v && v < bins { h[v] += 1; } }
        }",
        // an i32 counter
        "gufunc narrow<T: float>(x: [T; 4]) -> (y: [T; 4]) {
            for i in 0i32..4 { y[i] = x[3 - i]; }
        }",
    ];
    for text in proven {
        expect(text, 0, false);
    }
}

#[test]
fn boundaries_and_interior_cover_an_output() {
    // `y[0]` has a check: nothing says that there is an element.
    expect(
        "gufunc s3<T: float>(x: [T; n]) -> (y: [T; n]) {
            y[0] = 0.0;
            for i in 1..n - 1 { y[i] = x[i - 1] + x[i + 1]; }
            y[n - 1] = 0.0;
        }",
        2,
        false,
    );
    expect(
        "gufunc s5<T: float>(x: [T; m, n]) -> (y: [T; m, n]) {
            for i in 1..m - 1 { for j in 1..n - 1 {
                y[i, j] = x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1] - 4.0 * x[i, j];
            } }
            for i in 0..m { y[i, 0] = 0.0; y[i, n - 1] = 0.0; }
            for j in 0..n { y[0, j] = 0.0; y[m - 1, j] = 0.0; }
        }",
        4,
        false,
    );
}

#[test]
fn what_is_not_proven_is_checked_or_watched() {
    // an index out of an array
    expect(
        "gufunc gather<T: float>(x: [T; n], k: [i64; m]) -> (y: [T; m]) {
            for i in 0..m { y[i] = x[k[i]]; }
        }",
        1,
        false,
    );
    // one too far
    expect(
        "gufunc far<T: float>(x: [T; n]) -> (y: [T; n]) { for i in 0..n { y[i] = x[i + 1]; } }",
        1,
        false,
    );
    // negative where the loop starts
    expect(
        "gufunc low<T: float>(x: [T; n]) -> (y: [T; n]) { for i in 0..n { y[i] = x[i - 1]; } }",
        1,
        false,
    );
    // another dimension's extent
    expect(
        "gufunc other<T: float>(x: [T; n], z: [T; m]) -> (y: [T; n]) { for i in 0..n { y[i] = z[i]; } }",
        1,
        false,
    );
    // an i32 may have wrapped
    expect(
        "gufunc wraps<T: float>(x: [T; n], k: i32) -> (s: T) {
            s = 0;
            if k + 1 > k && k >= 0 && (k as i64) < n { s = x[k + 1]; }
        }",
        1,
        false,
    );
    // the interior alone
    expect(
        "gufunc interior<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 1..n - 1 { y[i] = x[i]; }
        }",
        0,
        true,
    );
    // under a condition
    expect(
        "gufunc some<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..n { if x[i] > 0.0 { y[i] = x[i]; } }
        }",
        0,
        true,
    );
    // a loop around it that may not run
    expect(
        "gufunc around<T: float>(x: [T; n, m]) -> (y: [T; n]) {
            for i in 0..n { for j in 0..m { y[i] = x[i, j]; } }
        }",
        0,
        true,
    );
    // left early, and skipped
    for leave in ["break;", "continue;", "return;"] {
        expect(
            &format!(
                "gufunc leaves<T: float>(x: [T; n]) -> (y: [T; n]) {{
                    for i in 0..n {{ if x[i] < 0.0 {{ {leave} }} y[i] = x[i]; }}
                }}"
            ),
            0,
            true,
        );
    }
    // what a `return` says about the code behind it
    expect(
        "gufunc contradicts<T: float>(x: [T; n]) -> (y: [T; n]) {
            for i in 0..3 { if i < n { y[i] = x[i]; } }
            if n >= 0 { return; }
        }",
        0,
        true,
    );
    // the counter of a loop that may go on
    expect(
        "gufunc while_<T: float>(x: [T; n]) -> (y: [T; n]) {
            let mut i: i64 = 0;
            while i < n { y[i] = x[i]; i += 1; }
        }",
        2,
        true,
    );
    // half of the diagonal
    expect(
        "gufunc lower<T: float>(x: [T; n, n]) -> (y: [T; n, n]) {
            for i in 0..n { for j in 0..i + 1 { y[i, j] = x[i, j]; } }
        }",
        0,
        true,
    );
}

#[test]
fn signatures() {
    let source = Source::new(
        "test.k",
        "const K: i64 = 2 * 4;
        gufunc mm<T: number>(a: [T; n?, k], b: [T; k, p?]) -> (c: [T; n?, p?]) {
            for i in 0..n { for j in 0..p { c[i, j] = a[i, 0] * b[0, j]; } }
        }
        gufunc f(x: [f32; n, 3], w: [f32; (n - k + 1) / 2, K], s: i32)
            -> (y: [f32; n*m, 3], z: f64, v: [f32; 2 * (n + k), k, m]) {
            z = 0; for i in 0..m { y[i, 0] = x[0, 0]; v[0, 0, i] = w[0, 0]; }
        }",
    );
    let checked = check(&source).expect("no mistakes");
    let core = |n: usize| checked.signatures()[n].core.as_ref().expect("a gufunc");
    assert_eq!(core(0).to_string(), "(n?,k),(k,p?)->(n?,p?)");
    assert_eq!(
        core(1).to_string(),
        "(n,3),((n-k+1)/2,8),()->(n*m,3),(),(2*(n+k),k,m)"
    );
    assert_eq!(core(1).inputs, vec![vec![0, 1], vec![2, 3], vec![]]);
    let dims = &core(1).dims;
    assert_eq!(dims[3].extent, DimExpr::Const(8));
    let names: Vec<&str> = dims.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names[..5], ["n", "3", "(n-k+1)/2", "8", "n*m"]);
}

// Answers, on the interpreter ------------------------------------------------------------------------

/// What outputs hold before the call, where they are not read: a NaN that nothing computes.
pub(super) const UNWRITTEN: u64 = 0x7ff8_0000_dead_beef;
/// Elements before and after each array.
const MARGIN: usize = 1 << 13;

/// What a kernel leaves.
pub(super) struct Answer {
    /// Outputs of the user, as f64 (or i64, converted).
    pub(super) outputs: Vec<Vec<f64>>,
    /// Companions of outputs.
    written: Vec<Vec<u32>>,
    /// 0, or one more than the check that failed.
    pub(super) trap: u32,
}

/// Runs a kernel of f64 and i64 arrays on several elements, each array in C order. `inputs` has the
/// elements of all of them; extents are those of all dimensions.
pub(super) fn run(
    kernel: &Function,
    elements: usize,
    extents: &[usize],
    inputs: &[&[f64]],
) -> Answer {
    let size = |n: usize| -> usize {
        let core = kernel.arrays[n].core.iter();
        core.map(|d| extents[d.index()]).product()
    };
    let mut buffers: Vec<Vec<u64>> = Vec::new();
    for (n, array) in kernel.arrays.iter().enumerate() {
        // Memory around it takes what a wrong proof would let through.
        let outside = vec![0u64; MARGIN];
        let start = match array.mode {
            ArrayMode::Out if array.role == Role::Argument => UNWRITTEN,
            _ => 0,
        };
        let mut buffer = vec![start; elements * size(n)];
        if let Some(values) = inputs.get(n) {
            assert_eq!(values.len(), elements * size(n), "{}", array.name);
            for (to, x) in buffer.iter_mut().zip(*values) {
                *to = match array.dtype {
                    DType::I64 => (*x as i64) as u64,
                    _ => x.to_bits(),
                };
            }
        }
        buffers.push([&outside[..], &buffer, &outside].concat());
    }
    let inside = |b: &mut Vec<u64>| b[MARGIN..].as_mut_ptr().cast();
    let args: Vec<*mut u8> = buffers.iter_mut().map(inside).collect();
    let dims: Vec<isize> = [elements]
        .iter()
        .chain(extents)
        .map(|d| *d as isize)
        .collect();
    let arrays = kernel.arrays.iter().enumerate();
    let width = |n: usize| kernel.arrays[n].dtype.size() as isize;
    let mut steps: Vec<isize> = arrays
        .clone()
        .map(|(n, _)| size(n) as isize * width(n))
        .collect();
    for (n, array) in arrays {
        let mut step = size(n) as isize * width(n);
        for d in &array.core {
            step /= (extents[d.index()] as isize).max(1);
            steps.push(step);
        }
    }
    let code = Interp::default().compile(kernel).expect("compiles");
    let status = KernelStatus::default();
    // SAFETY: each buffer holds its array, whose extents and C-order steps are given.
    unsafe {
        code.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    let mut answer = Answer {
        outputs: Vec::new(),
        written: Vec::new(),
        trap: status.trap.into_inner(),
    };
    for (n, array) in kernel.arrays.iter().enumerate().skip(inputs.len()) {
        let count = elements * size(n);
        match array.dtype {
            DType::U32 => {
                let halves = buffers[n][MARGIN..]
                    .iter()
                    .flat_map(|x| [*x as u32, (*x >> 32) as u32]);
                answer.written.push(halves.take(count).collect());
            }
            dtype => {
                let value = |x: &u64| match dtype {
                    DType::I64 => *x as i64 as f64,
                    _ => f64::from_bits(*x),
                };
                answer
                    .outputs
                    .push(buffers[n][MARGIN..][..count].iter().map(value).collect());
            }
        }
    }
    answer
}

/// The kernel as the optimiser leaves it.
fn optimized(text: &str, generics: &[DType]) -> Function {
    let name = text.split(['(', '<', ' ']).nth(1).expect("a name");
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, root) = checked
        .kernel(name, generics, false, false)
        .expect("no mistakes");
    optimize(&module, root)
}

/// Some numbers.
fn numbers(n: usize) -> Vec<f64> {
    (0..n).map(|k| ((k * 7 + 3) % 11) as f64 - 4.0).collect()
}

#[test]
fn matmul_computes() {
    let kernel = optimized(MATMUL, &[DType::F64]);
    for [m, k, n] in [[2, 3, 4], [1, 1, 1], [3, 0, 2], [0, 2, 2], [5, 4, 1]] {
        let (a, b) = (numbers(2 * m * k), numbers(2 * k * n + 1));
        let b = &b[1..];
        let answer = run(&kernel, 2, &[m, k, n], &[&a, b]);
        let mut expected = Vec::new();
        for e in 0..2 {
            for i in 0..m {
                for j in 0..n {
                    let terms = (0..k).map(|l| a[(e * m + i) * k + l] * b[(e * k + l) * n + j]);
                    expected.push(terms.fold(0.0, |x, y| x + y));
                }
            }
        }
        assert_eq!(answer.outputs, [expected], "{m} {k} {n}");
        assert_eq!(answer.trap, 0);
    }
}

#[test]
fn stencils_and_windows_compute() {
    let text = "gufunc s5(x: [f64; m, n]) -> (y: [f64; m, n]) {
        for i in 1..m - 1 { for j in 1..n - 1 {
            y[i, j] = x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1] - 4.0 * x[i, j];
        } }
        for i in 0..m { y[i, 0] = 1.0; y[i, n - 1] = 2.0; }
        for j in 0..n { y[0, j] = 3.0; y[m - 1, j] = 4.0; }
    }";
    let (m, n) = (4, 5);
    let x = numbers(m * n);
    let answer = run(&optimized(text, &[]), 1, &[m, n], &[&x]);
    assert_eq!(answer.trap, 0);
    for i in 0..m {
        for j in 0..n {
            let at = |i: usize, j: usize| x[i * n + j];
            let expected = match (i, j) {
                (3, _) => 4.0,
                (0, _) => 3.0,
                (_, 4) => 2.0,
                (_, 0) => 1.0,
                _ => at(i - 1, j) + at(i + 1, j) + at(i, j - 1) + at(i, j + 1) - 4.0 * at(i, j),
            };
            assert_eq!(answer.outputs[0][i * n + j], expected, "{i} {j}");
        }
    }
    let text = "gufunc ma(x: [f64; n], f: [f64; w]) -> (y: [f64; n - w + 1]) {
        for i in 0..n - w + 1 { let mut s = 0.0; for j in 0..w { s += x[i + j] * f[j]; } y[i] = s; }
    }";
    let x = numbers(7);
    let f = [1.0, -2.0, 0.5];
    let answer = run(&optimized(text, &[]), 1, &[7, 3, 5], &[&x, &f]);
    let expected: Vec<f64> = (0..5)
        .map(|i| x[i] - 2.0 * x[i + 1] + 0.5 * x[i + 2])
        .collect();
    assert_eq!(answer.outputs, [expected]);
}

#[test]
fn checks_report_and_protect() {
    let text = "gufunc gather(x: [f64; n], k: [i64; m]) -> (y: [f64; m]) {
        for i in 0..m { y[i] = x[k[i]]; }
    }";
    let kernel = optimized(text, &[]);
    let x = [10.0, 20.0, 30.0];
    let good = run(&kernel, 1, &[3, 4], &[&x, &[2.0, 0.0, 1.0, 2.0]]);
    assert_eq!(
        (good.outputs, good.trap),
        (vec![vec![30.0, 10.0, 20.0, 30.0]], 0)
    );
    for bad in [3.0, -1.0, 1e15, -9e18] {
        let answer = run(&kernel, 1, &[3, 4], &[&x, &[2.0, bad, 1.0, 2.0]]);
        assert_eq!(answer.trap, 1, "{bad}");
    }
    // A write outside is left out, and reported.
    let text = "gufunc scatter(x: [f64; n], k: [i64; n]) -> (y: [f64; m]) {
        for i in 0..n { y[k[i]] = x[i]; }
    }";
    let kernel = optimized(text, &[]);
    let answer = run(&kernel, 1, &[3, 4], &[&x, &[3.0, 0.0, 3.0]]);
    assert_eq!((answer.outputs[0][0], answer.outputs[0][3]), (20.0, 30.0));
    assert_eq!((answer.written, answer.trap), (vec![vec![1, 0, 0, 1]], 0));
    let answer = run(&kernel, 1, &[3, 4], &[&x, &[3.0, 4.0, -1.0]]);
    assert_eq!(answer.outputs[0][3], 10.0);
    assert!(
        answer.outputs[0][..3]
            .iter()
            .all(|y| y.to_bits() == UNWRITTEN)
    );
    assert_ne!(answer.trap, 0);
}

#[test]
fn outputs_read_back_and_numbers_and_returns() {
    let text = "gufunc cumsum(x: [f64; n]) -> (y: [f64; n], last: f64) {
        let mut acc = 0.0;
        for i in 0..n { acc += x[i]; y[i] = acc; }
        last = 0.0;
        if n == 0 { return; }
        last = y[n - 1];
    }";
    let kernel = optimized(text, &[]);
    let modes: Vec<ArrayMode> = kernel.arrays.iter().map(|a| a.mode).collect();
    assert_eq!(modes, [ArrayMode::In, ArrayMode::InOut, ArrayMode::Out]);
    let answer = run(&kernel, 2, &[3], &[&[1.0, 2.0, 3.0, 5.0, 5.0, 5.0]]);
    assert_eq!(
        answer.outputs,
        [vec![1.0, 3.0, 6.0, 5.0, 10.0, 15.0], vec![6.0, 15.0]]
    );
    assert_eq!(answer.trap, 0);
    let answer = run(&kernel, 2, &[0], &[&[]]);
    assert_eq!(answer.outputs, [vec![], vec![0.0, 0.0]]);
    // An end in the middle of a loop.
    let text = "gufunc first_above(x: [f64; n], limit: f64) -> (at: i64) {
        at = -1;
        for i in 0..n { if x[i] > limit { at = i; return; } }
    }";
    let x = [1.0, 7.0, 9.0, 0.0, 0.0, 1.0];
    let answer = run(&optimized(text, &[]), 2, &[3], &[&x, &[5.0, 5.0]]);
    assert_eq!(answer.outputs, [[1.0, -1.0]]);
    // Local arrays, `+=` from zeros.
    let text = "gufunc digits(x: [i64; n]) -> (count: [i64; 4]) {
        let mut seen = [0i64; 4];
        for i in 0..n { seen[x[i] % 4] += 1; }
        for i in 0..n { count[x[i] % 4] += 1; }
        for k in 0..4 { count[k] += 10 * seen[k]; }
    }";
    let answer = run(
        &optimized(text, &[]),
        1,
        &[5, 4],
        &[&[0.0, 1.0, 5.0, 9.0, 3.0]],
    );
    assert_eq!(
        (answer.outputs, answer.trap),
        (vec![vec![11.0, 33.0, 0.0, 11.0]], 0)
    );
}
