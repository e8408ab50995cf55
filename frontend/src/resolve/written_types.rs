//! Resolution of types as written, and of the constant expressions in them.

use super::body::BodyResolver;
use super::suggest::{did_you_mean, nearest};
use super::{ItemRef, Items};
use crate::ast::{self, ExprKind as A};
use crate::consts;
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{Const, LocalId};
use crate::source::{Source, Span};
use crate::types::Ty;
use kjit_ir::DType;
use rustc_hash::FxHashMap;

/// Longest local array: it lives in registers or on the stack of every element.
const MAX_ARRAY_LENGTH: i128 = 65_536;

impl<'a> BodyResolver<'a, '_> {
    /// The type of a parameter, result, constant or cast: one dtype or type parameter.
    pub fn scalar_type(&mut self, ty: &'a ast::TypeExpr) -> Ty {
        match &ty.kind {
            ast::TypeExprKind::Name(name) => self.named_type(name, ty.span),
            ast::TypeExprKind::Array(..) => {
                self.error(
                    Code::WrongPlace,
                    ty.span,
                    "an array type is not allowed here",
                )
                .label("must be one number")
                .help("local arrays live inside a body: `let mut a = [0.0; 4];`");
                Ty::Error
            }
            ast::TypeExprKind::Error => Ty::Error,
        }
    }

    pub(super) fn named_type(&mut self, name: &str, span: Span) -> Ty {
        if let Some(n) = self.generics.iter().position(|(g, _)| g == name) {
            if self.bad_generics.contains(&n) {
                return Ty::Error;
            }
            return Ty::Generic(n as u32);
        }
        match DType::from_name(name) {
            Some(dtype) => Ty::Scalar(dtype),
            None if self.unknown_types.iter().any(|t| t == name) => Ty::Error,
            None => {
                self.unknown_types.push(name.to_string());
                let generics = self.generics.iter().map(|(g, _)| g.as_str());
                let candidates = generics.chain(DType::ALL.iter().map(|d| d.name()));
                let alias = match name {
                    "int" => Some("i32"),
                    "float" | "float32" => Some("f32"),
                    "double" | "float64" => Some("f64"),
                    "half" | "float16" => Some("f16"),
                    "complex64" => Some("c64"),
                    "complex" | "complex128" => Some("c128"),
                    "usize" | "isize" | "long" | "int64" => Some("i64"),
                    "uint" | "uint32" => Some("u32"),
                    "int32" => Some("i32"),
                    _ => None,
                };
                let help = did_you_mean(alias.or_else(|| nearest(name, candidates)));
                let help = help.unwrap_or_else(|| {
                    "the types are bool, i8 to i64, u8 to u64, f16, f32, f64, c64 and c128"
                        .to_string()
                });
                self.error(
                    Code::UnknownType,
                    span,
                    format!("there is no type `{name}`"),
                )
                .label("unknown type")
                .help(help);
                Ty::Error
            }
        }
    }

    /// The type of a `let`: a scalar or a local array.
    pub(super) fn let_type(&mut self, ty: &'a ast::TypeExpr) -> Ty {
        match &ty.kind {
            ast::TypeExprKind::Array(element, extents) => {
                let element = self.scalar_type(element);
                if let [_, second, ..] = extents.as_slice() {
                    self.error(
                        Code::WrongPlace,
                        second.size.span,
                        "a local array has one axis",
                    )
                    .label("a second axis")
                    .help("write one length, and compute the index as in `a[i * width + j]`");
                    return Ty::Error;
                }
                if let Some(mark) = extents[0].optional {
                    self.error(
                        Code::WrongPlace,
                        mark,
                        "only a dimension of a gufunc's parameters can be optional",
                    )
                    .label("not allowed here")
                    .help("remove the `?`");
                    return Ty::Error;
                }
                match self.array_length(&extents[0].size) {
                    Some(len) => Ty::Array(Box::new(element), len),
                    None => Ty::Error,
                }
            }
            _ => self.scalar_type(ty),
        }
    }

    pub(super) fn array_length(&mut self, len: &'a ast::Expr) -> Option<u32> {
        if let Some(span) = names_local(len, &self.scope) {
            self.error(
                Code::NotConstant,
                span,
                "the length of an array must be a constant",
            )
            .label("known only when the program runs")
            .help("use a literal or a `const`");
            return None;
        }
        array_length(self.items, self.consts, self.source, len, self.diagnostics)
    }
}

/// The value of an array length: a constant integer.
fn array_length(
    items: &Items<'_>,
    consts: &[Const],
    source: &Source,
    len: &ast::Expr,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let mut resolver = BodyResolver::new(items, consts, source, &[], diagnostics);
    let expr = resolver.expr(len);
    let body = resolver.finish_expr(expr);
    let value = consts::evaluate(body, None, consts, source, diagnostics)?;
    let mut report = |message: String, label: &str, help: &str| {
        let d = Diagnostic::new(Code::LiteralRange, source, len.span, message);
        diagnostics.push(d.label(label).help(help));
        None
    };
    if !value.dtype().is_int() {
        return report(
            format!(
                "the length of an array must be an integer, not {}",
                value.dtype()
            ),
            "not an integer",
            "write an integer",
        );
    }
    match value.as_int() {
        n @ 1..=MAX_ARRAY_LENGTH => Some(n as u32),
        n => report(
            format!("a local array cannot have {n} elements"),
            "out of range",
            "local arrays have 1 to 65536 elements",
        ),
    }
}

/// A place where a length names a variable.
fn names_local(len: &ast::Expr, scope: &FxHashMap<&str, LocalId>) -> Option<Span> {
    match &len.kind {
        A::Name(name) => scope.contains_key(name.as_str()).then_some(len.span),
        A::Unary(_, a) | A::Cast(a, _) => names_local(a, scope),
        A::Binary(_, a, b) => names_local(a, scope).or_else(|| names_local(b, scope)),
        _ => None,
    }
}

/// The constants an expression names, with the places.
pub fn consts_named(expr: &ast::Expr, names: &FxHashMap<&str, ItemRef>) -> Vec<(usize, Span)> {
    fn walk(expr: &ast::Expr, names: &FxHashMap<&str, ItemRef>, out: &mut Vec<(usize, Span)>) {
        match &expr.kind {
            A::Name(name) => {
                if let Some(ItemRef::Const(n)) = names.get(name.as_str()) {
                    out.push((*n, expr.span));
                }
            }
            A::Unary(_, a) | A::Cast(a, _) => walk(a, names, out),
            A::Binary(_, a, b) | A::Repeat(a, b) => {
                walk(a, names, out);
                walk(b, names, out);
            }
            A::Call(_, args) => args.iter().for_each(|a| walk(&a.value, names, out)),
            A::Method(receiver, _, args) => {
                walk(receiver, names, out);
                args.iter().for_each(|a| walk(&a.value, names, out));
            }
            A::Tuple(list) | A::Array(list) => list.iter().for_each(|e| walk(e, names, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(expr, names, &mut out);
    out
}
