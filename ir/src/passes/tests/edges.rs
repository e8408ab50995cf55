//! Short chains of operations on the edges of every dtype: algebra must be exact there too.

use super::run::run_kernel;
use crate::eval::{eval, same};
use crate::opcode::Rule;
use crate::passes::{const_fold, cse, simplify};
use crate::verify::verify;
use crate::{Access, ArrayMode, ArrayParam, DType, FunctionBuilder, Opcode, Scalar, Value};

const DTYPES: [DType; 11] = [
    DType::Bool,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F32,
    DType::F64,
];

/// Values of a dtype at which operations change their ways.
fn edges(dtype: DType) -> Vec<Scalar> {
    const FLOATS: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.0,
        -255.5,
        300.0,
        3e9,
        -1e19,
        1e-310,
        f64::MAX,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 => FLOATS.map(|x| Scalar::f32(x as f32)).to_vec(),
        DType::F64 => FLOATS.map(Scalar::f64).to_vec(),
        _ => {
            let top = 1i128 << (dtype.bits() - 1);
            let all = [
                0,
                1,
                2,
                3,
                7,
                8,
                -1,
                -2,
                100,
                top - 1,
                top,
                top + 1,
                top / 2,
            ];
            all.map(|x| Scalar::int(dtype, x)).to_vec()
        }
    }
}

/// Checks that the passes keep what a chain of operations on one input computes.
fn check(
    start: DType,
    end: DType,
    build: impl FnOnce(&mut FunctionBuilder, Value) -> Value,
    expected: impl Fn(Scalar) -> Scalar,
) {
    let mut b = FunctionBuilder::new("chain");
    let array = |dtype, mode| ArrayParam::new("a", dtype, mode, Access::Strided);
    let input = b.array(array(start, ArrayMode::In));
    let output = b.array(array(end, ArrayMode::Out));
    let value = b.load(input);
    let value = build(&mut b, value);
    b.store(output, value);
    let before = b.ret(&[]);
    let mut after = before.clone();
    for pass in [simplify, const_fold, cse, simplify] {
        pass(&mut after);
    }
    verify(&after, None).unwrap_or_else(|e| panic!("{e}"));
    let inputs = [edges(start), Vec::new()];
    let got = run_kernel(None, &after, &inputs, inputs[0].len(), 1);
    for (input, got) in inputs[0].iter().zip(&got.outputs[1]) {
        let wanted = expected(*input);
        assert!(
            same(wanted, *got),
            "{input:?} gives {got:?}, not {wanted:?}\n{before}\n{after}"
        );
    }
}

#[test]
fn chains_of_conversions() {
    for start in DTYPES {
        for middle in DTYPES {
            for end in DTYPES {
                let cast = |x, to| eval(Opcode::Cast, Some(to), &[x]).unwrap();
                check(
                    start,
                    end,
                    |b, x| {
                        let x = b.cast(x, middle);
                        b.cast(x, end)
                    },
                    |x| cast(cast(x, middle), end),
                );
            }
        }
    }
}

#[test]
fn operations_with_constants() {
    let binary = Opcode::ALL.iter().filter(|op| op.arity() == Some(2));
    for &op in binary.filter(|op| op.is_pure() && op.rule() != Rule::Special) {
        for dtype in DTYPES.iter().filter(|d| op.domain().contains(**d)) {
            for k in edges(*dtype) {
                for constant_first in [false, true] {
                    let order = |x, y| if constant_first { [y, x] } else { [x, y] };
                    let value = |x| eval(op, None, &order(x, k)).unwrap();
                    check(
                        *dtype,
                        value(k).dtype(),
                        |b, x| {
                            let k = b.constant(k);
                            let [x, y] = if constant_first { [k, x] } else { [x, k] };
                            b.binary(op, x, y)
                        },
                        value,
                    );
                }
            }
        }
    }
}

#[test]
fn operations_on_operations() {
    let pure = |n| {
        let all = Opcode::ALL.iter().copied();
        all.filter(move |op| op.arity() == Some(n) && op.is_pure())
    };
    let plain = |op: &Opcode| {
        use Opcode as O;
        !matches!(op, O::Cast | O::Bitcast) && op.rule() != Rule::Special
    };
    for dtype in DTYPES {
        for outer in pure(1).filter(plain) {
            // Of `op(x)`, of `op(x, x)`, and both with `x` again.
            for inner in pure(1).chain(pure(2)).filter(plain) {
                let apply = |op: Opcode, x: Scalar| {
                    let args = [x, x];
                    eval(op, None, &args[..op.arity()?])
                };
                let value = |x| apply(outer, apply(inner, x)?);
                let Some(end) = value(edges(dtype)[0]) else {
                    continue;
                };
                check(
                    dtype,
                    end.dtype(),
                    |b, x| {
                        let args = [x, x];
                        let x = b.op(inner, &args[..inner.arity().unwrap_or(0)], None);
                        b.op(outer, &[x], None)
                    },
                    |x| value(x).unwrap(),
                );
            }
        }
    }
}
