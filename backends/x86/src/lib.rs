//! AVX2 and AVX-512 machine code: the backend for vectors of 256 and 512 bits, [`X86`].
//!
//! What it is made of, each part of use by itself:
//!
//! - `lower`: kernels in vector form to functions of machine instructions;
//! - [`encode`]: one table of all instructions, an assembler with labels and constants;
//! - [`Function`]: machine instructions over virtual registers, with their builder; [`Function::compile`] allocates
//!   registers (regalloc2; its checker runs in debug builds) and emits bytes;
//! - [`convention`]: System V and Windows calls; [`Features`]: what a CPU has.
//!
//! What a kernel needs and the backend does not support is an error with its reason
//! ([`Unsupported`](kjit_ir::target::BackendError::Unsupported)): kernels in scalar form, and outputs of one element for all. Divisions of
//! 64-bit integers, and with AVX2 conversions between these and floats, are calls of functions that go lane by lane.
//! Code for Windows was encoded but never run.
//!
//! A function that adds 1 to every float of an array whose length is a multiple of 8:
//!
//! ```
//! use kjit_x86::encode::{Cc, Op, Width};
//! use kjit_x86::{Addr, Features, Function, Input, RegClass, Target, convention::SYSTEM_V};
//!
//! let target = Target { features: Features::TIER_AVX2, width: Width::Y, convention: &SYSTEM_V };
//! let mut f = Function::new(target);
//! let one = f.constant(&1.0_f32.to_le_bytes());
//! let args = f.entry(2);
//! let ones = f.op(Op::Vbroadcastss, Width::Y, &[Addr::constant(one).into()]);
//! let (body, at) = f.block(&[RegClass::Int]);
//! let (done, _) = f.block(&[]);
//! let zero = f.op(Op::MovImm32, Width::None, &[Input::Imm(0)]);
//! f.jump(body, &[zero]);
//!
//! f.start(body);
//! let place = Addr::indexed(args[0], at[0], 2, 0);
//! let sum = f.op(Op::Vaddps, Width::Y, &[ones.into(), place.into()]);
//! f.op(Op::VmovupsStore, Width::Y, &[place.into(), sum.into()]);
//! let next = f.op(Op::AddImm8, Width::Q, &[at[0].into(), Input::Imm(8)]);
//! f.op(Op::Cmp, Width::Q, &[next.into(), args[1].into()]);
//! f.branch(Cc::B, (body, &[next]), (done, &[]));
//!
//! f.start(done);
//! f.ret();
//! let compiled = f.compile()?;
//! assert_eq!((compiled.frame, compiled.moves, compiled.spills), (0, 0, 0));
//! # Ok::<(), kjit_ir::target::BackendError>(())
//! ```

mod allocate;
mod backend;
pub mod convention;
mod display;
mod emit;
pub mod encode;
mod features;
mod inst;
mod lower;
#[cfg(all(test, unix, target_arch = "x86_64"))]
mod tests;

pub use backend::{Listing, Tier, X86, listing};
pub use emit::{Compiled, Part};
pub use features::Features;
pub use inst::{Addr, BlockId, Extra, Function, Input, StackSlot, Start, Target};
pub use regalloc2::{RegClass, VReg};
