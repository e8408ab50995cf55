//! Which calls store past the caches: those whose results would only push out of them what others need.
//!
//! A plain store loads the line that it writes to; where arrays come from memory and go to memory that is a third of the
//! traffic of `a * x + y`. Where they do fit into caches such stores cost several times as much as plain ones.

use super::{Execution, Feed, Param};
use crate::cache::Kernel;
use crate::nest::{Cursor, LoopNest};
use kjit_driver::{CpuCode, Isa};
use kjit_ir::ArrayMode;
use kjit_ir::target::CompiledKernel;

/// Bytes read and written from which on arrays are taken to come from memory. (Tests need not wait for so many.)
const LARGE: usize = if cfg!(test) { 1 << 20 } else { 96 << 20 };
/// What outputs are aligned to.
const LINE: usize = 64;

/// The code to use beside `code` for a kernel over these parameters, if there is to be one.
pub(super) fn variant(
    code: CpuCode,
    kernel: &Kernel,
    nest: &LoopNest,
    params: &[Param],
) -> Option<CpuCode> {
    let isa = match code {
        CpuCode::Vector(isa) if isa != Isa::Sse => isa,
        _ => return None,
    };
    let linear = |p: &&Param| p.feed == Feed::Linear;
    let bytes = params.iter().filter(linear);
    let bytes: usize = bytes
        .map(|p| p.dtype.size().saturating_mul(nest.size()))
        .sum();
    if bytes < LARGE || kernel.has_loops {
        return None;
    }
    let simple = |p: &Param| match p.mode {
        ArrayMode::In => matches!(p.feed, Feed::Linear | Feed::Fixed),
        ArrayMode::Out => p.feed == Feed::Linear,
        ArrayMode::Index => true,
        ArrayMode::InOut => false,
    };
    let extent = |p: &Param| {
        let (low, high) = nest.extent_of(p.operand);
        let at = p.ptr.addr();
        at.wrapping_add_signed(low)..at.wrapping_add_signed(high) + p.memory.size()
    };
    let apart = |out: &Param| {
        let out = extent(out);
        let inputs = params.iter().filter(|p| p.mode == ArrayMode::In);
        inputs
            .map(extent)
            .all(|input| input.end <= out.start || out.end <= input.start)
    };
    let mut outputs = params.iter().filter(|p| p.mode == ArrayMode::Out);
    (params.iter().all(simple) && outputs.all(apart)).then_some(CpuCode::Stream(isa))
}

impl Execution<'_> {
    /// How many positions from the cursor on come before the first output is aligned: the first block's length, at most.
    pub(super) fn ahead_of_stream(&self, cursor: &Cursor) -> usize {
        let out = self.params.iter().find(|p| p.mode == ArrayMode::Out);
        let (Some(out), true) = (out, self.stream.is_some()) else {
            return usize::MAX;
        };
        let at = out.ptr.wrapping_offset(cursor.offsets[out.operand]).addr();
        match (LINE - at % LINE) / out.dtype.size() {
            // It is already.
            _ if at.is_multiple_of(LINE) => usize::MAX,
            n => n.max(1),
        }
    }

    /// The code for a block with these arguments.
    pub(super) fn code_for(&self, args: &[*mut u8]) -> &dyn CompiledKernel {
        let mut outs = self
            .params
            .iter()
            .zip(args)
            .filter(|(p, _)| p.mode == ArrayMode::Out);
        match self.stream {
            Some(stream) if outs.all(|(_, at)| at.addr().is_multiple_of(LINE)) => stream,
            _ => self.code,
        }
    }
}
