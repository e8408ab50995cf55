//! Lowering of blocks, statements and loops.

use super::{Lower, OpenLoop, Values};
use crate::bounds::Leave;
use crate::hir::{Block, Expr, ExprKind, LocalId, Stmt, StmtKind};
use crate::types::Ty;
use kjit_ir::{Imm, LocalArray, LocalRef, Opcode, Scalar, Type, Value};

impl<'b> Lower<'_, '_, 'b> {
    /// The values of a block; `None` if control does not come out at its end.
    pub(super) fn block(&mut self, block: &'b Block) -> Option<Values> {
        for stmt in &block.stmts {
            self.stmt(stmt)?;
        }
        match &block.tail {
            Some(tail) => self.expr(tail),
            None => Some(Values::new()),
        }
    }

    fn stmt(&mut self, stmt: &'b Stmt) -> Option<()> {
        match &stmt.kind {
            StmtKind::Let {
                locals,
                tuple,
                value,
                ..
            } => {
                if let ([local], Ty::Array(..)) =
                    (locals.as_slice(), &self.body.locals[locals[0]].ty)
                {
                    let memory = self.new_array(*local);
                    // A copy reads the old array, which a shadowing `let` may name.
                    self.fill_array(memory, value)?;
                    self.arrays[*local] = Some(memory);
                    return Some(());
                }
                let values = self.expr(value)?;
                if *tuple {
                    for (local, value) in locals.iter().zip(values) {
                        self.values[*local] = Values::from_slice(&[value]);
                    }
                } else {
                    self.values[locals[0]] = values;
                }
            }
            StmtKind::Assign {
                local, op, value, ..
            } => {
                if let Ty::Array(..) = self.body.locals[*local].ty {
                    let memory = self.memory(*local);
                    self.fill_array(memory, value)?;
                    return Some(());
                }
                let mut values = self.expr(value)?;
                if let Some(op) = op {
                    let old = self.values[*local][0];
                    self.at(stmt.span);
                    values = Values::from_slice(&[self.binary(*op, old, values[0])]);
                }
                self.values[*local] = values;
            }
            StmtKind::AssignIndex {
                local,
                index,
                op,
                value,
                ..
            } => {
                if let Some(array) = self.core_array(*local) {
                    return self.core_assign(array, index, *op, value, stmt.span);
                }
                let memory = self.memory(*local);
                let at = self.index(memory, &index[0])?;
                let mut value = self.expr(value)?[0];
                self.at(stmt.span);
                if let Some(op) = op {
                    let old = self.builder.local_load(memory, at);
                    value = self.binary(*op, old, value);
                }
                self.builder.local_store(memory, at, value);
            }
            StmtKind::Loop {
                condition,
                body,
                assigned,
                has_break,
            } => {
                return self.loop_(condition.as_ref(), body, assigned, *has_break, stmt);
            }
            StmtKind::For {
                local,
                start,
                end,
                body,
                assigned,
            } => {
                return self.for_(*local, [start, end], body, assigned, stmt);
            }
            StmtKind::Break => {
                let open = self
                    .loops
                    .last()
                    .expect("bug in kjit: break outside a loop");
                let values = self.gather(open.assigned);
                self.at(stmt.span);
                self.leaves(Leave::Break);
                self.builder.break_(&values);
                return None;
            }
            StmtKind::Continue => {
                self.at(stmt.span);
                self.leaves(Leave::Continue);
                self.next_iteration();
                return None;
            }
            StmtKind::Return(value) => {
                let values = match value {
                    Some(value) => self.expr(value)?,
                    None => Values::new(),
                };
                self.at(stmt.span);
                if self.kernel.is_some() {
                    self.leaves(Leave::Return);
                    self.end_kernel();
                    return None;
                }
                self.builder
                    .push(Opcode::Return, &values, Imm::None, &[], &[]);
                return None;
            }
            StmtKind::Expr(e) => {
                self.expr(e)?;
            }
        }
        Some(())
    }

    /// Ends the body of the innermost loop with a `continue`.
    fn next_iteration(&mut self) {
        let open = self
            .loops
            .last()
            .expect("bug in kjit: continue outside a loop");
        let assigned = open.assigned;
        let mut values = Values::new();
        if let Some(counter) = open.counter {
            let dtype = self.builder.func.ty(counter).dtype;
            let one = self.builder.constant(Scalar::one(dtype));
            values.push(self.builder.binary(Opcode::Add, counter, one));
        }
        values.extend(self.gather(assigned));
        self.builder.continue_(&values);
    }

    /// `if condition { } else { break }`
    fn break_unless(&mut self, condition: Value, assigned: &[LocalId]) {
        let carried = self.gather(assigned);
        self.builder
            .if_else(condition, &[], |b| b.yield_(&[]), |b| b.break_(&carried));
    }

    fn loop_(
        &mut self,
        condition: Option<&'b Expr>,
        body: &'b Block,
        assigned: &'b [LocalId],
        has_break: bool,
        stmt: &Stmt,
    ) -> Option<()> {
        let initial = self.gather(assigned);
        let outer = self.builder.block();
        let block = self.builder.func.new_block();
        let params: Values = initial
            .iter()
            .map(|v| {
                let ty = self.builder.func.ty(*v);
                self.builder.func.new_param(block, ty)
            })
            .collect();
        self.builder.switch_to(block);
        self.scatter(assigned, &params);
        let known = self.mark();
        self.enter_loop();
        let entered = match condition {
            Some(c) => match self.expr(c) {
                Some(values) => {
                    self.at(c.span);
                    self.break_unless(values[0], assigned);
                    self.assume(values[0], true);
                    true
                }
                None => false,
            },
            None => true,
        };
        if entered {
            self.loops.push(OpenLoop {
                assigned,
                counter: None,
            });
            if self.block(body).is_some() {
                self.at(stmt.span);
                self.next_iteration();
            }
            self.loops.pop();
        }
        self.leave_loop();
        self.forget(known);
        self.builder.switch_to(outer);
        self.at(stmt.span);
        self.end_loop(block, &initial, assigned);
        if condition.is_none() && !has_break {
            self.builder
                .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return None;
        }
        Some(())
    }

    /// Appends the `loop` instruction; its results are the variables' values.
    fn end_loop(&mut self, block: kjit_ir::Block, initial: &[Value], assigned: &[LocalId]) {
        let mut types: Vec<Type> = Vec::new();
        let carried = initial.len() - self.gather(assigned).len();
        self.types_of(&initial[carried..], &mut types);
        let inst = self
            .builder
            .push(Opcode::Loop, initial, Imm::None, &[block], &types);
        let results = self.builder.func.inst(inst).results.clone();
        self.scatter(assigned, &results);
    }

    fn for_(
        &mut self,
        local: LocalId,
        bounds: [&'b Expr; 2],
        body: &'b Block,
        assigned: &'b [LocalId],
        stmt: &Stmt,
    ) -> Option<()> {
        let start = self.expr(bounds[0])?[0];
        let end = self.expr(bounds[1])?[0];
        let mut initial = Values::from_slice(&[start]);
        initial.extend(self.gather(assigned));
        let outer = self.builder.block();
        let block = self.builder.func.new_block();
        let params: Values = initial
            .iter()
            .map(|v| {
                let ty = self.builder.func.ty(*v);
                self.builder.func.new_param(block, ty)
            })
            .collect();
        self.builder.switch_to(block);
        self.values[local] = Values::from_slice(&params[..1]);
        self.scatter(assigned, &params[1..]);
        self.at(bounds[0].span.to(bounds[1].span));
        let more = self.builder.binary(Opcode::Lt, params[0], end);
        self.break_unless(more, assigned);
        let known = self.mark();
        self.enter_for(params[0], start, end);
        self.loops.push(OpenLoop {
            assigned,
            counter: Some(params[0]),
        });
        if self.block(body).is_some() {
            self.at(stmt.span);
            self.next_iteration();
        }
        self.loops.pop();
        self.leave_for();
        self.forget(known);
        self.builder.switch_to(outer);
        self.at(stmt.span);
        self.end_loop(block, &initial, assigned);
        Some(())
    }

    // Local arrays ---------------------------------------------------------------------------------

    /// The memory of an array variable.
    pub(super) fn memory(&self, local: LocalId) -> LocalRef {
        self.arrays[local].expect("bug in kjit: an array without memory")
    }

    fn new_array(&mut self, local: LocalId) -> LocalRef {
        let variable = &self.body.locals[local];
        self.array_memory(&variable.name, &variable.ty)
    }

    pub(super) fn array_memory(&mut self, name: &str, ty: &Ty) -> LocalRef {
        let Ty::Array(element, len) = ty else {
            panic!("bug in kjit: {ty:?} is no array type")
        };
        let dtype = self.dtype(element);
        self.builder.local(LocalArray {
            name: name.to_string(),
            dtype,
            len: *len,
        })
    }

    fn at_constant(&mut self, n: u32) -> Value {
        self.builder.int(kjit_ir::DType::I32, i128::from(n))
    }

    /// Stores the elements of an array expression.
    pub(super) fn fill_array(&mut self, memory: LocalRef, e: &'b Expr) -> Option<()> {
        match &e.kind {
            ExprKind::Array(list) => {
                let mut values = Values::new();
                for item in list {
                    values.extend(self.expr(item)?);
                }
                self.at(e.span);
                for (n, value) in values.into_iter().enumerate() {
                    let at = self.at_constant(n as u32);
                    self.builder.local_store(memory, at, value);
                }
            }
            ExprKind::Repeat(item, len) => {
                let value = self.expr(item)?[0];
                self.at(e.span);
                self.each_index(*len, |this, at| this.builder.local_store(memory, at, value));
            }
            ExprKind::Local(id) => {
                let from = self.memory(*id);
                let len = self.builder.func.locals[from.index()].len;
                self.at(e.span);
                self.each_index(len, |this, at| {
                    let value = this.builder.local_load(from, at);
                    this.builder.local_store(memory, at, value);
                });
            }
            ExprKind::Block(block) => self.fill_from_block(memory, block)?,
            ExprKind::If { .. } => self.fill_from_if(memory, e)?,
            other => panic!("bug in kjit: {other:?} gives no array"),
        }
        Some(())
    }

    pub(super) fn fill_from_block(&mut self, memory: LocalRef, block: &'b Block) -> Option<()> {
        for stmt in &block.stmts {
            self.stmt(stmt)?;
        }
        self.fill_array(memory, block.tail.as_ref()?)
    }

    /// Runs `each` for every index: unrolled when short, else as a loop.
    fn each_index(&mut self, len: u32, mut each: impl FnMut(&mut Self, Value)) {
        if len <= 16 {
            for n in 0..len {
                let at = self.at_constant(n);
                each(self, at);
            }
            return;
        }
        let outer = self.builder.block();
        let block = self.builder.func.new_block();
        let start = self.at_constant(0);
        let counter = self
            .builder
            .func
            .new_param(block, Type::scalar(kjit_ir::DType::I32));
        self.builder.switch_to(block);
        let end = self.at_constant(len);
        let more = self.builder.binary(Opcode::Lt, counter, end);
        self.break_unless(more, &[]);
        each(self, counter);
        let one = self.at_constant(1);
        let next = self.builder.binary(Opcode::Add, counter, one);
        self.builder.continue_(&[next]);
        self.builder.switch_to(outer);
        self.builder
            .push(Opcode::Loop, &[start], Imm::None, &[block], &[]);
    }
}
