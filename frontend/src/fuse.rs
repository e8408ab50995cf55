//! Kernels of fused expressions: element-wise parts of a host program, without temporaries.

use crate::builtins;
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::Program;
use crate::instantiate::{Home, Instances};
use crate::source::{Source, Span};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, BinaryOp, DType, Function, FunctionBuilder, FusedExpr, FusedOp,
    Loc, Opcode, Type, UnaryOp, Value,
};

/// Lowers a fused expression to a kernel.
///
/// # Panics
/// If the expression is not well formed: whoever builds it makes arguments agree.
pub fn lower_fused(
    expr: &FusedExpr,
    program: &Program,
    source: &Source,
    instances: &mut Instances<'_>,
) -> Result<Function, Box<Diagnostic>> {
    let mut b = FunctionBuilder::new("fused");
    let array = |b: &mut FunctionBuilder, name: String, dtype, mode| {
        b.array(ArrayParam::new(name, dtype, mode, Access::Strided))
    };
    let inputs: Vec<_> = expr
        .inputs
        .iter()
        .enumerate()
        .map(|(n, dtype)| array(&mut b, format!("in{n}"), *dtype, ArrayMode::In))
        .collect();
    let uses_index = expr.nodes.iter().any(|n| n.op == FusedOp::Index);
    let index =
        uses_index.then(|| array(&mut b, "index".to_string(), DType::I64, ArrayMode::Index));
    let mut loaded: Vec<Option<Value>> = vec![None; expr.inputs.len()];
    let mut index_value = None;
    let mut results: Vec<Vec<Value>> = Vec::with_capacity(expr.nodes.len());
    for node in &expr.nodes {
        b.set_loc(node.loc);
        let args: Vec<Value> = node.args.iter().map(|(n, k)| results[*n][*k]).collect();
        let values = match &node.op {
            FusedOp::Input(n) => vec![*loaded[*n].get_or_insert_with(|| b.load(inputs[*n]))],
            FusedOp::Index => {
                let array = index.expect("bug in kjit: an index without parameter");
                vec![*index_value.get_or_insert_with(|| b.load(array))]
            }
            FusedOp::Cast(dtype) => vec![b.cast(args[0], *dtype)],
            FusedOp::Unary(op) => vec![unary(&mut b, *op, args[0], source, node.loc)?],
            FusedOp::Binary(op) => {
                vec![binary(
                    &mut b, instances, *op, args[0], args[1], source, node.loc,
                )?]
            }
            FusedOp::Call(name, generics) => {
                call(&mut b, instances, program, name, generics, &args)
            }
        };
        results.push(values);
    }
    for (n, (node, k)) in expr.outputs.iter().enumerate() {
        let value = results[*node][*k];
        let dtype = b.func.ty(value).dtype;
        b.set_loc(expr.nodes[*node].loc);
        let out = array(&mut b, format!("out{n}"), dtype, ArrayMode::Out);
        b.store(out, value);
    }
    b.func.fast = false;
    Ok(b.ret(&[]))
}

fn undefined(symbol: &str, dtype: DType, source: &Source, loc: Loc, help: &str) -> Box<Diagnostic> {
    let span = Span {
        start: loc.start,
        end: loc.end,
    };
    Box::new(
        Diagnostic::new(
            Code::BadOperand,
            source,
            span,
            format!("`{symbol}` is not defined for {dtype}"),
        )
        .label(format!("operands are {dtype}"))
        .help(help),
    )
}

fn unary(
    b: &mut FunctionBuilder,
    op: UnaryOp,
    a: Value,
    source: &Source,
    loc: Loc,
) -> Result<Value, Box<Diagnostic>> {
    let dtype = b.func.ty(a).dtype;
    let op = match op {
        UnaryOp::Neg if dtype.is_number() => Opcode::Neg,
        UnaryOp::Neg => {
            return Err(undefined(
                "-",
                dtype,
                source,
                loc,
                "use `!` for truth values",
            ));
        }
        UnaryOp::Not if Opcode::Not.domain().contains(dtype) => Opcode::Not,
        UnaryOp::Not => {
            return Err(undefined(
                "!",
                dtype,
                source,
                loc,
                "compare first: `x == 0`",
            ));
        }
    };
    Ok(b.unary(op, a))
}

fn binary(
    b: &mut FunctionBuilder,
    instances: &mut Instances<'_>,
    op: BinaryOp,
    x: Value,
    y: Value,
    source: &Source,
    loc: Loc,
) -> Result<Value, Box<Diagnostic>> {
    let dtype = b.func.ty(x).dtype;
    if op == BinaryOp::Rem && dtype.is_float() {
        return Ok(instances.remainder(b, x, y));
    }
    if matches!(op, BinaryOp::And | BinaryOp::Or) && dtype != DType::Bool {
        let x = b.cast(x, DType::Bool);
        let y = b.cast(y, DType::Bool);
        return Ok(b.binary(op.opcode(), x, y));
    }
    let code = op.opcode();
    if code.domain().contains(dtype) {
        return Ok(b.binary(code, x, y));
    }
    if dtype == DType::Bool && op.is_comparison() {
        let x = b.cast(x, DType::U8);
        let y = b.cast(y, DType::U8);
        return Ok(b.binary(code, x, y));
    }
    Err(undefined(
        op.symbol(),
        dtype,
        source,
        loc,
        "convert them first with `as`",
    ))
}

/// A call of a ufunc of the file or of an element-wise built-in function.
pub fn call(
    b: &mut FunctionBuilder,
    instances: &mut Instances<'_>,
    program: &Program,
    name: &str,
    generics: &[DType],
    args: &[Value],
) -> Vec<Value> {
    if let Some(id) = program.names.get(name)
        && program.functions[*id].is_ufunc
    {
        let results: Vec<Type> = program.functions[*id]
            .outputs
            .iter()
            .map(|(_, ty)| match ty.instantiate(generics) {
                crate::types::Ty::Scalar(dtype) => Type::scalar(dtype),
                other => panic!("bug in kjit: output of type {other:?}"),
            })
            .collect();
        let func = instances.function(Home::User, *id, generics);
        return b.call(func, args, &results);
    }
    let builtin = builtins::find(name).unwrap_or_else(|| panic!("bug in kjit: no function {name}"));
    instances.call_builtin(b, builtin, generics, args)
}
