//! Calls of gufuncs: core dimensions as NumPy binds them, every layout, and each wrong call with its text.

use super::Rng;
use super::execution::engines;
use crate::{Arg, Array, Engine, EngineOptions, Program, SliceIndex, Ufunc};
use kjit_driver::Source;
use kjit_ir::{DType, Scalar};
use std::sync::Arc;

const TEXT: &str = "
gufunc matmul<T: number>(a: [T; m?, k], b: [T; k, n?]) -> (c: [T; m?, n?]) {
    for i in 0..m { for j in 0..n {
        let mut acc: T = 0;
        for l in 0..k { acc += a[i, l] * b[l, j]; }
        c[i, j] = acc;
    } }
}
gufunc total<T: number>(x: [T; n]) -> (s: T) {
    let mut acc: T = 0;
    for i in 0..n { acc += x[i]; }
    s = acc;
}
gufunc average<T: float>(x: [T; n], w: [T; k]) -> (y: [T; n - k + 1]) {
    for i in 0..n - k + 1 {
        let mut acc: T = 0;
        for j in 0..k { acc += x[i + j] * w[j]; }
        y[i] = acc;
    }
}
gufunc histogram(x: [i64; n]) -> (h: [i64; bins]) {
    for i in 0..n { let v = x[i]; if 0 <= v && v < bins { h[v] += 1; } }
}
gufunc gather<T: any>(x: [T; n], k: [i64; m]) -> (y: [T; m]) {
    for i in 0..m { y[i] = x[k[i]]; }
}
gufunc positive<T: float>(x: [T; n]) -> (y: [T; n]) {
    for i in 0..n { if x[i] > 0.0 { y[i] = x[i]; } }
}
gufunc cross<T: number>(x: [T; 3], y: [T; 3]) -> (z: [T; 3]) {
    z[0] = x[1] * y[2] - x[2] * y[1];
    z[1] = x[2] * y[0] - x[0] * y[2];
    z[2] = x[0] * y[1] - x[1] * y[0];
}
gufunc range_of<T: float>(x: [T; n]) -> (lo: T, hi: T) {
    let mut a: T = x[0];
    let mut b: T = x[0];
    for i in 0..n { a = min(a, x[i]); b = max(b, x[i]); }
    lo = a;
    hi = b;
}
";

fn gufunc(name: &str) -> Ufunc {
    let program = match Program::compile(Source::new("g.k", TEXT)) {
        Ok(program) => program,
        Err(list) => panic!("{list:?}"),
    };
    Ufunc::new(&Arc::new(program), name).unwrap()
}

fn numbers(rng: &mut Rng, shape: &[usize]) -> Array {
    let n = shape.iter().product();
    let values = (0..n).map(|_| rng.below(19) as i64 - 9).collect();
    Array::from_vec::<i64>(values, shape).unwrap()
}

/// Products of the last two axes of arrays that broadcast, by hand.
fn product(a: &Array, b: &Array, loops: &[usize]) -> Vec<i64> {
    let core = |x: &Array| (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1]);
    let ((m, k), (_, n)) = (core(a), core(b));
    let wide = |x: &Array, core: &[usize]| {
        let shape: Vec<usize> = loops.iter().chain(core).copied().collect();
        x.broadcast_to(&shape).unwrap().to_vec::<i64>().unwrap()
    };
    let (a, b) = (wide(a, &[m, k]), wide(b, &[k, n]));
    let count: usize = loops.iter().product();
    let mut c = Vec::new();
    for batch in 0..count {
        for i in 0..m {
            for j in 0..n {
                let term = |l| a[(batch * m + i) * k + l] * b[(batch * k + l) * n + j];
                c.push((0..k).map(term).sum());
            }
        }
    }
    c
}

#[test]
fn matrices_of_every_layout() {
    let (matmul, engines) = (gufunc("matmul"), engines());
    assert_eq!(matmul.core_signature().unwrap(), "(m?,k),(k,n?)->(m?,n?)");
    let mut rng = Rng(3);
    for case in 0..24 {
        let [m, k, n] = [0, 1, 2].map(|_| rng.below(if case % 6 == 0 { 40 } else { 6 }));
        let loops: Vec<usize> = (0..rng.below(3)).map(|_| 1 + rng.below(4)).collect();
        let mut operand = |core: [usize; 2]| {
            let mut shape: Vec<usize> = loops
                .iter()
                .map(|n| if rng.below(3) == 0 { 1 } else { *n })
                .collect();
            shape.drain(..rng.below(shape.len() + 1));
            let array = if rng.below(2) == 0 {
                shape.extend(core);
                numbers(&mut rng, &shape)
            } else {
                // Transposed, and every second element backwards.
                let mut turned: Vec<usize> = vec![2 * core[1], core[0]];
                turned.extend(shape.iter().rev());
                numbers(&mut rng, &turned).transpose()
            };
            let mut index = vec![SliceIndex::ALL; array.ndim()];
            if array.shape()[array.ndim() - 1] != core[1] {
                *index.last_mut().unwrap() = SliceIndex::Range {
                    start: None,
                    end: None,
                    step: -2,
                };
            }
            array.slice(&index).unwrap()
        };
        let (a, b) = (operand([m, k]), operand([k, n]));
        let lead = |x: &Array| x.shape()[..x.ndim() - 2].to_vec();
        let loops = crate::broadcast_shapes(&[&lead(&a), &lead(&b)]).unwrap();
        let wanted = product(&a, &b, &loops);
        let shape: Vec<usize> = loops.iter().copied().chain([m, n]).collect();
        for engine in &engines {
            let args = [Arg::from(&a), Arg::from(&b)];
            let c = matmul.call(engine, &args).unwrap().remove(0);
            assert_eq!(c.shape(), shape, "case {case}");
            assert_eq!(c.to_vec::<i64>().unwrap(), wanted, "case {case} {engine:?}");
            // Into a transposed array of another dtype.
            let turned: Vec<usize> = shape.iter().rev().copied().collect();
            let mut out = [Array::zeros(DType::F64, &turned).unwrap().transpose()];
            matmul.on(engine).out(&mut out).call(&args).unwrap();
            let got = out[0].cast(DType::I64).unwrap();
            assert_eq!(
                got.to_vec::<i64>().unwrap(),
                wanted,
                "case {case} {engine:?}"
            );
            let mut out = [Array::zeros(DType::I64, &turned).unwrap().transpose()];
            let place = out[0].as_ptr();
            matmul.on(engine).out(&mut out).call(&args).unwrap();
            assert_eq!(out[0].to_vec::<i64>().unwrap(), wanted);
            assert_eq!(out[0].as_ptr(), place);
        }
    }
}

/// Vectors lack the optional dimensions, as in NumPy's matmul.
#[test]
fn optional_dimensions() {
    let matmul = gufunc("matmul");
    for engine in engines() {
        let x = Array::from_vec(vec![1i64, 2, 3], &[3]).unwrap();
        let a = Array::from_vec((0..6i64).collect(), &[2, 3]).unwrap();
        let call = |a: &Array, b: &Array| {
            let c = matmul.call(&engine, &[Arg::from(a), Arg::from(b)]);
            let c = c.unwrap().remove(0);
            (c.shape().to_vec(), c.to_vec::<i64>().unwrap())
        };
        assert_eq!(call(&x, &x), (vec![], vec![14]));
        assert_eq!(call(&a, &x), (vec![2], vec![8, 26]));
        assert_eq!(call(&x, &a.transpose()), (vec![2], vec![8, 26]));
    }
}

#[test]
fn axes_and_kept_dimensions() {
    let (total, matmul) = (gufunc("total"), gufunc("matmul"));
    let mut rng = Rng(8);
    let x = numbers(&mut rng, &[3, 4, 5]);
    let values = x.to_vec::<i64>().unwrap();
    let at = |i: usize, j: usize, k: usize| values[(i * 4 + j) * 5 + k];
    let mut wanted = Vec::new();
    for i in 0..3 {
        for k in 0..5 {
            wanted.push((0..4).map(|j| at(i, j, k)).sum::<i64>());
        }
    }
    for engine in engines() {
        let args = [Arg::from(&x)];
        let check = |sum: Vec<Array>, shape: &[usize]| {
            assert_eq!(sum[0].shape(), shape);
            assert_eq!(sum[0].to_vec::<i64>().unwrap(), wanted);
        };
        check(total.on(&engine).axis(1).call(&args).unwrap(), &[3, 5]);
        check(total.on(&engine).axis(-2).call(&args).unwrap(), &[3, 5]);
        let kept = total.on(&engine).axis(1).keepdims(true).call(&args);
        check(kept.unwrap(), &[3, 1, 5]);
        let listed = total.on(&engine).axes(&[vec![1], vec![]]).call(&args);
        check(listed.unwrap(), &[3, 5]);
        check(
            total.on(&engine).axes(&[vec![1]]).call(&args).unwrap(),
            &[3, 5],
        );
        // Matrices that lie along the first axes.
        let (a, b) = (
            numbers(&mut Rng(1), &[2, 3, 7]),
            numbers(&mut Rng(2), &[3, 4]),
        );
        let axes = [vec![0, 1], vec![-2, -1], vec![0, 1]];
        let c = matmul
            .on(&engine)
            .axes(&axes)
            .call(&[Arg::from(&a), Arg::from(&b)])
            .unwrap();
        assert_eq!(c[0].shape(), [2, 4, 7]);
        for (i, j, batch) in [(0, 0, 0), (1, 3, 6), (0, 2, 5)] {
            let term = |l: usize| {
                a.get(&[i, l, batch]).unwrap().as_int() * b.get(&[l, j]).unwrap().as_int()
            };
            let sum: i128 = (0..3).map(term).sum();
            assert_eq!(c[0].get(&[i, j, batch]).unwrap().as_int(), sum);
        }
    }
}

#[test]
fn computed_given_and_fixed_dimensions() {
    for engine in engines() {
        let x = Array::from_vec(vec![1.0f32, 2.0, 4.0, 8.0, 16.0], &[5]).unwrap();
        let w = Array::from_vec(vec![0.5f32, 0.5], &[2]).unwrap();
        let args = [Arg::from(&x), Arg::from(&w)];
        let y = gufunc("average").call(&engine, &args).unwrap();
        assert_eq!(y[0].to_vec::<f32>().unwrap(), [1.5, 3.0, 6.0, 12.0]);
        // Integers of both arguments become one float.
        let (x, w) = (x.cast(DType::I16).unwrap(), w.cast(DType::F64).unwrap());
        let args = [Arg::from(&x), Arg::from(&w)];
        let y = gufunc("average").call(&engine, &args).unwrap();
        assert_eq!(y[0].to_vec::<f64>().unwrap(), [1.5, 3.0, 6.0, 12.0]);
        let k = Array::from_vec(vec![0i64, 2, 2, 5, -1, 1], &[2, 3]).unwrap();
        let histogram = gufunc("histogram");
        let h = histogram
            .on(&engine)
            .dim("bins", 3)
            .call(&[Arg::from(&k)])
            .unwrap();
        assert_eq!(h[0].shape(), [2, 3]);
        assert_eq!(h[0].to_vec::<i64>().unwrap(), [1, 0, 2, 0, 1, 0]);
        let mut out = [Array::full(Scalar::int(DType::I64, 9), &[2, 2]).unwrap()];
        histogram
            .on(&engine)
            .out(&mut out)
            .call(&[Arg::from(&k)])
            .unwrap();
        assert_eq!(out[0].to_vec::<i64>().unwrap(), [1, 0, 0, 1]);
        let x = Array::from_vec(vec![1i32, 2, 3], &[3]).unwrap();
        let y = Array::from_vec(vec![4i32, 5, 6], &[3]).unwrap();
        let z = gufunc("cross").call(&engine, &[Arg::from(&x), Arg::from(&y)]);
        assert_eq!(z.unwrap()[0].to_vec::<i32>().unwrap(), [-3, 6, -3]);
        let both = gufunc("range_of").call(&engine, &[Arg::from(&x)]).unwrap();
        assert_eq!(both[0].item().unwrap().to_f64(), 1.0);
        assert_eq!(both[1].item().unwrap().to_f64(), 3.0);
    }
}

#[test]
fn nothing_to_do() {
    let (matmul, total) = (gufunc("matmul"), gufunc("total"));
    for engine in engines() {
        let zeros = |shape: &[usize]| Array::zeros(DType::F32, shape).unwrap();
        let call = |a: &[usize], b: &[usize]| {
            let args = [Arg::from(&zeros(a)), Arg::from(&zeros(b))];
            matmul.call(&engine, &args).unwrap().remove(0)
        };
        assert_eq!(call(&[0, 2, 3], &[3, 4]).shape(), [0, 2, 4]);
        assert_eq!(call(&[2, 0], &[0, 4]).to_vec::<f32>().unwrap(), [0.0; 8]);
        assert_eq!(call(&[0, 3], &[3, 4]).shape(), [0, 4]);
        let sum = total.call(&engine, &[Arg::from(&zeros(&[3, 0]))]).unwrap();
        assert_eq!(sum[0].to_vec::<f32>().unwrap(), [0.0; 3]);
    }
}

#[test]
fn run_time_checks_say_which_index() {
    let gather = gufunc("gather");
    for engine in engines() {
        let x = Array::from_vec((0..10i32).collect(), &[2, 5]).unwrap();
        let good = Array::from_vec(vec![4i64, 0, 1], &[3]).unwrap();
        let y = gather
            .call(&engine, &[Arg::from(&x), Arg::from(&good)])
            .unwrap();
        assert_eq!(y[0].to_vec::<i32>().unwrap(), [4, 0, 1, 9, 5, 6]);
        let bad = Array::from_vec(vec![4i64, 0, 1, 3, 7, -1], &[2, 3]).unwrap();
        let mut out = [Array::full(Scalar::int(DType::I32, 9), &[2, 3]).unwrap()];
        let error = gather
            .on(&engine)
            .out(&mut out)
            .call(&[Arg::from(&x), Arg::from(&bad)])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "index 7 is out of bounds for axis 0 of x with extent 5 (indices run from 0 to 4; in element \
             (1,) of the call)"
        );
        let place = &TEXT[error.loc.start as usize..error.loc.end as usize];
        assert_eq!(place, "k[i]");
        assert_eq!(out[0].to_vec::<i32>().unwrap(), [9; 6]);
        // What was not written.
        let positive = gufunc("positive");
        let x = Array::from_vec(vec![1.0f32, 2.0, 3.0, -4.0], &[2, 2]).unwrap();
        let mut out = [x.clone()];
        let error = positive.on(&engine).out(&mut out).call(&[Arg::from(&x)]);
        assert_eq!(
            error.unwrap_err().message,
            "positive does not write the element (1, 1) of its output y"
        );
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, -4.0]);
        let y = positive.call(
            &engine,
            &[Arg::from(&x.slice(&[SliceIndex::At(0)]).unwrap())],
        );
        assert_eq!(y.unwrap()[0].to_vec::<f32>().unwrap(), [1.0, 2.0]);
    }
}

#[test]
fn wrong_calls_name_operand_dimension_and_sizes() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let [matmul, total, average, histogram, cross] =
        ["matmul", "total", "average", "histogram", "cross"].map(gufunc);
    let zeros = |shape: &[usize]| Array::zeros(DType::F64, shape).unwrap();
    let arg = |shape: &[usize]| Arg::from(&zeros(shape));
    let ab = [arg(&[2, 3]), arg(&[3, 4])];
    let mut old = [zeros(&[2, 5])];
    let k = Arg::from(&Array::zeros(DType::I64, &[4]).unwrap());
    let cases: Vec<(crate::Result<Vec<Array>>, &str)> = vec![
        (
            matmul.call(&engine, &[arg(&[2, 3]), arg(&[4, 5])]),
            "operand 1 (b) of matmul has a mismatch in its core dimension 0 (k): 4 is not 3",
        ),
        (
            matmul.on(&engine).out(&mut old).call(&ab),
            "operand 2 (c) of matmul has a mismatch in its core dimension 1 (n): 5 is not 4",
        ),
        (
            matmul.call(&engine, &[arg(&[]), arg(&[4, 5])]),
            "operand 0 (a) of matmul has 0 axes, and its core has 1",
        ),
        (
            matmul.call(&engine, &[arg(&[2, 1, 3]), arg(&[3, 3, 4])]),
            "the loop dimensions of matmul cannot be broadcast together: operand 0 (a): (2,), operand 1 \
             (b): (3,)",
        ),
        (
            cross.call(&engine, &[arg(&[3]), arg(&[4])]),
            "operand 1 (y) of cross has a mismatch in its core dimension 0 (3): 4 is not 3",
        ),
        (
            average.call(&engine, &[arg(&[2]), arg(&[5])]),
            "core dimension n-k+1 of average would have the extent -2",
        ),
        (
            histogram.call(&engine, std::slice::from_ref(&k)),
            "histogram needs the extent of its core dimension bins, which is that of no argument",
        ),
        (
            histogram
                .on(&engine)
                .dim("n", 5)
                .dim("bins", 2)
                .call(std::slice::from_ref(&k)),
            "operand 0 (x) of histogram has a mismatch in its core dimension 0 (n): 4 is not 5",
        ),
        (
            histogram
                .on(&engine)
                .dim("bin", 5)
                .call(std::slice::from_ref(&k)),
            "histogram has no core dimension bin to be given",
        ),
        (
            matmul.on(&engine).axis(0).call(&ab),
            "matmul does not take axis",
        ),
        (
            matmul.on(&engine).keepdims(true).call(&ab),
            "matmul does not take keepdims",
        ),
        (
            total.on(&engine).axis(2).call(&ab[..1]),
            "axis 2 is out of bounds for operand 0 (x) of total, which has 2 axes",
        ),
        (
            total.on(&engine).axes(&[]).call(&ab[..1]),
            "axes of total has 0 entries, and there are 2 arguments and outputs",
        ),
        (
            total.on(&engine).axes(&[vec![0, 1]]).call(&ab[..1]),
            "axes names 2 axes for operand 0 (x) of total, whose core has 1",
        ),
        (
            matmul
                .on(&engine)
                .axes(&[vec![0, 0], vec![0, 1], vec![0, 1]])
                .call(&ab),
            "axis 0 is named twice for operand 0 (a) of matmul",
        ),
        (
            total.on(&engine).where_(&zeros(&[2])).call(&ab[..1]),
            "total is a gufunc and takes no mask",
        ),
        (
            total.on(&engine).axis(0).axes(&[vec![0]]).call(&ab[..1]),
            "total is given both axis and axes",
        ),
        (
            total.call(
                &engine,
                &[Arg::from(&zeros(&[1]).broadcast_to(&[1 << 48]).unwrap())],
            ),
            "the extent of core dimension n of total is no number that an array can have",
        ),
        (total.call(&engine, &ab), "total takes 1 argument, not 2"),
    ];
    for (result, wanted) in cases {
        assert_eq!(result.unwrap_err().message, wanted);
    }
    assert_eq!(old[0].to_vec::<f64>().unwrap(), [0.0; 10]);
}
