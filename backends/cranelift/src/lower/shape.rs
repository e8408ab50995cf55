//! Choices made once a kernel: how many lanes an iteration handles, and how wide masks are between blocks.

use kjit_ir::analysis::effects::is_rare;
use kjit_ir::{Block, DType, Form, Function, Inst, Opcode, Value};
use std::collections::HashSet;

/// Bytes of stack that local arrays may take.
pub(super) const LOCAL_BYTES: usize = 256 << 10;

/// The instructions that blocks own, outer ones first.
pub(super) fn live_insts(kernel: &Function) -> impl Iterator<Item = Inst> {
    let mut pending: Vec<Block> = vec![kernel.entry];
    let mut insts = Vec::new();
    while let Some(block) = pending.pop() {
        for &inst in &kernel.block(block).insts {
            insts.push(inst);
            pending.extend(&kernel.inst(inst).blocks);
        }
    }
    insts.into_iter()
}

/// The instructions that blocks own, but for the arms of `if`s that are seldom taken.
fn usual_insts(kernel: &Function) -> impl Iterator<Item = Inst> {
    let mut pending: Vec<Block> = vec![kernel.entry];
    let mut insts = Vec::new();
    while let Some(block) = pending.pop() {
        for &inst in &kernel.block(block).insts {
            insts.push(inst);
            let data = kernel.inst(inst);
            let rare = data.op == Opcode::If && is_rare(kernel, data.args[0]);
            pending.extend(data.blocks.iter().skip(usize::from(rare)));
        }
    }
    insts.into_iter()
}

/// Lanes an iteration handles: 1 in scalar form, else 4 times the interleave factor.
///
/// Interleaving hides loop overhead, and the latency of loops inside the body, until values no longer
/// fit the 16 vector registers; and it makes compilation longer. A long straight body gains nothing from
/// it: the CPU runs ahead into the next iteration by itself. A short loop over a core dimension is mostly
/// latency, of loads and of what it sums up, and wants several chunks under way.
pub(super) fn lanes(kernel: &Function) -> usize {
    if kernel.form == Form::Scalar {
        return 1;
    }
    let (mut weight, mut wide) = (0, 0);
    let (mut loops, mut core) = (false, false);
    for inst in usual_insts(kernel) {
        let data = kernel.inst(inst);
        loops |= data.op == Opcode::Loop;
        core |= data.op == Opcode::CoreLoad;
        let varying = data.results.iter().any(|v| kernel.ty(*v).varying);
        if !varying || matches!(data.op, Opcode::Splat | Opcode::If | Opcode::Loop) {
            continue;
        }
        weight += 1;
        let values = || data.results.iter().chain(&data.args);
        let is_wide = |v: &Value| kernel.ty(*v).varying && kernel.ty(*v).dtype.size() == 8;
        wide += usize::from(values().any(is_wide));
    }
    // Copies of the body in terms of chunks.
    let copies = match (weight, loops && !core) {
        (0..=12, false) => 4,
        (0..=35, _) => 2,
        _ => 1,
    };
    let factor = if wide * 2 > weight {
        (copies / 2).max(1)
    } else {
        copies
    };
    let local_bytes: usize = kernel
        .locals
        .iter()
        .map(|local| local.len as usize * local.dtype.size().max(4))
        .sum();
    let mut lanes = 4 * factor;
    while lanes > 4 && local_bytes * lanes > LOCAL_BYTES {
        lanes /= 2;
    }
    lanes
}

/// Do most compares of the kernel make masks of 64-bit lanes?
pub(super) fn wide_masks(kernel: &Function) -> bool {
    let mut balance = 0i64;
    for inst in live_insts(kernel) {
        let data = kernel.inst(inst);
        let by = match data.op {
            Opcode::Eq | Opcode::Ne | Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge => {
                kernel.ty(data.args[0]).dtype
            }
            Opcode::Select => kernel.ty(data.args[1]).dtype,
            _ => continue,
        };
        if by != DType::Bool {
            balance += if by.size() == 8 { 1 } else { -1 };
        }
    }
    balance > 0
}

/// Factors of the varying 32-bit products whose high halves the kernel wants.
pub(super) fn long_products(kernel: &Function) -> HashSet<[Value; 2]> {
    live_insts(kernel)
        .map(|inst| kernel.inst(inst))
        .filter(|data| data.op == Opcode::MulHi)
        .filter(|data| {
            let ty = kernel.ty(data.results[0]);
            ty.varying && ty.dtype.size() == 4
        })
        .map(|data| [data.args[0], data.args[1]])
        .collect()
}

/// Does the kernel multiply 32-bit lanes to 64-bit ones?
pub(crate) fn multiplies_words(kernel: &Function) -> bool {
    !long_products(kernel).is_empty()
}
