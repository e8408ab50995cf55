//! How loop iterations are counted on devices that stop long loops without a word.
//!
//! llvmpipe runs a group of invocations in lockstep and silently leaves every loop once the *group* has
//! run 65535 iterations, all loops together. An iteration counts when any invocation of the group
//! takes it, so with several loops the group's count can exceed every single invocation's: two
//! invocations that go separate ways pay for both. Counting must follow that:
//!
//! * one loop, run once an element: invocations of a group iterate together, so the largest count is
//!   the group's. Each counts for itself, with its elements' share of the limit;
//! * more loops: a counter in workgroup memory that all active invocations raise from the same value by
//!   one, and workgroups no larger than the smallest group, so that nobody shares a group without
//!   sharing the counter;
//! * a reduction, which runs kernels in a loop and needs its workgroups: each invocation counts for
//!   itself all it does, with its share of the limit when no two of the largest group iterate together.
//!
//! What counts is the shader's loop, so a kernel for which the limit is too low is printed with the bodies of its
//! innermost loops repeated: an iteration then is [`copies`] of the kernel's.

use crate::WgslOptions;
use kjit_ir::{Block, Function, Opcode};

/// How iterations are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Budget {
    /// Each invocation counts; the limit is for one element.
    Element(u32),
    /// The workgroup counts; the limit is for everything it does.
    Workgroup(u32),
    /// Each invocation counts; the limit is for everything it does.
    Invocation(u32),
}

/// Invocations a workgroup when the workgroup counts: no more than run in lockstep.
const LOCKSTEP: u32 = 4;
/// The most invocations that run in lockstep, and so share the limit.
const MAX_LOCKSTEP: u32 = 16;

/// The budget, and the workgroup size that goes with it.
pub fn plan(kernel: &Function, options: &WgslOptions, elements: u32) -> (Option<Budget>, u32) {
    let Some(limit) = options.loop_limit else {
        return (None, options.workgroup);
    };
    match loops(kernel) {
        0 => (None, options.workgroup),
        1 => (Some(Budget::Element(limit / elements)), options.workgroup),
        _ => (
            Some(Budget::Workgroup(limit)),
            options.workgroup.min(LOCKSTEP),
        ),
    }
}

/// The budget of a reduction whose leaves or tree run this kernel.
pub fn reduction(kernel: &Function, options: &WgslOptions) -> Option<Budget> {
    let limit = options.loop_limit?;
    (loops(kernel) > 0).then_some(Budget::Invocation(limit / MAX_LOCKSTEP))
}

/// Most instructions of a loop's copies together, and most copies: what a driver compiles in about a second.
const MOST_INSTS: usize = 2048;
const MOST_COPIES: usize = 64;

/// How often the body of a loop can be repeated in the text: of an innermost one that starts again only where its
/// text ends, so that the next copy can stand there.
pub fn copies(kernel: &Function, body: Block) -> usize {
    let (mut insts, mut continues, mut has_loop) = (0, 0, false);
    let mut blocks = vec![body];
    while let Some(block) = blocks.pop() {
        for inst in &kernel.block(block).insts {
            let data = kernel.inst(*inst);
            insts += 1;
            continues += (data.op == Opcode::Continue) as usize;
            has_loop |= data.op == Opcode::Loop;
            blocks.extend(&data.blocks);
        }
    }
    match continues == continues_at_end(kernel, body) && !has_loop {
        true => (MOST_INSTS / insts).clamp(1, MOST_COPIES),
        false => 1,
    }
}

/// How many times a block starts the loop again where nothing of the loop's body follows.
fn continues_at_end(kernel: &Function, block: Block) -> usize {
    let insts = &kernel.block(block).insts;
    let mut ends = insts.iter().rev().map(|inst| kernel.inst(*inst));
    match ends.next() {
        Some(last) if last.op == Opcode::Continue => 1,
        Some(last) if last.op == Opcode::Unreachable => match ends.next() {
            Some(choice) if choice.op == Opcode::If => {
                let arms = choice.blocks.iter();
                arms.map(|arm| continues_at_end(kernel, *arm)).sum()
            }
            _ => 0,
        },
        _ => 0,
    }
}

fn loops(kernel: &Function) -> usize {
    let mut loops = 0;
    super::visit(kernel, &mut |inst, _| {
        loops += (kernel.inst(inst).op == Opcode::Loop) as usize;
    });
    loops
}
