//! What this machine has to run on, and why a target is missing.

use crate::{Engine, EngineOptions, Result, RuntimeError, Target};

/// One line or more for each target, for people to read.
pub fn describe_targets() -> Vec<String> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let arch = std::env::consts::ARCH;
    let mut lines = vec![
        match Engine::new(EngineOptions::default()) {
            Ok(engine) => format!(
                "cpu       one core, {arch}, {}-bit SIMD",
                engine.isa().bits()
            ),
            Err(error) => format!("cpu       missing: {}", one_line(&error)),
        },
        match Engine::new(EngineOptions {
            target: Target::Parallel,
            ..Default::default()
        }) {
            Ok(engine) => format!("parallel  {} of {threads} cores", engine.threads()),
            Err(error) => format!("parallel  missing: {}", one_line(&error)),
        },
    ];
    lines.extend(describe_gpu());
    lines
}

/// Is there a GPU, or a software driver for one?
///
/// # Errors
/// Why there is none, and which package would bring it.
pub fn gpu_available() -> Result<()> {
    Engine::new(EngineOptions {
        target: Target::Gpu,
        ..Default::default()
    })
    .map(|_| ())
}

#[cfg(feature = "gpu")]
fn describe_gpu() -> Vec<String> {
    let report = crate::device::Device::describe();
    let mut lines = match &report.chosen {
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("gpu       missing: {}", one_line(error))],
    };
    for (index, adapter) in report.adapters.iter().enumerate() {
        let chosen = matches!(report.chosen, Ok(n) if n == index);
        let mark = if chosen { "gpu     " } else { "        " };
        lines.push(format!("{mark}  {index}: {adapter}"));
    }
    lines
}

#[cfg(not(feature = "gpu"))]
fn describe_gpu() -> Vec<String> {
    match gpu_available() {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("gpu       missing: {}", one_line(&error))],
    }
}

fn one_line(error: &RuntimeError) -> String {
    error.to_string().replace('\n', " ")
}
