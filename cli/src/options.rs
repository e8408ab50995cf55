//! Options that several subcommands share: where and how to run.

use crate::report::{Failure, Outcome};
use clap::{Args, ValueEnum};
use kjit::{Engine, EngineOptions, FpeMode, Isa, Schedule, Target};
use std::io::Write;

/// Where and how to run.
#[derive(Args, Debug, Clone)]
pub struct EngineArgs {
    /// Where to run
    #[arg(long, value_enum, default_value = "cpu")]
    pub target: TargetArg,
    /// Threads of the parallel target (default: every core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,
    /// How the parallel target hands out blocks
    #[arg(long, value_enum, default_value = "guided")]
    pub schedule: ScheduleArg,
    /// Allow contraction, reassociation and approximate arithmetic
    #[arg(long)]
    pub fast: bool,
    /// Vector instructions to make code of (default: what KJIT_ISA names, or the widest that this machine has)
    #[arg(long, value_enum)]
    pub isa: Option<IsaArg>,
}

/// `--isa`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsaArg {
    /// 128 bits
    Sse,
    /// 256 bits
    Avx2,
    /// 512 bits
    Avx512,
}

impl IsaArg {
    /// What it names.
    pub fn isa(self) -> Isa {
        match self {
            IsaArg::Sse => Isa::Sse,
            IsaArg::Avx2 => Isa::Avx2,
            IsaArg::Avx512 => Isa::Avx512,
        }
    }
}

/// `--target`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetArg {
    /// One core
    Cpu,
    /// Every core
    Parallel,
    /// The GPU, or a software Vulkan driver
    Gpu,
    /// cpu or parallel, by the size of the work
    Auto,
    /// The reference interpreter
    #[value(hide = true)]
    Interp,
    /// Scalar machine code on one core
    #[value(hide = true)]
    Scalar,
}

/// `--schedule`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleArg {
    /// Equal shares, decided beforehand
    Static,
    /// Small blocks, taken as threads become free
    Dynamic,
    /// Large blocks first, then smaller ones
    Guided,
}

/// `--fpe`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FpeArg {
    /// Look for none (unless said)
    Ignore,
    /// Say so on stderr, and go on
    Warn,
    /// Stop with an error
    Raise,
}

/// Prints what the engine has to warn of, a line each, with the place of what was called if that is known.
pub fn warn(engine: &Engine, place: Option<&str>) -> Outcome {
    let place = place.map(|p| format!(" ({p})")).unwrap_or_default();
    for warning in engine.take_warnings() {
        writeln!(std::io::stderr(), "warning: {warning}{place}")?;
    }
    Ok(())
}

impl EngineArgs {
    /// The engine these options ask for.
    pub fn engine(&self) -> Result<Engine, Failure> {
        self.engine_with(None)
    }

    /// The same, with what becomes of status flags.
    pub fn engine_with(&self, fpe: Option<FpeArg>) -> Result<Engine, Failure> {
        let options = EngineOptions {
            target: match self.target {
                TargetArg::Cpu | TargetArg::Interp | TargetArg::Scalar => Target::Cpu,
                TargetArg::Parallel => Target::Parallel,
                TargetArg::Gpu => Target::Gpu,
                TargetArg::Auto => Target::Auto,
            },
            threads: self.threads.map(|n| n as usize),
            schedule: match self.schedule {
                ScheduleArg::Static => Schedule::Static,
                ScheduleArg::Dynamic => Schedule::Dynamic,
                ScheduleArg::Guided => Schedule::Guided,
            },
            fast: self.fast,
            interp: self.target == TargetArg::Interp,
            isa: self.isa.map(IsaArg::isa),
            scalar: self.target == TargetArg::Scalar,
            fpe: match fpe {
                None => FpeMode::Ignore,
                Some(FpeArg::Ignore) => FpeMode::Ignore,
                Some(FpeArg::Warn) => FpeMode::Warn,
                Some(FpeArg::Raise) => FpeMode::Raise,
            },
            profile: None,
        };
        Engine::new(options).map_err(|error| Failure::runtime(&error, None))
    }
}
