//! Dumps of every stage, for people to read: `kjit emit --stage ..`.

use crate::isa::cranelift;
use crate::pipeline::{lowered, scalar_kernel, specialize};
use crate::{CompileError, CompileOptions, Isa, KernelSpec, Program};
use kjit_frontend::{Diagnostic, Source};
use kjit_ir::target::{Backend, BackendError};
use kjit_ir::{Access, Function, passes};
use kjit_x86::Listing;

/// Stages of a source file: they need no dtypes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileStage {
    /// The lexer's tokens.
    Tokens,
    /// The parser's tree.
    Ast,
}

/// Stages of one kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KernelStage {
    /// As lowered by the front end, with the functions it calls.
    Ir,
    /// After the scalar passes.
    Opt,
    /// After vectorisation.
    Vector,
    /// The Cranelift IR of the vector code.
    Clif,
    /// The machine code of the vector code.
    Asm,
    /// The shader.
    Wgsl,
}

/// Text of a file stage; the diagnostics say what is wrong with the text.
pub fn file_stage(source: &Source, stage: FileStage) -> (String, Vec<Diagnostic>) {
    match stage {
        FileStage::Tokens => (
            kjit_frontend::dump_tokens(source),
            kjit_frontend::lex(source).1,
        ),
        FileStage::Ast => {
            let (file, diagnostics) = kjit_frontend::parse_file(source);
            (kjit_frontend::ast::dump(&file), diagnostics)
        }
    }
}

/// Text of a kernel stage. Arrays are taken as contiguous from `Vector` on.
pub fn kernel_stage(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
    stage: KernelStage,
) -> Result<String, CompileError> {
    if stage == KernelStage::Ir {
        return Ok(lowered(program, spec, options)?.0.to_string());
    }
    let scalar = scalar_kernel(program, spec, options)?;
    if stage == KernelStage::Opt {
        return Ok(scalar.to_string());
    }
    let contiguous = contiguous(&scalar)?;
    let machine = |name: &str| {
        let vector = passes::vectorize(&contiguous);
        cranelift()?.emit(&vector, name).unwrap_or_else(|| {
            Err(BackendError::Internal(format!(
                "the machine-code backend has no stage {name}"
            )))
        })
    };
    Ok(match stage {
        KernelStage::Ir | KernelStage::Opt => unreachable!("bug in kjit: handled above"),
        KernelStage::Vector => passes::vectorize(&contiguous).to_string(),
        KernelStage::Clif => machine("clif")?,
        KernelStage::Asm => machine("asm")?,
        KernelStage::Wgsl => {
            let options = kjit_wgsl::WgslOptions {
                fast: options.fast,
                ..Default::default()
            };
            kjit_wgsl::emit(&contiguous, &options)?.source
        }
    })
}

/// The machine code of a kernel in the wide instructions, as [`KernelStage::Asm`] is in 128 bits; nothing for
/// [`Isa::Sse`]. This machine need not have the instructions.
///
/// # Errors
/// What the front end finds, or [`BackendError::Unsupported`] where such a kernel runs as 128-bit code.
pub fn wide_code(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
    isa: Isa,
) -> Result<Option<(String, Listing)>, CompileError> {
    let Some(tier) = isa.tier() else {
        return Ok(None);
    };
    let vector = passes::vectorize(&contiguous(&scalar_kernel(program, spec, options)?)?);
    let code = kjit_x86::listing(&vector, tier)?;
    Ok(Some((vector.name, code)))
}

/// The kernel on arrays that are contiguous; sub-arrays of a gufunc lie anywhere.
pub(crate) fn contiguous(scalar: &Function) -> Result<Function, CompileError> {
    let access: Vec<Access> = (scalar.arrays.iter())
        .map(|a| match a.core.is_empty() {
            true => Access::Contiguous,
            false => Access::Strided,
        })
        .collect();
    specialize(scalar, &access)
}
