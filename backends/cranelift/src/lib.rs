//! Machine code through Cranelift: scalar code, and 128-bit SIMD code.
//!
//! Kernels of scalar form become a loop over single elements; kernels of vector form become a loop
//! over 4, 8 or 16 lanes in 128-bit registers (see [`Backend`] for the two forms). `cranelift-codegen` is used directly; code
//! lives in an arena whose memory is never writable and executable at once, and goes back to it with the last handle.
//!
//! ```
//! use kjit_cranelift::Cranelift;
//! use kjit_ir::target::Backend;
//! use kjit_ir::{Access, ArrayMode, ArrayParam, DType, FunctionBuilder, Opcode};
//!
//! let mut b = FunctionBuilder::new("square");
//! let array = |name: &str, mode| ArrayParam::new(name, DType::F32, mode, Access::Contiguous);
//! let x = b.array(array("x", ArrayMode::In));
//! let y = b.array(array("y", ArrayMode::Out));
//! let value = b.load(x);
//! let square = b.binary(Opcode::Mul, value, value);
//! b.store(y, square);
//! let kernel = Cranelift::new()?.compile(&b.ret(&[]))?;
//! assert_eq!(kernel.lanes(), 1);
//! # Ok::<(), kjit_ir::target::BackendError>(())
//! ```

mod helpers;
mod lower;
mod machine;
#[cfg(test)]
mod tests;

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_frontend::FunctionBuilderContext;
use kjit_code::{Arena, Kernel};
use kjit_ir::passes::half_as_u16;
use kjit_ir::target::{Backend, BackendError, CodeNote, CodeReport, CompiledKernel};
use kjit_ir::{DType, Form, Function};
use machine::Machine;
use std::cell::RefCell;
use std::sync::Arc;

/// The backend.
pub struct Cranelift {
    machine: Machine,
    arena: Arc<Arena>,
    /// Lanes of vector kernels, where a test wants other than the best.
    lanes: Option<usize>,
}

/// Scratch memory of compilation, reused by the kernels a thread compiles.
struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        context: Context::new(),
        builder: FunctionBuilderContext::new(),
    });
}

impl Cranelift {
    /// Code for this machine, with all the instructions that it has.
    pub fn new() -> Result<Cranelift, BackendError> {
        Cranelift::with_features(true)
    }

    /// Code for this machine; without `native`, only with the instructions that every machine of its
    /// architecture has (on x86-64: SSE2).
    pub fn with_features(native: bool) -> Result<Cranelift, BackendError> {
        Ok(Cranelift {
            machine: Machine::host(native)?,
            arena: Arc::new(Arena::default()),
            lanes: None,
        })
    }

    /// Lowers and compiles a kernel, then hands the context and the lane count to `finish`.
    fn with_compiled<T>(
        &self,
        kernel: &Function,
        disassemble: bool,
        finish: impl FnOnce(&Context, usize) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let result = self.lower(kernel, scratch).and_then(|(lanes, _)| {
                let context = &mut scratch.context;
                context.set_disasm(disassemble);
                let isa = match () {
                    _ if lower::has_many_constants(kernel) => &self.machine.isa_of_many_constants,
                    _ if lower::multiplies_words(kernel) => &self.machine.isa_of_products,
                    _ => &self.machine.isa,
                };
                if let Err(error) = context.compile(&**isa, &mut ControlPlane::default()) {
                    let why = format!("cranelift refuses {}: {:?}", kernel.name, error.inner);
                    return Err(internal(&why, context));
                }
                finish(context, lanes)
            });
            scratch.context.clear();
            result
        })
    }

    /// What 128-bit code of a kernel in vector form is like on this machine, without making it.
    ///
    /// # Errors
    /// As `compile`.
    pub fn report(&self, kernel: &Function) -> Result<CodeReport, BackendError> {
        let (lanes, mut notes) = SCRATCH.with_borrow_mut(|scratch| {
            let lowered = self.lower(kernel, scratch);
            scratch.context.clear();
            lowered
        })?;
        notes.sort_by_key(|note| (note.loc.file, note.loc.start, note.loc.end));
        let vector = lanes.min(4);
        Ok(CodeReport {
            bits: 128,
            lanes: vector,
            copies: lanes / vector,
            why_lanes: (
                "cranelift has vectors of 128 bits; 64-bit values take two for four lanes"
                    .to_string(),
                None,
            ),
            why_copies: match lanes / vector {
                4 => "there are never more".to_string(),
                _ => "the size of the body, and values of 64 bits".to_string(),
            },
            notes,
            machine: None,
        })
    }

    fn lower(
        &self,
        kernel: &Function,
        scratch: &mut Scratch,
    ) -> Result<(usize, Vec<CodeNote>), BackendError> {
        scratch.context.clear();
        let storage;
        let dtypes = kernel.values.iter().map(|v| v.ty.dtype);
        let dtypes = dtypes.chain(kernel.arrays.iter().map(|a| a.dtype));
        let mut dtypes = dtypes.chain(kernel.locals.iter().map(|l| l.dtype));
        let kernel = match dtypes.any(|dtype| dtype == DType::F16) {
            true => {
                let mut bytes = kernel.clone();
                half_as_u16(&mut bytes);
                storage = bytes;
                &storage
            }
            false => kernel,
        };
        // A builder context that was left in the middle of a function, by an error or a panic, cannot be
        // used again: it is put back only after a whole one.
        let mut builder = std::mem::replace(&mut scratch.builder, FunctionBuilderContext::new());
        let lowered = lower::lower(
            kernel,
            &self.machine,
            self.lanes,
            &mut scratch.context.func,
            &mut builder,
        )?;
        scratch.builder = builder;
        Ok(lowered)
    }
}

/// A bug report with the Cranelift IR.
fn internal(what: &str, context: &Context) -> BackendError {
    BackendError::Internal(format!("{what}\n{}", context.func.display()))
}

impl std::fmt::Debug for Cranelift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cranelift({})", self.machine.isa.triple())
    }
}

impl Backend for Cranelift {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn compile(&self, kernel: &Function) -> Result<Arc<dyn CompiledKernel>, BackendError> {
        self.with_compiled(kernel, false, |context, lanes| {
            let compiled = context
                .compiled_code()
                .ok_or_else(|| internal("no code after compilation", context))?;
            if !compiled.buffer.relocs().is_empty() {
                return Err(internal("code with relocations", context));
            }
            let name = || match kernel.form {
                Form::Scalar => format!("{}.scalar", kernel.name),
                Form::Vector => format!("{}.sse", kernel.name),
            };
            let bytes = compiled.code_buffer();
            // SAFETY: the bytes are a function of the kernel ABI, which `lower` gave it, without relocations.
            let kernel = unsafe { Kernel::publish(&self.arena, bytes, lanes, name)? };
            let kernel: Arc<dyn CompiledKernel> = Arc::new(kernel);
            Ok(kernel)
        })
    }

    fn takes(&self, _form: Form) -> bool {
        true
    }

    fn emit(&self, kernel: &Function, stage: &str) -> Option<Result<String, BackendError>> {
        match stage {
            "clif" => Some(SCRATCH.with_borrow_mut(|scratch| {
                let text = self
                    .lower(kernel, scratch)
                    .map(|_| scratch.context.func.display().to_string());
                scratch.context.clear();
                text
            })),
            "asm" => Some(self.with_compiled(kernel, true, |context, _| {
                let code = context.compiled_code();
                let text = code.and_then(|code| code.vcode.clone());
                text.ok_or_else(|| internal("no disassembly", context))
            })),
            _ => None,
        }
    }
}
