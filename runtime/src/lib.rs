//! The runtime of `kjit`: arrays, loop nests, schedules, devices, array programs.
//!
//! [`Array`]s are n-dimensional values of one dtype in host or device memory. An [`Engine`] runs the
//! kernels of a [`Program`] over them: element-wise with broadcasting, and as reductions whose tree
//! depends on the length alone, so that every thread count gives the same bits.
//!
//! ```
//! use kjit_ir::DType;
//! use kjit_runtime::{Array, SliceIndex};
//!
//! let x = Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
//! let column = x.slice(&[SliceIndex::ALL, SliceIndex::At(-1)])?;
//! assert_eq!(column.to_vec::<f32>()?, [2.0, 4.0]);
//! assert_eq!(x.transpose().to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
//! assert_eq!(x.dtype(), DType::F32);
//! # Ok::<(), kjit_runtime::RuntimeError>(())
//! ```

pub mod array;
pub mod broadcast;
pub mod buffer;
pub mod cache;
pub mod call;
#[cfg(feature = "gpu")]
pub mod device;
pub mod dtype;
pub mod element;
pub mod engine;
pub mod error;
pub mod exec;
mod flat;
pub mod fpe;
mod gufunc;
pub mod io;
mod launch;
pub mod methods;
pub mod nest;
mod pages;
pub mod program;
pub mod reduce;
pub mod report;
pub mod resolve;
mod schedule;
mod scratch;
mod sites;
pub mod slice;
pub mod stats;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod ufunc;
mod wide;

pub use array::{Array, DeviceStorage, Storage, c_strides};
pub use broadcast::{broadcast_shapes, format_shape};
pub use buffer::HostBuffer;
pub use cache::{Kernel, KernelCache};
pub use call::UfuncCall;
pub use dtype::{Casting, WeakKind, can_cast, promote, promote_weak};
pub use element::Element;
pub use engine::{Engine, EngineOptions, ReduceOp, Schedule, Target};
pub use error::{ErrorKind, Result, RuntimeError};
pub use fpe::{FpeCount, FpeMode, FpeReport};
/// The Rust types of elements that the standard library lacks.
pub use half::f16;
pub use io::{check_save_path, io_reason, load, save, write_file};
pub use kjit_driver::{CompileOptions, Isa, KernelSpec, Profile, Program};
pub use methods::{Axis, Reduce};
pub use num_complex::{Complex32, Complex64};
pub use program::{RunOptions, format_array, generate, run};
pub use report::{render_diagnostics, render_error};
pub use schedule::Progress;
pub use slice::SliceIndex;
pub use stats::Stats;
pub use targets::{describe_targets, gpu_available};
pub use ufunc::{Arg, Ufunc};
