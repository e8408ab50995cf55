//! Scalar form to vector form: one element at a time becomes many lanes at a time, under masks.
//!
//! The input is a kernel without calls and nested returns. The output computes the same for every lane:
//!
//! * Uniform values (see [`crate::analysis::uniformity`]) stay one number; `splat` lifts them where they
//!   meet varying ones. `if`s and loops that all lanes take alike stay what they are.
//! * An `if` with a varying condition runs both arms one after the other, each under the mask of its
//!   lanes, and selects the results. An arm with loops, stores or much work, or under a
//!   `rare` condition, is skipped when no lane wants it. A `rare` arm without effects runs lane by lane, as scalar code.
//! * A loop that lanes leave at different times carries the mask of the lanes still *live* and goes on
//!   while there is one. `break` and `continue` under varying control take lanes out of the active mask.
//! * A lane keeps its values when it leaves a loop: each result is blended once, at its `break`, into an
//!   accumulator; or, when every `break` hands over the same carried value, that value is frozen. Nothing
//!   else is masked, because nothing else is seen after the loop.
//!
//! Masked are also `store`, `local.store` and `guard`, `core.load` and `core.store`. The last two run only
//! while some lane is active: their indices are in bounds for the active lanes, so a uniform one is for all. A loop that all lanes take alike is not entered
//! without a live lane: its exit test may depend on what the lanes that left knew.

mod loops;
mod rare;

use crate::analysis::cost::block_units;
use crate::analysis::effects;
use crate::analysis::tree::{compact, make_const, walk_block};
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
        self.dst.dims = self.src.dims.clone();
        self.dst.loops = self.src.loops.clone();
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
                Opcode::CoreLoad | Opcode::CoreStore if !self.state.occupied => {
                    self.guarded_core(inst);
                    None
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
            // Indices stay uniform where they are: that is what makes an access contiguous.
            Opcode::CoreLoad => {
                for &arg in &data.args {
                    args.push(self.mapped(arg, false));
                }
                if self.uniformity.is_varying(data.results[0])
                    && let Mask::Lanes(mask) = self.state.active
                {
                    args.push(mask);
                }
            }
            Opcode::CoreStore => {
                for (n, &arg) in data.args.iter().enumerate() {
                    let is_value = n + 1 == data.args.len();
                    args.push(self.mapped(arg, is_value));
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

    /// A core access where there may be no active lane, and so perhaps no element at its index.
    fn guarded_core(&mut self, inst: Inst) {
        let results = &self.src.inst(inst).results;
        let types: Vec<Type> = results.iter().map(|r| self.vector_type(*r)).collect();
        let some = self.any(self.state.active);
        let outer = std::mem::take(&mut self.out);
        self.plain(inst);
        let values: Vec<Value> = results.iter().map(|r| self.map[r.index()]).collect();
        self.push(Opcode::Yield, &values, Imm::None, &[], &[]);
        let then_insts = std::mem::take(&mut self.out);
        let zeros: Vec<Value> = types.iter().map(|ty| self.zero(*ty)).collect();
        self.push(Opcode::Yield, &zeros, Imm::None, &[], &[]);
        let else_insts = std::mem::replace(&mut self.out, outer);
        let new = self.push_if(some, then_insts, else_insts, &types);
        for (n, old) in results.iter().enumerate() {
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
        merged.occupied &= (!a.left || a.closed) && (!b.left || b.closed);
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
        if self.is_for_single_lanes(inst) {
            self.rare_if(inst);
            return None;
        }
        let before = self.state.clone();
        let control = std::mem::replace(&mut self.uniform_control, false);
        let mut skip = [0, 1].map(|n| self.is_worth_skipping(data.blocks[n]));
        skip[0] |= effects::is_rare(src, data.args[0]);
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
                let mut arm = self.arm(data.blocks[n], &data.results);
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
                if falls && let Some(others) = values[1 - n].take() {
                    // Blended where the arm is taken, and not at all where it is skipped.
                    let outer = std::mem::replace(&mut self.out, arm.insts);
                    for ((value, other), ty) in arm.values.iter_mut().zip(others).zip(&types) {
                        if ty.varying {
                            let pair = [[*value, other], [other, *value]][n];
                            *value = self.select(condition, pair[0], pair[1]);
                        }
                    }
                    arm.insts = std::mem::replace(&mut self.out, outer);
                }
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
        let mut core = false;
        walk_block(self.src, arm, &mut |_, inst| {
            core |= self.src.inst(inst).op == Opcode::CoreLoad;
        });
        core || effects.loops
            || effects.writes
            || effects.calls
            || block_units(self.src, arm) > MAX_UNSKIPPED
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
