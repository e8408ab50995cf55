//! What has no WGSL form: refused here, before anything is decided or printed.

use crate::WgslOptions;
use kjit_ir::opcode::Effect;
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
        match (array.mode, array.access) {
            (ArrayMode::Index, _) if array.dtype != DType::I64 => {
                return internal("its index is not i64");
            }
            (ArrayMode::Out | ArrayMode::InOut, Access::Uniform) => {
                return internal("an output has one element for all");
            }
            (_, Access::Contiguous) if !array.core.is_empty() => {
                return internal("sub-arrays cannot be contiguous");
            }
            _ => {}
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
        for value in data.results.iter().chain(&data.args) {
            if problem.is_ok() {
                let of = kernel.ty(*value).dtype;
                problem = match of {
                    DType::F16 if !moves(data.op) => internal("it computes with f16"),
                    _ => dtype(of),
                };
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
        Opcode::Call
        | Opcode::Splat
        | Opcode::AnyTrue
        | Opcode::First
        | Opcode::Extract
        | Opcode::Insert => Err(BackendError::Internal(format!(
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

/// Does the operation only move values? All that is left of `f16` after it was lowered.
fn moves(op: Opcode) -> bool {
    matches!(op, Opcode::Const | Opcode::Select | Opcode::Bitcast)
        || matches!(op, Opcode::Load | Opcode::Store)
        || matches!(op, Opcode::CoreLoad | Opcode::CoreStore)
        || matches!(op, Opcode::LocalLoad | Opcode::LocalStore)
        || matches!(op.effect(), Effect::Control | Effect::Terminator)
}

/// Complex numbers are pairs by now.
fn dtype(dtype: DType) -> Result<(), BackendError> {
    if dtype.is_complex() {
        Err(BackendError::Internal(format!(
            "wgsl was given {dtype}, which is to be lowered to pairs"
        )))
    } else {
        Ok(())
    }
}
