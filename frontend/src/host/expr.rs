//! Expressions of the host program.

use super::Host;
use crate::ast::{self, ExprKind as A, IndexArg};
use crate::builtins;
use crate::diagnostic::Code;
use crate::resolve::ItemRef;
use crate::source::Span;
use crate::types::part_of;
use kjit_ir::eval::eval;
use kjit_ir::host::{HostCallee, HostExpr, HostExprKind, HostFn, HostIndex, UfuncMethod};
use kjit_ir::{DType, Opcode, Scalar, UnaryOp};

impl<'a> Host<'a, '_> {
    fn make(&self, kind: HostExprKind, span: Span) -> HostExpr {
        HostExpr {
            kind,
            loc: self.source.loc(span),
        }
    }

    /// Stands for an expression that was wrong and has been reported.
    pub(super) fn wrong(&self, span: Span) -> HostExpr {
        self.make(HostExprKind::Int(0), span)
    }

    /// An expression of one value.
    pub(super) fn expr(&mut self, e: &'a ast::Expr) -> HostExpr {
        let value = self.any(e);
        if let HostExprKind::Call {
            callee: HostCallee::Builtin(f @ (HostFn::Print | HostFn::Save | HostFn::Assert)),
            ..
        } = value.kind
        {
            self.error(
                Code::MissingValue,
                e.span,
                format!("`{}` has no value", f.name()),
                "used as a value",
                "write it as a statement of its own",
            );
            return self.wrong(e.span);
        }
        let n = self.n_values(&value);
        if n > 1 {
            self.error(
                Code::Mismatch,
                e.span,
                format!("this call gives {n} values where one is needed"),
                &format!("{n} values"),
                "take them apart first: `let (a, b) = ..;`",
            );
        }
        value
    }

    /// How many values a call of a ufunc gives.
    fn n_values(&self, e: &HostExpr) -> usize {
        match &e.kind {
            HostExprKind::Call {
                callee: HostCallee::Elementwise(name) | HostCallee::Method(name, UfuncMethod::Outer),
                ..
            } => self
                .program
                .names
                .get(name)
                .map(|id| self.program.functions[*id].outputs.len())
                .or_else(|| Some(builtins::find(name)?.result.parts().len()))
                .unwrap_or(1),
            _ => 1,
        }
    }

    /// The value of `let (a, b) = ..`.
    pub(super) fn tuple_value(&mut self, e: &'a ast::Expr, names: usize) -> HostExpr {
        let value = self.any(e);
        let n = match &value.kind {
            HostExprKind::Tuple(list) => list.len(),
            HostExprKind::Call { .. } => self.n_values(&value),
            HostExprKind::Slot(_) => return value,
            _ => 1,
        };
        if n != names && !matches!(e.kind, A::Error) {
            let have = if n == 1 {
                "one value".to_string()
            } else {
                format!("{n} values")
            };
            self.error(
                Code::Mismatch,
                e.span,
                format!("{have} cannot be taken apart into {names} names"),
                &format!("this gives {have}"),
                "write as many names as there are values",
            );
        }
        value
    }

    /// An expression, which as a statement needs no value.
    pub(super) fn any(&mut self, e: &'a ast::Expr) -> HostExpr {
        let kind = match &e.kind {
            A::Int(value, suffix) => return self.int(*value, false, suffix.as_deref(), e.span),
            A::Float(digits, suffix) => return self.float(digits, suffix.as_deref(), e.span),
            A::Bool(value) => HostExprKind::Bool(*value),
            A::Str(text) => HostExprKind::Str(text.clone()),
            A::Name(name) => return self.name(name, e.span),
            A::Unary(op, inner) => match (op, &inner.kind) {
                (UnaryOp::Neg, A::Int(value, suffix)) => {
                    return self.int(*value, true, suffix.as_deref(), e.span);
                }
                _ => {
                    let symbol = if *op == UnaryOp::Neg { "-" } else { "!" };
                    let inner = self.operand(inner, symbol);
                    HostExprKind::Unary(*op, Box::new(inner))
                }
            },
            A::Binary(op, a, b) => {
                let before = self.diagnostics.len();
                let a = self.operand(a, op.symbol());
                let b = if self.diagnostics.len() > before {
                    self.expr(b)
                } else {
                    self.operand(b, op.symbol())
                };
                HostExprKind::Binary(*op, Box::new(a), Box::new(b))
            }
            A::Cast(inner, ty) => {
                let inner = self.operand(inner, "as");
                match self.dtype(ty) {
                    Some(dtype) => HostExprKind::Cast(Box::new(inner), dtype),
                    None => return self.wrong(e.span),
                }
            }
            A::Call(name, args) => return self.call(name, None, args, e.span),
            A::Method(receiver, name, args) => {
                return self.call(name, Some(receiver), args, e.span);
            }
            A::Index(base, index) => {
                let base = self.expr(base);
                HostExprKind::Index(Box::new(base), self.indices(index))
            }
            A::If(..) => {
                self.error(
                    Code::WrongPlace,
                    e.span,
                    "an `if` has no value in `main`".to_string(),
                    "used as a value",
                    "assign in its arms, or choose element by element with `select(c, a, b)`",
                );
                return self.wrong(e.span);
            }
            A::Block(_) => {
                self.error(
                    Code::WrongPlace,
                    e.span,
                    "a block has no value in `main`".to_string(),
                    "used as a value",
                    "write its statements before this one",
                );
                return self.wrong(e.span);
            }
            A::Tuple(list) => HostExprKind::Tuple(list.iter().map(|e| self.expr(e)).collect()),
            A::Array(list) => HostExprKind::Array(list.iter().map(|e| self.expr(e)).collect()),
            A::Repeat(..) => {
                self.error(
                    Code::WrongPlace,
                    e.span,
                    "`[value; length]` is not allowed in `main`".to_string(),
                    "kernels only",
                    "write `full(length, value)`",
                );
                return self.wrong(e.span);
            }
            A::Error => return self.wrong(e.span),
        };
        self.make(kind, e.span)
    }

    /// An operand of an operator, which text is not.
    fn operand(&mut self, e: &'a ast::Expr, symbol: &str) -> HostExpr {
        let value = self.expr(e);
        let what = match &value.kind {
            HostExprKind::Str(_) => "text",
            HostExprKind::Tuple(_) => "a tuple",
            _ => return value,
        };
        self.error(
            Code::BadOperand,
            e.span,
            format!("`{symbol}` is not defined for {what}"),
            &format!("this is {what}"),
            "use numbers or arrays",
        );
        self.wrong(e.span)
    }

    fn int(&mut self, value: u128, negative: bool, suffix: Option<&str>, span: Span) -> HostExpr {
        let dtype = suffix.and_then(DType::from_name);
        let value = i128::try_from(value).unwrap_or(i128::MAX);
        let value = if negative { -value } else { value };
        let literal = crate::hir::Literal::Int(value);
        // Without suffix the largest integer dtypes are the limit.
        let limit = dtype.unwrap_or(if negative { DType::I64 } else { DType::U64 });
        if let Err(d) = crate::literal::check(&literal, limit, self.source, span) {
            self.diagnostics.push(d);
        }
        self.suffixed(HostExprKind::Int(value), dtype, span)
    }

    fn float(&mut self, digits: &str, suffix: Option<&str>, span: Span) -> HostExpr {
        let dtype = suffix.and_then(DType::from_name);
        let literal = crate::hir::Literal::Float(digits.to_string());
        let to = dtype.unwrap_or(DType::F64);
        if let Err(d) = crate::literal::check(&literal, to, self.source, span) {
            self.diagnostics.push(d);
            return self.wrong(span);
        }
        // The part, rounded: converting it to its own dtype changes nothing more.
        let value = crate::literal::value(&literal, part_of(to)).map_or(0.0, |s| s.to_f64());
        self.suffixed(HostExprKind::Float(value), dtype, span)
    }

    fn suffixed(&self, kind: HostExprKind, dtype: Option<DType>, span: Span) -> HostExpr {
        let literal = self.make(kind, span);
        match dtype {
            Some(dtype) => self.make(HostExprKind::Cast(Box::new(literal), dtype), span),
            None => literal,
        }
    }

    fn name(&mut self, name: &str, span: Span) -> HostExpr {
        if let Some(slot) = self.scope.get(name) {
            return self.make(HostExprKind::Slot(*slot), span);
        }
        match self.items.names.get(name) {
            Some(ItemRef::Param(n)) if *n < self.visible_params => {
                self.make(HostExprKind::Param(*n), span)
            }
            Some(ItemRef::Param(_)) => {
                self.error(
                    Code::UnknownName,
                    span,
                    format!("param `{name}` is used before it is declared"),
                    "not known yet",
                    "declare it further up",
                );
                self.wrong(span)
            }
            Some(ItemRef::Const(n)) => self.constant(*n, span),
            Some(ItemRef::Function(_)) => self.not_a_value(name, span),
            None if self.is_function(name) => self.not_a_value(name, span),
            None if DType::from_name(name).is_some() => {
                self.error(
                    Code::NotAValue,
                    span,
                    format!("`{name}` is a type, not a value"),
                    "a type",
                    &format!("convert with `x as {name}`, or pass `dtype = {name}`"),
                );
                self.wrong(span)
            }
            None => {
                self.unknown_name(name, span);
                self.wrong(span)
            }
        }
    }

    fn not_a_value(&mut self, name: &str, span: Span) -> HostExpr {
        self.error(
            Code::NotAValue,
            span,
            format!("`{name}` is a function, not a value"),
            "used as a value",
            &format!("call it: `{name}(..)`"),
        );
        self.wrong(span)
    }

    /// A constant: weakly typed as a literal unless its type is declared.
    fn constant(&mut self, n: usize, span: Span) -> HostExpr {
        let Some(value) = self.program.consts[n].value else {
            return self.wrong(span);
        };
        let dtype = value.dtype();
        let declared = self.items.consts[n].1.ty.is_some();
        let kind = match dtype {
            d if d.is_complex() => return self.complex_constant(value, span),
            DType::Bool => return self.make(HostExprKind::Bool(value.as_bool()), span),
            d if d.is_float() => HostExprKind::Float(value.to_f64()),
            _ => HostExprKind::Int(value.as_int()),
        };
        self.suffixed(kind, declared.then_some(dtype), span)
    }

    /// A complex constant: `complex` of its parts.
    fn complex_constant(&self, value: Scalar, span: Span) -> HostExpr {
        let part = part_of(value.dtype());
        let args = [Opcode::Re, Opcode::Im].map(|op| {
            let x = eval(op, None, &[value]).map_or(0.0, |s| s.to_f64());
            self.suffixed(HostExprKind::Float(x), Some(part), span)
        });
        let kind = HostExprKind::Call {
            callee: HostCallee::Elementwise("complex".to_string()),
            args: args.into(),
            named: Vec::new(),
        };
        self.make(kind, span)
    }

    /// `[i, a..b, ..]`
    pub(super) fn indices(&mut self, index: &'a [IndexArg]) -> Vec<HostIndex> {
        index
            .iter()
            .map(|i| match i {
                IndexArg::At(e) => HostIndex::At(self.operand(e, "[]")),
                IndexArg::Range(a, b, _) => HostIndex::Range(
                    a.as_ref().map(|e| self.operand(e, "..")),
                    b.as_ref().map(|e| self.operand(e, "..")),
                ),
            })
            .collect()
    }
}
