//! The host program: `main` and the `param` items, resolved to slots, functions and host functions.
//!
//! It stays dynamically typed: dtypes and shapes are known when it runs. What can be known from the
//! text is checked here: names, argument counts, named arguments, and what has no place in `main`.

mod call;
mod expr;
mod ufunc;

use crate::ast::{self, ExprKind as A, StmtKind as S};
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::Program;
use crate::resolve::suggest::{declare_help, did_you_mean, nearest};
use crate::resolve::{ItemRef, Items};
use crate::source::{Source, Span};
use kjit_ir::host::{HostExpr, HostExprKind, HostParam, HostStmt, HostStmtKind, Slot};
use kjit_ir::{DType, HostProgram};
use rustc_hash::FxHashMap;

/// Resolves `main` and the params. The params are checked even where there is no `main`.
pub fn lower_main(
    items: &Items<'_>,
    program: &Program,
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HostProgram> {
    let mut host = Host {
        items,
        program,
        source,
        diagnostics,
        slots: Vec::new(),
        mutable: Vec::new(),
        loop_variables: Vec::new(),
        function_slots: Vec::new(),
        scope: FxHashMap::default(),
        shadowed: Vec::new(),
        visible_params: 0,
        in_param: true,
    };
    let mut params = Vec::new();
    for (n, (_, item)) in items.params.iter().enumerate() {
        host.visible_params = n;
        let dtype = item.ty.as_ref().and_then(|ty| host.dtype(ty));
        let default = host.expr(&item.value);
        let what = match default.kind {
            HostExprKind::Str(_) => Some("text"),
            HostExprKind::Tuple(_) => Some("a tuple"),
            HostExprKind::Array(_) => Some("an array"),
            _ => None,
        };
        if let Some(what) = what {
            host.error(
                Code::Mismatch,
                item.value.span,
                format!("a param is a number or a bool, not {what}"),
                &format!("this is {what}"),
                "write the value into `main`",
            );
        }
        let loc = source.loc(item.name.span);
        params.push(HostParam {
            name: item.name.name.clone(),
            default,
            dtype,
            loc,
        });
    }
    host.visible_params = params.len();
    host.in_param = false;
    let (_, block, _) = items.main?;
    let body = host.block(block);
    let slots = host.slots;
    Some(HostProgram {
        params,
        slots,
        body,
    })
}

/// Resolution of the host program.
struct Host<'a, 'p> {
    items: &'p Items<'a>,
    program: &'p Program,
    source: &'p Source,
    diagnostics: &'p mut Vec<Diagnostic>,
    slots: Vec<String>,
    /// Of each slot: where it is declared, and was it with `mut`?
    mutable: Vec<(Span, bool)>,
    /// Variables of `for` loops, which cannot be declared `mut`.
    loop_variables: Vec<Slot>,
    /// Variables that were (wrongly) given a function.
    function_slots: Vec<Slot>,
    scope: FxHashMap<&'a str, Slot>,
    shadowed: Vec<(&'a str, Option<Slot>)>,
    /// Params declared so far.
    visible_params: usize,
    /// In the value of a param, where no call is allowed.
    in_param: bool,
}

impl<'a> Host<'a, '_> {
    fn error(&mut self, code: Code, span: Span, message: String, label: &str, help: &str) {
        let d = Diagnostic::new(code, self.source, span, message)
            .label(label)
            .help(help);
        self.diagnostics.push(d);
    }

    fn declare(&mut self, name: &'a ast::Ident, mutable: bool) -> Slot {
        let slot = self.slots.len();
        self.slots.push(name.name.clone());
        self.mutable.push((name.span, mutable));
        if !name.name.is_empty() && name.name != "_" {
            let before = self.scope.insert(&name.name, slot);
            self.shadowed.push((&name.name, before));
        }
        slot
    }

    fn close_scope(&mut self, depth: usize) {
        while self.shadowed.len() > depth {
            let (name, before) = self.shadowed.pop().expect("bug in kjit: length checked");
            match before {
                Some(slot) => self.scope.insert(name, slot),
                None => self.scope.remove(name),
            };
        }
    }

    fn block(&mut self, block: &'a ast::Block) -> Vec<HostStmt> {
        let mut out = Vec::new();
        self.block_into(block, &mut out);
        out
    }

    fn block_into(&mut self, block: &'a ast::Block, out: &mut Vec<HostStmt>) {
        let depth = self.shadowed.len();
        for stmt in &block.stmts {
            self.stmt(stmt, out);
        }
        if let Some(tail) = &block.tail {
            self.expr_stmt(tail, out);
        }
        self.close_scope(depth);
    }

    fn push(&self, kind: HostStmtKind, span: Span, out: &mut Vec<HostStmt>) {
        out.push(HostStmt {
            kind,
            loc: self.source.loc(span),
        });
    }

    fn stmt(&mut self, stmt: &'a ast::Stmt, out: &mut Vec<HostStmt>) {
        let span = stmt.span;
        match &stmt.kind {
            S::Let {
                mutable,
                names,
                tuple,
                ty,
                value,
            } => {
                let before = self.diagnostics.len();
                let is_name = matches!(value.kind, A::Name(_));
                let mut value = if *tuple {
                    self.tuple_value(value, names.len())
                } else {
                    self.expr(value)
                };
                let names_function = is_name
                    && self.diagnostics[before..]
                        .iter()
                        .any(|d| d.code == Code::NotAValue);
                if let Some(ty) = ty
                    && let Some(dtype) = self.dtype(ty)
                {
                    // A declared type in `main` converts nothing by itself: arrays have theirs.
                    self.error(
                        Code::WrongPlace,
                        ty.span,
                        "variables of `main` have no declared type".to_string(),
                        "types are known when the program runs",
                        &format!("convert the value: `.. as {dtype}`"),
                    );
                    value.kind = HostExprKind::Int(0);
                }
                for (n, name) in names.iter().enumerate() {
                    if name.name != "_"
                        && let Some(first) = names[..n].iter().find(|m| m.name == name.name)
                    {
                        self.diagnostics.push(crate::resolve::duplicate(
                            self.source,
                            name,
                            self.source,
                            first.span,
                        ));
                    }
                }
                let targets: Vec<Slot> = names
                    .iter()
                    .map(|name| self.declare(name, *mutable))
                    .collect();
                if names_function {
                    self.function_slots.extend(&targets);
                }
                self.push(HostStmtKind::Assign { targets, value }, span, out);
            }
            S::Assign { target, op, value } => self.assign(target, *op, value, span, out),
            S::For {
                name,
                start,
                end,
                body,
            } => {
                let start = self.expr(start);
                let end = self.expr(end);
                let depth = self.shadowed.len();
                let slot = self.declare(name, false);
                self.loop_variables.push(slot);
                let body = self.block(body);
                self.close_scope(depth);
                self.push(
                    HostStmtKind::For {
                        slot,
                        start,
                        end,
                        body,
                    },
                    span,
                    out,
                );
            }
            S::While(..) => self.not_in_main("while", span),
            S::Loop(_) => self.not_in_main("loop", span),
            S::Break => self.not_in_main("break", span),
            S::Continue => self.not_in_main("continue", span),
            S::Return(_) => self.not_in_main("return", span),
            S::Expr(e) => self.expr_stmt(e, out),
        }
    }

    fn not_in_main(&mut self, word: &str, span: Span) {
        let span = Span {
            start: span.start,
            end: span.end.min(span.start + word.len() as u32),
        };
        let help = match word {
            "return" => "put what follows into an `if`; results are printed or saved",
            "break" | "continue" => "choose the bounds of the loop, or put statements into an `if`",
            _ => "use `for i in 0..n`, or put the loop into a ufunc",
        };
        self.error(
            Code::WrongPlace,
            span,
            format!("`{word}` is not allowed in `main`"),
            "kernels only",
            help,
        );
    }

    fn expr_stmt(&mut self, e: &'a ast::Expr, out: &mut Vec<HostStmt>) {
        match &e.kind {
            A::If(condition, then_block, else_block) => {
                let condition = self.expr(condition);
                let then_body = self.block(then_block);
                let else_body = else_block.as_ref().map_or_else(Vec::new, |b| self.block(b));
                let kind = HostStmtKind::If {
                    condition,
                    then_body,
                    else_body,
                };
                self.push(kind, e.span, out);
            }
            A::Block(block) => self.block_into(block, out),
            A::Error => {}
            _ => {
                let value = self.any(e);
                self.push(HostStmtKind::Expr(value), e.span, out);
            }
        }
    }

    fn assign(
        &mut self,
        target: &'a ast::Expr,
        op: Option<ast::BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        out: &mut Vec<HostStmt>,
    ) {
        let value = self.expr(value);
        let loc = self.source.loc(span);
        let combine = |old: HostExpr, value: HostExpr| match op {
            Some(op) => HostExpr {
                kind: HostExprKind::Binary(op, Box::new(old), Box::new(value)),
                loc,
            },
            None => value,
        };
        match &target.kind {
            A::Name(name) => {
                let Some(slot) = self.assignable(name, target.span) else {
                    return;
                };
                let old = HostExpr {
                    kind: HostExprKind::Slot(slot),
                    loc: self.source.loc(target.span),
                };
                let value = combine(old, value);
                self.push(
                    HostStmtKind::Assign {
                        targets: vec![slot],
                        value,
                    },
                    span,
                    out,
                );
            }
            A::Index(base, index) if matches!(base.kind, A::Name(_)) => {
                let A::Name(name) = &base.kind else { return };
                let index = self.indices(index);
                let Some(slot) = self.assignable(name, base.span) else {
                    return;
                };
                let place = self.source.loc(target.span);
                let array = HostExpr {
                    kind: HostExprKind::Slot(slot),
                    loc: place,
                };
                let kind = HostExprKind::Index(Box::new(array), index.clone());
                let value = combine(HostExpr { kind, loc: place }, value);
                self.push(
                    HostStmtKind::AssignIndex {
                        target: slot,
                        index,
                        value,
                    },
                    span,
                    out,
                );
            }
            A::Error => {}
            _ => self.error(
                Code::WrongPlace,
                target.span,
                "this expression cannot be assigned to".to_string(),
                "not a variable",
                "assign to a `let mut` variable, or to a slice of one",
            ),
        }
    }

    fn assignable(&mut self, name: &str, span: Span) -> Option<Slot> {
        let Some(slot) = self.scope.get(name).copied() else {
            if self.items.names.contains_key(name) {
                self.error(
                    Code::NotMutable,
                    span,
                    format!("`{name}` is an item and cannot be assigned to"),
                    "cannot assign",
                    "assign to a `let mut` variable",
                );
            } else {
                self.unknown_name(name, span);
            }
            return None;
        };
        let (declared, mutable) = self.mutable[slot];
        if !mutable {
            let d = Diagnostic::new(
                Code::NotMutable,
                self.source,
                span,
                format!("`{name}` is not mutable, so it cannot be assigned to"),
            )
            .label("cannot assign")
            .note(self.source.loc(declared), "declared here")
            .help(if self.loop_variables.contains(&slot) {
                format!("copy it first: `let mut {name} = {name};`")
            } else {
                format!("declare it with `let mut {name}`")
            });
            self.diagnostics.push(d);
            self.mutable[slot].1 = true;
        }
        Some(slot)
    }

    fn unknown_name(&mut self, name: &str, span: Span) {
        let items = self.items.names.iter();
        let values = items
            .filter(|(_, i)| match i {
                ItemRef::Function(_) => false,
                ItemRef::Param(n) => *n < self.visible_params,
                ItemRef::Const(_) => true,
            })
            .map(|(n, _)| *n);
        let mut candidates: Vec<&str> = self.scope.keys().copied().chain(values).collect();
        candidates.sort_unstable();
        let help = did_you_mean(nearest(name, candidates.into_iter()))
            .unwrap_or_else(|| declare_help(name));
        let message = format!("there is no variable `{name}`");
        self.error(Code::UnknownName, span, message, "not found", &help);
    }

    /// A dtype as written.
    fn dtype(&mut self, ty: &ast::TypeExpr) -> Option<DType> {
        let mut resolver = crate::resolve::BodyResolver::new(
            self.items,
            &self.program.consts,
            self.source,
            &[],
            self.diagnostics,
        );
        match resolver.scalar_type(ty) {
            crate::types::Ty::Scalar(dtype) => Some(dtype),
            _ => None,
        }
    }
}
