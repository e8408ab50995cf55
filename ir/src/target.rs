//! What a backend that makes callable code offers to the driver.
//!
//! A backend gets one kernel: verified, inlined (no `call`), without nested `return`. It is given in
//! the [`Form`] that the backend asks for.

use crate::{DType, Form, Function, Inst, Loc, Opcode};
use std::fmt;
use std::sync::Arc;

/// Makes callable code for the CPU out of kernels.
pub trait Backend: Send + Sync {
    /// Short name: `interp`, `cranelift`.
    fn name(&self) -> &'static str;

    /// Compiles one kernel of a form the backend takes ([`Backend::takes`]).
    fn compile(&self, kernel: &Function) -> Result<Arc<dyn CompiledKernel>, BackendError>;

    /// Can it compile kernels of this form?
    fn takes(&self, form: Form) -> bool;

    /// Text of its own stages for one kernel (`clif`, `asm`), for people to read; `None` when it has no such stage.
    fn emit(&self, kernel: &Function, stage: &str) -> Option<Result<String, BackendError>>;
}

/// Callable code of one kernel. Dropping the last handle frees the code.
pub trait CompiledKernel: Send + Sync {
    /// `dims[0]` must be a multiple of this.
    fn lanes(&self) -> usize;

    /// Bytes of machine code (0 when there is none).
    fn code_size(&self) -> usize;

    /// Runs the kernel; see [`crate::abi`].
    ///
    /// # Safety
    /// `args`, `dims` and `steps` must describe, for every array parameter of the kernel, `dims[0]`
    /// elements that may be read (inputs) or written (outputs); contiguous parameters must have
    /// their element size as step and uniform ones zero; outputs must not overlap inputs except
    /// element upon same element; `dims[0]` must be a multiple of [`CompiledKernel::lanes`]; `data`
    /// must point to a [`crate::abi::KernelStatus`].
    unsafe fn call(
        &self,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
        data: *const u8,
    );
}

/// What a backend made of a kernel, for people: `kjit explain`.
#[derive(Clone, Debug)]
pub struct CodeReport {
    /// Bits of a vector.
    pub bits: usize,
    /// Elements that a vector of the iteration stands for.
    pub lanes: usize,
    /// Vectors an iteration: the interleave factor.
    pub copies: usize,
    /// Why there are no more lanes, with what decided that if something did.
    pub why_lanes: (String, Option<Loc>),
    /// Why there are no more vectors an iteration.
    pub why_copies: String,
    /// What takes more than the instructions of the operation, in the order of the source.
    pub notes: Vec<CodeNote>,
    /// What is known of the machine code, if that is the same on every machine.
    pub machine: Option<MachineReport>,
}

/// The machine code of a [`CodeReport`].
#[derive(Clone, Debug, Default)]
pub struct MachineReport {
    /// Bytes of instructions.
    pub bytes: usize,
    /// Bytes of constants.
    pub constants: usize,
    /// Bytes of stack.
    pub frame: usize,
    /// The loops, outer ones first.
    pub loops: Vec<LoopCode>,
}

/// One loop of the machine code.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopCode {
    /// The `loop` that it was, or none: the loop over the elements.
    pub inst: Option<Inst>,
    /// Is it, or is it in, the loop over the elements that are left over behind the last whole iteration?
    pub rest: bool,
    /// Instructions, those of loops in it left out.
    pub instructions: usize,
    /// Those of them that store registers to the stack and load them again.
    pub spills: usize,
    /// Instructions of arms that are seldom taken, which stand apart.
    pub seldom: usize,
}

/// Something that takes more than an instruction a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeNote {
    /// Where in the source.
    pub loc: Loc,
    /// What is done.
    pub op: Opcode,
    /// Of what.
    pub dtype: DType,
    /// In which way.
    pub how: How,
}

/// How something is done that has no instruction of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A function is called that goes lane by lane.
    Called,
    /// In scalar code, lane by lane.
    ByLanes,
    /// Elements that are some bytes apart are moved one by one.
    Apart,
    /// An instruction that goes element by element inside the processor.
    Gathered,
    /// By a division of floats of so many bits, which is exact enough, and conversions.
    ByFloats(u32),
    /// By so many instructions.
    Instructions(u32),
    /// Behind a jump that is seldom taken; a test of all lanes leads to it.
    Seldom,
    /// Behind a jump that is taken where no lane wants it.
    Skipped,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Called => f.write_str(
                "lane by lane, in a function that is called: there is no such instruction",
            ),
            How::ByLanes => f.write_str("lane by lane: there is no such instruction"),
            How::Apart => f.write_str("element by element: they do not lie side by side"),
            How::Gathered => f.write_str(
                "one instruction, which goes element by element: each lane has an address",
            ),
            How::ByFloats(bits) => write!(f, "by a division of f{bits}, and conversions"),
            How::Instructions(n) => write!(f, "{n} instructions: there is none that does it"),
            How::Seldom => {
                f.write_str("apart from the loop: run only where a lane wants it, which is seldom")
            }
            How::Skipped => f.write_str("jumped over where no lane wants it"),
        }
    }
}

/// Why a backend did not compile a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendError {
    /// The kernel needs something the target lacks; names it.
    Unsupported(String),
    /// A bug in kjit: says what, with the IR.
    Internal(String),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendError::Unsupported(what) => write!(f, "{what}"),
            BackendError::Internal(what) => write!(f, "bug in kjit: {what}"),
        }
    }
}

impl std::error::Error for BackendError {}
