//! Calls with outputs, masks and casting rules. Wrong calls give an error with both sides, and write nothing.

use super::Rng;
use super::execution::engines;
use crate::{
    Arg, Array, Casting, Engine, EngineOptions, FpeMode, HostBuffer, Program, SliceIndex, Ufunc,
};
use kjit_driver::Source;
use kjit_ir::DType;
use std::sync::Arc;

const TEXT: &str = "
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc divmod<T: int>(a: T, b: T) -> (q: T, r: T) { (a / b, a % b) }
ufunc pick(i: i64, x: f32) -> f32 { let mut t = [0.0f32; 4]; t[0] = x; t[i] }
ufunc half<T: float>(x: T) -> T { x / 2 }
";

fn ufunc(name: &str) -> Ufunc {
    let program = Program::compile(Source::new("f.k", TEXT)).unwrap();
    Ufunc::new(&Arc::new(program), name).unwrap()
}

fn cpu() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

fn ints(values: &[i32]) -> Array {
    Array::from_vec(values.to_vec(), &[values.len()]).unwrap()
}

fn every(step: i64) -> [SliceIndex; 1] {
    [SliceIndex::Range {
        start: None,
        end: None,
        step,
    }]
}

#[test]
fn outputs_of_other_dtypes_and_strides() {
    let add = ufunc("add");
    for engine in engines() {
        let (x, y) = (ints(&[1, 2, 3]), ints(&[10, 20, 30]));
        let args = [Arg::from(&x), Arg::from(&y)];
        // Backwards, every second element, of a wider dtype; the gaps are left alone.
        let mut whole = Array::full(kjit_ir::Scalar::f64(7.0), &[6]).unwrap();
        let kept = whole.clone();
        whole = whole.slice(&every(-2)).unwrap();
        add.on(&engine)
            .out(std::slice::from_mut(&mut whole))
            .call(&args)
            .unwrap();
        assert_eq!(whole.to_vec::<f64>().unwrap(), [11.0, 22.0, 33.0]);
        assert_eq!(kept.to_vec::<f64>().unwrap(), [7.0; 6]);
        // Narrower, when that is asked for.
        let mut narrow = [Array::zeros(DType::I8, &[3]).unwrap()];
        let x300 = ints(&[300, 2, 3]);
        add.on(&engine)
            .out(&mut narrow)
            .call(&[Arg::from(&x300), Arg::from(&y)])
            .unwrap();
        assert_eq!(narrow[0].to_vec::<i8>().unwrap(), [54, 22, 33]);
        // Shape of the call given by the output alone; several outputs, one absent.
        let mut wide = [Array::zeros(DType::I32, &[2, 3]).unwrap()];
        add.on(&engine).out(&mut wide).call(&args).unwrap();
        assert_eq!(wide[0].to_vec::<i32>().unwrap(), [11, 22, 33, 11, 22, 33]);
        let mut rest = Array::zeros(DType::I64, &[3]).unwrap();
        let new = ufunc("divmod")
            .on(&engine)
            .outs(vec![None, Some(&mut rest)])
            .call(&[Arg::from(&y), Arg::from(7)])
            .unwrap();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].to_vec::<i32>().unwrap(), [1, 2, 4]);
        assert_eq!(rest.to_vec::<i64>().unwrap(), [3, 6, 2]);
    }
}

/// Inputs that are views of outputs, and outputs that share memory.
#[test]
fn overlaps() {
    let (add, divmod) = (ufunc("add"), ufunc("divmod"));
    for engine in engines() {
        let x = ints(&[1, 2, 3, 4, 5]);
        let mut out = [x.clone()];
        let reversed = x.slice(&every(-1)).unwrap();
        add.on(&engine)
            .out(&mut out)
            .call(&[Arg::from(&x), Arg::from(&reversed)])
            .unwrap();
        assert_eq!(out[0].to_vec::<i32>().unwrap(), [6; 5]);
        assert_eq!(x.to_vec::<i32>().unwrap(), [1, 2, 3, 4, 5]);
        // Both outputs are one array before the call, and so is an input.
        let both = ints(&[7, 8, 9, 10, 11]);
        let mut outs = [both.clone(), both];
        divmod
            .on(&engine)
            .out(&mut outs)
            .call(&[Arg::Out(0), Arg::from(4)])
            .unwrap();
        assert_eq!(outs[0].to_vec::<i32>().unwrap(), [1, 2, 2, 2, 2]);
        assert_eq!(outs[1].to_vec::<i32>().unwrap(), [3, 0, 1, 2, 3]);
    }
}

/// Where an output is the only handle of its memory and is its own argument, it keeps that memory.
#[test]
fn in_place() {
    let add = ufunc("add");
    for engine in engines() {
        for n in [1, 5, 64, 5000] {
            let mut out = [Array::from_vec((0..n as i32).collect(), &[n]).unwrap()];
            let place = out[0].as_ptr();
            add.on(&engine)
                .out(&mut out)
                .call(&[Arg::Out(0), Arg::Out(0)])
                .unwrap();
            assert_eq!(out[0].as_ptr(), place);
            let wanted: Vec<i32> = (0..n as i32).map(|i| 2 * i).collect();
            assert_eq!(out[0].to_vec::<i32>().unwrap(), wanted);
        }
    }
}

#[test]
fn a_masked_call_reads_the_output_it_writes_in_another_dtype() {
    let add = ufunc("add");
    for engine in engines() {
        let x = Array::from_vec(vec![1.5f64, 2.5, 3.5], &[3]).unwrap();
        let mask = Array::from_vec(vec![true, false, true], &[3]).unwrap();
        let mut out = [Array::from_vec(vec![10.0f32, 0.1, 30.0], &[3]).unwrap()];
        let args = [Arg::from(&x), Arg::Out(0)];
        let call = add.on(&engine).out(&mut out).where_(&mask);
        call.call(&args).unwrap();
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [11.5, 0.1, 33.5]);
    }
}

#[test]
fn a_complex_result_is_true_by_either_part() {
    let add = ufunc("add");
    for engine in engines() {
        let parts = vec![0.0f64, 2.0, 0.0, 0.0, 3.0, 0.0];
        let buffer = HostBuffer::from_bytes(bytemuck::cast_slice(&parts)).unwrap();
        let z = Array::from_buffer(buffer, DType::C128, &[3]).unwrap();
        let mask = Array::from_vec(vec![true, true, false], &[3]).unwrap();
        for (mask, expected) in [
            (None, [true, false, true]),
            (Some(&mask), [true, false, false]),
        ] {
            let mut out = [Array::zeros(DType::Bool, &[3]).unwrap()];
            let call = add.on(&engine).out(&mut out).casting(Casting::Unsafe);
            let call = mask.into_iter().fold(call, |call, mask| call.where_(mask));
            call.call(&[Arg::from(&z), Arg::from(0)]).unwrap();
            assert_eq!(out[0].to_vec::<bool>().unwrap(), expected);
        }
    }
}

#[test]
fn masks() {
    let mut rng = Rng(5);
    let (add, pick) = (ufunc("add"), ufunc("pick"));
    for engine in engines() {
        for n in [1usize, 3, 64, 1000] {
            let x: Vec<i32> = (0..n).map(|_| rng.next() as i32).collect();
            let keep: Vec<bool> = (0..n).map(|_| rng.below(2) == 1).collect();
            let (xs, mask) = (ints(&x), Array::from_vec(keep.clone(), &[n]).unwrap());
            let expected = |old: i32| -> Vec<i32> {
                let all = x.iter().zip(&keep);
                all.map(|(x, m)| if *m { x.wrapping_add(1) } else { old })
                    .collect()
            };
            let args = [Arg::from(&xs), Arg::from(1)];
            let new = add.on(&engine).where_(&mask).call(&args).unwrap();
            assert_eq!(new[0].to_vec::<i32>().unwrap(), expected(0));
            let mut out = [Array::full(kjit_ir::Scalar::int(DType::I32, -9), &[n]).unwrap()];
            add.on(&engine)
                .where_(&mask)
                .out(&mut out)
                .call(&args)
                .unwrap();
            assert_eq!(out[0].to_vec::<i32>().unwrap(), expected(-9));
            // What stays does not go through the dtype of the computation.
            let mut wide = [Array::full(kjit_ir::Scalar::f64(0.1), &[n]).unwrap()];
            add.on(&engine)
                .where_(&mask)
                .out(&mut wide)
                .call(&args)
                .unwrap();
            let got = wide[0].to_vec::<f64>().unwrap();
            for (got, (x, m)) in got.iter().zip(x.iter().zip(&keep)) {
                let wanted = if *m { x.wrapping_add(1) as f64 } else { 0.1 };
                assert_eq!(*got, wanted);
            }
        }
        // The mask broadcasts with the arguments, and what it hides is not computed: no check fails.
        let index = Array::from_vec(vec![1i64, 99], &[2]).unwrap();
        let x = Array::from_vec(vec![2.5f32, 3.5], &[2]).unwrap();
        let first = Array::from_vec(vec![true, false], &[2]).unwrap();
        let args = [Arg::from(&index), Arg::from(&x)];
        let none = Array::from_vec(vec![false], &[1, 1]).unwrap();
        let out = pick.on(&engine).where_(&first).call(&args).unwrap();
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [0.0, 0.0]);
        let out = pick.on(&engine).where_(&none).call(&args).unwrap();
        assert_eq!(out[0].shape(), [1, 2]);
        assert!(pick.on(&engine).call(&args).is_err());
        // Built-in functions take masks as well.
        let program = Program::compile(Source::new("f.k", TEXT)).unwrap();
        let sqrt = Ufunc::new(&Arc::new(program), "sqrt").unwrap();
        let nine = Array::from_vec(vec![9.0f64, 16.0], &[2]).unwrap();
        let out = sqrt.on(&engine).where_(&first).call(&[Arg::from(&nine)]);
        assert_eq!(out.unwrap()[0].to_vec::<f64>().unwrap(), [3.0, 0.0]);
    }
}

/// Random shapes and layouts of outputs and masks against the plain call.
#[test]
fn random_calls() {
    let mut rng = Rng(77);
    let (add, engines) = (ufunc("add"), engines());
    for case in 0..40 {
        let shape: Vec<usize> = (0..1 + rng.below(3)).map(|_| 1 + rng.below(9)).collect();
        let n: usize = shape.iter().product();
        let mut array = |bound: usize| {
            let values: Vec<i16> = (0..n).map(|_| rng.below(bound) as i16).collect();
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            match rng.below(2) {
                0 => Array::from_vec(values, &shape).unwrap(),
                _ => Array::from_vec(values, &reversed).unwrap().transpose(),
            }
        };
        let (x, y, m, old) = (array(1000), array(1000), array(2), array(1000));
        let mask = m.cast(DType::Bool).unwrap();
        let [x0, y0, m0, old0] = [&x, &y, &m, &old].map(|a| a.to_vec::<i16>().unwrap());
        let wanted: Vec<f32> = (0..n)
            .map(|i| if m0[i] == 1 { x0[i] + y0[i] } else { old0[i] } as f32)
            .collect();
        for dtype in [DType::I16, DType::I8, DType::I64, DType::F32] {
            for engine in &engines {
                let mut out = [match dtype {
                    DType::I16 => old.clone(),
                    other => old.cast(other).unwrap(),
                }];
                add.on(engine)
                    .out(&mut out)
                    .where_(&mask)
                    .call(&[Arg::from(&x), Arg::from(&y)])
                    .unwrap();
                let wanted = Array::from_vec(wanted.clone(), &shape).unwrap();
                let wanted = wanted.cast(DType::I16).unwrap().cast(dtype).unwrap();
                assert_eq!(
                    out[0].cast(DType::F64).unwrap().to_vec::<f64>().unwrap(),
                    wanted.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(),
                    "case {case} {dtype} {engine:?}"
                );
            }
        }
    }
}

#[test]
fn wrong_calls_name_both_sides_and_write_nothing() {
    let (add, pick, engine) = (ufunc("add"), ufunc("pick"), cpu());
    let x = ints(&[1, 2, 3]);
    let f = Array::from_vec(vec![1.5f64, 2.5, 3.5], &[3]).unwrap();
    let mut old = [ints(&[7, 7, 7])];
    let xx = [Arg::from(&x), Arg::from(&x)];
    let mask = |shape: &[usize]| Array::zeros(DType::Bool, shape).unwrap();
    let two = ints(&[1, 2]);
    let mut small = [ints(&[7])];
    let mut high = [Array::full(kjit_ir::Scalar::int(DType::I32, 7), &[1, 3]).unwrap()];
    let cases: Vec<(crate::Result<Vec<Array>>, &str)> = vec![
        (
            add.on(&engine)
                .out(&mut old)
                .call(&[Arg::from(&f), Arg::from(&x)]),
            "output out of add cannot be cast from f64 to i32 under casting = same_kind",
        ),
        (
            add.on(&engine)
                .out(&mut old)
                .call(&[Arg::from(&x), Arg::from(&two)]),
            "operands a and b of add have shapes (3,) and (2,), which cannot be broadcast together",
        ),
        (
            add.on(&engine).out(&mut old).where_(&mask(&[2])).call(&xx),
            "operands a and where of add have shapes (3,) and (2,), which cannot be broadcast together",
        ),
        (
            add.on(&engine)
                .out(&mut old)
                .where_(&mask(&[4, 3]))
                .call(&xx),
            "output out of add has shape (3,), and the call has shape (4, 3)",
        ),
        (
            add.on(&engine).out(&mut small).call(&xx),
            "output out of add has shape (1,), and the call has shape (3,)",
        ),
        (
            add.on(&engine).out(&mut high).call(&[
                Arg::from(&Array::zeros(DType::I32, &[2, 3]).unwrap()),
                Arg::from(&x),
            ]),
            "output out of add has shape (1, 3), and the call has shape (2, 3)",
        ),
        (
            add.on(&engine).out(&mut old).where_(&x).call(&xx),
            "the mask of add is an array of i32, not of bool",
        ),
        (
            add.on(&engine).outs(vec![]).call(&xx),
            "add has 1 output, and 0 arrays are given for them",
        ),
        (
            add.on(&engine).call(&[Arg::from(&x), Arg::Out(0)]),
            "an argument of add is its output 0, for which no array is given",
        ),
        (
            add.on(&engine)
                .out(&mut old)
                .call(&[Arg::from(&x), Arg::Int(1 << 40)]),
            "1099511627776 does not fit the argument b: i32 of add",
        ),
        (
            add.on(&engine).axis(0).call(&xx),
            "add has no core dimensions and takes no axis",
        ),
        (
            add.on(&engine)
                .dtype(DType::I8)
                .casting(Casting::Equiv)
                .call(&xx),
            "input a of add cannot be cast from i32 to i8 under casting = equiv",
        ),
        (
            add.on(&engine).out(&mut old).call(&xx[..1]),
            "add takes 2 arguments, not 1",
        ),
    ];
    for (result, wanted) in cases {
        assert_eq!(result.unwrap_err().message, wanted);
    }
    assert_eq!(old[0].to_vec::<i32>().unwrap(), [7, 7, 7]);
    assert_eq!(small[0].to_vec::<i32>().unwrap(), [7]);
    // A check that fails behind elements that have been computed.
    let index = Array::from_vec((0..9000i64).map(|i| i / 8999 * 4).collect(), &[9000]).unwrap();
    for engine in engines() {
        let mut out = [Array::full(kjit_ir::Scalar::f32(0.5), &[9000]).unwrap()];
        let error = pick
            .on(&engine)
            .out(&mut out)
            .call(&[Arg::from(&index), Arg::from(2.0)])
            .unwrap_err();
        assert_eq!(error.message, "index out of bounds: `t` has 4 elements");
        assert_eq!(out[0].to_vec::<f32>().unwrap(), [0.5; 9000]);
    }
}

#[test]
fn nothing_of_nothing() {
    let add = ufunc("add");
    for engine in engines() {
        let empty = Array::zeros(DType::F32, &[0, 3]).unwrap();
        let row = Array::zeros(DType::F32, &[3]).unwrap();
        let out = add.call(&engine, &[Arg::from(&empty), Arg::from(&row)]);
        assert_eq!(out.unwrap()[0].shape(), [0, 3]);
        let mut out = [empty.clone()];
        let (_, report) = add
            .on(&engine)
            .out(&mut out)
            .fpe(FpeMode::Raise)
            .report(&[Arg::from(&empty), Arg::from(1.0)])
            .unwrap();
        assert!(report.is_empty());
    }
}

#[test]
fn integers_become_the_smallest_float() {
    let (half, engine) = (ufunc("half"), cpu());
    for (from, to) in [
        (DType::I16, DType::F32),
        (DType::U16, DType::F32),
        (DType::I32, DType::F64),
        (DType::U64, DType::F64),
    ] {
        let x = ints(&[3]).cast(from).unwrap();
        let out = half.call(&engine, &[Arg::from(&x)]).unwrap();
        assert_eq!(out[0].dtype(), to);
        assert_eq!(out[0].item().unwrap().to_f64(), 1.5);
    }
}

/// What a ufunc remembers of its calls belongs to the dtypes, the options and the engine of these calls.
#[test]
fn calls_remember_only_what_is_theirs() {
    let text = "ufunc scaled<T: float>(a: T, b: T) -> T { a * b + a }";
    let program = Arc::new(Program::compile(Source::new("t.k", text)).unwrap());
    let f = Ufunc::new(&program, "scaled").unwrap();
    let engine = |fast| {
        Engine::new(EngineOptions {
            fast,
            ..Default::default()
        })
        .unwrap()
    };
    let (strict, fast) = (engine(false), engine(true));
    // Fused, the product keeps the bits that the sum needs.
    let value = 1.0 + f64::EPSILON;
    let a = Array::from_vec(vec![value; 3], &[3]).unwrap();
    let b = Array::from_vec(vec![-value; 3], &[3]).unwrap();
    let args = [Arg::from(&a), Arg::from(&b)];
    for _ in 0..3 {
        for (engine, wanted) in [
            (&strict, value * -value + value),
            (&fast, value.mul_add(-value, value)),
        ] {
            let got = f.call(engine, &args).unwrap();
            assert_eq!(got[0].to_vec::<f64>().unwrap(), [wanted; 3]);
        }
        let halves = [a.cast(DType::F32).unwrap(), b.cast(DType::F32).unwrap()];
        let halves = [Arg::from(&halves[0]), Arg::from(&halves[1])];
        let got = f.call(&strict, &halves).unwrap();
        assert_eq!(got[0].dtype(), DType::F32);
        // A rule that forbids what an earlier call was permitted.
        let mut outs = [Array::zeros(DType::F32, &[3]).unwrap()];
        f.on(&strict).out(&mut outs).call(&args).unwrap();
        let refused = f.on(&strict).out(&mut outs).casting(Casting::Safe);
        assert!(refused.call(&args).is_err());
        let masked = f
            .on(&strict)
            .where_(&Array::from_vec(vec![false; 3], &[3]).unwrap());
        assert_eq!(
            masked.call(&args).unwrap()[0].to_vec::<f64>().unwrap(),
            [0.0; 3]
        );
        // Shapes are not remembered.
        let wide = a.broadcast_to(&[2, 3]).unwrap();
        let got = f.call(&strict, &[Arg::from(&wide), Arg::from(&b)]).unwrap();
        assert_eq!(got[0].shape(), [2, 3]);
        let two = Array::zeros(DType::F64, &[2]).unwrap();
        assert!(f.call(&strict, &[Arg::from(&two), Arg::from(&b)]).is_err());
    }
}

/// Rows too short for runs of their own, which repeat, stay, or are strided; with ends that fill no vector.
#[test]
fn short_rows_of_every_kind() {
    let program = Arc::new(
        Program::compile(Source::new(
            "t.k",
            "ufunc f(a: i32, b: i32) -> i32 { a * 7 + b }",
        ))
        .unwrap(),
    );
    let f = Ufunc::new(&program, "f").unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let numbers = |n: usize| Array::from_vec((0..n as i32).collect(), &[n]).unwrap();
    for (rows, columns) in [
        (700, 3),
        (513, 10),
        (300, 17),
        (41, 255),
        (2100, 1),
        (33, 64),
    ] {
        let shape = [rows, columns];
        let x = numbers(rows * columns).reshape(&shape).unwrap();
        let row = numbers(columns);
        let column = numbers(rows).reshape(&[rows, 1]).unwrap();
        let turned = numbers(rows * columns)
            .reshape(&[columns, rows])
            .unwrap()
            .transpose();
        let wide = numbers(rows * columns * 2)
            .reshape(&[rows, 2 * columns])
            .unwrap();
        let every_second = wide
            .slice(&[
                SliceIndex::ALL,
                SliceIndex::Range {
                    start: None,
                    end: None,
                    step: 2,
                },
            ])
            .unwrap();
        for (name, y) in [
            ("row", &row),
            ("column", &column),
            ("turned", &turned),
            ("every second", &every_second),
        ] {
            for (a, b) in [(&x, y), (y, &x), (y, y)] {
                let got = f.call(&engine, &[Arg::from(a), Arg::from(b)]).unwrap();
                let of = |array: &Array| {
                    let shape = got[0].shape();
                    array.broadcast_to(shape).unwrap().to_vec::<i32>().unwrap()
                };
                let wanted: Vec<i32> = of(a).iter().zip(of(b)).map(|(a, b)| a * 7 + b).collect();
                assert_eq!(got[0].to_vec::<i32>().unwrap(), wanted, "{name} {shape:?}");
                // Into an output that is strided itself.
                let mut outs = [Array::zeros(DType::I32, &[rows, 2 * columns])
                    .unwrap()
                    .slice(&[
                        SliceIndex::ALL,
                        SliceIndex::Range {
                            start: None,
                            end: None,
                            step: 2,
                        },
                    ])
                    .unwrap()];
                if got[0].shape() == shape {
                    f.on(&engine)
                        .out(&mut outs)
                        .call(&[Arg::from(a), Arg::from(b)])
                        .unwrap();
                    assert_eq!(outs[0].to_vec::<i32>().unwrap(), wanted, "{name} {shape:?}");
                }
            }
        }
    }
}
