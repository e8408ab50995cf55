//! A rough estimate of what a kernel costs an element: enough to choose a schedule and block sizes.

use super::tree;
use crate::{ArrayMode, Block, Function, Imm, Opcode};

/// Estimated cost of a kernel, an element.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Cost {
    /// Time in scalar code on one core, memory traffic from cache included.
    pub ns_per_element: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes loaded and stored.
    pub bytes: f64,
    /// Are there loops (whose trip counts are guesses)?
    pub has_loops: bool,
}

/// Trip count assumed for every loop.
const TRIPS: f64 = 16.0;
/// Nanoseconds of one unit of [`op_cost`].
const NS_PER_UNIT: f64 = 0.1;

/// Relative cost of one operation; an add is 1.
pub const fn op_cost(op: Opcode) -> u32 {
    use Opcode as O;
    match op {
        O::Const | O::Splat | O::Yield | O::Unreachable | O::Bitcast | O::Rare => 0,
        O::Div | O::Sqrt => 12,
        O::Rem => 20,
        O::MulHi => 4,
        O::Mul | O::Fma | O::Min | O::Max | O::FMin | O::FMax | O::Cast => 2,
        O::Floor | O::Ceil | O::Trunc | O::Round => 2,
        O::LocalLoad | O::LocalStore | O::Guard => 4,
        O::Call => 30,
        O::Loop => 4,
        _ => 1,
    }
}

/// Estimates a function's cost.
pub fn estimate(func: &Function) -> Cost {
    let mut cost = Cost::default();
    let mut units = 0.0;
    add(func, func.entry, 1.0, &mut cost, &mut units);
    cost.ns_per_element = units * NS_PER_UNIT + cost.bytes * 0.02;
    cost
}

fn add(func: &Function, block: Block, times: f64, cost: &mut Cost, units: &mut f64) {
    for &inst in &func.block(block).insts {
        let data = func.inst(inst);
        *units += times * op_cost(data.op) as f64;
        if let Some(&result) = data.results.first()
            && func.ty(result).dtype.is_float()
            && data.op.is_pure()
            && !matches!(data.op, Opcode::Const | Opcode::Select | Opcode::Splat)
        {
            cost.flops += times * if data.op == Opcode::Fma { 2.0 } else { 1.0 };
        }
        if let (Opcode::Load | Opcode::Store, Imm::Array(array)) = (data.op, data.imm) {
            let param = &func.arrays[array.index()];
            if param.mode != ArrayMode::Index {
                // An array is read from memory once however often a loop loads it.
                cost.bytes += param.dtype.size() as f64;
            }
        }
        let inner = match data.op {
            Opcode::Loop => {
                cost.has_loops = true;
                times * TRIPS
            }
            Opcode::If => times * 0.75,
            _ => times,
        };
        for &b in &data.blocks {
            add(func, b, inner, cost, units);
        }
    }
}

/// Sum of [`op_cost`] over a block and all below it, loops counted once.
pub fn block_units(func: &Function, block: Block) -> u32 {
    let mut units = 0;
    tree::walk_block(func, block, &mut |_, inst| {
        units += op_cost(func.inst(inst).op);
    });
    units
}
