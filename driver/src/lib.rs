//! From source text to compiled kernels: the one place that sees the front end and the backends.
//!
//! [`Program`] is checked source; [`scalar_kernel`] turns one of its ufuncs, or a fused expression,
//! into optimised scalar IR; [`compile_cpu`] and [`compile_wgsl`] make code of that. The pipeline reads
//! top to bottom in `pipeline.rs`. Every stage can be looked at with [`emit`].
//!
//! ```
//! use kjit_driver::{compile_cpu, scalar_kernel, CompileOptions, CpuCode, Isa, KernelSpec, Program};
//! use kjit_ir::{Access, DType};
//!
//! let program = Program::compile(kjit_driver::Source::new(
//!     "double.k",
//!     "ufunc double<T: number>(x: T) -> T { x + x }",
//! ))
//! .unwrap();
//! let spec = KernelSpec::Ufunc { name: "double".into(), generics: vec![DType::F32], masked: false };
//! let kernel = scalar_kernel(&program, &spec, CompileOptions::default()).unwrap();
//! let code = compile_cpu(&kernel, &[Access::Contiguous; 2], CpuCode::Vector(Isa::Sse)).unwrap();
//! assert!(code.lanes() >= 4);
//! ```

pub mod emit;
mod error;
pub mod explain;
mod isa;
mod pipeline;
mod program;

pub use error::CompileError;
pub use isa::Isa;
pub use kjit_code::Profile;
pub use kjit_frontend::{
    Diagnostic, Source, diagnostic::Code, format_file as format_source, render,
};
pub use kjit_interp::TrapReport;
pub use kjit_ir::analysis::limits::{Limit, MACHINE};
pub use kjit_ir::target::{BackendError, CodeNote};
pub use kjit_wgsl as wgsl;
pub use kjit_x86::Listing;
pub use pipeline::{
    CompileOptions, CpuCode, KernelSpec, compile_cpu, compile_wgsl, compile_wgsl_leaves,
    compile_wgsl_tree, first_trap, gufunc_kernels, scalar_kernel, typed_kernel,
};
pub use program::Program;
