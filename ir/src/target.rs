//! What a backend that makes callable code offers to the driver.
//!
//! A backend gets one kernel: verified, inlined (no `call`), without nested `return`. It is given in
//! the [`Form`] that the backend asks for.

use crate::{Form, Function};
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
