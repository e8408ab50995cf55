//! Which variables are worth storing: those whose value several consumers need.
//!
//! A variable used by one consumer (one reduction, one printed value, one assignment) stays a lazy
//! expression and fuses into it; nothing is stored. A variable with several consumers, or used inside a
//! loop that it was computed outside of, is stored when the first of them needs it.

use kjit_ir::host::{
    HostCallee, HostExpr, HostExprKind, HostFn, HostIndex, HostProgram, HostStmt, HostStmtKind,
};

/// One use: which consumer, and the loops around it.
struct Use {
    consumer: usize,
    loops: Vec<usize>,
}

struct Walk<'f> {
    uses: Vec<Vec<Use>>,
    definitions: Vec<Vec<Vec<usize>>>,
    tuples: Vec<Vec<usize>>,
    loops: Vec<usize>,
    consumers: usize,
    loop_count: usize,
    is_gufunc: &'f dyn Fn(&str) -> bool,
}

/// For each slot: does its value have several consumers?
pub(crate) fn shared_slots(program: &HostProgram, is_gufunc: &dyn Fn(&str) -> bool) -> Vec<bool> {
    let count = program.slots.len();
    let mut walk = Walk {
        uses: Vec::new(),
        definitions: Vec::new(),
        tuples: Vec::new(),
        loops: Vec::new(),
        consumers: 0,
        loop_count: 0,
        is_gufunc,
    };
    walk.uses.resize_with(count, Vec::new);
    walk.definitions.resize_with(count, Vec::new);
    walk.block(&program.body);
    let mut shared: Vec<bool> = (0..count).map(|slot| walk.is_shared(&[slot])).collect();
    for tuple in &walk.tuples {
        // The outputs of one call are computed together.
        if walk.is_shared(tuple) {
            tuple.iter().for_each(|slot| shared[*slot] = true);
        }
    }
    shared
}

impl Walk<'_> {
    fn is_shared(&self, slots: &[usize]) -> bool {
        let mut uses = slots.iter().flat_map(|s| &self.uses[*s]);
        let Some(first) = uses.next() else {
            return false;
        };
        uses.any(|u| u.consumer != first.consumer)
            || slots.iter().any(|s| {
                self.uses[*s].iter().any(|u| {
                    self.definitions[*s]
                        .iter()
                        .any(|d| !d.starts_with(&u.loops))
                })
            })
    }

    fn new_consumer(&mut self) -> usize {
        self.consumers += 1;
        self.consumers
    }

    fn define(&mut self, slot: usize) {
        self.definitions[slot].push(self.loops.clone());
    }

    fn block(&mut self, stmts: &[HostStmt]) {
        for stmt in stmts {
            let consumer = self.new_consumer();
            match &stmt.kind {
                HostStmtKind::Assign { targets, value } => {
                    self.expr(value, consumer);
                    targets.iter().for_each(|t| self.define(*t));
                    if targets.len() > 1 {
                        self.tuples.push(targets.clone());
                    }
                }
                HostStmtKind::AssignIndex {
                    target,
                    index,
                    value,
                } => {
                    self.slot(*target, consumer);
                    self.define(*target);
                    self.index(index);
                    let consumer = self.new_consumer();
                    self.expr(value, consumer);
                }
                HostStmtKind::For {
                    slot,
                    start,
                    end,
                    body,
                } => {
                    self.expr(start, consumer);
                    self.expr(end, consumer);
                    self.loop_count += 1;
                    self.loops.push(self.loop_count);
                    self.define(*slot);
                    self.block(body);
                    self.loops.pop();
                }
                HostStmtKind::If {
                    condition,
                    then_body,
                    else_body,
                } => {
                    self.expr(condition, consumer);
                    self.block(then_body);
                    self.block(else_body);
                }
                HostStmtKind::Expr(expr) => self.expr(expr, consumer),
            }
        }
    }

    fn slot(&mut self, slot: usize, consumer: usize) {
        self.uses[slot].push(Use {
            consumer,
            loops: self.loops.clone(),
        });
    }

    fn index(&mut self, index: &[HostIndex]) {
        for i in index {
            match i {
                HostIndex::At(e) => {
                    let consumer = self.new_consumer();
                    self.expr(e, consumer);
                }
                HostIndex::Range(a, b) => {
                    for e in [a, b].into_iter().flatten() {
                        let consumer = self.new_consumer();
                        self.expr(e, consumer);
                    }
                }
            }
        }
    }

    fn expr(&mut self, expr: &HostExpr, consumer: usize) {
        // Long chains `a + b + c ..` lean to the left: walk them in a loop, not by recursion.
        let mut expr = expr;
        while let HostExprKind::Binary(_, a, b) = &expr.kind {
            self.expr(b, consumer);
            expr = a;
        }
        match &expr.kind {
            HostExprKind::Slot(slot) => self.slot(*slot, consumer),
            HostExprKind::Unary(_, a) | HostExprKind::Cast(a, _) => self.expr(a, consumer),
            HostExprKind::Call {
                callee,
                args,
                named,
            } => {
                let each = |walk: &mut Self, list: &[HostExpr], fresh: bool| {
                    for arg in list {
                        let c = if fresh { walk.new_consumer() } else { consumer };
                        walk.expr(arg, c);
                    }
                };
                match callee {
                    // With named arguments a call is computed at once, and so is a gufunc's.
                    HostCallee::Elementwise(name) => {
                        let at_once = !named.is_empty() || (self.is_gufunc)(name);
                        each(self, args, at_once);
                    }
                    HostCallee::Method(..) => each(self, args, true),
                    // These look at the shape alone.
                    HostCallee::Builtin(HostFn::Len | HostFn::Size) => {}
                    HostCallee::Builtin(HostFn::Dot) => {
                        let consumer = self.new_consumer();
                        args.iter().for_each(|arg| self.expr(arg, consumer));
                    }
                    HostCallee::Builtin(_) => each(self, args, true),
                }
                for (_, value) in named {
                    let consumer = self.new_consumer();
                    self.expr(value, consumer);
                }
            }
            HostExprKind::Index(base, index) => {
                let fresh = self.new_consumer();
                self.expr(base, fresh);
                self.index(index);
            }
            HostExprKind::Tuple(list) | HostExprKind::Array(list) => {
                list.iter().for_each(|e| self.expr(e, consumer))
            }
            HostExprKind::Int(_)
            | HostExprKind::Float(_)
            | HostExprKind::Bool(_)
            | HostExprKind::Str(_)
            | HostExprKind::DType(_)
            | HostExprKind::None
            | HostExprKind::Param(_)
            | HostExprKind::Binary(..) => {}
        }
    }
}
