//! The encoder: a table of instructions, an instruction with machine registers, and an assembler.
//!
//! ```
//! use kjit_x86::encode::{Arg, Assembler, Decor, Instr, Mem, Op, Width};
//!
//! // vfmadd231ps zmm1 {k2}, zmm3, dword bcst [rdi + rcx*4 + 8]
//! let args = [Arg::Reg(1), Arg::Reg(3), Arg::Mem(Mem::indexed(7, 1, 2, 8))];
//! let decor = Decor { mask: 2, broadcast: true, ..Decor::NONE };
//! let mut code = Assembler::new();
//! code.instr(&Instr { op: Op::Vfmadd231ps, width: Width::Z, args: &args, decor });
//! code.op(Op::Ret, Width::None, &[]);
//! assert_eq!(
//!     code.finish()?.bytes,
//!     [0x62, 0xf2, 0x65, 0x5a, 0xb8, 0x4c, 0x8f, 0x02, 0xc3]
//! );
//! # Ok::<(), String>(())
//! ```

mod buffer;
mod instr;
mod names;
mod row;
mod shape;
mod table;
#[cfg(test)]
mod tests;

pub use buffer::{Assembler, Cc, Code, Label};
pub(crate) use instr::is_encoded;
pub use instr::{Arg, Base, ConstId, Decor, Encoding, Instr, Mem, Reg, Round};
pub use row::{
    Access, Evex, Kind, Legacy, Lengths, Map, Masking, Place, Prefix, Rounding, Row, Slot, Tuple,
    Vex, W, Width,
};
pub use table::Op;
