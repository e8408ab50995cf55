//! The kernels of the reductions that have names: what combines two values, and how an element becomes
//! one.

use crate::ReduceOp;
use crate::reduce::result_dtype;
use kjit_ir::{Access, ArrayMode, ArrayParam, DType, Function, FunctionBuilder, Opcode, Value};

/// The kernel that combines two values of a sum or extreme.
pub(super) fn named(op: ReduceOp, dtype: DType) -> Function {
    let dtype = result_dtype(op, dtype);
    let opcode = match (op, dtype) {
        (ReduceOp::Sum, _) => Opcode::Add,
        (ReduceOp::Min, DType::Bool) => Opcode::And,
        (ReduceOp::Min, _) => Opcode::Min,
        (_, DType::Bool) => Opcode::Or,
        (_, _) => Opcode::Max,
    };
    kernel(op.name(), &[dtype; 2], &[dtype], |b, args| {
        vec![b.binary(opcode, args[0], args[1])]
    })
}

/// For the first extreme element of a dtype, or its first NaN: the kernel that pairs an element with its
/// index, and the one that picks one of two such pairs. Picking does not depend on the tree.
pub(super) fn arg_extreme(dtype: DType, max: bool) -> (Function, Function) {
    // What is not ordered as it is.
    let ordered = match dtype {
        DType::Bool => DType::U8,
        other => other,
    };
    let mut b = FunctionBuilder::new("indexed");
    let param = |name: &str, dtype, mode| ArrayParam::new(name, dtype, mode, Access::Strided);
    let x = b.array(param("x", dtype, ArrayMode::In));
    let index = b.array(param("index", DType::I64, ArrayMode::Index));
    let value = b.array(param("value", ordered, ArrayMode::Out));
    let at = b.array(param("at", DType::I64, ArrayMode::Out));
    let element = b.load(x);
    let i = b.load(index);
    let element = if dtype == ordered {
        element
    } else {
        b.cast(element, ordered)
    };
    b.store(value, element);
    b.store(at, i);
    let indexed = b.ret(&[]);

    let pair = [ordered, DType::I64];
    let better = if max { Opcode::Gt } else { Opcode::Lt };
    let pick = kernel("pick", &[pair, pair].concat(), &pair, |b, args| {
        let [a, i, other, j] = [args[0], args[1], args[2], args[3]];
        let wins = b.binary(better, other, a);
        let equal = b.binary(Opcode::Eq, a, other);
        let earlier = b.binary(Opcode::Lt, j, i);
        let (wins, equal) = if ordered.is_float() {
            let a_nan = b.binary(Opcode::Ne, a, a);
            let other_nan = b.binary(Opcode::Ne, other, other);
            let number = b.unary(Opcode::Not, a_nan);
            let first_nan = b.binary(Opcode::And, number, other_nan);
            let both = b.binary(Opcode::And, a_nan, other_nan);
            (
                b.binary(Opcode::Or, wins, first_nan),
                b.binary(Opcode::Or, equal, both),
            )
        } else {
            (wins, equal)
        };
        let tie = b.binary(Opcode::And, equal, earlier);
        let takes = b.binary(Opcode::Or, wins, tie);
        vec![b.select(takes, other, a), b.select(takes, j, i)]
    });
    (indexed, pick)
}

/// Does a kernel pass its one input on unchanged?
pub(super) fn copies(kernel: &Function) -> bool {
    let ops = kernel.block(kernel.entry).insts.iter();
    let ops: Vec<Opcode> = ops.map(|i| kernel.inst(*i).op).collect();
    kernel.arrays.len() == 2 && ops == [Opcode::Load, Opcode::Store, Opcode::Return]
}

/// A kernel whose outputs are what `body` makes of its inputs.
fn kernel(
    name: &str,
    inputs: &[DType],
    outputs: &[DType],
    body: impl FnOnce(&mut FunctionBuilder, &[Value]) -> Vec<Value>,
) -> Function {
    let param = |name: &str, dtype, mode| ArrayParam::new(name, dtype, mode, Access::Contiguous);
    let mut b = FunctionBuilder::new(name);
    let inputs: Vec<_> = inputs
        .iter()
        .map(|d| b.array(param("x", *d, ArrayMode::In)))
        .collect();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|d| b.array(param("y", *d, ArrayMode::Out)))
        .collect();
    let args: Vec<_> = inputs.iter().map(|a| b.load(*a)).collect();
    for (output, value) in outputs.into_iter().zip(body(&mut b, &args)) {
        b.store(output, value);
    }
    b.ret(&[])
}
