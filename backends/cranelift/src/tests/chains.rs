//! Chains of operations, and operations with constants: Cranelift's own rewriting must be as exact as ours.

use super::*;
use kjit_ir::eval::eval;
use kjit_ir::testing::edges::edges;

type Make = dyn Fn(&mut Build, Value) -> Value;

/// One output: how it is built of the input, and what it is.
struct Chain {
    name: String,
    build: Box<Make>,
    expected: Box<dyn Fn(Scalar) -> Scalar>,
}

/// Outputs of one kernel, at most.
const OUTPUTS: usize = 24;

/// Compiles all chains of one dtype, a few a kernel, in both forms, and compares them with `eval`.
fn check(dtype: DType, chains: &[Chain]) {
    let mut values = edges(dtype);
    while !values.len().is_multiple_of(16) {
        values.push(values[0]);
    }
    let backends = backends();
    for (part, chains) in chains.chunks(OUTPUTS).enumerate() {
        for vector in [false, true] {
            let mut k = Build::new(vector);
            let input = k.array(dtype, ArrayMode::In, Access::Contiguous);
            let x = k.load(input);
            let mut memory = vec![Memory::holding(Access::Contiguous, &values)];
            for chain in chains {
                let value = (chain.build)(&mut k, x);
                let ty = k.b.func.ty(value).dtype;
                let out = k.array(ty, ArrayMode::Out, Access::Contiguous);
                k.b.store(out, value);
                memory.push(Memory::new(ty, Access::Contiguous, values.len()));
            }
            let function = k.finish();
            let (name, backend) = &backends[[0, 3, 1, 4][part % 4]];
            let code = compile(backend, &function);
            call(&*code, &mut memory, values.len());
            for (chain, memory) in chains.iter().zip(&memory[1..]) {
                for (n, value) in values.iter().enumerate() {
                    let (expected, got) = ((chain.expected)(*value), memory.get(n));
                    assert!(
                        same(expected, got),
                        "{name} vector={vector} {}: {value:?} gives {got:?}, not {expected:?}",
                        chain.name
                    );
                }
            }
        }
    }
}

/// Constants that rewriting looks for.
fn constants(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => edges(dtype),
        DType::F32 | DType::F64 => {
            let float = |x: f64| match dtype {
                DType::F32 => Scalar::f32(x as f32),
                _ => Scalar::f64(x),
            };
            [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, f64::INFINITY, f64::NAN]
                .map(float)
                .to_vec()
        }
        _ => {
            let top = 1i128 << (dtype.bits() - 1);
            [0, 1, 2, 3, 7, 8, -1, -2, 10, 100, top - 1, top, top / 2]
                .map(|x| Scalar::int(dtype, x))
                .to_vec()
        }
    }
}

fn binary_ops(dtype: DType) -> impl Iterator<Item = Opcode> {
    let all = Opcode::ALL.iter().copied();
    let all = all.filter(|op| op.rule() != kjit_ir::opcode::Rule::Special);
    all.filter(move |op| op.is_pure() && op.arity() == Some(2) && op.domain().contains(dtype))
}

#[test]
fn operations_with_constants() {
    for dtype in dtypes() {
        let mut chains = Vec::new();
        for op in binary_ops(dtype) {
            for k in constants(dtype) {
                for first in [false, true] {
                    chains.push(Chain {
                        name: format!("{op} with {k:?}, first: {first}"),
                        build: Box::new(move |b, x| {
                            let k = b.constant(k);
                            let (x, y) = if first { (k, x) } else { (x, k) };
                            b.b.binary(op, x, y)
                        }),
                        expected: Box::new(move |x| {
                            let args = if first { [k, x] } else { [x, k] };
                            eval(op, None, &args).expect("in the domain")
                        }),
                    });
                }
            }
        }
        check(dtype, &chains);
    }
}

#[test]
fn chains_of_conversions() {
    for start in dtypes() {
        let mut chains = Vec::new();
        for middle in dtypes() {
            for end in dtypes() {
                chains.push(Chain {
                    name: format!("cast to {middle}, to {end}"),
                    build: Box::new(move |b, x| {
                        let x = b.b.cast(x, middle);
                        b.b.cast(x, end)
                    }),
                    expected: Box::new(move |x| {
                        let cast = |x, to| eval(Opcode::Cast, Some(to), &[x]).expect("supported");
                        cast(cast(x, middle), end)
                    }),
                });
            }
        }
        check(start, &chains);
    }
}

/// Two operations with constants, one after the other.
#[test]
fn pairs_of_operations_with_constants() {
    for dtype in dtypes() {
        let all = constants(dtype);
        let mut chains = Vec::new();
        let mut turn = 0;
        for first in binary_ops(dtype) {
            let result = eval(first, None, &[all[0], all[0]]).expect("in the domain");
            for second in binary_ops(result.dtype()) {
                let others = constants(result.dtype());
                for _ in 0..4 {
                    turn += 1;
                    let (k, l) = (all[turn * 5 % all.len()], others[turn * 7 % others.len()]);
                    chains.push(Chain {
                        name: format!("{first} with {k:?}, {second} with {l:?}"),
                        build: Box::new(move |b, x| {
                            let (k, l) = (b.constant(k), b.constant(l));
                            let x = b.b.binary(first, x, k);
                            b.b.binary(second, x, l)
                        }),
                        expected: Box::new(move |x| {
                            let x = eval(first, None, &[x, k]).expect("in the domain");
                            eval(second, None, &[x, l]).expect("in the domain")
                        }),
                    });
                }
            }
        }
        check(dtype, &chains);
    }
}
