//! Helpers over the block tree: walking, counting uses, substituting values, cloning.

use crate::{Block, Function, Imm, Inst, InstData, Opcode, Scalar, Type, Value};

/// Calls `visit` for every instruction that the entry block reaches, owners before what they own.
pub fn walk(func: &Function, visit: &mut impl FnMut(Block, Inst)) {
    walk_block(func, func.entry, visit);
}

/// Like [`walk`], from one block down.
pub fn walk_block(func: &Function, block: Block, visit: &mut impl FnMut(Block, Inst)) {
    for &inst in &func.block(block).insts {
        visit(block, inst);
        for &inner in &func.inst(inst).blocks {
            walk_block(func, inner, visit);
        }
    }
}

/// Calls `visit` for every `break` and `continue` that leaves the loop iteration whose body (or part
/// of body) `block` is; those of nested loops are left out.
pub fn walk_exits(func: &Function, block: Block, visit: &mut impl FnMut(Inst)) {
    for &inst in &func.block(block).insts {
        let data = func.inst(inst);
        match data.op {
            Opcode::Break | Opcode::Continue => visit(inst),
            Opcode::If => {
                for &arm in &data.blocks {
                    walk_exits(func, arm, visit);
                }
            }
            _ => {}
        }
    }
}

/// How many times each value is used as an argument.
pub fn use_counts(func: &Function) -> Vec<u32> {
    let mut counts = vec![0; func.values.len()];
    walk(func, &mut |_, inst| {
        for arg in &func.inst(inst).args {
            counts[arg.index()] += 1;
        }
    });
    counts
}

/// In how many loops each value is defined.
pub fn loop_depths(func: &Function) -> Vec<u32> {
    let mut depths = vec![0; func.values.len()];
    let mut pending: Vec<(Block, u32)> = vec![(func.entry, 0)];
    while let Some((block, depth)) = pending.pop() {
        let data = func.block(block);
        for param in &data.params {
            depths[param.index()] = depth;
        }
        for &inst in &data.insts {
            let data = func.inst(inst);
            for result in &data.results {
                depths[result.index()] = depth;
            }
            let inner = depth + u32::from(data.op == Opcode::Loop);
            pending.extend(data.blocks.iter().map(|block| (*block, inner)));
        }
    }
    depths
}

/// Does control reach the end of this arm of an `if` and go on behind the `if`?
pub fn falls_through(func: &Function, arm: Block) -> bool {
    func.terminator(arm)
        .is_some_and(|last| func.inst(last).op == Opcode::Yield)
}

/// Are the two values equal because the same pure operation is applied to equal values?
///
/// Looks a few levels deep: enough for the two `i + 1` that two ways to the next iteration compute.
pub fn same_value(func: &Function, a: Value, b: Value) -> bool {
    fn same(func: &Function, a: Value, b: Value, depth: u32) -> bool {
        use crate::ValueDef::Result;
        if a == b {
            return true;
        }
        let (Result(x, 0), Result(y, 0)) = (func.def(a), func.def(b)) else {
            return false;
        };
        let (x, y) = (func.inst(x), func.inst(y));
        depth > 0
            && x.op == y.op
            && x.op.is_pure()
            && x.imm == y.imm
            && x.args.len() == y.args.len()
            && x.args
                .iter()
                .zip(&y.args)
                .all(|(a, b)| same(func, *a, *b, depth - 1))
    }
    same(func, a, b, 3)
}

/// Replacements of values by values, applied as a pass walks forward over the uses.
#[derive(Debug)]
pub struct Subst {
    to: Vec<Value>,
}

impl Subst {
    /// No replacements yet.
    pub fn new(func: &Function) -> Subst {
        Subst {
            to: (0..func.values.len()).map(Value::new).collect(),
        }
    }

    /// What stands for `value` now.
    pub fn get(&self, mut value: Value) -> Value {
        while let Some(&next) = self.to.get(value.index()) {
            if next == value {
                break;
            }
            value = next;
        }
        value
    }

    /// From now on `by` stands for `value`.
    pub fn set(&mut self, value: Value, by: Value) {
        let by = self.get(by);
        if by == value {
            return;
        }
        while self.to.len() <= value.index() {
            self.to.push(Value::new(self.to.len()));
        }
        self.to[value.index()] = by;
    }

    /// Replaces the arguments of an instruction.
    pub fn apply(&self, data: &mut InstData) {
        for arg in &mut data.args {
            *arg = self.get(*arg);
        }
    }

    /// Replaces the arguments of every instruction of a function.
    pub fn apply_all(&self, func: &mut Function) {
        for data in &mut func.insts {
            self.apply(data);
        }
    }
}

/// A new `const` instruction, and the `splat` of it when `ty` is varying, appended to `out`; its value.
pub fn make_const(func: &mut Function, out: &mut Vec<Inst>, scalar: Scalar, ty: Type) -> Value {
    let uniform = Type::scalar(scalar.dtype());
    let loc = Default::default();
    let inst = func.new_inst(Opcode::Const, &[], Imm::Const(scalar), &[], &[uniform], loc);
    out.push(inst);
    let mut value = func.result(inst);
    if ty.varying {
        let splat = func.new_inst(Opcode::Splat, &[value], Imm::None, &[], &[ty], loc);
        out.push(splat);
        value = func.result(splat);
    }
    value
}

/// The same function with tables that hold only what the entry block reaches, in order of text.
pub fn compact(func: &Function) -> Function {
    let mut new = Function::new(func.name.clone());
    new.form = func.form;
    new.fast = func.fast;
    new.results = func.results.clone();
    new.arrays = func.arrays.clone();
    new.dims = func.dims.clone();
    new.loops = func.loops.clone();
    new.locals = func.locals.clone();
    new.traps = func.traps.clone();
    let mut map = vec![Value(u32::MAX); func.values.len()];
    let entry = new.entry;
    clone_block(func, func.entry, &mut new, entry, &mut map);
    new
}

/// Appends a copy of `block` of `src` (parameters, instructions and the blocks below) to block `to` of
/// `dst`. `map` says what stands in `dst` for the values of `src` and learns those defined here.
pub fn clone_block(src: &Function, block: Block, dst: &mut Function, to: Block, map: &mut [Value]) {
    for &param in &src.block(block).params {
        map[param.index()] = dst.new_param(to, src.ty(param));
    }
    for &inst in &src.block(block).insts {
        let new = clone_inst(src, inst, dst, map);
        dst.block_mut(to).insts.push(new);
    }
}

/// A copy of one instruction of `src` with the blocks it owns, not yet in any block of `dst`.
fn clone_inst(src: &Function, inst: Inst, dst: &mut Function, map: &mut [Value]) -> Inst {
    let data = src.inst(inst);
    let new = Inst::new(dst.insts.len());
    dst.insts.push(InstData {
        op: data.op,
        args: data.args.iter().map(|v| map[v.index()]).collect(),
        imm: data.imm,
        blocks: Default::default(),
        results: Default::default(),
        loc: data.loc,
    });
    // Blocks before results: values are numbered in the order of the text, where the results of an
    // `if` or `loop` stand before its blocks, but visible only behind them.
    add_results(src, data, dst, new, map);
    for &inner in &data.blocks {
        let block = dst.new_block();
        dst.inst_mut(new).blocks.push(block);
        clone_block(src, inner, dst, block, map);
    }
    new
}

/// Gives `new` results of the same types as those of `data`.
pub fn add_results(
    src: &Function,
    data: &InstData,
    dst: &mut Function,
    new: Inst,
    map: &mut [Value],
) {
    for &result in &data.results {
        map[result.index()] = add_result(dst, new, src.ty(result));
    }
}

/// Gives an instruction one more result.
pub fn add_result(func: &mut Function, inst: Inst, ty: Type) -> Value {
    let n = func.inst(inst).results.len() as u32;
    let value = Value::new(func.values.len());
    func.values.push(crate::ValueData {
        ty,
        def: crate::ValueDef::Result(inst, n),
    });
    func.inst_mut(inst).results.push(value);
    value
}
