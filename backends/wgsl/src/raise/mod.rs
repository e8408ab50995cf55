//! From kernel IR to what WGSL can say: the decisions that need more than one instruction's view.
//!
//! The structured scalar IR maps to WGSL statement by statement, so raising leaves the instructions
//! alone and produces a [`Plan`] that the printer obeys. The steps depend on each other in this order:
//!
//! 1. [`check`]: refuse kernels that have no WGSL form at all; later steps rely on it (only
//!    supported dtypes, no calls, bounded nesting, outputs that can be written);
//! 2. [`width`]: how many elements an invocation computes, from the output dtypes: a word of contiguous
//!    memory belongs to one invocation, so that narrow outputs seldom need atomics;
//! 3. [`budget`]: how loop iterations are counted, from the loops *and* the width: a device that
//!    stops loops counts over all elements of an invocation.

pub mod budget;
pub mod check;
pub mod width;

pub use budget::Budget;

use crate::{ReduceParams, StrictMode, WgslOptions};
use kjit_ir::target::BackendError;
use kjit_ir::{Block, Function, Inst};

/// How floating-point arithmetic is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    /// Plainly; the driver does as it likes.
    Fast,
    /// Plainly, but zeros are opaque; the SPIR-V gets patched.
    Patched,
    /// With opaque barriers.
    Barrier,
}

/// The decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// How floating-point arithmetic is printed.
    pub arithmetic: Arithmetic,
    /// Consecutive elements an invocation computes: 1, 2 or 4.
    pub elements: u32,
    /// How loop iterations are counted, if they are.
    pub budget: Option<Budget>,
    /// Invocations a workgroup.
    pub workgroup: u32,
    /// Innermost loops are repeated in the text.
    unroll: bool,
}

impl Plan {
    /// How often the body of a loop stands in the text.
    pub fn copies(&self, kernel: &Function, body: Block) -> usize {
        match self.unroll && self.budget.is_some() {
            true => budget::copies(kernel, body),
            false => 1,
        }
    }
}

/// Takes the decisions for one kernel.
pub fn raise(kernel: &Function, options: &WgslOptions) -> Result<Plan, BackendError> {
    check::check(kernel, options)?;
    let elements = width::elements_per_invocation(kernel);
    let (budget, workgroup) = budget::plan(kernel, options, elements);
    Ok(Plan {
        arithmetic: arithmetic(kernel, options),
        elements,
        budget,
        workgroup,
        unroll: options.unroll,
    })
}

/// Takes the decisions for a kernel that a reduction runs: the one that maps, or the one that combines.
pub fn raise_reduced(kernel: &Function, options: &WgslOptions) -> Result<Plan, BackendError> {
    check::check(kernel, options)?;
    Ok(Plan {
        arithmetic: arithmetic(kernel, options),
        elements: 1,
        budget: budget::reduction(kernel, options),
        workgroup: ReduceParams::WORKGROUP,
        unroll: false,
    })
}

fn arithmetic(kernel: &Function, options: &WgslOptions) -> Arithmetic {
    match options.strict {
        _ if options.fast || kernel.fast => Arithmetic::Fast,
        StrictMode::Patch => Arithmetic::Patched,
        StrictMode::Barrier => Arithmetic::Barrier,
    }
}

/// Visits every live instruction with the depth of the blocks around it, one past the deepest allowed
/// at most.
pub(crate) fn visit(kernel: &Function, visitor: &mut dyn FnMut(Inst, usize)) {
    fn block(kernel: &Function, at: Block, depth: usize, visitor: &mut dyn FnMut(Inst, usize)) {
        if depth > check::MAX_NESTING + 1 {
            // Refused already; the stack has an end.
            return;
        }
        for inst in &kernel.block(at).insts {
            visitor(*inst, depth);
            for inner in &kernel.inst(*inst).blocks {
                block(kernel, *inner, depth + 1, visitor);
            }
        }
    }
    block(kernel, kernel.entry, 0, visitor);
}
