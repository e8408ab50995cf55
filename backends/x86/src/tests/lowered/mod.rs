//! Kernels of the IR, lowered and run: against [`kjit_ir::eval`], which defines every operation, and against the
//! interpreter.

mod core;
mod operations;
mod random;

use crate::{Tier, X86};
use kjit_ir::Function;
use kjit_ir::target::{Backend, CompiledKernel};
use kjit_ir::testing::memory::{self, Memory};
use std::sync::Arc;

/// Every tier that this machine has, with each number of copies.
fn backends() -> Vec<(String, X86)> {
    let mut all = Vec::new();
    for tier in Tier::ALL {
        for copies in [1, 2, 4] {
            let Ok(mut backend) = X86::new(tier) else {
                continue;
            };
            backend.copies = Some(copies);
            all.push((format!("{tier:?} x{copies}"), backend));
        }
    }
    all
}

/// Compiles, with the IR in the message when that fails.
fn compile(name: &str, backend: &X86, kernel: &Function) -> Arc<dyn CompiledKernel> {
    match backend.compile(kernel) {
        Ok(code) => code,
        Err(error) => panic!("{name}: {error}\n{kernel}"),
    }
}

/// Runs a kernel on so many elements; index parameters start at 5.
fn run(code: &dyn CompiledKernel, kernel: &Function, memory: &mut [Memory], n: usize) -> u32 {
    // SAFETY: the arrays hold `n` elements.
    unsafe { memory::run(code, kernel, memory, n) }
}
