//! Turns an `if` with two small arms without effects into selects.

use crate::analysis::cost::op_cost;
use crate::analysis::effects::{is_movable, is_rare};
use crate::{Block, Function, Imm, Inst, Opcode, Type};

/// The largest cost (in units of an add) of both arms together that is done without need.
const MAX_COST: u32 = 8;

/// Runs the pass.
pub fn if_convert(func: &mut Function) -> bool {
    if !func.insts.iter().any(|i| i.op == Opcode::If) {
        return false;
    }
    let entry = func.entry;
    let mut changed = false;
    convert_block(func, entry, &mut changed);
    changed
}

fn convert_block(func: &mut Function, block: Block, changed: &mut bool) {
    let insts = std::mem::take(&mut func.block_mut(block).insts);
    let mut out = Vec::with_capacity(insts.len());
    for inst in insts {
        // Inner ones first: they may make this one simple enough.
        for n in 0..func.inst(inst).blocks.len() {
            let inner = func.inst(inst).blocks[n];
            convert_block(func, inner, changed);
        }
        if func.inst(inst).op == Opcode::If && is_convertible(func, inst) {
            *changed = true;
            convert(func, inst, &mut out);
        } else {
            out.push(inst);
        }
    }
    func.block_mut(block).insts = out;
}

fn is_convertible(func: &Function, inst: Inst) -> bool {
    if is_rare(func, func.inst(inst).args[0]) {
        return false;
    }
    let mut cost = 0;
    for &arm in &func.inst(inst).blocks {
        for &inner in &func.block(arm).insts {
            let op = func.inst(inner).op;
            if op != Opcode::Yield && !is_movable(func, inner) {
                return false;
            }
            cost += op_cost(op);
        }
    }
    cost <= MAX_COST
}

/// Moves the arms in front of the `if` and makes a `select` of each result, which keeps its name.
fn convert(func: &mut Function, inst: Inst, out: &mut Vec<Inst>) {
    let data = func.inst(inst);
    let (condition, arms, results, loc) = (
        data.args[0],
        data.blocks.clone(),
        data.results.clone(),
        data.loc,
    );
    let mut yields = [None, None];
    for (arm, last) in arms.iter().zip(&mut yields) {
        let mut insts = std::mem::take(&mut func.block_mut(*arm).insts);
        *last = insts.pop();
        out.extend(insts);
    }
    let [Some(a), Some(b)] = yields else { return };
    for (n, result) in results.iter().enumerate() {
        let args = [condition, func.inst(a).args[n], func.inst(b).args[n]];
        let none: &[Type] = &[];
        let select = func.new_inst(Opcode::Select, &args, Imm::None, &[], none, loc);
        func.inst_mut(select).results.push(*result);
        func.values[result.index()].def = crate::ValueDef::Result(select, 0);
        out.push(select);
    }
    func.inst_mut(inst).results.clear();
}
