//! Constant expressions: inferred as any other, then folded with the IR's own meaning of each operation.

use crate::builtins::{Builtin, Code as BuiltinCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{Body, Callee, Const, Expr, ExprKind};
use crate::infer::infer_expr;
use crate::literal;
use crate::source::{Source, Span};
use crate::types::Ty;
use kjit_ir::eval::eval;
use kjit_ir::{BinaryOp, DType, Opcode, Scalar, UnaryOp};

/// The value of a resolved constant expression; mistakes are reported.
pub fn evaluate(
    mut body: Body,
    expected: Option<Ty>,
    consts: &[Const],
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Scalar> {
    let tail = body.block.tail.as_ref()?;
    if let Some(span) = not_constant(tail) {
        diagnostics.push(
            Diagnostic::new(
                Code::NotConstant,
                source,
                span,
                "this is not a constant expression",
            )
            .label("not known at compile time")
            .help("use literals, other constants, operators and `as`"),
        );
        return None;
    }
    let before = diagnostics.len();
    infer_expr(&mut body, expected, consts, source, diagnostics);
    if diagnostics.len() > before {
        return None;
    }
    let value = fold(body.block.tail.as_ref()?, &body.types, consts);
    if value.is_none() && diagnostics.is_empty() {
        let span = body.block.tail.as_ref()?.span;
        diagnostics.push(
            Diagnostic::new(
                Code::NotConstant,
                source,
                span,
                "functions of complex numbers have no value at compile time",
            )
            .label("not known at compile time")
            .help("compute it in the kernel that needs it"),
        );
    }
    value
}

/// A part that has no value at compile time.
fn not_constant(e: &Expr) -> Option<Span> {
    match &e.kind {
        ExprKind::Literal(..) | ExprKind::Bool(_) | ExprKind::Const(_) | ExprKind::Error => None,
        ExprKind::Unary(_, a) | ExprKind::Cast(a, _) => not_constant(a),
        ExprKind::Binary(_, a, b) => not_constant(a).or_else(|| not_constant(b)),
        ExprKind::Call(
            Callee::Builtin(Builtin {
                code: BuiltinCode::Op(_),
                ..
            }),
            args,
        ) => args.iter().find_map(not_constant),
        _ => Some(e.span),
    }
}

/// The value of a typed constant expression; `None` if part of it was wrong (and is reported).
fn fold(e: &Expr, types: &[Ty], consts: &[Const]) -> Option<Scalar> {
    let Ty::Scalar(dtype) = types[e.id] else {
        return None;
    };
    match &e.kind {
        ExprKind::Literal(value, _) => literal::value(value, dtype),
        ExprKind::Bool(value) => Some(Scalar::bool(*value)),
        ExprKind::Const(id) => consts[*id].value,
        ExprKind::Unary(op, a) => {
            let op = match op {
                UnaryOp::Neg => Opcode::Neg,
                UnaryOp::Not => Opcode::Not,
            };
            eval(op, None, &[fold(a, types, consts)?])
        }
        ExprKind::Binary(op, a, b) => {
            let a = fold(a, types, consts)?;
            let mut b = fold(b, types, consts)?;
            if *op == BinaryOp::Rem && a.dtype().is_float() {
                return Some(match a.dtype() {
                    DType::F32 => Scalar::f32(a.as_f32() % b.as_f32()),
                    _ => Scalar::f64(a.as_f64() % b.as_f64()),
                });
            }
            if matches!(op, BinaryOp::Shl | BinaryOp::Shr) && a.dtype() != b.dtype() {
                b = eval(Opcode::Cast, Some(a.dtype()), &[b])?;
            }
            eval(op.opcode(), None, &[a, b])
        }
        ExprKind::Cast(a, Ty::Scalar(to)) => {
            let a = fold(a, types, consts)?;
            if a.dtype() == *to {
                Some(a)
            } else {
                eval(Opcode::Cast, Some(*to), &[a])
            }
        }
        ExprKind::Call(
            Callee::Builtin(Builtin {
                code: BuiltinCode::Op(op),
                ..
            }),
            args,
        ) => {
            let args: Option<Vec<Scalar>> = args.iter().map(|a| fold(a, types, consts)).collect();
            let args = args.filter(|a| op.domain().contains(a[0].dtype()))?;
            eval(*op, None, &args)
        }
        _ => None,
    }
}
