//! How the body of a gufunc treats its outputs: each array must be written somewhere, each number
//! assigned on every path before it is read and before the body ends.
//!
//! Whether *every* element of an array is written depends on extents: that is `lower/coverage.rs`.

use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{Block, Body, Expr, ExprKind, LocalId, OutputUse, Stmt, StmtKind};
use crate::source::{Source, Span};
use crate::types::Ty;

/// Says how the outputs are used. Mistakes are reported unless `mistakes` messages are no longer all
/// there are: then the body is wrong in other ways.
pub(super) fn check(
    source: &Source,
    body: &Body,
    outputs: &[LocalId],
    diagnostics: &mut Vec<Diagnostic>,
    mistakes: usize,
) -> Vec<OutputUse> {
    let slots = outputs.iter().map(|local| Slot {
        local: *local,
        number: body.locals[*local].ty.is_scalar(),
        written: false,
        reported: false,
        use_: OutputUse {
            local: *local,
            read: false,
            updated: false,
        },
    });
    let mut walk = Walk {
        source,
        body,
        slots: slots.collect(),
        loops: Vec::new(),
        found: Vec::new(),
        missing: Vec::new(),
    };
    let mut state = vec![false; outputs.len()];
    walk.block(&body.block, &mut state);
    let end = Span {
        start: body.block.span.end.saturating_sub(1),
        end: body.block.span.end,
    };
    walk.leave(&mut state, end);
    for (n, span) in std::mem::take(&mut walk.missing) {
        let d = walk.not_assigned(&walk.slots[n], span);
        walk.found.push(d);
    }
    for n in 0..walk.slots.len() {
        let slot = &walk.slots[n];
        let is_array = matches!(body.locals[slot.local].ty, Ty::Core(..));
        if is_array && !slot.written {
            let d = walk.never_written(slot.local);
            walk.found.push(d);
        }
    }
    if diagnostics.len() == mistakes {
        diagnostics.append(&mut walk.found);
    }
    walk.slots.iter().map(|slot| slot.use_).collect()
}

struct Slot {
    local: LocalId,
    /// A number, not an array.
    number: bool,
    /// Some statement writes it.
    written: bool,
    reported: bool,
    use_: OutputUse,
}

/// For each output: has it surely been assigned?
type State = Vec<bool>;

struct Walk<'b> {
    source: &'b Source,
    body: &'b Body,
    slots: Vec<Slot>,
    /// What holds after the open `loop`s, as far as their `break`s say; none yet.
    loops: Vec<Option<State>>,
    found: Vec<Diagnostic>,
    /// Outputs that may have no value where control leaves.
    missing: Vec<(usize, Span)>,
}

fn meet(a: &mut State, b: &State) {
    for (a, b) in a.iter_mut().zip(b) {
        *a &= *b;
    }
}

impl Walk<'_> {
    fn slot(&self, local: LocalId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.local == local)
    }

    fn block(&mut self, block: &Block, state: &mut State) {
        for stmt in &block.stmts {
            self.stmt(stmt, state);
        }
        if let Some(tail) = &block.tail {
            self.expr(tail, state);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, state: &mut State) {
        match &stmt.kind {
            StmtKind::Let { value, .. } => self.expr(value, state),
            StmtKind::Assign {
                local,
                span,
                op,
                value,
            } => {
                self.expr(value, state);
                if let Some(n) = self.slot(*local) {
                    if op.is_some() {
                        self.read(n, *span, state);
                    }
                    self.slots[n].written = true;
                    state[n] = true;
                }
            }
            StmtKind::AssignIndex {
                local,
                index,
                op,
                value,
                ..
            } => {
                index.iter().for_each(|e| self.expr(e, state));
                self.expr(value, state);
                if let Some(n) = self.slot(*local) {
                    let slot = &mut self.slots[n];
                    slot.written = true;
                    slot.use_.read |= op.is_some();
                    slot.use_.updated |= op.is_some();
                }
            }
            StmtKind::Loop {
                condition, body, ..
            } => {
                if let Some(condition) = condition {
                    self.expr(condition, state);
                }
                self.loops.push(condition.as_ref().map(|_| state.clone()));
                let mut inside = state.clone();
                self.block(body, &mut inside);
                // Without a way out, nothing follows.
                *state = match self.loops.pop() {
                    Some(Some(left)) => left,
                    _ => vec![true; state.len()],
                };
            }
            StmtKind::For {
                start, end, body, ..
            } => {
                self.expr(start, state);
                self.expr(end, state);
                self.loops.push(Some(state.clone()));
                let mut inside = state.clone();
                self.block(body, &mut inside);
                if let Some(Some(left)) = self.loops.pop() {
                    *state = left;
                }
            }
            StmtKind::Break => {
                if let Some(left) = self.loops.last_mut() {
                    match left {
                        Some(left) => meet(left, state),
                        None => *left = Some(state.clone()),
                    }
                }
                state.fill(true);
            }
            StmtKind::Continue => state.fill(true),
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    self.expr(value, state);
                }
                self.leave(state, stmt.span);
            }
            StmtKind::Expr(e) => self.expr(e, state),
        }
    }

    fn expr(&mut self, e: &Expr, state: &mut State) {
        match &e.kind {
            ExprKind::Local(local) => {
                if let Some(n) = self.slot(*local) {
                    self.read(n, e.span, state);
                }
            }
            ExprKind::Unary(_, a) | ExprKind::Cast(a, _) | ExprKind::Repeat(a, _) => {
                self.expr(a, state);
            }
            ExprKind::Binary(_, a, b) => {
                self.expr(a, state);
                self.expr(b, state);
            }
            ExprKind::Call(_, list) | ExprKind::Tuple(list) | ExprKind::Array(list) => {
                list.iter().for_each(|e| self.expr(e, state));
            }
            ExprKind::Index(base, index) => {
                self.expr(base, state);
                index.iter().for_each(|e| self.expr(e, state));
            }
            ExprKind::If {
                condition,
                then_block,
                else_block,
                ..
            } => {
                self.expr(condition, state);
                let mut other = state.clone();
                self.block(then_block, state);
                if let Some(else_block) = else_block {
                    self.block(else_block, &mut other);
                }
                meet(state, &other);
            }
            ExprKind::Block(block) => self.block(block, state),
            ExprKind::Literal(..) | ExprKind::Bool(_) | ExprKind::Const(_) | ExprKind::Error => {}
        }
    }

    fn read(&mut self, n: usize, span: Span, state: &State) {
        let slot = &mut self.slots[n];
        slot.use_.read = true;
        if !slot.number || state[n] || slot.reported {
            return;
        }
        slot.reported = true;
        let name = &self.body.locals[slot.local].name;
        let message = format!("the output `{name}` is read before it has a value");
        self.found.push(
            Diagnostic::new(Code::NotWritten, self.source, span, message)
                .label("no value yet")
                .help(format!("assign it first: `{name} = 0;`")),
        );
    }

    /// Control leaves the body here.
    fn leave(&mut self, state: &mut State, span: Span) {
        for (n, slot) in self.slots.iter_mut().enumerate() {
            if slot.number && !state[n] && !slot.reported {
                slot.reported = true;
                self.missing.push((n, span));
            }
        }
        state.fill(true);
    }

    /// A number without value where control leaves.
    fn not_assigned(&self, slot: &Slot, span: Span) -> Diagnostic {
        let local = &self.body.locals[slot.local];
        let name = &local.name;
        if !slot.written {
            let message = format!("the output `{name}` is never assigned");
            return Diagnostic::new(Code::NotWritten, self.source, local.span, message)
                .label("never gets a value")
                .help(format!("assign it in the body: `{name} = ..;`"));
        }
        let message = format!("the output `{name}` may have no value when the gufunc ends here");
        Diagnostic::new(Code::NotWritten, self.source, span, message)
            .label("not assigned on every way here")
            .note(self.source.loc(local.span), "declared here")
            .help(format!(
                "assign it first, before loops and branches: `{name} = 0;`"
            ))
    }

    fn never_written(&self, local: LocalId) -> Diagnostic {
        let local = &self.body.locals[local];
        let name = &local.name;
        let message = format!("the output `{name}` is never written");
        Diagnostic::new(Code::NotWritten, self.source, local.span, message)
            .label("no element gets a value")
            .help(format!("write its elements in the body: `{name}[i] = ..;`"))
    }
}
