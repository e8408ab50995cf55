//! What has no WGSL form: refused here, before anything is decided or printed.

use crate::WgslOptions;
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayMode, DType, Form, Function, Imm, Opcode};

/// Blocks inside blocks; WGSL parsers give up at some depth.
pub(super) const MAX_NESTING: usize = 60;

/// Refuses kernels that WGSL cannot express or the device cannot run.
pub fn check(kernel: &Function, options: &WgslOptions) -> Result<(), BackendError> {
    let internal = |what: &str| {
        Err(BackendError::Internal(format!(
            "wgsl was given kernel {}: {what}",
            kernel.name
        )))
    };
    if kernel.form != Form::Scalar {
        return internal("it is in vector form");
    }
    if !kernel.is_kernel() || !kernel.params().is_empty() {
        return internal("it is not a kernel");
    }
    if options.rank == 0 || options.workgroup == 0 {
        return internal("with rank or workgroup size zero");
    }
    for array in &kernel.arrays {
        dtype(array.dtype)?;
        let narrow = array.dtype.size() < 4;
        match (array.mode, array.access) {
            (ArrayMode::Index, _) if array.dtype != DType::I64 => {
                return internal("its index is not i64");
            }
            (ArrayMode::Out | ArrayMode::InOut, Access::Uniform) => {
                return internal("an output has one element for all");
            }
            (ArrayMode::Out, Access::Strided) if narrow && options.reduce.is_none() => {
                return Err(BackendError::Unsupported(format!(
                    "output `{}` of dtype {} is not contiguous, and a shader writes narrow dtypes by whole words",
                    array.name, array.dtype
                )));
            }
            (ArrayMode::InOut, _) if narrow => {
                return Err(BackendError::Unsupported(format!(
                    "`{}` of dtype {} is read and written in place, and a shader writes narrow dtypes by whole words",
                    array.name, array.dtype
                )));
            }
            _ => {}
        }
    }
    if options.reduce.is_some() {
        let outputs: Vec<_> = kernel
            .arrays
            .iter()
            .filter(|a| matches!(a.mode, ArrayMode::Out | ArrayMode::InOut))
            .collect();
        match outputs.as_slice() {
            [only] if only.mode == ArrayMode::Out => {}
            _ => return internal("a reduction needs exactly one output"),
        }
    }
    for local in &kernel.locals {
        dtype(local.dtype)?;
        if local.len == 0 {
            return internal("a local array is empty");
        }
    }
    let mut problem = Ok(());
    super::visit(kernel, &mut |inst, depth| {
        if problem.is_err() {
            return;
        }
        let data = kernel.inst(inst);
        problem = instruction(kernel, data.op, &data.imm, depth);
        for value in &data.results {
            if problem.is_ok() {
                problem = dtype(kernel.ty(*value).dtype);
            }
        }
    });
    problem
}

fn instruction(kernel: &Function, op: Opcode, imm: &Imm, depth: usize) -> Result<(), BackendError> {
    if depth > MAX_NESTING {
        return Err(BackendError::Unsupported(format!(
            "kernel {} nests more than {MAX_NESTING} blocks, which shaders cannot",
            kernel.name
        )));
    }
    match op {
        Opcode::Call | Opcode::Splat | Opcode::AnyTrue => Err(BackendError::Internal(format!(
            "wgsl was given kernel {} with `{op}`",
            kernel.name
        ))),
        Opcode::Return if depth > 0 => Err(BackendError::Internal(format!(
            "wgsl was given kernel {} with a nested return",
            kernel.name
        ))),
        _ => match imm {
            Imm::DType(to) => dtype(*to),
            _ => Ok(()),
        },
    }
}

fn dtype(dtype: DType) -> Result<(), BackendError> {
    if dtype.is_native() {
        Ok(())
    } else {
        Err(BackendError::Unsupported(format!(
            "shaders do not compute with {dtype} yet"
        )))
    }
}
