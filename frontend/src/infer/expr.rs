//! Inference of expressions.

use super::unify::Origin;
use super::{Infer, TAKE_APART};
use crate::diagnostic::Code;
use crate::hir::{Block, Expr, ExprKind, Literal};
use crate::source::Span;
use crate::types::{DTypeSet, Ty};
use kjit_ir::opcode::Domain;
use kjit_ir::{BinaryOp, Class, DType, UnaryOp};

const NUMBER: DTypeSet = DTypeSet::class(Class::Number);
const INT: DTypeSet = DTypeSet::class(Class::Int);
const REAL: DTypeSet = DTypeSet::class(Class::Real);
const COMPLEX: DTypeSet = DTypeSet::class(Class::Complex);
const INEXACT: DTypeSet = DTypeSet::class(Class::Float).or(COMPLEX);
const BITS: DTypeSet = DTypeSet::domain(Domain::Bits);

impl<'b> Infer<'_, 'b> {
    /// The type of an expression, also filed under its id.
    pub(super) fn expr(&mut self, e: &'b Expr) -> Ty {
        let ty = self.expr_kind(e);
        self.types[e.id] = ty.clone();
        ty
    }

    /// The type of an expression that must have a value.
    pub(super) fn value(&mut self, e: &'b Expr) -> Ty {
        let ty = self.expr(e);
        if ty == Ty::Unit {
            self.no_value(e.span);
            return Ty::Error;
        }
        ty
    }

    fn expr_kind(&mut self, e: &'b Expr) -> Ty {
        match &e.kind {
            ExprKind::Literal(literal, suffix) => self.literal(literal, *suffix, e.span),
            ExprKind::Bool(_) => Ty::BOOL,
            ExprKind::Local(id) => match &self.locals[*id] {
                Ty::Core(_, dims) => {
                    let rank = dims.len();
                    self.whole_array(e.span, rank)
                }
                ty => ty.clone(),
            },
            ExprKind::Const(id) => match self.context.consts[*id].value {
                Some(value) => Ty::Scalar(value.dtype()),
                None => Ty::Error,
            },
            ExprKind::Unary(op, a) => self.unary(*op, a, e.span),
            ExprKind::Binary(op, a, b) => {
                let x = self.value(a);
                let y = self.value(b);
                self.binary(*op, &x, &y, a.span, b.span, e.span)
            }
            ExprKind::Cast(a, to) => self.cast(a, to, e.span),
            ExprKind::Call(callee, args) => self.call(*callee, args, e),
            ExprKind::Index(base, index) => {
                let array = match &base.kind {
                    ExprKind::Local(id) => {
                        self.types[base.id] = self.locals[*id].clone();
                        self.locals[*id].clone()
                    }
                    _ => self.value(base),
                };
                self.element(&array, base.span, index)
            }
            ExprKind::If {
                condition,
                then_block,
                else_block,
                ..
            } => {
                self.condition(condition);
                self.if_arms(then_block, else_block.as_ref(), e.span)
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Tuple(list) => {
                let types: Vec<Ty> = list.iter().map(|e| self.value(e)).collect();
                if types.is_empty() {
                    self.no_value(e.span);
                    return Ty::Error;
                }
                for (ty, e) in types.iter().zip(list) {
                    self.must_be_scalar(ty, e.span, "a tuple in a kernel");
                }
                Ty::Tuple(types)
            }
            ExprKind::Array(list) => {
                let Some((first, rest)) = list.split_first() else {
                    self.error(
                        Code::CannotInfer,
                        e.span,
                        "a local array needs at least one element".to_string(),
                        "empty",
                        "write its elements, or `[0.0; 4]`",
                    );
                    return Ty::Error;
                };
                let element = self.value(first);
                let mut ok = self.must_be_scalar(&element, first.span, "an array");
                for e in rest {
                    let ty = self.value(e);
                    if ok {
                        ok = self.vars.unify(&element, &ty);
                        if !ok {
                            self.expect(&element, &ty, e.span, "each element");
                        }
                    }
                }
                Ty::Array(
                    Box::new(if ok { element } else { Ty::Error }),
                    list.len() as u32,
                )
            }
            ExprKind::Repeat(value, len) => {
                let element = self.value(value);
                let ok = self.must_be_scalar(&element, value.span, "an array");
                Ty::Array(Box::new(if ok { element } else { Ty::Error }), *len)
            }
            ExprKind::Error => Ty::Error,
        }
    }

    fn literal(&mut self, literal: &'b Literal, suffix: Option<DType>, span: Span) -> Ty {
        let ty = match (suffix, literal) {
            (Some(dtype), Literal::Float(_)) if !INEXACT.contains(dtype) => {
                self.error(
                    Code::Mismatch,
                    span,
                    format!("a float literal cannot be {dtype}"),
                    "has a fraction or exponent",
                    "use a float suffix, or an integer",
                );
                return Ty::Error;
            }
            (Some(DType::Bool), _) => {
                self.error(
                    Code::Mismatch,
                    span,
                    "a number cannot be bool".to_string(),
                    "a number",
                    "write `true` or `false`",
                );
                return Ty::Error;
            }
            (Some(dtype), _) => Ty::Scalar(dtype),
            (None, Literal::Int(_)) => self.vars.fresh(NUMBER, Origin::Int, span),
            (None, Literal::Float(_)) => self.vars.fresh(INEXACT, Origin::Float, span),
        };
        self.literals.push((literal, span, ty.clone()));
        ty
    }

    fn must_be_scalar(&mut self, ty: &Ty, span: Span, what: &str) -> bool {
        match self.vars.shallow(ty) {
            Ty::Scalar(_) | Ty::Generic(_) | Ty::Part(_) | Ty::Var(_) | Ty::Error | Ty::Never => {
                true
            }
            other => {
                let text = self.show(&other);
                self.error(
                    Code::Mismatch,
                    span,
                    format!("{what} holds numbers, not {text}"),
                    &format!("this is {text}"),
                    "use one number here",
                );
                false
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, a: &'b Expr, span: Span) -> Ty {
        let ty = self.value(a);
        let (symbol, set, help) = match op {
            UnaryOp::Neg => (
                "-",
                NUMBER,
                "negate numbers with `-`, and truth values with `!`",
            ),
            UnaryOp::Not => ("!", BITS, "compare first: `x == 0`"),
        };
        if self.vars.require(&ty, set) {
            ty
        } else {
            self.undefined(symbol, &ty, span, help);
            Ty::Error
        }
    }

    fn undefined(&mut self, symbol: &str, ty: &Ty, span: Span, help: &str) {
        let shallow = self.vars.shallow(ty);
        let text = self.show(&shallow);
        let narrower = match symbol {
            "&" | "|" | "^" | "<<" | ">>" | "!" => "`int`",
            "%" => "`real`",
            _ => "`number`",
        };
        let (message, help) = match shallow {
            Ty::Tuple(_) => (
                format!("`{symbol}` is not defined for {text}"),
                TAKE_APART.to_string(),
            ),
            Ty::Array(..) => (
                format!("`{symbol}` is not defined for {text}"),
                "take one element: `a[i]`".to_string(),
            ),
            Ty::Generic(n) => {
                let class = self.generics[n as usize].1;
                (
                    format!(
                        "`{symbol}` is not defined for every type of class `{class}`, to which {text} belongs"
                    ),
                    format!("bound {text} by the class {narrower}"),
                )
            }
            _ if narrower != "`number`" && self.is_complex(&shallow) => (
                format!("`{symbol}` is not defined for {text}"),
                self.real_part_help(span, (symbol != "%").then_some(DType::I64)),
            ),
            _ => (
                format!("`{symbol}` is not defined for {text}"),
                help.to_string(),
            ),
        };
        self.error(
            Code::BadOperand,
            span,
            message,
            &format!("operand is {text}"),
            &help,
        );
    }

    /// The type of `a op b`.
    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        a: &Ty,
        b: &Ty,
        a_span: Span,
        b_span: Span,
        span: Span,
    ) -> Ty {
        use BinaryOp as B;
        let symbol = op.symbol();
        match op {
            B::Shl | B::Shr => {
                for (ty, at) in [(a, a_span), (b, b_span)] {
                    if !self.vars.require(ty, INT) {
                        self.undefined(symbol, ty, at, "shift integers by integers");
                        return Ty::Error;
                    }
                }
                return a.clone();
            }
            B::And | B::Or => {
                for (ty, at) in [(a, a_span), (b, b_span)] {
                    if !self.vars.unify(ty, &Ty::BOOL) {
                        let help = format!("compare it: `{} != 0`", self.operand_text(at));
                        self.undefined(symbol, ty, at, &help);
                        return Ty::BOOL;
                    }
                }
                return Ty::BOOL;
            }
            _ => {}
        }
        let (set, help) = match op {
            B::Add | B::Sub | B::Mul | B::Div => (NUMBER, "convert truth values first: `x as i32`"),
            B::Rem => (REAL, "convert it first: `x as i32`"),
            B::BitAnd | B::BitOr | B::BitXor => (BITS, "convert it first: `x as i32`"),
            B::Eq | B::Ne => (DTypeSet::ALL, "compare numbers"),
            _ => (NUMBER, "compare numbers"),
        };
        // An operand that is wrong by itself is the better message.
        for (ty, at) in [(a, a_span), (b, b_span)] {
            let scalar = self.vars.set_of(ty);
            let wrong = match self.vars.shallow(ty) {
                Ty::Error | Ty::Never => false,
                Ty::Var(_) => scalar.is_some_and(|s| s.and(set).is_empty()),
                _ => scalar.is_none_or(|s| !s.is_subset(set)),
            };
            if wrong {
                self.undefined(symbol, ty, at, help);
                return if op.is_comparison() {
                    Ty::BOOL
                } else {
                    Ty::Error
                };
            }
        }
        if !self.vars.unify(a, b) {
            let (x, y) = (self.show(a), self.show(b));
            let help = self.operand_help(a, b, a_span, b_span);
            self.error(
                Code::Mismatch,
                span,
                format!("`{symbol}` needs two operands of one type, not {x} and {y}"),
                &format!("{x} {symbol} {y}"),
                &help,
            );
            return if op.is_comparison() {
                Ty::BOOL
            } else {
                Ty::Error
            };
        }
        if !self.vars.require(a, set) {
            self.undefined(symbol, a, span, help);
            return if op.is_comparison() {
                Ty::BOOL
            } else {
                Ty::Error
            };
        }
        if op.is_comparison() {
            return Ty::BOOL;
        }
        match self.vars.shallow(a) {
            Ty::Error | Ty::Never => self.vars.shallow(b),
            ty => ty,
        }
    }

    /// Which operand to convert: integers to floats, narrow to wide, else the second.
    pub(super) fn operand_help(&mut self, a: &Ty, b: &Ty, a_span: Span, b_span: Span) -> String {
        let (a, b) = (self.vars.resolve(a), self.vars.resolve(b));
        let rank = |ty: &Ty| match ty {
            Ty::Scalar(DType::Bool) => 0,
            Ty::Scalar(d) if COMPLEX.contains(*d) => d.size() + 200,
            Ty::Scalar(d) => d.size() + if INEXACT.contains(*d) { 100 } else { 0 },
            Ty::Generic(_) | Ty::Part(_) => 1000,
            _ => 0,
        };
        match (&a, &b) {
            (Ty::Var(_), Ty::Generic(_)) => self.bound_help(&b),
            (Ty::Generic(_), Ty::Var(_)) => self.bound_help(&a),
            // The literal is a float and the other an integer: the integer converts.
            (Ty::Var(_), _) => format!("convert it: `{} as f64`", self.operand_text(b_span)),
            (_, Ty::Var(_)) => format!("convert it: `{} as f64`", self.operand_text(a_span)),
            _ if rank(&a) < rank(&b) => self.cast_help(&b, &a, a_span),
            _ => self.cast_help(&a, &b, b_span),
        }
    }

    /// A literal that not every member of the class can be.
    fn bound_help(&mut self, generic: &Ty) -> String {
        format!("bound {} by the class `float`", self.show(generic))
    }

    /// `target op= value`
    pub(super) fn assign_op(
        &mut self,
        op: BinaryOp,
        have: &Ty,
        found: &Ty,
        target: Span,
        value: &Expr,
    ) {
        let is_shift = matches!(op, BinaryOp::Shl | BinaryOp::Shr);
        let fits = |infer: &mut Self| infer.vars.set_of(have).is_some();
        // The variable cannot change its type: the value is to blame.
        if !is_shift
            && fits(self)
            && self.vars.set_of(found).is_some()
            && !matches!(op, BinaryOp::And | BinaryOp::Or)
            && !self.vars.unify(have, found)
        {
            self.expect(have, found, value.span, "the value");
            return;
        }
        self.binary(op, have, found, target, value.span, target.to(value.span));
    }

    fn cast(&mut self, a: &'b Expr, to: &Ty, span: Span) -> Ty {
        let from = self.value(a);
        if matches!(self.vars.shallow(&from), Ty::Error | Ty::Never) || from == *to {
            return to.clone();
        }
        let help = match self.vars.set_of(&from) {
            None if matches!(self.vars.shallow(&from), Ty::Tuple(_)) => TAKE_APART.to_string(),
            None => "convert one number at a time".to_string(),
            Some(set) => {
                let drops_im = self
                    .vars
                    .set_of(to)
                    .is_some_and(|to| !to.and(REAL).is_empty());
                match self.vars.shallow(&from) {
                    _ if !drops_im || set.and(COMPLEX).is_empty() => return to.clone(),
                    // A literal that is still free can be real.
                    Ty::Var(_) if !set.and(REAL).is_empty() => return to.clone(),
                    Ty::Generic(_) if !set.is_subset(COMPLEX) => {
                        format!("bound {} by the class `real`", self.show(&from))
                    }
                    _ => self.real_part_help(a.span, None),
                }
            }
        };
        let (x, y) = (self.show(&from), self.show(to));
        self.error(
            Code::BadCast,
            span,
            format!("{x} cannot be converted to {y}"),
            "no such conversion",
            &help,
        );
        to.clone()
    }

    /// An array of a gufunc where a number is needed.
    fn whole_array(&mut self, span: Span, rank: usize) -> Ty {
        let name = self.operand_text(span);
        let index = ["i", "j", "k", "l"];
        let index: Vec<&str> = (0..rank)
            .map(|n| index.get(n).copied().unwrap_or(".."))
            .collect();
        self.error(
            Code::WholeArray,
            span,
            format!("`{name}` is an array, and only its elements can be used"),
            "a whole array",
            &format!(
                "take one element, in a loop: `{name}[{}]`",
                index.join(", ")
            ),
        );
        Ty::Error
    }

    /// The element type of `array[index]`.
    pub(super) fn element(&mut self, array: &Ty, span: Span, index: &'b [Expr]) -> Ty {
        let types: Vec<Ty> = index.iter().map(|e| self.value(e)).collect();
        let (element, lens): (Ty, Vec<Option<u32>>) = match self.vars.shallow(array) {
            Ty::Array(element, len) => (*element, vec![Some(len)]),
            // An axis of fixed size has its number for a name.
            Ty::Core(element, dims) => {
                let lens = dims.iter().map(|d| d.parse().ok()).collect();
                (*element, lens)
            }
            Ty::Error | Ty::Never => return Ty::Error,
            other => {
                let text = self.show(&other);
                self.error(
                    Code::BadIndex,
                    span,
                    format!("{text} cannot be indexed"),
                    "not an array",
                    "index a local array (`let mut a = [0.0; 4];`), or an array of a `gufunc`",
                );
                return Ty::Error;
            }
        };
        for ((e, ty), len) in index.iter().zip(&types).zip(lens) {
            self.one_index(e, ty, len);
        }
        element
    }

    /// An index must be an integer, and in bounds where both it and the length are constants.
    fn one_index(&mut self, index: &Expr, at: &Ty, len: Option<u32>) {
        if !self.vars.require(at, INT) {
            let text = self.show(at);
            self.error(
                Code::Mismatch,
                index.span,
                format!("an index must be an integer, not {text}"),
                &format!("this is {text}"),
                &format!("convert it: `{} as i32`", self.operand_text(index.span)),
            );
            return;
        }
        let constant = match &index.kind {
            ExprKind::Literal(Literal::Int(v), _) => Some(*v),
            ExprKind::Const(id) => self.context.consts[*id].value.map(|v| v.as_int()),
            _ => None,
        };
        let Some(v) = constant else { return };
        let Some(len) = len else {
            if v < 0 {
                self.error(
                    Code::IndexRange,
                    index.span,
                    format!("index {v} is outside the array, whose indices start at 0"),
                    "out of bounds",
                    "count from the end with the dimension: `x[n - 1]`",
                );
            }
            return;
        };
        if !(0..i128::from(len)).contains(&v) {
            self.error(
                Code::IndexRange,
                index.span,
                format!("index {v} is outside the array, which has {len} elements"),
                "out of bounds",
                &format!("indices go from 0 to {}", len - 1),
            );
        }
    }

    pub(super) fn condition(&mut self, e: &'b Expr) {
        let ty = self.value(e);
        self.expect(&Ty::BOOL, &ty, e.span, "a condition");
    }

    fn if_arms(&mut self, then_block: &'b Block, else_block: Option<&'b Block>, span: Span) -> Ty {
        let then_ty = self.block(then_block);
        let Some(else_block) = else_block else {
            if let Some(tail) = &then_block.tail
                && !matches!(
                    self.vars.shallow(&then_ty),
                    Ty::Unit | Ty::Never | Ty::Error
                )
            {
                self.error(
                    Code::MissingValue,
                    span,
                    "an `if` without `else` has no value".to_string(),
                    "no value when the condition is false",
                    "add `else { .. }` with a value",
                );
                let _ = tail;
                return Ty::Error;
            }
            return Ty::Unit;
        };
        let else_ty = self.block(else_block);
        match (&then_ty, &else_ty) {
            (Ty::Never, _) => return else_ty,
            (_, Ty::Never) => return then_ty,
            _ => {}
        }
        if self.vars.unify(&then_ty, &else_ty) {
            return if then_ty == Ty::Error {
                else_ty
            } else {
                then_ty
            };
        }
        let at = else_block.tail.as_ref().map_or(else_block.span, |t| t.span);
        let (x, y) = (self.show(&then_ty), self.show(&else_ty));
        let help = if then_ty == Ty::Unit || else_ty == Ty::Unit {
            "end both arms with a value, or none".to_string()
        } else {
            self.cast_help(&then_ty, &else_ty, at)
        };
        self.error(
            Code::Mismatch,
            at,
            format!("the arms of an `if` must agree, but they are {x} and {y}"),
            &format!("this is {y}"),
            &help,
        );
        Ty::Error
    }
}
