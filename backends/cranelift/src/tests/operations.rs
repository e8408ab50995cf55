//! Every pure operation on every dtype over edge values, in both forms.

use super::*;
use kjit_ir::eval::eval;
use kjit_ir::opcode::Rule;
use kjit_ir::testing::edges::edges;

/// An operation to test: its arguments' dtypes and the immediate.
struct Case {
    op: Opcode,
    args: Vec<DType>,
    to: Option<DType>,
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

/// All combinations of edge values (a part of them for three arguments), padded to whole iterations.
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
    for column in &mut columns {
        while column.len() % 16 != 0 {
            column.push(column[0]);
        }
    }
    columns
}

fn kernel(case: &Case, vector: bool, access: &[Access]) -> Function {
    let mut k = Build::new(vector);
    let inputs: Vec<ArrayRef> = case
        .args
        .iter()
        .zip(access)
        .map(|(dtype, access)| k.array(*dtype, ArrayMode::In, *access))
        .collect();
    let args: Vec<Value> = inputs.iter().map(|array| k.load(*array)).collect();
    let value = k.b.op(case.op, &args, case.to);
    let dtype = k.b.func.ty(value).dtype;
    let out = k.array(dtype, ArrayMode::Out, access[case.args.len()]);
    k.b.store(out, value);
    k.finish()
}

fn check(
    name: &str,
    backend: &Cranelift,
    case: &Case,
    vector: bool,
    access: &[Access],
) -> Vec<String> {
    let function = kernel(case, vector, access);
    let code = compile(backend, &function);
    let mut columns = columns(&case.args);
    let n = columns[0].len();
    for (column, access) in columns.iter_mut().zip(access) {
        if *access == Access::Uniform {
            let value = column[n / 3];
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
    call(&*code, &mut memory, n);
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
                "{name} vector={vector} {access:?}: {} {:?} {args:?} gives {got:?}, not {expected:?}",
                case.op, case.to
            ));
        }
    }
    wrong
}

fn check_all(vector: bool, pick: impl Fn(usize, usize) -> Vec<Access>) {
    let backends = backends();
    let mut wrong = Vec::new();
    for (n, case) in cases().iter().enumerate() {
        let count = case.args.len() + 1;
        for (m, (name, backend)) in backends.iter().enumerate() {
            // Interleave factors do not matter to scalar code.
            if !vector && m != 0 && m != 3 {
                continue;
            }
            let access = pick(n + m, count);
            wrong.extend(check(name, backend, case, vector, &access));
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
fn scalar_form_contiguous() {
    check_all(false, |_, count| vec![Access::Contiguous; count]);
}

#[test]
fn vector_form_contiguous() {
    check_all(true, |_, count| vec![Access::Contiguous; count]);
}

#[test]
fn vector_form_mixed_access() {
    const ALL: [Access; 3] = [Access::Strided, Access::Uniform, Access::Contiguous];
    check_all(true, |n, count| {
        let mut access: Vec<Access> = (0..count).map(|k| ALL[(n + k) % 3]).collect();
        // The result differs between elements, so it has to go somewhere.
        access[count - 1] = ALL[2 * (n % 2)];
        access
    });
}

#[test]
fn scalar_form_mixed_access() {
    const ALL: [Access; 3] = [Access::Uniform, Access::Strided, Access::Contiguous];
    check_all(false, |n, count| {
        let mut access: Vec<Access> = (0..count).map(|k| ALL[(n + k) % 3]).collect();
        access[count - 1] = ALL[1 + n % 2];
        access
    });
}
