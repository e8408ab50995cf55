//! Gufuncs from text to kernels: signatures, proofs, and answers on the interpreter.

use super::*;
use kjit_ir::host::DimExpr;
use kjit_ir::passes::optimize;
use kjit_ir::verify::verify;
use kjit_ir::{ArrayMode, DType, Function, Opcode, Role};

/// The kernel of a gufunc, verified before and after the optimiser.
fn kernel(text: &str, name: &str, generics: &[DType]) -> Function {
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, root) = checked
        .kernel(name, generics, false)
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
fn is_watched(kernel: &Function) -> bool {
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
