//! Strict arithmetic: every operation against its definition, and what drivers would fold.

use super::*;

/// One output of a kernel under test: the operation, the dtype of a conversion, the arguments.
type Step = (Opcode, Option<DType>, Vec<usize>);

/// Runs operations on columns of values; compares with their definition; gives what differs.
fn compare(device: &Device, name: &str, columns: &[Vec<Scalar>], steps: &[Step]) -> Vec<String> {
    let dtypes: Vec<DType> = columns.iter().map(|c| c[0].dtype()).collect();
    let kernel = kernel(name, &dtypes, |b, args| {
        steps
            .iter()
            .map(|(op, to, which)| {
                let args: Vec<_> = which.iter().map(|k| args[*k]).collect();
                b.op(*op, &args, *to)
            })
            .collect()
    });
    let n = columns[0].len();
    let inputs: Vec<_> = columns.iter().map(|c| array_of(c)).collect();
    let results = run(device, &kernel, &inputs, &[n]);
    let mut wrong = Vec::new();
    for ((op, to, which), result) in steps.iter().zip(&results) {
        let mut count = 0;
        for (i, got) in scalars(result).into_iter().enumerate() {
            let args: Vec<_> = which.iter().map(|k| columns[*k][i]).collect();
            let want = eval(*op, *to, &args).expect("defined");
            if !same(got, want) {
                if count == 0 {
                    wrong.push(format!("{op} {to:?} {args:?}: {got:?} instead of {want:?}"));
                }
                count += 1;
            }
        }
        if count > 0 {
            wrong.push(format!("    ({count} of {n})"));
        }
    }
    wrong
}

/// All pairs of edge values, and random pairs.
fn pairs(dtype: DType) -> [Vec<Scalar>; 2] {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for x in edges(dtype) {
        for y in edges(dtype) {
            a.push(x);
            b.push(y);
        }
    }
    let mut r = Random(dtype.bits() as u64);
    for _ in 0..3001 {
        a.push(random(dtype, &mut r));
        b.push(random(dtype, &mut r));
    }
    [a, b]
}

fn every_operation(device: &Device) {
    let mut wrong = Vec::new();
    for dtype in DTYPES {
        let [a, b] = pairs(dtype);
        let chosen: Vec<_> = (0..a.len()).map(|i| Scalar::bool(i % 3 == 0)).collect();
        let mut steps: Vec<Step> = vec![(Opcode::Select, None, vec![2, 0, 1])];
        for op in Opcode::ALL.iter().copied() {
            if !op.is_pure() || !op.domain().contains(dtype) {
                continue;
            }
            match op {
                Opcode::Cast | Opcode::Bitcast => {}
                op if op.rule() == kjit_ir::opcode::Rule::Special => {}
                _ => match op.arity() {
                    Some(1) => steps.push((op, None, vec![0])),
                    Some(2) => steps.push((op, None, vec![0, 1])),
                    _ => {}
                },
            }
        }
        for op in [Opcode::Cast, Opcode::Bitcast] {
            for to in DTYPES {
                if op.result_type(&[Type::scalar(dtype)], Some(to)).is_ok() {
                    steps.push((op, Some(to), vec![0]));
                }
            }
        }
        let columns = [a, b, chosen];
        for (n, steps) in steps.chunks(24).enumerate() {
            let name = format!("ops.{dtype}.{n}");
            wrong.extend(compare(device, &name, &columns, steps));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_operation_is_exact_when_patched() {
    every_operation(patched());
}

#[test]
fn every_operation_is_exact_with_barriers() {
    every_operation(barriers());
}

#[test]
fn multiply_add_rounds_once() {
    for device in [patched(), barriers()] {
        let mut wrong = Vec::new();
        for dtype in [DType::F32, DType::F64] {
            let mut columns = [Vec::new(), Vec::new(), Vec::new()];
            let edges = edges(dtype);
            for x in &edges {
                for y in &edges {
                    for z in &edges {
                        columns[0].push(*x);
                        columns[1].push(*y);
                        columns[2].push(*z);
                    }
                }
            }
            // Products that the addend nearly cancels, or lies half a unit away from.
            let mut r = Random(7);
            for n in 0..40_000 {
                let (x, y) = (random(dtype, &mut r), random(dtype, &mut r));
                let product = eval(Opcode::Mul, None, &[x, y]).unwrap();
                let minus = eval(Opcode::Neg, None, &[product]).unwrap();
                let nudge = (r.next() % 5) as u128;
                let z = match n % 3 {
                    0 => Scalar::from_bits(dtype, minus.bits() ^ nudge),
                    1 => Scalar::from_bits(
                        dtype,
                        minus.bits().wrapping_add(
                            (r.next() % 60) as u128
                                * if dtype == DType::F32 {
                                    1 << 23
                                } else {
                                    1 << 52
                                },
                        ),
                    ),
                    _ => random(dtype, &mut r),
                };
                columns[0].push(x);
                columns[1].push(y);
                columns[2].push(z);
            }
            let step = (Opcode::Fma, None, vec![0, 1, 2]);
            wrong.extend(compare(device, "fma", &columns, &[step]));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// What drivers fold, contract or reassociate when they are let.
#[test]
fn nothing_is_folded_or_contracted() {
    for device in [patched(), barriers()] {
        for dtype in [DType::F32, DType::F64] {
            let float = |b: &mut FunctionBuilder, v: f64| match dtype {
                DType::F32 => b.f32(v as f32),
                _ => b.f64(v),
            };
            let [x, y] = pairs(dtype);
            let kernel = kernel("traps", &[dtype, dtype], |b, args| {
                let (x, y) = (args[0], args[1]);
                let zero = float(b, 0.0);
                let minus_zero = float(b, -0.0);
                let one = float(b, 1.0);
                let sum = b.binary(Opcode::Add, x, y);
                let product = b.binary(Opcode::Mul, x, y);
                let less = b.binary(Opcode::Lt, x, y);
                let equal = b.binary(Opcode::Eq, x, x);
                vec![
                    b.binary(Opcode::Sub, zero, x),
                    b.binary(Opcode::Add, x, zero),
                    b.binary(Opcode::Add, x, minus_zero),
                    b.binary(Opcode::Mul, x, zero),
                    b.binary(Opcode::Div, zero, x),
                    b.binary(Opcode::Div, one, x),
                    b.binary(Opcode::Div, x, x),
                    b.binary(Opcode::Sub, x, x),
                    b.binary(Opcode::Sub, sum, x),
                    b.binary(Opcode::Add, product, x),
                    b.binary(Opcode::Sub, product, product),
                    b.unary(Opcode::Not, less),
                    b.unary(Opcode::Not, equal),
                ]
            });
            let results = run(device, &kernel, &[array_of(&x), array_of(&y)], &[x.len()]);
            let results: Vec<_> = results.iter().map(scalars).collect();
            let constant = |v: f64| match dtype {
                DType::F32 => Scalar::f32(v as f32),
                _ => Scalar::f64(v),
            };
            let op = |op, args: &[Scalar]| eval(op, None, args).unwrap();
            for i in 0..x.len() {
                let (x, y) = (x[i], y[i]);
                let sum = op(Opcode::Add, &[x, y]);
                let product = op(Opcode::Mul, &[x, y]);
                let wanted = [
                    op(Opcode::Sub, &[constant(0.0), x]),
                    op(Opcode::Add, &[x, constant(0.0)]),
                    op(Opcode::Add, &[x, constant(-0.0)]),
                    op(Opcode::Mul, &[x, constant(0.0)]),
                    op(Opcode::Div, &[constant(0.0), x]),
                    op(Opcode::Div, &[constant(1.0), x]),
                    op(Opcode::Div, &[x, x]),
                    op(Opcode::Sub, &[x, x]),
                    op(Opcode::Sub, &[sum, x]),
                    op(Opcode::Add, &[product, x]),
                    op(Opcode::Sub, &[product, product]),
                    op(Opcode::Not, &[op(Opcode::Lt, &[x, y])]),
                    op(Opcode::Not, &[op(Opcode::Eq, &[x, x])]),
                ];
                for (n, (got, want)) in results.iter().map(|r| r[i]).zip(wanted).enumerate() {
                    let mode = device.0.strict;
                    assert!(
                        same(got, want),
                        "{mode:?} {n}: {x:?} {y:?}: {got:?} instead of {want:?}"
                    );
                }
            }
        }
    }
}

/// Does the machinery that strictness rests on make a difference at all?
#[test]
fn fast_arithmetic_is_not_strict() {
    let [x, y] = pairs(DType::F32);
    let kernel = kernel("fast", &[DType::F32, DType::F32], |b, args| {
        let sum = b.binary(Opcode::Add, args[0], args[1]);
        vec![b.binary(Opcode::Sub, sum, args[0])]
    });
    let inputs = [array_of(&x), array_of(&y)];
    let strict = run(patched(), &kernel, &inputs, &[x.len()]);
    let fast = patched()
        .elementwise(
            &kernel,
            &inputs,
            &[x.len()],
            &[DType::F32],
            true,
            &mut Stats::default(),
        )
        .unwrap();
    assert_ne!(scalars(&strict[0]), scalars(&fast[0]));
}

#[test]
fn constants_keep_their_bits() {
    for device in [patched(), barriers()] {
        for dtype in DTYPES {
            let mut values = edges(dtype);
            values.dedup();
            for chunk in values.chunks(20) {
                let kernel = kernel("constants", &[DType::U8], |b, _| {
                    chunk.iter().map(|v| b.constant(*v)).collect()
                });
                let input = array_of(&[Scalar::zero(DType::U8); 3]);
                let results = run(device, &kernel, &[input], &[3]);
                for (want, got) in chunk.iter().zip(&results) {
                    for got in scalars(got) {
                        assert!(same(got, *want), "{got:?} instead of {want:?}");
                    }
                }
            }
        }
    }
}

/// Mesa's compiler decides `i64(x) < 3` for every `x` alike.
#[test]
fn widened_integers_compare_with_constants() {
    let ops = [
        Opcode::Eq,
        Opcode::Ne,
        Opcode::Lt,
        Opcode::Le,
        Opcode::Gt,
        Opcode::Ge,
    ];
    for (from, to) in [
        (DType::I8, DType::I64),
        (DType::I16, DType::I64),
        (DType::I32, DType::I64),
        (DType::I32, DType::U64),
        (DType::U8, DType::I64),
        (DType::U32, DType::I64),
        (DType::U32, DType::U64),
        (DType::F32, DType::F64),
    ] {
        let values: Vec<Scalar> = edges(from);
        for constant in [0i128, 3, -5, 127, 1 << 31, (1 << 32) + 3] {
            let constant = if to.is_float() {
                Scalar::f64(constant as f64)
            } else {
                Scalar::int(to, constant)
            };
            let kernel = kernel("compare", &[from], |b, args| {
                let wide = b.cast(args[0], to);
                let c = b.constant(constant);
                let both = ops.map(|op| [b.binary(op, wide, c), b.binary(op, c, wide)]);
                both.concat()
            });
            let results = run(patched(), &kernel, &[array_of(&values)], &[values.len()]);
            let results: Vec<_> = results.iter().map(scalars).collect();
            for (i, value) in values.iter().enumerate() {
                let wide = eval(Opcode::Cast, Some(to), &[*value]).unwrap();
                for (n, op) in ops.iter().enumerate() {
                    for (side, args) in [[wide, constant], [constant, wide]].iter().enumerate() {
                        let want = eval(*op, None, args).unwrap();
                        let got = results[2 * n + side][i];
                        assert!(same(got, want), "{op} of {args:?} from {from}: {got:?}");
                    }
                }
            }
        }
    }
}
