//! Algebra that is exact: no bit of any result changes, except the payload of a NaN.
//!
//! Also removes what control flow carries for nothing: carried values and loop results that do not
//! depend on the loop, `if` results that both arms agree on, guards that hold.

use crate::analysis::tree::{Subst, make_const, walk_exits};
use crate::{DType, Function, Imm, Inst, Opcode, Scalar, Type, Value, ValueDef};

/// Runs the pass.
pub fn simplify(func: &mut Function) -> bool {
    let mut pass = Simplify {
        seen: vec![false; func.values.len()],
        subst: Subst::new(func),
        func,
        changed: false,
    };
    let entry = pass.func.entry;
    pass.block(entry);
    pass.changed
}

struct Simplify<'a> {
    func: &'a mut Function,
    subst: Subst,
    /// Values whose definition has been passed.
    seen: Vec<bool>,
    changed: bool,
}

/// What an instruction may be replaced by.
enum New {
    /// An existing value.
    Is(Value),
    /// A constant.
    Const(Scalar),
    /// Another operation on existing values.
    Op(Opcode, Imm, Vec<Value>),
    /// `op(op1(a), b)`, or without `b` when it is `None`.
    Nested(Opcode, Opcode, Value, Option<Value>),
    /// `op(a, constant)`.
    WithConst(Opcode, Value, Scalar),
}

impl Simplify<'_> {
    fn mark(&mut self, value: Value) {
        if self.seen.len() <= value.index() {
            self.seen.resize(value.index() + 1, false);
        }
        self.seen[value.index()] = true;
    }

    fn is_seen(&self, value: Value) -> bool {
        self.seen.get(value.index()).copied().unwrap_or(false)
    }

    fn block(&mut self, block: crate::Block) {
        for n in 0..self.func.block(block).params.len() {
            self.mark(self.func.block(block).params[n]);
        }
        let insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let mut out = Vec::with_capacity(insts.len());
        for inst in insts {
            self.subst.apply(self.func.inst_mut(inst));
            match self.func.inst(inst).op {
                Opcode::If => self.if_(inst, &mut out),
                Opcode::Loop => self.loop_(inst, &mut out),
                Opcode::Guard => {
                    let ok = self.func.inst(inst).args[0];
                    if self.func.as_const(ok).is_some_and(|s| s.as_bool()) {
                        self.changed = true;
                    } else {
                        out.push(inst);
                    }
                }
                op if op.is_pure() && op != Opcode::Const => self.pure(inst, &mut out),
                _ => out.push(inst),
            }
            for n in 0..self.func.inst(inst).results.len() {
                self.mark(self.func.inst(inst).results[n]);
            }
        }
        self.func.block_mut(block).insts = out;
    }

    fn if_(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        // if not c { a } else { b }  =  if c { b } else { a }
        let condition = self.func.inst(inst).args[0];
        if let Some((Opcode::Not, args)) = self.op_of(condition) {
            let inner = args[0];
            let data = self.func.inst_mut(inst);
            data.args[0] = inner;
            data.blocks.swap(0, 1);
            self.changed = true;
        }
        let condition = self.func.inst(inst).args[0];
        let arms = self.func.inst(inst).blocks.clone();
        for &arm in &arms {
            self.block(arm);
        }
        out.push(inst);
        let yields: Vec<Inst> = arms
            .iter()
            .filter_map(|b| self.func.terminator(*b))
            .filter(|i| self.func.inst(*i).op == Opcode::Yield)
            .collect();
        let [a, b] = yields[..] else { return };
        for n in 0..self.func.inst(inst).results.len() {
            let result = self.func.inst(inst).results[n];
            let (x, y) = (self.func.inst(a).args[n], self.func.inst(b).args[n]);
            let same_type = self.func.ty(x) == self.func.ty(result);
            if x == y && same_type {
                self.replace(result, x);
                continue;
            }
            let (Some(x), Some(y)) = (self.func.as_const(x), self.func.as_const(y)) else {
                continue;
            };
            let ty = self.func.ty(result);
            if x == y {
                let new = make_const(self.func, out, x, ty);
                self.mark(new);
                self.replace(result, new);
            } else if ty == Type::BOOL && x.as_bool() {
                self.replace(result, condition);
            }
        }
    }

    fn replace(&mut self, value: Value, by: Value) {
        // Already replaced: nothing new.
        if self.subst.get(value) == value && value != by {
            self.subst.set(value, by);
        }
    }

    fn loop_(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        let body = self.func.inst(inst).blocks[0];
        let mut exits = Vec::new();
        walk_exits(self.func, body, &mut |exit| exits.push(exit));
        // Carried values that are always the initial value.
        for n in 0..self.func.block(body).params.len() {
            let param = self.func.block(body).params[n];
            let initial = self.func.inst(inst).args[n];
            let constant = exits.iter().all(|e| {
                let data = self.func.inst(*e);
                data.op == Opcode::Break || {
                    let next = self.subst.get(data.args[n]);
                    next == param || next == initial
                }
            });
            if constant {
                self.replace(param, initial);
            }
        }
        // Results that come from outside the loop, the same by every exit.
        for n in 0..self.func.inst(inst).results.len() {
            let result = self.func.inst(inst).results[n];
            let mut values = exits
                .iter()
                .filter(|e| self.func.inst(**e).op == Opcode::Break)
                .map(|e| self.subst.get(self.func.inst(*e).args[n]));
            if let Some(first) = values.next()
                && self.is_seen(first)
                && self.func.ty(first) == self.func.ty(result)
                && values.all(|v| v == first)
            {
                self.replace(result, first);
            }
        }
        self.block(body);
        out.push(inst);
    }

    fn pure(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        let Some(new) = self.rewrite(inst) else {
            out.push(inst);
            return;
        };
        self.changed = true;
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        let loc = self.func.inst(inst).loc;
        match new {
            New::Is(value) => self.subst.set(result, value),
            New::Const(scalar) => {
                let value = make_const(self.func, out, scalar, ty);
                self.subst.set(result, value);
                self.mark(value);
            }
            New::Op(op, imm, args) => {
                let data = self.func.inst_mut(inst);
                (data.op, data.imm, data.args) = (op, imm, args.into());
                out.push(inst);
            }
            New::Nested(op, inner, a, b) => {
                let a_ty = self.func.ty(a);
                let first = self
                    .func
                    .new_inst(inner, &[a], Imm::None, &[], &[a_ty], loc);
                out.push(first);
                let first = self.func.result(first);
                self.mark(first);
                let data = self.func.inst_mut(inst);
                (data.op, data.imm) = (op, Imm::None);
                data.args = [first].into_iter().chain(b).collect();
                out.push(inst);
            }
            New::WithConst(op, a, scalar) => {
                let value = make_const(self.func, out, scalar, ty);
                self.mark(value);
                let data = self.func.inst_mut(inst);
                (data.op, data.imm) = (op, Imm::None);
                data.args = [a, value].into_iter().collect();
                out.push(inst);
            }
        }
    }

    /// Operation and arguments that a value results from.
    fn op_of(&self, value: Value) -> Option<(Opcode, &[Value])> {
        match self.func.def(value) {
            ValueDef::Result(inst, 0) => {
                let data = self.func.inst(inst);
                data.op.is_pure().then_some((data.op, &data.args[..]))
            }
            _ => None,
        }
    }

    fn rewrite(&self, inst: Inst) -> Option<New> {
        let data = self.func.inst(inst);
        let ty = self.func.ty(*data.results.first()?);
        let args = &data.args[..];
        match (data.op, args) {
            (Opcode::Select, &[c, a, b]) => self.select(c, a, b, ty),
            (Opcode::Cast | Opcode::Bitcast, &[a]) => self.convert(data.op, a, ty.dtype),
            (op, &[a]) => self.unary(op, a),
            (Opcode::Extract, &[a, _]) => match self.op_of(a) {
                Some((Opcode::Splat, x)) => Some(New::Is(x[0])),
                _ => None,
            },
            (op, &[a, b]) => self.binary(op, a, b),
            _ => None,
        }
    }

    fn unary(&self, op: Opcode, a: Value) -> Option<New> {
        let dtype = self.func.ty(a).dtype;
        let inner = self.op_of(a);
        match (op, inner) {
            (Opcode::Neg, Some((Opcode::Neg, x))) | (Opcode::Not, Some((Opcode::Not, x))) => {
                Some(New::Is(x[0]))
            }
            (Opcode::AnyTrue, Some((Opcode::Splat, x))) => Some(New::Is(x[0])),
            (Opcode::Abs, Some((Opcode::Abs, _))) => Some(New::Is(a)),
            (Opcode::Abs, _) if dtype.is_unsigned_int() => Some(New::Is(a)),
            (Opcode::Abs, Some((Opcode::Neg, x))) => {
                Some(New::Op(Opcode::Abs, Imm::None, vec![x[0]]))
            }
            (Opcode::Not, Some((cmp, &[x, y]))) => {
                let exact = has_no_nan(self.func.ty(x).dtype);
                let inverse = match cmp {
                    Opcode::Eq => Opcode::Ne,
                    Opcode::Ne => Opcode::Eq,
                    Opcode::Lt if exact => Opcode::Ge,
                    Opcode::Le if exact => Opcode::Gt,
                    Opcode::Gt if exact => Opcode::Le,
                    Opcode::Ge if exact => Opcode::Lt,
                    _ => return None,
                };
                Some(New::Op(inverse, Imm::None, vec![x, y]))
            }
            _ => None,
        }
    }

    fn convert(&self, op: Opcode, a: Value, to: DType) -> Option<New> {
        let from = self.func.ty(a).dtype;
        if from == to {
            return Some(New::Is(a));
        }
        let (inner, args) = self.op_of(a)?;
        let first = args.first().copied()?;
        if inner != op {
            return None;
        }
        let start = self.func.ty(first).dtype;
        if op == Opcode::Bitcast {
            return Some(if start == to {
                New::Is(first)
            } else {
                New::Op(op, Imm::DType(to), vec![first])
            });
        }
        // Does the middle type hold every value of the first?
        let holds = match (start, from) {
            (DType::Bool, _) => from != DType::Bool,
            (s, m) if s.is_int() && m.is_int() => int_holds(m, s),
            (s, DType::F32) if s.is_int() => s.size() <= 2,
            (s, DType::F64) if s.is_int() => s.size() <= 4,
            (DType::F16, DType::F32 | DType::F64) | (DType::F32, DType::F64) => true,
            _ => false,
        };
        // Int to int keeps the low bits, through any middle at least as wide as the target.
        let low_bits = start.is_int() && from.is_int() && to.is_int() && from.size() >= to.size();
        // From a float the conversion saturates, from an integer it wraps: the same only where neither does.
        let wraps = start.is_int() && from.is_float() && to.is_int() && !int_holds(to, start);
        if !holds && !low_bits || wraps {
            return None;
        }
        Some(if start == to {
            New::Is(first)
        } else {
            New::Op(op, Imm::DType(to), vec![first])
        })
    }

    fn select(&self, c: Value, a: Value, b: Value, ty: Type) -> Option<New> {
        if a == b {
            return Some(New::Is(a));
        }
        if let Some(known) = self.func.as_const(c) {
            return Some(New::Is(if known.as_bool() { a } else { b }));
        }
        if let Some((Opcode::Not, x)) = self.op_of(c) {
            return Some(New::Op(Opcode::Select, Imm::None, vec![x[0], b, a]));
        }
        if let Some((Opcode::Select, &[d, x, _])) = self.op_of(a)
            && d == c
        {
            return Some(New::Op(Opcode::Select, Imm::None, vec![c, x, b]));
        }
        if let Some((Opcode::Select, &[d, _, y])) = self.op_of(b)
            && d == c
        {
            return Some(New::Op(Opcode::Select, Imm::None, vec![c, a, y]));
        }
        let (ka, kb) = (self.func.as_const(a), self.func.as_const(b));
        if ka.is_some() && ka == kb {
            return Some(New::Is(a));
        }
        if ty.dtype == DType::Bool && self.func.ty(c) == ty {
            return match (ka.map(|s| s.as_bool()), kb.map(|s| s.as_bool())) {
                (Some(true), Some(false)) => Some(New::Is(c)),
                (Some(false), Some(true)) => Some(New::Op(Opcode::Not, Imm::None, vec![c])),
                (Some(true), _) => Some(New::Op(Opcode::Or, Imm::None, vec![c, b])),
                (_, Some(false)) => Some(New::Op(Opcode::And, Imm::None, vec![c, a])),
                (Some(false), _) => Some(New::Nested(Opcode::And, Opcode::Not, c, Some(b))),
                (_, Some(true)) => Some(New::Nested(Opcode::Or, Opcode::Not, c, Some(a))),
                _ => None,
            };
        }
        None
    }

    fn binary(&self, op: Opcode, a: Value, b: Value) -> Option<New> {
        let dtype = self.func.ty(a).dtype;
        // A constant goes to the right of a commutative operation.
        if op.is_commutative(dtype)
            && self.func.as_const(a).is_some()
            && self.func.as_const(b).is_none()
        {
            return Some(New::Op(op, Imm::None, vec![b, a]));
        }
        if a == b
            && let Some(new) = same_arguments(op, a, dtype)
        {
            return Some(new);
        }
        // op(op(x, y), y) = op(x, y) for the idempotent ones.
        let idempotent = matches!(
            op,
            Opcode::Min | Opcode::Max | Opcode::FMin | Opcode::FMax | Opcode::And | Opcode::Or
        );
        if idempotent && op.is_commutative(dtype) {
            for (x, y) in [(a, b), (b, a)] {
                if let Some((inner, args)) = self.op_of(x)
                    && inner == op
                    && args.contains(&y)
                {
                    return Some(New::Is(x));
                }
            }
        }
        if op == Opcode::Sub
            && self.func.as_const(a) == Some(negative_zero(dtype))
            && (dtype.is_int() || dtype.is_float())
        {
            return Some(New::Op(Opcode::Neg, Imm::None, vec![b]));
        }
        let k = self.func.as_const(b)?;
        match dtype {
            DType::Bool => with_bool(op, a, k.as_bool()),
            d if d.is_int() => with_int(op, a, k),
            d if d.is_float() => with_float(op, a, k),
            _ => None,
        }
    }
}

/// Is every value of this dtype equal to itself?
fn has_no_nan(dtype: DType) -> bool {
    !dtype.is_float() && !dtype.is_complex()
}

/// Does one integer dtype hold every value of another?
fn int_holds(wide: DType, narrow: DType) -> bool {
    wide == narrow
        || wide.size() > narrow.size() && (wide.is_signed_int() || narrow.is_unsigned_int())
}

/// `-0.0` of a float dtype, 0 of the others: what `add` leaves its argument alone with.
fn negative_zero(dtype: DType) -> Scalar {
    match dtype {
        DType::F16 => Scalar::f16(-0.0),
        DType::F32 => Scalar::f32(-0.0),
        DType::F64 => Scalar::f64(-0.0),
        _ => Scalar::zero(dtype),
    }
}

fn same_arguments(op: Opcode, a: Value, dtype: DType) -> Option<New> {
    let exact = has_no_nan(dtype);
    match op {
        Opcode::Min | Opcode::Max | Opcode::FMin | Opcode::FMax | Opcode::And | Opcode::Or => {
            Some(New::Is(a))
        }
        Opcode::Xor => Some(New::Const(Scalar::zero(dtype))),
        Opcode::Sub if exact => Some(New::Const(Scalar::zero(dtype))),
        Opcode::Eq | Opcode::Le | Opcode::Ge if exact => Some(New::Const(Scalar::bool(true))),
        Opcode::Ne | Opcode::Lt | Opcode::Gt if exact => Some(New::Const(Scalar::bool(false))),
        _ => None,
    }
}

fn with_bool(op: Opcode, a: Value, k: bool) -> Option<New> {
    match (op, k) {
        (Opcode::And, true) | (Opcode::Or | Opcode::Xor, false) => Some(New::Is(a)),
        (Opcode::And, false) => Some(New::Const(Scalar::bool(false))),
        (Opcode::Or, true) => Some(New::Const(Scalar::bool(true))),
        (Opcode::Eq, true) | (Opcode::Ne, false) => Some(New::Is(a)),
        (Opcode::Xor, true) | (Opcode::Eq, false) | (Opcode::Ne, true) => {
            Some(New::Op(Opcode::Not, Imm::None, vec![a]))
        }
        _ => None,
    }
}

fn with_int(op: Opcode, a: Value, k: Scalar) -> Option<New> {
    let dtype = k.dtype();
    let (zero, one) = (k.bits() == 0, k.as_int() == 1);
    let ones = k == Scalar::int(dtype, -1);
    let power = k.bits().is_power_of_two() && !one;
    let log2 = Scalar::int(dtype, k.bits().trailing_zeros() as i128);
    let is_zero = Some(New::Const(Scalar::zero(dtype)));
    let is_a = Some(New::Is(a));
    match op {
        Opcode::Add | Opcode::Sub | Opcode::Or | Opcode::Xor if zero => is_a,
        Opcode::Mul | Opcode::And if zero => is_zero,
        Opcode::Div | Opcode::Rem if zero => is_zero,
        Opcode::Mul | Opcode::Div if one => is_a,
        Opcode::Rem if one => is_zero,
        Opcode::And if ones => is_a,
        Opcode::Or if ones => Some(New::Const(k)),
        Opcode::Xor if ones => Some(New::Op(Opcode::Not, Imm::None, vec![a])),
        Opcode::Shl | Opcode::Shr if k.bits().is_multiple_of(dtype.bits() as u128) => is_a,
        Opcode::Mul if power => Some(New::WithConst(Opcode::Shl, a, log2)),
        Opcode::Div if power && dtype.is_unsigned_int() => {
            Some(New::WithConst(Opcode::Shr, a, log2))
        }
        Opcode::Rem if power && dtype.is_unsigned_int() => {
            let mask = Scalar::int(dtype, k.as_int() - 1);
            Some(New::WithConst(Opcode::And, a, mask))
        }
        _ => None,
    }
}

fn with_float(op: Opcode, a: Value, k: Scalar) -> Option<New> {
    let is_a = Some(New::Is(a));
    let value = k.to_f64();
    match op {
        Opcode::Add if k == negative_zero(k.dtype()) => is_a,
        Opcode::Sub if k.bits() == 0 => is_a,
        Opcode::Mul | Opcode::Div if value == 1.0 => is_a,
        Opcode::Mul | Opcode::Div if value == -1.0 => {
            Some(New::Op(Opcode::Neg, Imm::None, vec![a]))
        }
        // Division by a power of two is multiplication by its inverse, if that is a normal number.
        Opcode::Div => {
            let inverse = match k.dtype() {
                DType::F32 => exact_inverse_f32(k.as_f32()).map(Scalar::f32),
                DType::F64 => exact_inverse_f64(k.as_f64()).map(Scalar::f64),
                _ => None,
            }?;
            Some(New::WithConst(Opcode::Mul, a, inverse))
        }
        _ => None,
    }
}

fn exact_inverse_f32(x: f32) -> Option<f32> {
    let inverse = 1.0 / x;
    let power = x.to_bits() & ((1 << 23) - 1) == 0;
    (power && x.is_normal() && inverse.is_normal()).then_some(inverse)
}

fn exact_inverse_f64(x: f64) -> Option<f64> {
    let inverse = 1.0 / x;
    let power = x.to_bits() & ((1 << 52) - 1) == 0;
    (power && x.is_normal() && inverse.is_normal()).then_some(inverse)
}
