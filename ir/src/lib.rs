//! The intermediate representation of `kjit`: structured SSA for data-parallel kernels.
//!
//! A [`Module`] holds [`Function`]s. A function is a tree of [`Block`]s of instructions; `if` and
//! `loop` instructions *own* their blocks, so control flow is structured by construction and every
//! backend (masks, WGSL, machine code) can walk it. Values are typed and immutable. An element-wise
//! kernel is a function without parameters whose `load` and `store` instructions name its
//! [`ArrayParam`]s; the loop over elements is implicit and belongs to the backend, so that **no lane
//! count appears anywhere in the IR**.
//!
//! Every operation is total and has one meaning, written down once in [`eval`]; the opcodes are
//! declared once, in [`opcode`].
//!
//! ```
//! use kjit_ir::{DType, FunctionBuilder, Opcode, Type};
//!
//! let mut b = FunctionBuilder::new("square_plus_one");
//! let x = b.param(Type::scalar(DType::F32));
//! let one = b.f32(1.0);
//! let square = b.binary(Opcode::Mul, x, x);
//! let sum = b.binary(Opcode::Add, square, one);
//! let function = b.ret(&[sum]);
//! assert_eq!(function.results, [Type::scalar(DType::F32)]);
//! ```

pub mod abi;
pub mod analysis;
pub mod builder;
pub mod dtype;
pub mod entity;
pub mod eval;
pub mod function;
pub mod half;
pub mod host;
pub mod opcode;
pub mod passes;
pub mod scalar;
pub mod skeleton;
pub mod target;
pub mod testing;
pub mod text;
pub mod verify;

pub use builder::FunctionBuilder;
pub use dtype::{Class, DType, Type};
pub use entity::{ArrayRef, Block, DimRef, FuncRef, Inst, LocalRef, TrapRef, Value};
pub use function::{
    Access, ArrayMode, ArrayParam, BlockData, DimParam, Form, Function, Imm, InstData, Loc,
    LocalArray, LoopDim, Module, Part, Role, Trap, TrapKind, ValueData, ValueDef,
};
pub use host::{
    BinaryOp, CoreDim, CoreSignature, DimExpr, FusedExpr, FusedNode, FusedOp, HostProgram,
    Signature, TypeSpec, UfuncMethod, UnaryOp,
};
pub use opcode::Opcode;
pub use scalar::Scalar;
