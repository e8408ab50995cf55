//! Contracts a product and a sum into one fused multiply-add, which rounds once. Only for kernels that
//! are marked `fast`.

use crate::analysis::tree::use_counts;
use crate::{Block, Function, Imm, Inst, Opcode, Value, ValueDef};

/// Runs the pass.
pub fn contract(func: &mut Function) -> bool {
    if !func.fast {
        return false;
    }
    let uses = use_counts(func);
    let entry = func.entry;
    let mut changed = false;
    contract_block(func, entry, &uses, &mut changed);
    changed
}

/// The factors of a product that is used once.
fn product(func: &Function, uses: &[u32], value: Value) -> Option<(Value, Value)> {
    let ValueDef::Result(inst, _) = func.def(value) else {
        return None;
    };
    let data = func.inst(inst);
    let once = uses.get(value.index()).copied() == Some(1);
    (data.op == Opcode::Mul && once && func.ty(value).dtype.is_float())
        .then(|| (data.args[0], data.args[1]))
}

fn contract_block(func: &mut Function, block: Block, uses: &[u32], changed: &mut bool) {
    let insts = std::mem::take(&mut func.block_mut(block).insts);
    let mut out = Vec::with_capacity(insts.len());
    for inst in insts {
        for n in 0..func.inst(inst).blocks.len() {
            let inner = func.inst(inst).blocks[n];
            contract_block(func, inner, uses, changed);
        }
        if let Some(args) = fused(func, uses, inst, &mut out) {
            let data = func.inst_mut(inst);
            data.op = Opcode::Fma;
            data.args = args.into_iter().collect();
            *changed = true;
        }
        out.push(inst);
    }
    func.block_mut(block).insts = out;
}

/// The arguments of the `fma` that this instruction may become.
fn fused(func: &mut Function, uses: &[u32], inst: Inst, out: &mut Vec<Inst>) -> Option<[Value; 3]> {
    let data = func.inst(inst);
    let (op, &[x, y]) = (data.op, &data.args[..]) else {
        return None;
    };
    let loc = data.loc;
    let mut negated = |func: &mut Function, value: Value| {
        let ty = func.ty(value);
        let neg = func.new_inst(Opcode::Neg, &[value], Imm::None, &[], &[ty], loc);
        out.push(neg);
        func.result(neg)
    };
    match op {
        Opcode::Add => {
            if let Some((a, b)) = product(func, uses, x) {
                Some([a, b, y])
            } else {
                product(func, uses, y).map(|(a, b)| [a, b, x])
            }
        }
        Opcode::Sub => {
            if let Some((a, b)) = product(func, uses, x) {
                Some([a, b, negated(func, y)])
            } else {
                product(func, uses, y).map(|(a, b)| [negated(func, a), b, x])
            }
        }
        _ => None,
    }
}
