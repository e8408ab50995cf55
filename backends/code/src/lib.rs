//! Memory that machine code runs from, and kernels in it: what backends that make machine code share.
//!
//! Many kernels share a few regions, whose memory is never writable and executable in one mapping; a kernel's range
//! is free again when the last handle to it is dropped.
//!
//! ```
//! use kjit_code::Arena;
//! use std::sync::Arc;
//!
//! let arena = Arc::new(Arena::default());
//! let code = arena.publish(&[0xc3])?;
//! assert_eq!(code.len(), 1);
//! # Ok::<(), kjit_ir::target::BackendError>(())
//! ```

mod arena;
mod gdb;
mod memory;
mod profile;

pub use arena::{Arena, Code};
use kjit_ir::abi::KernelFn;
use kjit_ir::target::{BackendError, CompiledKernel};
use profile::Label;
pub use profile::Profile;
use std::sync::Arc;

/// Callable code of one kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Goes before the code that it tells of.
    _label: Option<Label>,
    code: Code,
    entry: KernelFn,
    lanes: usize,
}

impl Kernel {
    /// A kernel of these bytes, which handles so many elements at once; its name is for those that [`Profile`] tells.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] when the system gives no executable memory.
    ///
    /// # Safety
    /// The bytes must be position-independent code of a function of the kernel ABI ([`KernelFn`]) that keeps to what
    /// [`CompiledKernel::call`] allows, for this machine.
    pub unsafe fn publish(
        arena: &Arc<Arena>,
        bytes: &[u8],
        lanes: usize,
        name: impl FnOnce() -> String,
    ) -> Result<Kernel, BackendError> {
        let profile = Profile::enabled();
        let code = match profile == Profile::default() {
            true => arena.publish(bytes)?,
            false => Code::alone(bytes, profile.perf)?,
        };
        let label = (profile != Profile::default())
            .then(|| Label::new(profile, &name(), code.entry(), code.len()));
        // SAFETY: the caller says what the bytes are; they live as long as `code`.
        let entry = unsafe { std::mem::transmute::<*const u8, KernelFn>(code.entry()) };
        Ok(Kernel {
            _label: label,
            code,
            entry,
            lanes,
        })
    }
}

impl CompiledKernel for Kernel {
    fn lanes(&self) -> usize {
        self.lanes
    }

    fn code_size(&self) -> usize {
        self.code.len()
    }

    unsafe fn call(
        &self,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
        data: *const u8,
    ) {
        // SAFETY: the code lives as long as `self`; the caller keeps the promises of the trait.
        unsafe { (self.entry)(args, dims, steps, data) }
    }
}
