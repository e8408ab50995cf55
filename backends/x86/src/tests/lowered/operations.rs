//! Every pure operation on every dtype over edge values, with arguments of every access class and every length of the
//! rest.

use super::{backends, compile, run};
use crate::X86;
use kjit_ir::eval::{eval, same};
use kjit_ir::opcode::Rule;
use kjit_ir::passes::vectorize;
use kjit_ir::testing::edges::edges;
use kjit_ir::testing::memory::{FILL, Memory};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, Function, FunctionBuilder, Opcode, Scalar,
    Value,
};

/// An operation to test: its arguments' dtypes and the immediate; which argument is a constant.
struct Case {
    op: Opcode,
    args: Vec<DType>,
    to: Option<DType>,
}

fn dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.iter().copied().filter(|d| d.is_native())
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for op in Opcode::ALL.iter().copied().filter(|op| op.is_pure()) {
        for dtype in dtypes() {
            let args = |n| vec![dtype; n];
            match op.rule() {
                Rule::Same | Rule::Compare if op.domain().contains(dtype) => cases.push(Case {
                    op,
                    args: args(op.arity().unwrap_or(0)),
                    to: None,
                }),
                Rule::Select => cases.push(Case {
                    op,
                    args: vec![DType::Bool, dtype, dtype],
                    to: None,
                }),
                Rule::Convert => {
                    for to in dtypes() {
                        if op.result_type(&[dtype.into()], Some(to)).is_ok() {
                            cases.push(Case {
                                op,
                                args: args(1),
                                to: Some(to),
                            });
                        }
                    }
                }
                _ => {}
            }
        }
    }
    cases
}

/// All combinations of edge values (a part of them for three arguments).
fn columns(args: &[DType]) -> Vec<Vec<Scalar>> {
    let sets: Vec<Vec<Scalar>> = args.iter().map(|d| edges(*d)).collect();
    let total: usize = sets.iter().map(Vec::len).product();
    let stride = if args.len() == 3 && args[0] != DType::Bool {
        37
    } else {
        1
    };
    let mut columns = vec![Vec::new(); args.len()];
    for n in (0..total).step_by(stride) {
        let mut rest = n;
        for (set, column) in sets.iter().zip(&mut columns) {
            column.push(set[rest % set.len()]);
            rest /= set.len();
        }
    }
    columns
}

/// The operation as a kernel; argument number `constant`, if there is one, is the value given.
fn kernel(case: &Case, access: &[Access], constant: Option<(usize, Scalar)>) -> Function {
    let mut b = FunctionBuilder::new("operation");
    let array = |b: &mut FunctionBuilder, dtype, mode, access| -> ArrayRef {
        let name = format!("p{}", b.func.arrays.len());
        b.array(ArrayParam::new(name, dtype, mode, access))
    };
    let mut args: Vec<Value> = Vec::new();
    for (n, (dtype, access)) in case.args.iter().zip(access).enumerate() {
        let from = array(&mut b, *dtype, ArrayMode::In, *access);
        args.push(match constant {
            Some((place, value)) if place == n => b.constant(value),
            _ => b.load(from),
        });
    }
    let value = b.op(case.op, &args, case.to);
    let dtype = b.func.ty(value).dtype;
    let out = array(&mut b, dtype, ArrayMode::Out, access[case.args.len()]);
    b.store(out, value);
    b.ret(&[])
}

fn check(
    name: &str,
    backend: &X86,
    case: &Case,
    access: &[Access],
    constant: Option<(usize, usize)>,
) -> Vec<String> {
    let constant = constant.map(|(place, number)| {
        let values = edges(case.args[place]);
        (place, values[number % values.len()])
    });
    let function = vectorize(&kernel(case, access, constant));
    let code = compile(name, backend, &function);
    let mut columns = columns(&case.args);
    // Every length of the rest comes up over the cases.
    let n = columns[0].len();
    let lanes = code.lanes();
    let n = match lanes {
        1 => n,
        _ => n.next_multiple_of(lanes),
    };
    for (k, (column, access)) in columns.iter_mut().zip(access).enumerate() {
        let first = column[0];
        column.resize(n, first);
        if *access == Access::Uniform {
            let value = column[n / 3];
            column.fill(value);
        }
        if let Some((place, value)) = constant
            && place == k
        {
            column.fill(value);
        }
    }
    let dtype = function.arrays[case.args.len()].dtype;
    let mut memory: Vec<Memory> = columns
        .iter()
        .zip(access)
        .map(|(column, access)| Memory::holding(*access, column))
        .collect();
    memory.push(Memory::new(dtype, access[case.args.len()], n));
    run(&*code, &function, &mut memory, n);
    let out = &memory[case.args.len()];
    let mut wrong = Vec::new();
    if out.padding(n).iter().any(|byte| *byte != FILL) {
        wrong.push(format!("{name} {:?}: wrote outside", case.op));
    }
    for k in 0..n {
        let args: Vec<Scalar> = columns.iter().map(|c| c[k]).collect();
        let expected = eval(case.op, case.to, &args).expect("eval covers pure operations");
        let got = out.get(k);
        if !same(expected, got) && wrong.len() < 2 {
            wrong.push(format!(
                "{name} {access:?} {constant:?}: {} {:?} {args:?} gives {got:?}, not {expected:?}",
                case.op, case.to
            ));
        }
    }
    wrong
}

fn check_all(constants: bool, pick: impl Fn(usize, usize) -> Vec<Access>) {
    let backends = backends();
    let mut wrong = Vec::new();
    for (n, case) in cases().iter().enumerate() {
        let count = case.args.len() + 1;
        for (m, (name, backend)) in backends.iter().enumerate() {
            let access = pick(n + m, count);
            let constant = constants.then_some(((n + m) % case.args.len(), n * 7 + m));
            wrong.extend(check(name, backend, case, &access, constant));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}

#[test]
fn contiguous() {
    check_all(false, |_, count| vec![Access::Contiguous; count]);
}

#[test]
fn mixed_access() {
    const ALL: [Access; 3] = [Access::Strided, Access::Uniform, Access::Contiguous];
    check_all(false, |n, count| {
        let mut access: Vec<Access> = (0..count).map(|k| ALL[(n + k) % 3]).collect();
        // The result differs between elements, so it has to go somewhere.
        access[count - 1] = ALL[2 * (n % 2)];
        access
    });
}

#[test]
fn uniform_arguments() {
    check_all(false, |n, count| {
        let mut access = vec![Access::Uniform; count];
        access[count - 1] = [Access::Contiguous, Access::Strided][n % 2];
        access
    });
}

#[test]
fn constants() {
    check_all(true, |_, count| vec![Access::Contiguous; count]);
}
