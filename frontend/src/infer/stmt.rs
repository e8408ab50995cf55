//! Inference of blocks and statements.

use super::Infer;
use crate::diagnostic::Code;
use crate::hir::{Block, ExprKind, Stmt, StmtKind};
use crate::source::Span;
use crate::types::{DTypeSet, Ty};
use kjit_ir::Class;

impl<'b> Infer<'_, 'b> {
    /// The body of a function: its value must be the result.
    pub(super) fn function_body(&mut self, block: &'b Block) {
        let found = self.block(block);
        let result = self.result.clone();
        match (&found, &block.tail) {
            (Ty::Unit, _) => {
                let end = Span {
                    start: block.span.end.saturating_sub(1),
                    end: block.span.end,
                };
                let want = self.show(&result);
                // A `;` after the last expression is the usual cause.
                let help = match block.stmts.last().map(|s| &s.kind) {
                    Some(StmtKind::Expr(e)) if self.types[e.id] != Ty::Unit => {
                        "remove the `;` after the last expression".to_string()
                    }
                    _ => format!("end the body with an expression of type {want}"),
                };
                self.error(
                    Code::MissingValue,
                    end,
                    format!("the function ends without a value, and its result is {want}"),
                    "no value here",
                    &help,
                );
            }
            (_, Some(tail)) => self.expect(&result, &found, tail.span, "the result"),
            _ => {}
        }
    }

    /// The body of a gufunc, which has no value.
    pub(super) fn gufunc_body(&mut self, block: &'b Block) {
        let found = self.block(block);
        if let Some(tail) = &block.tail
            && !matches!(self.vars.shallow(&found), Ty::Unit | Ty::Never | Ty::Error)
        {
            self.value_of_gufunc(tail.span);
        }
    }

    fn value_of_gufunc(&mut self, span: Span) {
        self.error(
            Code::Mismatch,
            span,
            "the body of a gufunc has no value: its outputs are assigned to".to_string(),
            "this value goes nowhere",
            "assign it to an output: `c[i] = ..;`",
        );
    }

    /// The type of a block; [`Ty::Never`] if control does not come out at its end.
    pub(super) fn block(&mut self, block: &'b Block) -> Ty {
        let mut left: Option<Span> = None;
        let mut reported = false;
        for stmt in &block.stmts {
            if let Some(at) = left
                && !reported
            {
                self.unreachable(stmt.span, at);
                reported = true;
            }
            if self.stmt(&stmt.kind, stmt.span) && left.is_none() {
                left = Some(stmt.span);
            }
        }
        if let Some(tail) = &block.tail {
            if let Some(at) = left
                && !reported
            {
                self.unreachable(tail.span, at);
            }
            let ty = self.expr(tail);
            return if left.is_some() { Ty::Never } else { ty };
        }
        // A wrong statement may have been what leaves, or what gives the value.
        let wrong =
            |s: &Stmt| matches!(&s.kind, StmtKind::Expr(e) if matches!(e.kind, ExprKind::Error));
        if left.is_some() {
            Ty::Never
        } else if block.stmts.iter().any(wrong) {
            Ty::Error
        } else {
            Ty::Unit
        }
    }

    fn unreachable(&mut self, span: Span, leaves: Span) {
        self.error(
            Code::Unreachable,
            span,
            "this code is never reached".to_string(),
            "unreachable",
            "remove it, or what leaves before it",
        );
        let leaves = self.context.source.loc(leaves);
        if let Some(d) = self.diagnostics.last_mut() {
            d.notes
                .push((leaves, "control never comes past this".to_string()));
        }
    }

    /// Does control end here?
    fn stmt(&mut self, stmt: &'b StmtKind, at: Span) -> bool {
        match stmt {
            StmtKind::Let {
                locals,
                tuple,
                ty,
                value,
            } => {
                let mut found = self.expr(value);
                let never = self.vars.shallow(&found) == Ty::Never;
                if found == Ty::Unit {
                    self.no_value(value.span);
                    found = Ty::Error;
                }
                if let Some(ty) = ty {
                    self.expect(ty, &found, value.span, "the value");
                    found = ty.clone();
                }
                if never {
                    found = Ty::Error;
                }
                if *tuple {
                    self.take_apart(locals, &found, value.span);
                } else {
                    self.locals[locals[0]] = found;
                }
                never
            }
            StmtKind::Assign {
                local,
                span,
                op,
                value,
            } => {
                let have = self.locals[*local].clone();
                let found = self.expr(value);
                if found == Ty::Unit {
                    self.no_value(value.span);
                } else if let Some(op) = op {
                    self.assign_op(*op, &have, &found, *span, value);
                } else {
                    self.expect(&have, &found, value.span, "the value");
                }
                false
            }
            StmtKind::AssignIndex {
                local,
                span,
                index,
                op,
                value,
            } => {
                let array = self.locals[*local].clone();
                let element = self.element(&array, *span, index);
                let found = self.expr(value);
                if found == Ty::Unit {
                    self.no_value(value.span);
                } else if let Some(op) = op {
                    self.assign_op(*op, &element, &found, *span, value);
                } else {
                    self.expect(&element, &found, value.span, "the value");
                }
                false
            }
            StmtKind::Loop {
                condition,
                body,
                has_break,
                ..
            } => {
                if let Some(condition) = condition {
                    self.condition(condition);
                }
                self.loop_body(body);
                condition.is_none() && !has_break
            }
            StmtKind::For {
                local,
                start,
                end,
                body,
                ..
            } => {
                let first = self.expr(start);
                let last = self.expr(end);
                let int = DTypeSet::class(Class::Int);
                let mut ok = true;
                for (ty, e) in [(&first, start), (&last, end)] {
                    if ok && !self.vars.require(ty, int) {
                        let text = self.show(ty);
                        let help = format!("convert it: `{} as i32`", self.operand_text(e.span));
                        self.error(
                            Code::Mismatch,
                            e.span,
                            format!("the bounds of a loop must be integers, not {text}"),
                            &format!("this is {text}"),
                            &help,
                        );
                        ok = false;
                    }
                }
                if ok {
                    self.expect(&first, &last, end.span, "the end of the range");
                }
                self.locals[*local] = if ok { first } else { Ty::Error };
                self.loop_body(body);
                false
            }
            StmtKind::Break | StmtKind::Continue => true,
            StmtKind::Return(value) => {
                let result = self.result.clone();
                match value {
                    Some(value) if result == Ty::Unit => {
                        self.expr(value);
                        self.value_of_gufunc(value.span);
                    }
                    None if result == Ty::Unit => {}
                    Some(value) => {
                        let found = self.expr(value);
                        if found == Ty::Unit {
                            self.no_value(value.span);
                        } else {
                            self.expect(&result, &found, value.span, "the result");
                        }
                    }
                    None => self.bare_return(at),
                }
                true
            }
            StmtKind::Expr(e) => {
                let ty = self.expr(e);
                self.vars.shallow(&ty) == Ty::Never
            }
        }
    }

    fn bare_return(&mut self, span: Span) {
        let want = self.result.clone();
        let want = self.show(&want);
        self.error(
            Code::MissingValue,
            span,
            format!("`return` needs a value of type {want}"),
            "no value here",
            "write `return value;`",
        );
    }

    fn loop_body(&mut self, body: &'b Block) {
        let ty = self.block(body);
        if let Some(tail) = &body.tail
            && !matches!(ty, Ty::Unit | Ty::Never | Ty::Error)
        {
            self.error(
                Code::Mismatch,
                tail.span,
                "the body of a loop has no value".to_string(),
                "this value goes nowhere",
                "assign it to a variable, or end the statement with `;`",
            );
        }
    }

    pub(super) fn no_value(&mut self, span: Span) {
        self.error(
            Code::MissingValue,
            span,
            "this has no value".to_string(),
            "a value is needed here",
            "end the block with an expression without `;`",
        );
    }

    fn take_apart(&mut self, locals: &[usize], found: &Ty, span: Span) {
        match self.vars.resolve(found) {
            Ty::Tuple(list) if list.len() == locals.len() => {
                for (local, ty) in locals.iter().zip(list) {
                    self.locals[*local] = ty;
                }
                return;
            }
            Ty::Error => {}
            other => {
                let have = match &other {
                    Ty::Tuple(list) => format!("{} values", list.len()),
                    _ => "one value".to_string(),
                };
                self.error(
                    Code::Mismatch,
                    span,
                    format!("{have} cannot be taken apart into {} names", locals.len()),
                    &format!("this gives {have}"),
                    "write as many names as there are values",
                );
            }
        }
        for local in locals {
            self.locals[*local] = Ty::Error;
        }
    }
}
