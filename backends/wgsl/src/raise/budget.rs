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

use crate::WgslOptions;
use kjit_ir::{Function, Opcode};

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

fn loops(kernel: &Function) -> usize {
    let mut loops = 0;
    super::visit(kernel, &mut |inst, _| {
        loops += (kernel.inst(inst).op == Opcode::Loop) as usize;
    });
    loops
}
