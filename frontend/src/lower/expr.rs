//! Lowering of expressions.

use super::{Lower, Values};
use crate::builtins::Code;
use crate::hir::{Block, Callee, Expr, ExprKind, LocalId};
use crate::instantiate::Home;
use crate::literal;
use kjit_ir::{
    BinaryOp, DType, Imm, LocalRef, Opcode, Scalar, Trap, TrapKind, Type, UnaryOp, Value,
};

/// Operations that `&&` and `||` may evaluate although their value is not needed.
const CHEAP: u32 = 8;

impl<'b> Lower<'_, '_, 'b> {
    fn one(value: Value) -> Option<Values> {
        Some(Values::from_slice(&[value]))
    }

    /// The values of an expression; `None` if control does not come out of it.
    pub(super) fn expr(&mut self, e: &'b Expr) -> Option<Values> {
        let body = self.body;
        let ty = &body.types[e.id];
        match &e.kind {
            ExprKind::Literal(value, _) => {
                let dtype = self.dtype(ty);
                let scalar = literal::value(value, dtype)
                    .unwrap_or_else(|| panic!("bug in kjit: {value:?} is not checked for {dtype}"));
                self.at(e.span);
                Self::one(self.builder.constant(scalar))
            }
            ExprKind::Bool(value) => {
                self.at(e.span);
                Self::one(self.builder.constant(Scalar::bool(*value)))
            }
            ExprKind::Local(id) => Some(self.values[*id].clone()),
            ExprKind::Const(id) => {
                let value = self.consts[*id]
                    .value
                    .expect("bug in kjit: constant without value");
                self.at(e.span);
                Self::one(self.builder.constant(value))
            }
            ExprKind::Unary(op, a) => {
                let a = self.expr(a)?[0];
                self.at(e.span);
                let op = match op {
                    UnaryOp::Neg => Opcode::Neg,
                    UnaryOp::Not => Opcode::Not,
                };
                Self::one(self.builder.unary(op, a))
            }
            ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let x = self.expr(a)?[0];
                if self.is_cheap(b) {
                    let y = self.expr(b)?[0];
                    self.at(e.span);
                    return Self::one(self.binary(*op, x, y));
                }
                self.short_circuit(*op == BinaryOp::And, x, b, e)
            }
            ExprKind::Binary(op, a, b) => {
                let x = self.expr(a)?[0];
                let y = self.expr(b)?[0];
                self.at(e.span);
                Self::one(self.binary(*op, x, y))
            }
            ExprKind::Cast(a, to) => {
                let a = self.expr(a)?[0];
                let to = self.dtype(to);
                self.at(e.span);
                Self::one(self.builder.cast(a, to))
            }
            ExprKind::Call(callee, args) => {
                let mut values = Values::new();
                for arg in args {
                    values.extend(self.expr(arg)?);
                }
                self.at(e.span);
                Some(self.call(*callee, &values, e))
            }
            ExprKind::Index(base, index) => {
                if let ExprKind::Local(id) = &base.kind
                    && let Some(array) = self.core_array(*id)
                {
                    let element = self.core_element(array, index)?;
                    self.at(e.span);
                    return Self::one(self.core_load(&element));
                }
                let memory = match &base.kind {
                    ExprKind::Local(id) => self.memory(*id),
                    _ => {
                        let memory = self.array_memory("array", &body.types[base.id]);
                        self.fill_array(memory, base)?;
                        memory
                    }
                };
                let at = self.index(memory, &index[0])?;
                self.at(e.span);
                Self::one(self.builder.local_load(memory, at))
            }
            ExprKind::If {
                condition,
                then_block,
                else_block,
                assigned,
            } => {
                let mut types = Vec::new();
                if else_block.is_some() {
                    self.flatten(ty, &mut types);
                }
                let condition = self.expr(condition)?[0];
                self.if_(
                    condition,
                    types,
                    assigned,
                    e,
                    [Some(then_block), else_block.as_ref()],
                    |this, arm| match arm {
                        Some(block) => this.block(block),
                        None => Some(Values::new()),
                    },
                )
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Tuple(list) => {
                let mut values = Values::new();
                for item in list {
                    values.extend(self.expr(item)?);
                }
                Some(values)
            }
            ExprKind::Array(_) | ExprKind::Repeat(..) => {
                // An array nobody names: only its elements' effects are left.
                let memory = self.array_memory("array", ty);
                self.fill_array(memory, e)?;
                Some(Values::new())
            }
            ExprKind::Error => panic!("bug in kjit: lowering a wrong expression"),
        }
    }

    /// `a op b`, for any operator but with both operands evaluated.
    pub(super) fn binary(&mut self, op: BinaryOp, a: Value, mut b: Value) -> Value {
        let dtype = self.builder.func.ty(a).dtype;
        match op {
            BinaryOp::Shl | BinaryOp::Shr => b = self.builder.cast(b, dtype),
            BinaryOp::Rem if dtype.is_float() => {
                return self.instances.remainder(&mut self.builder, a, b);
            }
            _ => {}
        }
        self.builder.binary(op.opcode(), a, b)
    }

    fn call(&mut self, callee: Callee, args: &[Value], e: &Expr) -> Values {
        let body = self.body;
        let generics: Vec<DType> = match body.generics.get(&e.id) {
            Some(list) => list.iter().map(|ty| self.dtype(ty)).collect(),
            None => Vec::new(),
        };
        let mut results = Vec::new();
        self.flatten(&body.types[e.id], &mut results);
        let func = match callee {
            Callee::Function(id) => self.instances.function(self.home, id, &generics),
            Callee::Family(single, double) => {
                let id = match generics[..] {
                    [DType::F32] => single,
                    [DType::F64] => double,
                    _ => panic!("bug in kjit: no member of a family for {generics:?}"),
                };
                self.instances.function(self.home, id, &[])
            }
            Callee::Builtin(builtin) => {
                let values =
                    self.instances
                        .call_builtin(&mut self.builder, builtin, &generics, args);
                return Values::from_vec(values);
            }
        };
        Values::from_vec(self.builder.call(func, args, &results))
    }

    /// No effect, no failure, and few operations?
    fn is_cheap(&self, e: &Expr) -> bool {
        fn cost(e: &Expr, left: &mut u32) -> bool {
            if *left == 0 {
                return false;
            }
            *left -= 1;
            match &e.kind {
                ExprKind::Literal(..)
                | ExprKind::Bool(_)
                | ExprKind::Local(_)
                | ExprKind::Const(_) => {
                    *left += 1;
                    true
                }
                ExprKind::Unary(_, a) | ExprKind::Cast(a, _) => cost(a, left),
                ExprKind::Binary(_, a, b) => cost(a, left) && cost(b, left),
                ExprKind::Call(Callee::Builtin(builtin), args) => {
                    matches!(builtin.code, Code::Op(_) | Code::Bitcast)
                        && args.iter().all(|a| cost(a, left))
                }
                _ => false,
            }
        }
        cost(e, &mut { CHEAP })
    }

    fn short_circuit(&mut self, and: bool, x: Value, b: &'b Expr, e: &'b Expr) -> Option<Values> {
        // The right side may assign inside a block; those variables are not carried out of an
        // operand by the tree, so resolution files them with the enclosing construct.
        self.if_(
            x,
            vec![Type::BOOL],
            &[],
            e,
            [and, !and],
            |this, evaluate| {
                if evaluate {
                    this.expr(b)
                } else {
                    Self::one(this.builder.constant(Scalar::bool(!and)))
                }
            },
        )
    }

    /// An `if` whose arms `arm` builds; results are the arms' values, then the variables assigned.
    fn if_<A>(
        &mut self,
        condition: Value,
        mut types: Vec<Type>,
        assigned: &[LocalId],
        e: &Expr,
        arms: [A; 2],
        mut arm: impl FnMut(&mut Self, A) -> Option<Values>,
    ) -> Option<Values> {
        let n_values = types.len();
        let outer = self.builder.block();
        let before = self.gather(assigned);
        let mut live = false;
        let mut blocks = Vec::with_capacity(2);
        let mut writes = Vec::with_capacity(2);
        // Where an arm leaves, what follows knows that the other was taken.
        let mut known = None;
        for (truth, a) in [true, false].into_iter().zip(arms) {
            let block = self.builder.func.new_block();
            blocks.push(block);
            self.builder.switch_to(block);
            self.scatter(assigned, &before);
            let mark = self.enter_arm(condition, truth);
            let values = arm(self, a);
            writes.push(self.leave_arm(mark));
            if values.is_none() {
                known = Some(!truth);
            }
            if let Some(mut values) = values {
                live = true;
                values.truncate(n_values);
                values.extend(self.gather(assigned));
                self.at(e.span);
                self.builder.yield_(&values);
            }
        }
        self.builder.switch_to(outer);
        self.at(e.span);
        self.join_arms(writes);
        if let Some(truth) = known {
            self.assume(condition, truth);
        }
        if !live {
            self.builder
                .push(Opcode::If, &[condition], Imm::None, &blocks, &[]);
            self.builder
                .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return None;
        }
        self.types_of(&before, &mut types);
        let inst = self
            .builder
            .push(Opcode::If, &[condition], Imm::None, &blocks, &types);
        let results = self.builder.func.inst(inst).results.clone();
        self.scatter(assigned, &results[n_values..]);
        Some(Values::from_slice(&results[..n_values]))
    }

    /// An array chosen by an `if`: each arm fills the same memory.
    pub(super) fn fill_from_if(&mut self, memory: LocalRef, e: &'b Expr) -> Option<()> {
        let ExprKind::If {
            condition,
            then_block,
            else_block,
            assigned,
        } = &e.kind
        else {
            return None;
        };
        let condition = self.expr(condition)?[0];
        let arms: [Option<&'b Block>; 2] = [Some(then_block), else_block.as_ref()];
        self.if_(condition, Vec::new(), assigned, e, arms, |this, arm| {
            if let Some(block) = arm {
                this.fill_from_block(memory, block)?;
            }
            Some(Values::new())
        })?;
        Some(())
    }

    /// The index of an element as i32; guarded unless it is a constant.
    pub(super) fn index(&mut self, memory: LocalRef, index: &'b Expr) -> Option<Value> {
        let at = self.expr(index)?[0];
        self.at(index.span);
        let (len, name) = {
            let local = &self.builder.func.locals[memory.index()];
            (local.len, local.name.clone())
        };
        let dtype = self.builder.func.ty(at).dtype;
        if let Some(constant) = self.builder.func.as_const(at)
            && (0..i128::from(len)).contains(&constant.as_int())
        {
            return Some(self.builder.int(DType::I32, constant.as_int()));
        }
        let (_, max) = literal::int_range(dtype);
        let mut ok = None;
        if max >= i128::from(len) {
            let limit = self.builder.int(dtype, i128::from(len));
            ok = Some(self.builder.binary(Opcode::Lt, at, limit));
        }
        if dtype.is_signed_int() {
            let zero = self.builder.int(dtype, 0);
            let not_negative = self.builder.binary(Opcode::Ge, at, zero);
            ok = Some(match ok {
                Some(below) => self.builder.binary(Opcode::And, not_negative, below),
                None => not_negative,
            });
        }
        // The library's own indices are right by construction, and the load clamps.
        if let Some(ok) = ok
            && self.home == Home::User
        {
            let loc = self.builder.loc();
            let kind = TrapKind::IndexOutOfBounds {
                array: name,
                len: u64::from(len),
            };
            let trap = self.builder.trap(Trap { kind, loc });
            self.builder.guard(ok, trap);
        }
        Some(self.builder.cast(at, DType::I32))
    }
}
