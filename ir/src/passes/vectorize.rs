//! Scalar form to vector form: one element at a time becomes many lanes at a time, under masks.
//!
//! The input is a kernel without calls and nested returns. The output computes the same for every lane:
//!
//! * Uniform values (see [`crate::analysis::uniformity`]) stay one number; `splat` lifts them where they
//!   meet varying ones. `if`s and loops that all lanes take alike stay what they are.
//! * An `if` with a varying condition runs both arms one after the other, each under the mask of its
//!   lanes, and selects the results. An arm with loops, stores or much work is skipped when no lane wants it.
//! * A loop that lanes leave at different times carries the mask of the lanes still *live* and goes on
//!   while there is one. `break` and `continue` under varying control take lanes out of the active mask.
//! * A lane keeps its values when it leaves a loop: each result is blended once, at its `break`, into an
//!   accumulator; or, when every `break` hands over the same carried value, that value is frozen. Nothing
//!   else is masked, because nothing else is seen after the loop.
//!
//! Masked are also `store`, `local.store` and `guard`. A loop that all lanes take alike is not entered
//! without a live lane: its exit test may depend on what the lanes that left knew.

use crate::analysis::cost::block_units;
use crate::analysis::effects;
use crate::analysis::tree::{compact, make_const, walk_exits};
use crate::analysis::uniformity::{self, Uniformity};
use crate::{Block, DType, Form, Function, Imm, Inst, Loc, Opcode, Scalar, Type, Value};

/// An arm of a varying `if` that costs more than this (in units of an add) is skipped when no lane
/// takes it.
const MAX_UNSKIPPED: u32 = 24;

/// A mask of all lanes: varying bool.
const MASK: Type = Type::varying(DType::Bool);

/// The vector form of a scalar-form kernel.
pub fn vectorize(func: &Function) -> Function {
    let mut vectorizer = Vectorizer {
        uniformity: uniformity::compute(func),
        map: vec![Value(u32::MAX); func.values.len()],
        src: func,
        dst: Function::new(func.name.clone()),
        out: Vec::new(),
        state: State::default(),
        around: None,
        uniform_control: true,
        loc: Loc::default(),
    };
    vectorizer.run();
    let mut vector = vectorizer.dst;
    super::clean_up_vector_form(&mut vector);
    compact(&vector)
}

/// The lanes that run the code being written.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mask {
    #[default]
    All,
    Lanes(Value),
    Nobody,
}

/// What changes as control moves through the body of a loop.
#[derive(Clone, Default)]
struct State {
    active: Mask,
    /// Is it known that some lane is active?
    occupied: bool,
    /// Lanes that have done a `continue` in this iteration.
    continued: Option<Value>,
    /// What these lanes carry into the next iteration.
    next: Vec<Option<Value>>,
    /// Results of the lanes that have left the loop, for results that need it.
    left: Vec<Option<Value>>,
    /// Has this iteration checked that some lane is live?
    checked: bool,
    /// Have lanes left since then?
    thinned: bool,
    /// Have lanes left in this iteration?
    departed: bool,
}

/// The innermost loop around the code being written.
#[derive(Clone)]
struct Around {
    /// The loop in the source function.
    looping: Inst,
    divergent: bool,
    /// The carried values in the vector form, without the ones added.
    params: Vec<Value>,
    /// Lanes live when the iteration starts, of a divergent loop.
    live: Option<Value>,
    /// Which of them must not change in lanes that have left.
    frozen: Vec<bool>,
    /// Which carried value a result is, for the results that need no accumulator.
    result_param: Vec<Option<usize>>,
}

/// How a block ends.
enum End {
    /// With this `yield`: control goes on behind the `if`.
    Falls(Inst),
    /// All lanes have left the iteration; control goes on without any.
    Left,
    /// With a real terminator.
    Closed,
}

/// An arm of a real `if` under construction: open unless `closed`.
struct Arm {
    insts: Vec<Inst>,
    closed: bool,
    left: bool,
    values: Vec<Value>,
    state: State,
}

struct Vectorizer<'a> {
    src: &'a Function,
    uniformity: Uniformity,
    dst: Function,
    map: Vec<Value>,
    /// Instructions of the block being written.
    out: Vec<Inst>,
    state: State,
    around: Option<Around>,
    /// Do all live lanes of the loop around come here together?
    uniform_control: bool,
    loc: Loc,
}

impl Vectorizer<'_> {
    fn run(&mut self) {
        self.dst.form = Form::Vector;
        self.dst.fast = self.src.fast;
        self.dst.arrays = self.src.arrays.clone();
        self.dst.locals = self.src.locals.clone();
        self.dst.traps = self.src.traps.clone();
        self.dst.results = self
            .src
            .results
            .iter()
            .map(|t| Type::varying(t.dtype))
            .collect();
        self.state.occupied = true;
        let entry = self.dst.entry;
        for &param in self.src.params() {
            let ty = Type::varying(self.src.ty(param).dtype);
            self.map[param.index()] = self.dst.new_param(entry, ty);
        }
        self.block(self.src.entry);
        self.dst.block_mut(entry).insts = std::mem::take(&mut self.out);
    }

    // ---- writing instructions ----

    fn push(
        &mut self,
        op: Opcode,
        args: &[Value],
        imm: Imm,
        blocks: &[Block],
        types: &[Type],
    ) -> Inst {
        let inst = self.dst.new_inst(op, args, imm, blocks, types, self.loc);
        self.out.push(inst);
        inst
    }

    fn op(&mut self, op: Opcode, args: &[Value], ty: Type) -> Value {
        let inst = self.push(op, args, Imm::None, &[], &[ty]);
        self.dst.result(inst)
    }

    fn zero(&mut self, ty: Type) -> Value {
        make_const(&mut self.dst, &mut self.out, Scalar::zero(ty.dtype), ty)
    }

    fn splat(&mut self, value: Value) -> Value {
        let ty = self.dst.ty(value);
        if ty.varying {
            value
        } else {
            self.op(Opcode::Splat, &[value], Type::varying(ty.dtype))
        }
    }

    /// What stands for a source value, varying if asked.
    fn mapped(&mut self, old: Value, varying: bool) -> Value {
        let new = self.map[old.index()];
        if varying { self.splat(new) } else { new }
    }

    /// The type in vector form of a source value.
    fn vector_type(&self, old: Value) -> Type {
        Type {
            dtype: self.src.ty(old).dtype,
            varying: self.uniformity.is_varying(old),
        }
    }

    fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        if a == b {
            return a;
        }
        let ty = self.dst.ty(a);
        self.op(Opcode::Select, &[mask, a, b], ty)
    }

    /// `a` in the active lanes, `b` in the others.
    fn blend(&mut self, a: Value, b: Value) -> Value {
        match self.state.active {
            Mask::All => a,
            Mask::Lanes(mask) => self.select(mask, a, b),
            Mask::Nobody => b,
        }
    }

    fn mask_and(&mut self, mask: Mask, lanes: Value) -> Mask {
        match mask {
            Mask::All => Mask::Lanes(lanes),
            Mask::Lanes(m) => Mask::Lanes(self.op(Opcode::And, &[m, lanes], MASK)),
            Mask::Nobody => Mask::Nobody,
        }
    }

    fn mask_or(&mut self, a: Mask, b: Mask) -> Mask {
        match (a, b) {
            (Mask::All, _) | (_, Mask::All) => Mask::All,
            (Mask::Nobody, m) | (m, Mask::Nobody) => m,
            (Mask::Lanes(x), Mask::Lanes(y)) if x == y => a,
            (Mask::Lanes(x), Mask::Lanes(y)) => Mask::Lanes(self.op(Opcode::Or, &[x, y], MASK)),
        }
    }

    fn mask_value(&mut self, mask: Mask) -> Value {
        match mask {
            Mask::Lanes(value) => value,
            Mask::All => make_const(&mut self.dst, &mut self.out, Scalar::bool(true), MASK),
            Mask::Nobody => self.zero(MASK),
        }
    }

    /// Uniform bool: is a lane of the mask set?
    fn any(&mut self, mask: Mask) -> Value {
        let value = self.mask_value(mask);
        self.op(Opcode::AnyTrue, &[value], Type::BOOL)
    }

    /// An `if` whose blocks are given as instruction lists.
    fn push_if(
        &mut self,
        condition: Value,
        then_insts: Vec<Inst>,
        else_insts: Vec<Inst>,
        types: &[Type],
    ) -> Inst {
        let arms = [self.dst.new_block(), self.dst.new_block()];
        self.dst.block_mut(arms[0]).insts = then_insts;
        self.dst.block_mut(arms[1]).insts = else_insts;
        self.push(Opcode::If, &[condition], Imm::None, &arms, types)
    }

    fn terminator(&mut self, op: Opcode, args: &[Value]) -> Inst {
        self.dst.new_inst(op, args, Imm::None, &[], &[], self.loc)
    }

    // ---- straight-line code ----

    fn block(&mut self, block: Block) -> End {
        for n in 0..self.src.block(block).insts.len() {
            let inst = self.src.block(block).insts[n];
            let src = self.src;
            let data = src.inst(inst);
            self.loc = data.loc;
            let ended = match data.op {
                Opcode::If => {
                    if self.uniformity.is_varying(data.args[0]) {
                        self.varying_if(inst)
                    } else {
                        self.uniform_if(inst)
                    }
                }
                Opcode::Loop => {
                    self.loop_(inst);
                    None
                }
                Opcode::Yield => Some(End::Falls(inst)),
                Opcode::Break => Some(self.break_(inst)),
                Opcode::Continue => Some(self.continue_(inst)),
                Opcode::Return => {
                    let args: Vec<Value> =
                        data.args.iter().map(|v| self.mapped(*v, true)).collect();
                    self.push(Opcode::Return, &args, Imm::None, &[], &[]);
                    Some(End::Closed)
                }
                Opcode::Unreachable => {
                    self.push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
                    Some(End::Closed)
                }
                _ => {
                    self.plain(inst);
                    None
                }
            };
            if let Some(end) = ended {
                return end;
            }
        }
        panic!("bug in kjit: vectorize met a block without terminator");
    }

    /// An instruction without blocks that is no terminator.
    fn plain(&mut self, inst: Inst) {
        let src = self.src;
        let data = src.inst(inst);
        let mut args: Vec<Value> = Vec::with_capacity(4);
        match data.op {
            Opcode::Store | Opcode::Guard | Opcode::LocalStore => {
                for (n, &arg) in data.args.iter().enumerate() {
                    let is_index = data.op == Opcode::LocalStore && n == 0;
                    args.push(self.mapped(arg, !is_index));
                }
                if let Mask::Lanes(mask) = self.state.active {
                    args.push(mask);
                }
            }
            Opcode::LocalLoad => args.push(self.mapped(data.args[0], false)),
            _ => {
                let varying = self.uniformity.is_varying(data.results[0]);
                for (n, &arg) in data.args.iter().enumerate() {
                    let is_condition = data.op == Opcode::Select && n == 0;
                    args.push(self.mapped(arg, varying && !is_condition));
                }
            }
        }
        let types: Vec<Type> = data.results.iter().map(|r| self.vector_type(*r)).collect();
        let new = self.push(data.op, &args, data.imm, &[], &types);
        for (n, old) in data.results.iter().enumerate() {
            self.map[old.index()] = self.dst.inst(new).results[n];
        }
    }

    // ---- if ----

    /// Writes a block as an arm of a real `if`.
    fn arm(&mut self, block: Block, results: &[Value]) -> Arm {
        let outer = std::mem::take(&mut self.out);
        let end = self.block(block);
        let mut values = Vec::new();
        match end {
            End::Falls(last) => {
                for (n, &result) in results.iter().enumerate() {
                    let varying = self.uniformity.is_varying(result);
                    values.push(self.mapped(self.src.inst(last).args[n], varying));
                }
            }
            End::Left => {
                for &result in results {
                    let ty = self.vector_type(result);
                    values.push(self.zero(ty));
                }
            }
            End::Closed => {}
        }
        Arm {
            insts: std::mem::replace(&mut self.out, outer),
            closed: matches!(end, End::Closed),
            left: matches!(end, End::Left),
            values,
            state: self.state.clone(),
        }
    }

    /// Writes a real `if` of two arms, merging the states at their ends into results. Gives the values
    /// of the results asked for, or `None` if neither arm goes on.
    fn join(
        &mut self,
        condition: Value,
        before: &State,
        mut a: Arm,
        mut b: Arm,
        types: &[Type],
    ) -> Option<Vec<Value>> {
        if a.closed && b.closed {
            self.push_if(condition, a.insts, b.insts, &[]);
            self.push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return None;
        }
        let mut merged = if a.closed {
            b.state.clone()
        } else {
            a.state.clone()
        };
        let mut all_types = types.to_vec();
        // The places of the merged state that become results.
        let mut active_place = None;
        let mut places: Vec<(Slot, usize)> = Vec::new();
        let differs = if a.closed || b.closed {
            merged.active != before.active
        } else {
            a.state.active != b.state.active
        };
        if differs && !(a.closed || b.closed) || differs && matches!(merged.active, Mask::Lanes(_))
        {
            active_place = Some(all_types.len());
            all_types.push(MASK);
            for arm in [&mut a, &mut b] {
                if !arm.closed {
                    let outer = std::mem::replace(&mut self.out, std::mem::take(&mut arm.insts));
                    arm.values.push(self.mask_value(arm.state.active));
                    arm.insts = std::mem::replace(&mut self.out, outer);
                }
            }
        }
        for slot in before.slots() {
            let (x, y) = (a.state.get(slot), b.state.get(slot));
            let differs = match (a.closed, b.closed) {
                (true, _) => y != before.get(slot),
                (_, true) => x != before.get(slot),
                _ => x != y,
            };
            if !differs {
                continue;
            }
            let ty = match (x, y) {
                (Some(v), _) if !a.closed => self.dst.ty(v),
                (_, Some(v)) if !b.closed => self.dst.ty(v),
                _ => continue,
            };
            places.push((slot, all_types.len()));
            all_types.push(ty);
            for (arm, value) in [(&mut a, x), (&mut b, y)] {
                if !arm.closed {
                    let zero = Scalar::zero(ty.dtype);
                    let value = value
                        .unwrap_or_else(|| make_const(&mut self.dst, &mut arm.insts, zero, ty));
                    arm.values.push(value);
                }
            }
        }
        for arm in [&mut a, &mut b] {
            if !arm.closed {
                let last = self.terminator(Opcode::Yield, &arm.values);
                arm.insts.push(last);
            }
        }
        let inst = self.push_if(condition, a.insts, b.insts, &all_types);
        let results = self.dst.inst(inst).results.clone();
        if let Some(n) = active_place {
            merged.active = Mask::Lanes(results[n]);
        }
        for (slot, n) in places {
            merged.set(slot, results[n]);
        }
        if !a.closed && !b.closed {
            merged.checked = a.state.checked && b.state.checked;
            merged.thinned = a.state.thinned || b.state.thinned;
            merged.departed = a.state.departed || b.state.departed;
            merged.occupied = a.state.occupied && b.state.occupied;
        }
        merged.occupied &= !(a.left && !a.closed) && !(b.left && !b.closed);
        self.state = merged;
        Some(results[..types.len()].to_vec())
    }

    fn uniform_if(&mut self, inst: Inst) -> Option<End> {
        let src = self.src;
        let data = src.inst(inst);
        let condition = self.map[data.args[0].index()];
        let before = self.state.clone();
        let a = self.arm(data.blocks[0], &data.results);
        self.state = before.clone();
        let b = self.arm(data.blocks[1], &data.results);
        let left = (a.left || a.closed) && (b.left || b.closed);
        let types: Vec<Type> = data.results.iter().map(|r| self.vector_type(*r)).collect();
        let Some(values) = self.join(condition, &before, a, b, &types) else {
            return Some(End::Closed);
        };
        if left {
            self.state.active = Mask::Nobody;
            return Some(End::Left);
        }
        for (old, new) in data.results.iter().zip(values) {
            self.map[old.index()] = new;
        }
        self.check_after_if();
        None
    }

    fn varying_if(&mut self, inst: Inst) -> Option<End> {
        let src = self.src;
        let data = src.inst(inst);
        let condition = self.map[data.args[0].index()];
        let before = self.state.clone();
        let control = std::mem::replace(&mut self.uniform_control, false);
        let skip = [0, 1].map(|n| self.is_worth_skipping(data.blocks[n]));
        // An arm that is not skipped comes first: its values stand in where the other is skipped.
        let order = if skip[0] && !skip[1] { [1, 0] } else { [0, 1] };
        let inverse = self.op(Opcode::Not, &[condition], MASK);
        let masks = [
            self.mask_and(before.active, condition),
            self.mask_and(before.active, inverse),
        ];
        let types: Vec<Type> = data.results.iter().map(|r| self.vector_type(*r)).collect();
        let mut values: [Option<Vec<Value>>; 2] = [None, None];
        let mut after = [Mask::Nobody; 2];
        let mut closed = [false; 2];
        for n in order {
            self.state.active = masks[n];
            self.state.occupied = false;
            if skip[n] {
                let some = self.any(masks[n]);
                let without = self.state.clone();
                self.state.occupied = true;
                let arm = self.arm(data.blocks[n], &data.results);
                let mut skipped = Arm {
                    insts: Vec::new(),
                    closed: false,
                    left: arm.left,
                    values: Vec::new(),
                    state: without.clone(),
                };
                if arm.left || arm.closed {
                    skipped.state.active = Mask::Nobody;
                }
                skipped.values = match &values[1 - n] {
                    Some(values) => values.clone(),
                    None => types
                        .iter()
                        .map(|ty| {
                            let zero = Scalar::zero(ty.dtype);
                            make_const(&mut self.dst, &mut skipped.insts, zero, *ty)
                        })
                        .collect(),
                };
                closed[n] = arm.closed;
                let falls = !arm.left && !arm.closed;
                let joined = self.join(some, &without, arm, skipped, &types);
                if falls {
                    values[n] = joined;
                } else {
                    self.state.active = Mask::Nobody;
                }
            } else {
                match self.block(data.blocks[n]) {
                    End::Falls(last) => {
                        let args = &src.inst(last).args;
                        let mut list = Vec::with_capacity(args.len());
                        for (arg, ty) in args.iter().zip(&types) {
                            list.push(self.mapped(*arg, ty.varying));
                        }
                        values[n] = Some(list);
                    }
                    End::Left => {}
                    End::Closed => {
                        panic!("bug in kjit: vectorize closed an arm under a varying condition")
                    }
                }
            }
            after[n] = self.state.active;
        }
        self.uniform_control = control;
        if after == masks {
            self.state.active = before.active;
            self.state.occupied = before.occupied;
        } else {
            self.state.active = self.mask_or(after[0], after[1]);
            self.state.occupied = false;
        }
        match values {
            [None, None] => {
                self.state.active = Mask::Nobody;
                return Some(End::Left);
            }
            [Some(a), Some(b)] => {
                for (n, &old) in data.results.iter().enumerate() {
                    self.map[old.index()] = if types[n].varying {
                        self.select(condition, a[n], b[n])
                    } else if order[1] == 0 {
                        a[n]
                    } else {
                        b[n]
                    };
                }
            }
            [Some(a), None] | [None, Some(a)] => {
                for (&old, new) in data.results.iter().zip(a) {
                    self.map[old.index()] = new;
                }
            }
        }
        self.check_after_if();
        None
    }

    /// Is it better to test whether any lane takes this arm?
    fn is_worth_skipping(&self, arm: Block) -> bool {
        let effects = effects::of_block(self.src, arm);
        effects.loops
            || effects.writes
            || effects.calls
            || block_units(self.src, arm) > MAX_UNSKIPPED
    }

    // ---- loops ----

    /// Leaves the loop where no lane is live any more: right behind the `if` by which lanes left.
    fn check_after_if(&mut self) {
        let divergent = self.around.as_ref().is_some_and(|a| a.divergent);
        if !divergent || !self.uniform_control || self.state.checked || !self.state.thinned {
            return;
        }
        let live = self.live();
        let some = self.any(live);
        let results = self.results_of_the_left();
        let stay = self.terminator(Opcode::Yield, &[]);
        let leave = self.terminator(Opcode::Break, &results);
        self.push_if(some, vec![stay], vec![leave], &[]);
        self.state.checked = true;
        self.state.thinned = false;
        self.state.occupied = self.state.continued.is_none();
    }

    /// Lanes that have not left the loop.
    fn live(&mut self) -> Mask {
        let continued = self.state.continued.map_or(Mask::Nobody, Mask::Lanes);
        self.mask_or(self.state.active, continued)
    }

    fn around(&self) -> Around {
        match &self.around {
            Some(around) => around.clone(),
            None => panic!("bug in kjit: vectorize met a loop exit outside loops"),
        }
    }

    /// The results of a divergent loop when no lane is live.
    fn results_of_the_left(&mut self) -> Vec<Value> {
        let around = self.around();
        let mut results = Vec::new();
        for (n, param) in around.result_param.iter().enumerate() {
            results.push(match (param, self.state.left[n]) {
                (Some(p), _) => around.params[*p],
                (None, Some(value)) => value,
                (None, None) => panic!("bug in kjit: a loop result without accumulator"),
            });
        }
        results
    }

    fn break_(&mut self, inst: Inst) -> End {
        let src = self.src;
        let around = self.around();
        let results = &src.inst(around.looping).results;
        let given = &src.inst(inst).args;
        if !around.divergent {
            let mut args = Vec::new();
            for (arg, result) in given.iter().zip(results) {
                let varying = self.uniformity.is_varying(*result);
                args.push(self.mapped(*arg, varying));
            }
            self.push(Opcode::Break, &args, Imm::None, &[], &[]);
            return End::Closed;
        }
        // The accumulators of lanes still live may hold anything. So the first to leave in an iteration
        // may write to all lanes that began it: that mask exists already.
        let active = self.state.active;
        if let (Some(live), false) = (around.live, self.state.departed) {
            self.state.active = Mask::Lanes(live);
        }
        for (n, &arg) in given.iter().enumerate() {
            if let Some(old) = self.state.left[n] {
                let value = self.mapped(arg, true);
                self.state.left[n] = Some(self.blend(value, old));
            }
        }
        self.state.active = active;
        if self.uniform_control && self.state.continued.is_none() {
            let results = self.results_of_the_left();
            self.push(Opcode::Break, &results, Imm::None, &[], &[]);
            return End::Closed;
        }
        self.state.active = Mask::Nobody;
        self.state.occupied = false;
        self.state.thinned = true;
        self.state.departed = true;
        End::Left
    }

    fn continue_(&mut self, inst: Inst) -> End {
        let src = self.src;
        let given = &src.inst(inst).args;
        if self.uniform_control {
            self.next_iteration(Some(given));
            return End::Closed;
        }
        let around = self.around();
        for (n, &arg) in given.iter().enumerate() {
            let varying = self.dst.ty(around.params[n]).varying;
            let value = self.mapped(arg, varying);
            let old = self.state.next[n].or(around.frozen[n].then_some(around.params[n]));
            self.state.next[n] = Some(match old {
                Some(old) if varying => self.blend(value, old),
                _ => value,
            });
        }
        let active = self.state.active;
        let continued = self.state.continued.map_or(Mask::Nobody, Mask::Lanes);
        let continued = self.mask_or(continued, active);
        self.state.continued = Some(self.mask_value(continued));
        self.state.active = Mask::Nobody;
        self.state.occupied = false;
        End::Left
    }

    /// Ends the iteration: the active lanes with the `given` values, those that continued before with theirs.
    fn next_iteration(&mut self, given: Option<&[Value]>) {
        let around = self.around();
        let mut args = Vec::new();
        for (n, &param) in around.params.iter().enumerate() {
            let ty = self.dst.ty(param);
            let value = given.map(|g| self.mapped(g[n], ty.varying));
            let old = self.state.next[n].or(around.frozen[n].then_some(param));
            args.push(match (value, old) {
                (Some(value), Some(old)) if ty.varying => self.blend(value, old),
                (Some(value), _) => value,
                (None, Some(old)) => old,
                (None, None) => self.zero(ty),
            });
        }
        if !around.divergent {
            self.push(Opcode::Continue, &args, Imm::None, &[], &[]);
            return;
        }
        let results = self.results_of_the_left();
        let live = self.live();
        if live == Mask::Nobody {
            self.push(Opcode::Break, &results, Imm::None, &[], &[]);
            return;
        }
        args.push(self.mask_value(live));
        args.extend(self.state.left.iter().flatten());
        let again = self.terminator(Opcode::Continue, &args);
        if self.state.checked {
            self.out.push(again);
            return;
        }
        let some = self.any(live);
        let leave = self.terminator(Opcode::Break, &results);
        self.push_if(some, vec![again], vec![leave], &[]);
        self.push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
    }

    fn loop_(&mut self, inst: Inst) {
        let src = self.src;
        let results = &src.inst(inst).results;
        let divergent = self.uniformity.is_divergent(inst);
        if divergent || self.state.occupied {
            self.loop_core(inst, divergent);
            return;
        }
        // Without a lane, a uniform loop might not end.
        let before = self.state.clone();
        let some = self.any(before.active);
        let outer = std::mem::take(&mut self.out);
        self.state.occupied = true;
        self.loop_core(inst, divergent);
        let arm = Arm {
            values: results.iter().map(|r| self.map[r.index()]).collect(),
            insts: std::mem::replace(&mut self.out, outer),
            closed: false,
            left: false,
            state: before.clone(),
        };
        let types: Vec<Type> = results.iter().map(|r| self.vector_type(*r)).collect();
        let mut skipped = Arm {
            insts: Vec::new(),
            closed: false,
            left: false,
            values: Vec::new(),
            state: before.clone(),
        };
        for ty in &types {
            let zero = Scalar::zero(ty.dtype);
            let value = make_const(&mut self.dst, &mut skipped.insts, zero, *ty);
            skipped.values.push(value);
        }
        if let Some(values) = self.join(some, &before, arm, skipped, &types) {
            for (old, new) in results.iter().zip(values) {
                self.map[old.index()] = new;
            }
        }
    }

    fn loop_core(&mut self, inst: Inst, divergent: bool) {
        let src = self.src;
        let data = src.inst(inst);
        let old_body = data.blocks[0];
        let old_params = &src.block(old_body).params;
        let body = self.dst.new_block();
        let mut initial = Vec::new();
        let mut params = Vec::new();
        for (&param, &value) in old_params.iter().zip(&data.args) {
            let ty = self.vector_type(param);
            initial.push(self.mapped(value, ty.varying));
            let new = self.dst.new_param(body, ty);
            self.map[param.index()] = new;
            params.push(new);
        }
        let mut result_param = vec![None; data.results.len()];
        let mut frozen = vec![false; params.len()];
        let mut left = vec![None; data.results.len()];
        let mut active = self.state.active;
        let mut live = None;
        if divergent {
            initial.push(self.mask_value(active));
            let param = self.dst.new_param(body, MASK);
            live = Some(param);
            active = Mask::Lanes(param);
            for (n, &result) in data.results.iter().enumerate() {
                result_param[n] = self.breaks_with_param(old_body, n);
                if let Some(p) = result_param[n] {
                    frozen[p] = true;
                } else {
                    let ty = Type::varying(src.ty(result).dtype);
                    initial.push(self.zero(ty));
                    left[n] = Some(self.dst.new_param(body, ty));
                }
            }
        }
        let state = State {
            active,
            occupied: !divergent && self.state.occupied,
            continued: None,
            next: vec![None; params.len()],
            left,
            checked: false,
            thinned: false,
            departed: false,
        };
        let around = Around {
            looping: inst,
            divergent,
            params,
            live,
            frozen,
            result_param,
        };
        let outer_state = std::mem::replace(&mut self.state, state);
        let outer_around = self.around.replace(around);
        let outer_control = std::mem::replace(&mut self.uniform_control, true);
        let outer = std::mem::take(&mut self.out);
        match self.block(old_body) {
            End::Closed => {}
            End::Left => self.next_iteration(None),
            End::Falls(_) => panic!("bug in kjit: vectorize met a loop body that yields"),
        }
        self.dst.block_mut(body).insts = std::mem::replace(&mut self.out, outer);
        self.uniform_control = outer_control;
        self.around = outer_around;
        self.state = outer_state;
        self.loc = data.loc;
        let types: Vec<Type> = data.results.iter().map(|r| self.vector_type(*r)).collect();
        let new = self.push(Opcode::Loop, &initial, Imm::None, &[body], &types);
        for (n, old) in data.results.iter().enumerate() {
            self.map[old.index()] = self.dst.inst(new).results[n];
        }
    }

    /// The varying carried value that every `break` gives as result `n`, if there is one.
    fn breaks_with_param(&self, body: Block, n: usize) -> Option<usize> {
        let mut values = Vec::new();
        walk_exits(self.src, body, &mut |exit| {
            let data = self.src.inst(exit);
            if data.op == Opcode::Break {
                values.push(data.args[n]);
            }
        });
        let first = *values.first()?;
        let params = &self.src.block(body).params;
        let p = params.iter().position(|p| *p == first)?;
        (self.uniformity.is_varying(first) && values.iter().all(|v| *v == first)).then_some(p)
    }
}

/// A part of the [`State`] that is a value.
#[derive(Clone, Copy)]
enum Slot {
    Continued,
    Next(usize),
    Left(usize),
}

impl State {
    fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let (next, left) = (self.next.len(), self.left.len());
        std::iter::once(Slot::Continued)
            .chain((0..next).map(Slot::Next))
            .chain((0..left).map(Slot::Left))
    }

    fn get(&self, slot: Slot) -> Option<Value> {
        match slot {
            Slot::Continued => self.continued,
            Slot::Next(n) => self.next[n],
            Slot::Left(n) => self.left[n],
        }
    }

    fn set(&mut self, slot: Slot, value: Value) {
        match slot {
            Slot::Continued => self.continued = Some(value),
            Slot::Next(n) => self.next[n] = Some(value),
            Slot::Left(n) => self.left[n] = Some(value),
        }
    }
}
