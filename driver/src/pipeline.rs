//! The pipeline, top to bottom:
//! `check (lex, parse, resolve, infer) -> instantiate and lower -> optimize -> lower_numbers -> [vectorize]
//! -> compile`.

use crate::isa::cranelift;
use crate::{CompileError, Isa, Program};
use kjit_interp::Interp;
use kjit_ir::target::{Backend, BackendError, CompiledKernel};
use kjit_ir::{Access, DType, Form, FuncRef, Function, FusedExpr, Module, passes};
use std::sync::Arc;

/// What a kernel computes, without layouts or targets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KernelSpec {
    /// A ufunc of the file, for the dtypes of its type parameters.
    Ufunc {
        /// Its name.
        name: String,
        /// One dtype a type parameter.
        generics: Vec<DType>,
        /// With a mask: arrays are the inputs, the mask, what each output held before, the outputs.
        masked: bool,
    },
    /// A fused expression of a host program.
    Fused(FusedExpr),
}

/// Options that change the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CompileOptions {
    /// Allow contraction, reassociation and approximate functions everywhere.
    pub fast: bool,
    /// Add an output of status flags, see [`kjit_ir::Role::Fpe`].
    pub fpe: bool,
}

/// Which code to make for the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuCode {
    /// None: interpret the IR. The oracle.
    Interp,
    /// Scalar machine code.
    Scalar,
    /// Vector machine code of these instructions. What they do not support becomes 128-bit code: the answers are the
    /// same.
    Vector(Isa),
    /// The same for arrays larger than the caches: results are stored past them, inputs fetched ahead of time. Contiguous
    /// outputs must be aligned to 64 bytes, and overlap no input. As `Vector` where the instructions have no such stores
    /// here (`Isa::Sse`).
    Stream(Isa),
}

/// Front end and optimiser: one kernel as scalar IR, every array strided, in dtypes that backends know (a
/// complex argument is two arrays, see `passes::lower_complex`).
pub fn scalar_kernel(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
) -> Result<Function, CompileError> {
    Ok(passes::lower_numbers(typed_kernel(program, spec, options)?))
}

/// As [`scalar_kernel`], in the dtypes of the language: what that lowers.
pub fn typed_kernel(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
) -> Result<Function, CompileError> {
    let (module, root) = lowered(program, spec, options)?;
    Ok(passes::optimize(&module, root))
}

/// A gufunc as kernels to be run one after the other, with the loops that are [`Function::loops`] added to
/// those of the call; see [`passes::promote_loops`].
pub fn gufunc_kernels(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
) -> Result<Vec<Function>, CompileError> {
    let kernels = passes::promote_loops(&typed_kernel(program, spec, options)?);
    let kernels = kernels.into_iter().map(passes::optimize_gufunc);
    Ok(kernels.map(passes::lower_numbers).collect())
}

/// The kernel and its callees as the front end lowers them.
pub(crate) fn lowered(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
) -> Result<(Module, FuncRef), CompileError> {
    let (mut module, root) = match spec {
        KernelSpec::Ufunc {
            name,
            generics,
            masked,
        } => program.kernel(name, generics, *masked, options.fast)?,
        KernelSpec::Fused(expr) => program.fuse(expr, options.fast)?,
    };
    if options.fast {
        for function in &mut module.functions {
            function.fast = true;
        }
    }
    if options.fpe {
        module = passes::instrument_fpe(&module, root);
    }
    Ok((module, root))
}

/// Machine code (or an interpreter) for a scalar kernel, given what is known of each array's step.
pub fn compile_cpu(
    kernel: &Function,
    access: &[Access],
    code: CpuCode,
) -> Result<Arc<dyn CompiledKernel>, CompileError> {
    let kernel = specialize(kernel, access)?;
    match code {
        CpuCode::Interp => Ok(Interp::default().compile(&kernel)?),
        CpuCode::Scalar => Ok(cranelift()?.compile(&kernel)?),
        CpuCode::Vector(isa) | CpuCode::Stream(isa) => {
            let vector = passes::vectorize(&kernel);
            match isa
                .backend(matches!(code, CpuCode::Stream(_)))?
                .compile(&vector)
            {
                Err(BackendError::Unsupported(_)) if isa != Isa::Sse => {
                    Ok(cranelift()?.compile(&vector)?)
                }
                compiled => Ok(compiled?),
            }
        }
    }
}

/// The first run-time check of a scalar kernel that fails, found by the interpreter; it writes no array.
///
/// # Safety
/// As for [`CompiledKernel::call`] with the same arguments; what the kernel reads must still be what it was.
pub unsafe fn first_trap(
    kernel: &Function,
    args: *const *mut u8,
    dims: *const isize,
    steps: *const isize,
) -> Option<kjit_interp::TrapReport> {
    // SAFETY: the caller's promise, passed on.
    unsafe { Interp::first_trap(kernel, args, dims, steps) }
}

/// A shader for a scalar kernel.
pub fn compile_wgsl(
    kernel: &Function,
    access: &[Access],
    options: &kjit_wgsl::WgslOptions,
) -> Result<kjit_wgsl::Shader, CompileError> {
    Ok(kjit_wgsl::emit(&specialize(kernel, access)?, options)?)
}

/// The shader of a reduction's first pass: what a kernel computes, combined by another one in leaves.
pub fn compile_wgsl_leaves(
    kernel: &Function,
    access: &[Access],
    combine: &Function,
    options: &kjit_wgsl::WgslOptions,
) -> Result<kjit_wgsl::Shader, CompileError> {
    let kernel = specialize(kernel, access)?;
    Ok(kjit_wgsl::emit_leaves(&kernel, combine, options)?)
}

/// The shader of a reduction's other passes.
pub fn compile_wgsl_tree(
    combine: &Function,
    options: &kjit_wgsl::WgslOptions,
) -> Result<kjit_wgsl::Shader, CompileError> {
    Ok(kjit_wgsl::emit_tree(combine, options)?)
}

/// The kernel with access classes filled in.
pub(crate) fn specialize(kernel: &Function, access: &[Access]) -> Result<Function, CompileError> {
    if kernel.form != Form::Scalar || access.len() != kernel.arrays.len() {
        return Err(CompileError::Backend(BackendError::Internal(format!(
            "kernel {} has {} arrays but {} access classes were given",
            kernel.name,
            kernel.arrays.len(),
            access.len()
        ))));
    }
    let mut kernel = kernel.clone();
    for (param, access) in kernel.arrays.iter_mut().zip(access) {
        param.access = *access;
    }
    Ok(kernel)
}
