//! `kjit`: a data-parallel JIT.
//!
//! A kernel written once, per element, runs on one core, on every core, or on a GPU, **with the same
//! answer everywhere**.
//!
//! ```
//! use kjit::{Arg, Array, Engine, EngineOptions, Program, Source, Target, Ufunc};
//! use std::sync::Arc;
//!
//! let source = Source::new("saxpy.k", "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }");
//! let program = Arc::new(Program::compile(source).unwrap());
//! let saxpy = Ufunc::new(&program, "saxpy")?;
//!
//! let x = Array::from_vec(vec![1.0f32, 2.0, 3.0], &[3])?;
//! let y = Array::from_vec(vec![10.0f32], &[1])?;              // broadcasts
//! for target in [Target::Cpu, Target::Parallel] {
//!     let engine = Engine::new(EngineOptions { target, ..Default::default() })?;
//!     let z = saxpy.call(&engine, &[Arg::from(2.5), Arg::from(&x), Arg::from(&y)])?;
//!     assert_eq!(z[0].to_vec::<f32>()?, [12.5, 15.0, 17.5]);
//! }
//! # Ok::<(), kjit::RuntimeError>(())
//! ```
//!
//! [`kernel!`] checks a source text while the crate that contains it builds; this one does not build:
//!
//! ```compile_fail
//! let source = kjit::kernel!("ufunc f(x: f32) -> f32 { y }");
//! ```
//!
//! The primary types: [`Program`] is checked source; [`Ufunc`] one of its functions; [`Array`] a
//! strided n-dimensional array; [`Engine`] where and how to run; [`run`] executes a program's `main`.

pub use kjit_driver::{
    Code, CompileError, CompileOptions, CpuCode, Diagnostic, Isa, KernelSpec, Profile, Program,
    Source, format_source,
};
pub use kjit_ir::{Access, Class, DType, Loc, Scalar, Signature, TypeSpec, UfuncMethod};
pub use kjit_macros::kernel;
pub use kjit_runtime::io::check_save;
pub use kjit_runtime::{
    Arg, Array, Axis, Casting, Complex32, Complex64, Element, Engine, EngineOptions, ErrorKind,
    FpeCount, FpeMode, FpeReport, HostBuffer, Progress, Reduce, ReduceOp, Result, RunOptions,
    RuntimeError, Schedule, SliceIndex, Stats, Storage, Target, Ufunc, UfuncCall, c_strides,
    check_save_path, describe_targets, f16, format_array, generate, gpu_available, io_reason, load,
    render_diagnostics, render_error, run, save, write_file,
};
