//! `kjit explain`: what becomes of each loop on the cpu, why, and what limits it.

use crate::emit::{compile_failure, generics, parse_dtype, selected};
use crate::listing::beside;
use crate::options::IsaArg;
use crate::report::{Failure, Outcome, read_source};
use kjit::{Access, Engine, EngineOptions, Isa, Program, Source};
use kjit_driver::explain::{Explained, ExplainedLoop, explain};
use kjit_driver::{CodeNote, CompileOptions, KernelSpec, Limit, MACHINE};
use std::fmt::Write as _;
use std::io::Write;

/// Explain what becomes of each loop on the cpu, why, and what limits it
///
/// Arrays are taken to lie in C order. Estimates are of a simple model of one core, to know where to look.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program
    #[arg(value_name = "FILE")]
    file: String,
    /// Which ufunc (default: all)
    #[arg(value_name = "UFUNC")]
    ufunc: Option<String>,
    /// dtype of every type parameter, or one for each: --dtype u32,f64 (default: the first of f32, i32
    /// and u32 that its class allows)
    #[arg(long, value_name = "DTYPE", value_delimiter = ',')]
    dtype: Vec<String>,
    /// Compile with fast arithmetic
    #[arg(long)]
    fast: bool,
    /// Vector instructions; this machine need not have them (default: what kernels are made of here)
    #[arg(long, value_enum)]
    isa: Option<IsaArg>,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let source = read_source(&args.file)?;
    let isa = match args.isa {
        Some(isa) => isa.isa(),
        None => {
            let engine = Engine::new(EngineOptions::default());
            engine
                .map_err(|error| Failure::runtime(&error, None))?
                .isa()
        }
    };
    let program =
        Program::compile(source.clone()).map_err(|list| Failure::diagnostics(&list, &source))?;
    let dtypes = args.dtype.iter().map(|d| parse_dtype(d));
    let dtypes = dtypes.collect::<Result<Vec<_>, _>>()?;
    let options = CompileOptions {
        fast: args.fast,
        ..Default::default()
    };
    // Nothing is printed unless all of it can be.
    let mut text = String::new();
    for signature in selected(&program, args.ufunc.as_deref())? {
        let spec = KernelSpec::Ufunc {
            name: signature.name.clone(),
            generics: generics(signature, &dtypes)?,
            masked: false,
        };
        let kernels = explain(&program, &spec, options, isa);
        let kernels = kernels.map_err(|error| compile_failure(error, &source))?;
        for kernel in &kernels {
            // Writing to a string does not fail.
            let _ = print(&mut text, kernel, isa, &source);
        }
    }
    let mut out = std::io::stdout().lock();
    if !text.is_empty() {
        write!(out, "{text}{}", model())?;
    }
    Ok(())
}

fn plural(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

fn print(out: &mut String, kernel: &Explained, isa: Isa, source: &Source) -> std::fmt::Result {
    let code = &kernel.code;
    writeln!(out, "{}, {}", kernel.name, isa.name())?;
    match &kernel.instead {
        Some(why) => writeln!(
            out,
            "  backend     {}, 128 bits: the wide backend has no code for it ({why})",
            kernel.backend
        )?,
        None if isa == Isa::Sse => writeln!(
            out,
            "  backend     {}: --isa avx2 and avx512 have a backend for wider vectors",
            kernel.backend
        )?,
        None => writeln!(out, "  backend     wide, {}", kernel.backend)?,
    }
    let (why, place) = &code.why_lanes;
    let place = place.map(|loc| format!(" ({})", place_text(source, loc)));
    writeln!(
        out,
        "  width       {} bits, {} lanes: {why}{}",
        code.bits,
        code.lanes,
        place.unwrap_or_default()
    )?;
    writeln!(
        out,
        "  interleave  {} an iteration: {}",
        plural(code.copies, "vector"),
        code.why_copies
    )?;
    let arrays = kernel.arrays.iter().map(|(name, access)| {
        let access = match access {
            Access::Contiguous => "side by side",
            Access::Strided => "apart",
            Access::Uniform => "one for all lanes",
        };
        format!("{name} {access}")
    });
    let arrays: Vec<String> = arrays.collect();
    writeln!(out, "  elements    {}", arrays.join(", "))?;
    if let Some(machine) = &code.machine {
        writeln!(
            out,
            "  code        {} bytes, {} of constants, {} of stack",
            machine.bytes, machine.constants, machine.frame
        )?;
    }
    for (n, looped) in kernel.loops.iter().enumerate() {
        let is_alone = kernel.loops.len() == 1;
        print_loop(out, looped, n == 0, is_alone, source)?;
    }
    if !code.notes.is_empty() {
        writeln!(out, "  not an instruction a vector")?;
    }
    for note in &code.notes {
        writeln!(out, "    {}", note_text(note, source))?;
    }
    writeln!(out)
}

fn note_text(note: &CodeNote, source: &Source) -> String {
    let what = match note.op.name() {
        "if" => "if".to_string(),
        name => format!("{name} of {}", note.dtype),
    };
    format!("{}: {what}: {}", place_text(source, note.loc), note.how)
}

fn print_loop(
    out: &mut String,
    looped: &ExplainedLoop,
    is_first: bool,
    is_alone: bool,
    source: &Source,
) -> std::fmt::Result {
    let work = &looped.work;
    let what = match (is_first, is_alone) {
        (true, true) => "the elements",
        (true, false) => "the elements, without the loops below",
        (false, _) if work.is_seldom => "a loop in it that is seldom run, an element and iteration",
        (false, _) => "a loop in it, an element and iteration",
    };
    writeln!(out, "  {}: {what}", place_text(source, work.loc))?;
    if work.masked {
        writeln!(
            out,
            "    leaving     lane by lane, under a mask; it ends with the last lane"
        )?;
    }
    if let Some(code) = looped.code {
        // All of a loop that is seldom run stands apart.
        let own = if work.is_seldom {
            code.seldom
        } else {
            code.instructions
        };
        let mut text = plural(own, "instruction");
        if code.spills > 0 {
            let _ = write!(text, ", {} of them spills and reloads", code.spills);
        } else {
            text.push_str(", no spills");
        }
        if work.is_seldom {
            text.push_str(", apart from the others");
        } else if code.seldom > 0 {
            let _ = write!(text, "; {} more apart, seldom run", code.seldom);
        }
        writeln!(out, "    code        {text}")?;
    }
    let mut bytes = format!("{} read, {} written", work.read, work.written);
    if work.shared > 0 {
        let _ = write!(bytes, "; {} read for all lanes at once", work.shared);
    }
    writeln!(out, "    bytes       {bytes}")?;
    let mut ops: Vec<String> = Vec::new();
    for (n, count) in work.ops.iter().enumerate() {
        // The same kind with lanes of 64 bits comes behind that with lanes of 32.
        if n > 0 && work.ops[n - 1].kind == count.kind {
            continue;
        }
        let same = work.ops.iter().filter(|c| c.kind == count.kind);
        let number: u32 = same.map(|c| c.number).sum();
        ops.push(format!("{number} {}", count.kind.name()));
    }
    if work.seldom > 0 {
        ops.push(format!("{} in arms that are seldom run", work.seldom));
    }
    if ops.is_empty() {
        ops.push("none".to_string());
    }
    writeln!(out, "    operations  {}", ops.join(", "))?;
    writeln!(out, "    estimate    {}", estimate_text(looped))
}

/// A place with the source that is there.
fn place_text(source: &Source, loc: kjit::Loc) -> String {
    match source.text_of(loc) {
        Some(_) => format!("line {}", beside(source, loc)),
        None => "the built-in library".to_string(),
    }
}

/// What binds, and by how much.
fn estimate_text(looped: &ExplainedLoop) -> String {
    let time = |(limit, ns): (Limit, f64)| format!("{} {ns:.3} ns", limit.name());
    let limits = &looped.estimate.limits;
    let Some((first, _)) = limits.first() else {
        return "no limit: nothing is done an element".to_string();
    };
    let all: Vec<String> = limits.iter().map(|limit| time(*limit)).collect();
    let binds = match (first, looped.estimate.in_cache()) {
        (Limit::Memory, Some((near, _))) => {
            format!(
                "bound by {} from main memory, by {} in cache",
                first.name(),
                near.name()
            )
        }
        _ => format!("bound by {}", first.name()),
    };
    format!("{binds} ({})", all.join(", "))
}

/// What estimates are made of.
fn model() -> String {
    format!(
        "Estimates are for one core of {} GHz with {} GB/s of main memory; see docs/inspection.md.\n",
        MACHINE.ghz, MACHINE.memory
    )
}
