//! Resolution of code: scopes, variables, loops, calls, types as written.

use super::suggest::{declare_help, did_you_mean, nearest};
use super::{ItemRef, Items};
use crate::ast::{self, ExprKind as A, StmtKind as S};
use crate::builtins;
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{
    Block, Body, Const, Expr, ExprKind, FnId, Literal, Local, LocalId, Stmt, StmtKind,
};
use crate::source::{Source, Span};
use crate::types::Ty;
use kjit_ir::{BinaryOp, Class, DType, UnaryOp};
use rustc_hash::FxHashMap;

/// Variables declared outside a construct and assigned inside.
struct Frame {
    /// Variables from this number on are declared inside.
    floor: LocalId,
    assigned: Vec<LocalId>,
}

/// A message just filed, to add to.
pub(super) struct Report<'d>(&'d mut Diagnostic);

impl Report<'_> {
    pub(super) fn label(self, label: &str) -> Self {
        self.0.label = label.to_string();
        self
    }

    pub(super) fn note(self, loc: kjit_ir::Loc, text: &str) -> Self {
        self.0.notes.push((loc, text.to_string()));
        self
    }

    pub(super) fn help(self, help: impl Into<String>) {
        self.0.help = Some(help.into());
    }
}

/// Resolves the code of one function, or one constant expression.
pub struct BodyResolver<'a, 'p> {
    pub(super) items: &'p Items<'a>,
    pub(super) consts: &'p [Const],
    pub(super) source: &'p Source,
    pub(super) generics: &'p [(String, Class)],
    /// The declaration that the body belongs to: no other name for what stands in it.
    pub inside: Option<&'a str>,
    /// Type parameters of an unknown class: their name stands for an error.
    pub bad_generics: Vec<usize>,
    pub(super) diagnostics: &'p mut Vec<Diagnostic>,
    locals: Vec<Local>,
    pub(super) scope: FxHashMap<&'a str, LocalId>,
    /// What the names declared in the open scopes stood for before.
    shadowed: Vec<(&'a str, Option<LocalId>)>,
    n_exprs: usize,
    /// The open loops: has a `break` been seen?
    loops: Vec<bool>,
    frames: Vec<Frame>,
    pub(super) calls: Vec<(FnId, Span)>,
    /// Variables of `for` loops, which cannot be declared `mut`.
    loop_variables: Vec<LocalId>,
    /// Number of `return` statements so far.
    returns: usize,
    /// Names of types that do not exist: each is reported once.
    pub(super) unknown_types: Vec<String>,
    /// The variables of a gufunc that stand for its inputs, outputs and dimensions.
    pub(super) declared: Declared,
}

/// How many of the first variables of a body stand for what its declaration names.
#[derive(Clone, Copy, Default)]
pub(super) struct Declared {
    /// Parameters.
    pub(super) inputs: usize,
    /// Parameters and outputs.
    pub(super) outputs: usize,
    /// Parameters, outputs and dimensions.
    pub(super) dims: usize,
}

impl<'a, 'p> BodyResolver<'a, 'p> {
    /// Starts a body.
    pub fn new(
        items: &'p Items<'a>,
        consts: &'p [Const],
        source: &'p Source,
        generics: &'p [(String, Class)],
        diagnostics: &'p mut Vec<Diagnostic>,
    ) -> BodyResolver<'a, 'p> {
        BodyResolver {
            items,
            consts,
            source,
            generics,
            inside: None,
            bad_generics: Vec::new(),
            diagnostics,
            locals: Vec::new(),
            scope: FxHashMap::default(),
            shadowed: Vec::new(),
            n_exprs: 0,
            loops: Vec::new(),
            frames: Vec::new(),
            calls: Vec::new(),
            loop_variables: Vec::new(),
            returns: 0,
            unknown_types: Vec::new(),
            declared: Declared::default(),
        }
    }

    /// Ends a function body; also says which functions it calls, and where.
    pub fn finish(self, block: Block) -> (Body, Vec<(FnId, Span)>) {
        let body = Body {
            locals: self.locals,
            block,
            types: vec![Ty::Error; self.n_exprs],
            ..Body::default()
        };
        (body, self.calls)
    }

    /// Ends a body that is one expression.
    pub fn finish_expr(self, expr: Expr) -> Body {
        let span = expr.span;
        let block = Block {
            stmts: Vec::new(),
            tail: Some(Box::new(expr)),
            span,
        };
        self.finish(block).0
    }

    /// Files a message.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> Report<'_> {
        self.diagnostics
            .push(Diagnostic::new(code, self.source, span, message));
        Report(
            self.diagnostics
                .last_mut()
                .expect("bug in kjit: just pushed"),
        )
    }

    /// Declares a variable from here to the end of the scope.
    pub fn declare(&mut self, name: &'a ast::Ident, mutable: bool, ty: Ty) -> LocalId {
        self.declare_name(&name.name, name.span, mutable, ty)
    }

    /// Declares a variable of that name.
    pub(super) fn declare_name(
        &mut self,
        name: &'a str,
        span: Span,
        mutable: bool,
        ty: Ty,
    ) -> LocalId {
        let id = self.locals.len();
        self.locals.push(Local {
            name: name.to_string(),
            span,
            mutable,
            ty,
        });
        if !name.is_empty() && name != "_" {
            let before = self.scope.insert(name, id);
            self.shadowed.push((name, before));
        }
        id
    }

    fn close_scope(&mut self, depth: usize) {
        while self.shadowed.len() > depth {
            let (name, before) = self.shadowed.pop().expect("bug in kjit: length checked");
            match before {
                Some(id) => self.scope.insert(name, id),
                None => self.scope.remove(name),
            };
        }
    }

    fn open_frame(&mut self) {
        self.frames.push(Frame {
            floor: self.locals.len(),
            assigned: Vec::new(),
        });
    }

    fn close_frame(&mut self) -> Vec<LocalId> {
        let mut frame = self.frames.pop().expect("bug in kjit: frames are balanced");
        frame.assigned.sort_unstable();
        frame.assigned.dedup();
        if let Some(outer) = self.frames.last_mut() {
            let floor = outer.floor;
            outer
                .assigned
                .extend(frame.assigned.iter().copied().filter(|id| *id < floor));
        }
        frame.assigned
    }

    fn mark_assigned(&mut self, id: LocalId) {
        if let Some(frame) = self.frames.last_mut()
            && id < frame.floor
        {
            frame.assigned.push(id);
        }
    }

    // Statements -----------------------------------------------------------------------------------

    /// A block with its own scope.
    pub fn block(&mut self, block: &'a ast::Block) -> Block {
        let depth = self.shadowed.len();
        let stmts = block.stmts.iter().map(|s| self.stmt(s)).collect();
        let tail = block.tail.as_ref().map(|e| Box::new(self.expr(e)));
        self.close_scope(depth);
        Block {
            stmts,
            tail,
            span: block.span,
        }
    }

    fn stmt(&mut self, stmt: &'a ast::Stmt) -> Stmt {
        let kind = match &stmt.kind {
            S::Let {
                mutable,
                names,
                tuple,
                ty,
                value,
            } => {
                let value = self.expr(value);
                let ty = ty.as_ref().map(|ty| self.let_type(ty));
                for (n, name) in names.iter().enumerate() {
                    if name.name != "_"
                        && let Some(first) = names[..n].iter().find(|m| m.name == name.name)
                    {
                        let d = super::duplicate(self.source, name, self.source, first.span);
                        self.report(d);
                    }
                }
                let locals = names
                    .iter()
                    .map(|name| self.declare(name, *mutable, Ty::Unit))
                    .collect();
                StmtKind::Let {
                    locals,
                    tuple: *tuple,
                    ty,
                    value,
                }
            }
            S::Assign { target, op, value } => {
                let value = self.expr(value);
                match &target.kind {
                    A::Name(name) => match self.assignable(name, target.span) {
                        Some(local) if self.is_core(local) => {
                            self.whole_output(name, target.span);
                            StmtKind::Expr(self.error_expr(target.span))
                        }
                        Some(local) => {
                            self.mark_assigned(local);
                            StmtKind::Assign {
                                local,
                                span: target.span,
                                op: *op,
                                value,
                            }
                        }
                        None => StmtKind::Expr(self.error_expr(target.span)),
                    },
                    A::Index(base, index) => {
                        let index = self.index(base, index, target.span);
                        match &base.kind {
                            A::Name(name) => match self.assignable(name, base.span) {
                                Some(local) => StmtKind::AssignIndex {
                                    local,
                                    span: target.span,
                                    index,
                                    op: *op,
                                    value,
                                },
                                None => StmtKind::Expr(self.error_expr(target.span)),
                            },
                            A::Error => StmtKind::Expr(self.error_expr(target.span)),
                            _ => self.bad_target(base.span),
                        }
                    }
                    A::Error => StmtKind::Expr(self.error_expr(target.span)),
                    _ => self.bad_target(target.span),
                }
            }
            S::While(condition, body) => self.loop_(Some(condition), body, stmt.span),
            S::Loop(body) => self.loop_(None, body, stmt.span),
            S::For {
                name,
                start,
                end,
                body,
            } => {
                let start = self.expr(start);
                let end = self.expr(end);
                let depth = self.shadowed.len();
                let local = self.declare(name, false, Ty::Unit);
                self.loop_variables.push(local);
                self.open_frame();
                self.loops.push(false);
                let body = self.block(body);
                self.loops.pop();
                let assigned = self.close_frame();
                self.close_scope(depth);
                StmtKind::For {
                    local,
                    start,
                    end,
                    body,
                    assigned,
                }
            }
            S::Break => match self.loops.last_mut() {
                Some(has_break) => {
                    *has_break = true;
                    StmtKind::Break
                }
                None => self.outside_loop("break", stmt.span),
            },
            S::Continue if self.loops.is_empty() => self.outside_loop("continue", stmt.span),
            S::Continue => StmtKind::Continue,
            S::Return(value) => {
                self.returns += 1;
                StmtKind::Return(value.as_ref().map(|e| self.expr(e)))
            }
            S::Expr(e) => StmtKind::Expr(self.expr(e)),
        };
        Stmt {
            kind,
            span: stmt.span,
        }
    }

    fn loop_(
        &mut self,
        condition: Option<&'a ast::Expr>,
        body: &'a ast::Block,
        span: Span,
    ) -> StmtKind {
        let (returns, mistakes) = (self.returns, self.diagnostics.len());
        self.open_frame();
        let condition = condition.map(|c| self.expr(c));
        self.loops.push(false);
        let body = self.block(body);
        let has_break = self.loops.pop().unwrap_or(false);
        let assigned = self.close_frame();
        let leaves = condition.is_some() || has_break || self.returns > returns;
        if !leaves && self.diagnostics.len() == mistakes {
            let keyword = Span {
                start: span.start,
                end: span.end.min(span.start + 4),
            };
            self.error(Code::Unreachable, keyword, "this loop never ends")
                .label("no `break` or `return` in it")
                .help("leave it with `break` or `return`");
        }
        StmtKind::Loop {
            condition,
            body,
            assigned,
            has_break,
        }
    }

    fn outside_loop(&mut self, word: &str, span: Span) -> StmtKind {
        self.error(Code::OutsideLoop, span, format!("`{word}` outside a loop"))
            .label("no loop around it")
            .help("use `return` to leave the function");
        // It leaves nothing, so what follows is no unreachable code.
        StmtKind::Expr(self.error_expr(span))
    }

    fn bad_target(&mut self, span: Span) -> StmtKind {
        self.error(
            Code::WrongPlace,
            span,
            "this expression cannot be assigned to",
        )
        .label("not a variable")
        .help("assign to a `let mut` variable or to an element of a local array");
        StmtKind::Expr(self.error_expr(span))
    }

    /// The mutable variable of that name.
    fn assignable(&mut self, name: &str, span: Span) -> Option<LocalId> {
        if let Some(id) = self.scope.get(name).copied() {
            if !self.locals[id].mutable {
                let local = &self.locals[id];
                let declared = self.source.loc(local.span);
                let copied = id < self.n_params() || self.loop_variables.contains(&id);
                let what = match self.declared {
                    Declared { inputs, .. } if id < inputs && self.is_core(id) => "an input",
                    Declared { outputs, dims, .. } if (outputs..dims).contains(&id) => {
                        "a dimension"
                    }
                    _ => "not mutable",
                };
                let help = if what == "an input" {
                    "write to an output, or to a local array".to_string()
                } else if copied {
                    format!("copy it first: `let mut {name} = {name};`")
                } else {
                    format!("declare it with `let mut {name}`")
                };
                self.error(
                    Code::NotMutable,
                    span,
                    format!("`{name}` is {what}, so it cannot be assigned to"),
                )
                .label("cannot assign")
                .note(declared, "declared here")
                .help(help);
                // Say it once a variable.
                self.locals[id].mutable = true;
            }
            return Some(id);
        }
        if self.items.names.contains_key(name) {
            self.error(
                Code::NotMutable,
                span,
                format!("`{name}` is an item and cannot be assigned to"),
            )
            .label("cannot assign")
            .help("assign to a `let mut` variable");
            return None;
        }
        self.unknown_name(name, span);
        None
    }

    /// Parameters are declared before any expression; they are the immutable ones without a `let`.
    fn n_params(&self) -> usize {
        self.locals.iter().take_while(|l| l.ty != Ty::Unit).count()
    }

    // Expressions ----------------------------------------------------------------------------------

    fn make(&mut self, kind: ExprKind, span: Span) -> Expr {
        self.n_exprs += 1;
        Expr {
            kind,
            span,
            id: self.n_exprs - 1,
        }
    }

    fn error_expr(&mut self, span: Span) -> Expr {
        self.make(ExprKind::Error, span)
    }

    /// Any expression.
    pub fn expr(&mut self, expr: &'a ast::Expr) -> Expr {
        let kind = match &expr.kind {
            A::Int(value, suffix) => self.int(*value, false, suffix.as_deref(), expr.span),
            A::Float(digits, suffix) => {
                let suffix = self.suffix(suffix.as_deref(), expr.span);
                ExprKind::Literal(Literal::Float(digits.clone()), suffix)
            }
            A::Bool(value) => ExprKind::Bool(*value),
            A::Str(_) => {
                self.error(
                    Code::WrongPlace,
                    expr.span,
                    "text is not allowed in a kernel",
                )
                .label("a kernel computes numbers")
                .help("use text in `main`, where `print` and `load` take it");
                ExprKind::Error
            }
            A::Name(name) => self.name(name, expr.span),
            A::Unary(op, inner) => match (op, &inner.kind) {
                (UnaryOp::Neg, A::Int(value, suffix)) => {
                    self.int(*value, true, suffix.as_deref(), expr.span)
                }
                (UnaryOp::Neg, A::Float(digits, suffix)) => {
                    let suffix = self.suffix(suffix.as_deref(), expr.span);
                    ExprKind::Literal(Literal::Float(format!("-{digits}")), suffix)
                }
                _ => ExprKind::Unary(*op, Box::new(self.expr(inner))),
            },
            A::Binary(op, a, b) => {
                let a = self.expr(a);
                self.open_frame();
                let b = self.expr(b);
                let assigned = self.close_frame();
                let (a, b) = (Box::new(a), Box::new(b));
                match op {
                    // An operand that may not be evaluated and assigns: only an `if` says that.
                    BinaryOp::And | BinaryOp::Or if !assigned.is_empty() => {
                        self.short_circuit(*op == BinaryOp::And, a, b, assigned)
                    }
                    _ => ExprKind::Binary(*op, a, b),
                }
            }
            A::Cast(inner, ty) => {
                let inner = self.expr(inner);
                ExprKind::Cast(Box::new(inner), self.scalar_type(ty))
            }
            A::Call(name, args) => self.call(name, None, args),
            A::Method(receiver, name, args) => self.call(name, Some(receiver), args),
            A::Index(base, index) => {
                let array = self.expr(base);
                let index = self.index(base, index, expr.span);
                ExprKind::Index(Box::new(array), index)
            }
            A::If(condition, then_block, else_block) => {
                let condition = Box::new(self.expr(condition));
                self.open_frame();
                let then_block = self.block(then_block);
                let else_block = else_block.as_ref().map(|b| self.block(b));
                let assigned = self.close_frame();
                ExprKind::If {
                    condition,
                    then_block,
                    else_block,
                    assigned,
                }
            }
            A::Block(block) => ExprKind::Block(self.block(block)),
            A::Tuple(list) => ExprKind::Tuple(list.iter().map(|e| self.expr(e)).collect()),
            A::Array(list) => ExprKind::Array(list.iter().map(|e| self.expr(e)).collect()),
            A::Repeat(value, len) => {
                let value = self.expr(value);
                match self.array_length(len) {
                    Some(len) => ExprKind::Repeat(Box::new(value), len),
                    None => ExprKind::Error,
                }
            }
            A::Error => ExprKind::Error,
        };
        self.make(kind, expr.span)
    }

    /// `a && b` as `if a { b } else { false }`, `a || b` as `if a { true } else { b }`.
    fn short_circuit(
        &mut self,
        and: bool,
        a: Box<Expr>,
        b: Box<Expr>,
        assigned: Vec<LocalId>,
    ) -> ExprKind {
        let block = |e: Box<Expr>| Block {
            stmts: Vec::new(),
            span: e.span,
            tail: Some(e),
        };
        let other = Box::new(self.make(ExprKind::Bool(!and), a.span));
        let (then_block, else_block) = if and { (b, other) } else { (other, b) };
        ExprKind::If {
            condition: a,
            then_block: block(then_block),
            else_block: Some(block(else_block)),
            assigned,
        }
    }

    fn int(&mut self, value: u128, negative: bool, suffix: Option<&str>, span: Span) -> ExprKind {
        let suffix = self.suffix(suffix, span);
        // Larger than any dtype either way; keep it a number that no dtype holds.
        let value = i128::try_from(value).unwrap_or(i128::MAX);
        ExprKind::Literal(Literal::Int(if negative { -value } else { value }), suffix)
    }

    fn suffix(&mut self, suffix: Option<&str>, span: Span) -> Option<DType> {
        match self.named_type(suffix?, span) {
            Ty::Scalar(dtype) => Some(dtype),
            _ => None,
        }
    }

    fn name(&mut self, name: &str, span: Span) -> ExprKind {
        if let Some(id) = self.scope.get(name) {
            return ExprKind::Local(*id);
        }
        match self.items.names.get(name) {
            Some(ItemRef::Const(n)) => ExprKind::Const(*n),
            Some(ItemRef::Param(_)) => {
                self.error(
                    Code::WrongPlace,
                    span,
                    format!("param `{name}` can be used in `main` only"),
                )
                .label("not known when kernels are compiled")
                .help("pass it to the function as an argument, or make it a `const`");
                ExprKind::Error
            }
            Some(ItemRef::Function(_)) => self.not_a_value(name, span, "a function"),
            None if builtins::find(name).is_some() => self.not_a_value(name, span, "a function"),
            None if DType::from_name(name).is_some()
                || self.generics.iter().any(|(g, _)| g == name) =>
            {
                self.error(
                    Code::NotAValue,
                    span,
                    format!("`{name}` is a type, not a value"),
                )
                .label("a type")
                .help(format!("convert with `x as {name}`"));
                ExprKind::Error
            }
            None => {
                self.unknown_name(name, span);
                ExprKind::Error
            }
        }
    }

    fn not_a_value(&mut self, name: &str, span: Span, what: &str) -> ExprKind {
        self.error(
            Code::NotAValue,
            span,
            format!("`{name}` is {what}, not a value"),
        )
        .label("used as a value")
        .help(format!("call it: `{name}(..)`"));
        ExprKind::Error
    }

    fn unknown_name(&mut self, name: &str, span: Span) {
        let items = self.items.names.iter();
        let consts = items
            .filter(|(n, i)| matches!(i, ItemRef::Const(_)) && Some(**n) != self.inside)
            .map(|(n, _)| *n);
        let mut candidates: Vec<&str> = self.scope.keys().copied().chain(consts).collect();
        candidates.sort_unstable();
        let inside = self.inside.and_then(|n| self.items.names.get(n));
        let help =
            did_you_mean(nearest(name, candidates.into_iter())).unwrap_or_else(|| match inside {
                Some(ItemRef::Const(_)) => format!("define it: `const {name} = ..;`"),
                _ => declare_help(name),
            });
        self.error(
            Code::UnknownName,
            span,
            format!("there is no variable `{name}`"),
        )
        .label("not found")
        .help(help);
    }

    /// Does the variable stand for an array parameter or result of a gufunc?
    fn is_core(&self, local: LocalId) -> bool {
        matches!(self.locals[local].ty, Ty::Core(..))
    }

    fn whole_output(&mut self, name: &str, span: Span) {
        self.error(
            Code::WholeArray,
            span,
            format!("`{name}` is an array, and only its elements can be assigned to"),
        )
        .label("a whole array")
        .help(format!("write elements in a loop: `{name}[i] = ..;`"));
    }

    /// The indices of a local array (one) or of an array of a gufunc (one an axis).
    fn index(&mut self, base: &ast::Expr, index: &'a [ast::IndexArg], span: Span) -> Vec<Expr> {
        for arg in index {
            if let ast::IndexArg::Range(_, _, at) = arg {
                self.error(Code::BadIndex, *at, "slices are allowed in `main` only")
                    .label("a range")
                    .help("index one element, or loop over them");
                return vec![self.error_expr(span)];
            }
        }
        let found = index.len();
        let local = match &base.kind {
            A::Name(name) => self.scope.get(name.as_str()).copied(),
            _ => None,
        };
        if let Some(local) = local
            && let Ty::Core(_, dims) = &self.locals[local].ty
        {
            let rank = dims.len();
            if found != rank {
                let (name, declared) = (&self.locals[local].name, self.locals[local].span);
                let axes = if rank == 1 { "axis" } else { "axes" };
                let given = match found {
                    1 => "1 index is".to_string(),
                    n => format!("{n} indices are"),
                };
                let message = format!("`{name}` has {rank} {axes}, but {given} given");
                let declared = self.source.loc(declared);
                self.error(Code::BadIndex, span, message)
                    .label("wrong number of indices")
                    .note(declared, "declared here")
                    .help("write one index for each axis, separated by commas");
                return vec![self.error_expr(span)];
            }
        } else if found != 1 && local.is_none_or(|id| self.locals[id].ty != Ty::Error) {
            self.error(
                Code::BadIndex,
                span,
                format!("a local array takes one index, not {found}"),
            )
            .label("wrong number of indices")
            .help("compute one index from several: `a[i * width + j]`");
            return vec![self.error_expr(span)];
        }
        let at = index.iter().filter_map(|arg| match arg {
            ast::IndexArg::At(e) => Some(e),
            ast::IndexArg::Range(..) => None,
        });
        at.map(|e| self.expr(e)).collect()
    }
}
