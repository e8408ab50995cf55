//! `kjit emit`: shows any stage of the compilation.

use crate::listing;
use crate::options::IsaArg;
use crate::report::{Failure, Outcome, read_source};
use clap::ValueEnum;
use kjit::{Class, DType, Isa, Program, Signature, Source};
use kjit_driver::emit::{FileStage, KernelStage, file_stage, kernel_stage, wide_code};
use kjit_driver::{BackendError, CompileError, CompileOptions, KernelSpec};
use std::io::Write;

/// Show a stage of the compilation
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program
    #[arg(value_name = "FILE")]
    file: String,
    /// Which ufunc (default: all)
    #[arg(value_name = "UFUNC")]
    ufunc: Option<String>,
    /// Which stage
    #[arg(long, value_enum)]
    stage: StageArg,
    /// dtype of every type parameter, or one for each: --dtype u32,f64 (default: the first of f32, i32
    /// and u32 that its class allows)
    #[arg(long, value_name = "DTYPE", value_delimiter = ',')]
    dtype: Vec<String>,
    /// Compile with fast arithmetic
    #[arg(long)]
    fast: bool,
    /// Vector instructions of --stage asm, which this machine need not have (default: the widest that it has)
    #[arg(long, value_enum)]
    isa: Option<IsaArg>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum StageArg {
    /// Tokens of the file
    Tokens,
    /// Syntax tree of the file
    Ast,
    /// IR as lowered
    Ir,
    /// IR after the scalar passes
    Opt,
    /// IR after vectorisation
    Vector,
    /// Cranelift IR
    Clif,
    /// Machine code
    Asm,
    /// Shader
    Wgsl,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let source = read_source(&args.file)?;
    let stage = match args.stage {
        StageArg::Tokens => return print_file_stage(&source, FileStage::Tokens),
        StageArg::Ast => return print_file_stage(&source, FileStage::Ast),
        StageArg::Ir => KernelStage::Ir,
        StageArg::Opt => KernelStage::Opt,
        StageArg::Vector => KernelStage::Vector,
        StageArg::Clif => KernelStage::Clif,
        StageArg::Asm => KernelStage::Asm,
        StageArg::Wgsl => KernelStage::Wgsl,
    };
    let asked = args.isa.map(IsaArg::isa);
    if let Some(isa) = asked
        && stage != KernelStage::Asm
    {
        return Err(Failure::with_help(
            format!("only --stage asm depends on --isa {}", isa.name()),
            "leave --isa out, or ask for --stage asm",
        ));
    }
    let isa = match stage {
        KernelStage::Asm => asked.unwrap_or_else(Isa::preferred),
        _ => Isa::Sse,
    };
    let program =
        Program::compile(source.clone()).map_err(|list| Failure::diagnostics(&list, &source))?;
    let dtypes = args
        .dtype
        .iter()
        .map(|d| parse_dtype(d))
        .collect::<Result<Vec<_>, _>>()?;
    // Nothing is printed unless all of it can be.
    let mut texts = Vec::new();
    for signature in selected(&program, args.ufunc.as_deref())? {
        let generics = generics(signature, &dtypes)?;
        let spec = KernelSpec::Ufunc {
            name: signature.name.clone(),
            generics,
            masked: false,
        };
        let options = CompileOptions {
            fast: args.fast,
            ..Default::default()
        };
        let wide = match wide_code(&program, &spec, options, isa) {
            // What runs in its place.
            Err(CompileError::Backend(BackendError::Unsupported(_))) if asked.is_none() => None,
            wide => wide.map_err(|error| wide_failure(error, &source))?,
        };
        let text = match wide {
            Some((name, code)) => listing::text(&name, isa.name(), &code, &source),
            None => kernel_stage(&program, &spec, options, stage)
                .map_err(|error| compile_failure(error, &source))?,
        };
        texts.push(text);
    }
    let mut out = std::io::stdout().lock();
    for text in texts {
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn print_file_stage(source: &Source, stage: FileStage) -> Outcome {
    let (text, diagnostics) = file_stage(source, stage);
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    if diagnostics.is_empty() {
        Ok(())
    } else {
        Err(Failure::diagnostics(&diagnostics, source))
    }
}

/// The ufuncs asked for: the one of that name, or all.
pub fn selected<'p>(
    program: &'p Program,
    name: Option<&str>,
) -> Result<Vec<&'p Signature>, Failure> {
    let all = program.signatures();
    let Some(name) = name else {
        return Ok(all.iter().collect());
    };
    match all.iter().find(|s| s.name == name) {
        Some(signature) => Ok(vec![signature]),
        None => Err(unknown_ufunc(program, name)),
    }
}

/// The message for a ufunc that the file does not have.
pub fn unknown_ufunc(program: &Program, name: &str) -> Failure {
    let names: Vec<&str> = program
        .signatures()
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    let help = if names.is_empty() {
        "the file declares no ufunc".to_string()
    } else {
        format!("the file declares {}", names.join(", "))
    };
    Failure::with_help(
        format!("{} has no ufunc {name}", program.source().name),
        help,
    )
}

/// The dtype of that name.
pub fn parse_dtype(name: &str) -> Result<DType, Failure> {
    DType::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        Failure::with_help(
            format!("unknown dtype {name}"),
            format!("use one of {}", all.join(", ")),
        )
    })
}

/// The dtypes of a ufunc's type parameters.
pub fn generics(signature: &Signature, dtypes: &[DType]) -> Result<Vec<DType>, Failure> {
    let wanted = signature.generics.len();
    if dtypes.len() > 1 && dtypes.len() != wanted {
        return Err(Failure::with_help(
            format!(
                "{} has {wanted} type parameter{}, and {} dtypes were given",
                signature.name,
                if wanted == 1 { "" } else { "s" },
                dtypes.len()
            ),
            "give one dtype for all of them, or one for each: --dtype u32,f64",
        ));
    }
    let pick = |n: usize, name: &str, class: Class| {
        let members = DType::ALL.iter().copied().filter(|d| class.contains(*d));
        match dtypes.get(n).or(dtypes.first()) {
            Some(d) if class.contains(*d) => Ok(*d),
            Some(d) => {
                let members: Vec<&str> = members.map(|d| d.name()).collect();
                Err(Failure::with_help(
                    format!(
                        "{} is not defined for {d}, since {name} must be {class}",
                        signature.name
                    ),
                    format!(
                        "use one of {}; several type parameters take a list",
                        members.join(", ")
                    ),
                ))
            }
            None => {
                let preferred = [DType::F32, DType::I32, DType::U32];
                let found = preferred.into_iter().find(|d| class.contains(*d));
                found.or_else(|| members.clone().next()).ok_or_else(|| {
                    Failure::message(format!(
                        "{name} of {} has no dtype in this version",
                        signature.name
                    ))
                })
            }
        }
    };
    signature
        .generics
        .iter()
        .enumerate()
        .map(|(n, (name, class))| pick(n, name, *class))
        .collect()
}

/// What the wide backend has no code for, other code is run for.
fn wide_failure(error: CompileError, source: &Source) -> Failure {
    match error {
        CompileError::Backend(error @ BackendError::Unsupported(_)) => Failure::with_help(
            error.to_string(),
            "such a kernel runs as 128-bit code, which --isa sse shows, or as scalar code where that refuses it, too",
        ),
        error => compile_failure(error, source),
    }
}

/// The message for a ufunc that is not compiled.
pub fn compile_failure(error: CompileError, source: &Source) -> Failure {
    match error {
        CompileError::Diagnostics(list) => Failure::diagnostics(&list, source),
        CompileError::Backend(error) => Failure::message(error.to_string()),
    }
}
