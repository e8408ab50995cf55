//! Text of machine functions, for people: errors and dumps.
//!
//! ```text
//! block0:
//!   v0, v1 = entry
//!   v2 = vmovups.256 [v1 + 32]
//!   v4 = vfmadd231ps.256 v3, v2, [v0] {1toN} {v5}
//!   if ne block1(v4) else block2
//! ```

use crate::encode::{Cc, Place, Width};
use crate::inst::{Addr, Arg, BlockId, Function, Inst, MaskArg, Start};
use regalloc2::VReg;
use std::fmt::{self, Display, Formatter, Write};
use std::ops::Range;

impl Display for BlockId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "block{}", self.0)
    }
}

impl Display for Addr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        match self.start {
            Start::None => f.write_char('0')?,
            Start::Reg(reg) => write!(f, "{reg}")?,
            Start::Const(id) => write!(f, "const{}", id.0)?,
            Start::Stack(slot) => write!(f, "stack{}", slot.0)?,
        }
        if let Some(index) = self.index {
            write!(f, " + {index}*{}", 1 << self.scale)?;
        }
        match self.disp {
            0 => {}
            n if n < 0 => write!(f, " - {}", n.unsigned_abs())?,
            n => write!(f, " + {n}")?,
        }
        f.write_char(']')
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for block in self.all_blocks() {
            let data = &self.blocks[block.0 as usize];
            write!(f, "{block}")?;
            list(f, "(", &data.params, ")")?;
            writeln!(f, ":")?;
            for inst in &data.insts {
                writeln!(f, "  {}", self.text(inst))?;
            }
        }
        Ok(())
    }
}

fn list(f: &mut impl Write, open: &str, regs: &[VReg], close: &str) -> fmt::Result {
    for (n, reg) in regs.iter().enumerate() {
        write!(f, "{}{reg}", if n == 0 { open } else { ", " })?;
    }
    f.write_str(if regs.is_empty() { "" } else { close })
}

impl Function {
    /// One instruction on one line.
    pub(crate) fn text(&self, inst: &Inst) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(inst, &mut text);
        text
    }

    fn write(&self, inst: &Inst, f: &mut String) -> fmt::Result {
        let values = |range: &Range<u32>| self.values(range).collect::<Vec<_>>();
        match inst {
            Inst::Op { .. } => self.write_op(inst, f),
            Inst::Entry { args } => {
                list(f, "", &values(args), " = ")?;
                f.write_str("entry")
            }
            Inst::Call {
                to,
                args,
                vectors,
                result,
                vector_result,
            } => {
                let results: Vec<VReg> = result.iter().chain(vector_result).copied().collect();
                list(f, "", &results, " = ")?;
                write!(f, "call {to}")?;
                list(f, "(", &[values(args), values(vectors)].concat(), ")")
            }
            Inst::Jump { to, args } => {
                write!(f, "jump {to}")?;
                list(f, "(", &values(args), ")")
            }
            Inst::Branch {
                cc,
                then,
                otherwise,
            } => {
                write!(f, "if {} {}", cc_name(*cc as i64), then.0)?;
                list(f, "(", &values(&then.1), ")")?;
                write!(f, " else {}", otherwise.0)?;
                list(f, "(", &values(&otherwise.1), ")")
            }
            Inst::Return => f.write_str("return"),
        }
    }

    fn write_op(&self, inst: &Inst, f: &mut String) -> fmt::Result {
        let Inst::Op {
            op,
            width,
            args,
            mask,
            zeroing,
            broadcast,
            round,
        } = inst
        else {
            return Ok(());
        };
        let args = &self.args[args.start as usize..args.end as usize];
        let defs = args.iter().filter_map(|arg| match arg {
            Arg::Def(def) | Arg::Tied { def, .. } => Some(*def),
            _ => None,
        });
        list(f, "", &defs.collect::<Vec<_>>(), " = ")?;
        f.write_str(op.row().name)?;
        match width {
            Width::None => {}
            Width::D => f.write_str(".32")?,
            Width::Q => f.write_str(".64")?,
            vector => write!(f, ".{}", 8 * vector.bytes())?,
        }
        let mut separator = " ";
        for (arg, slot) in args.iter().zip(op.row().slots) {
            match arg {
                Arg::Def(_) => continue,
                Arg::Use(reg) | Arg::Tied { from: reg, .. } => write!(f, "{separator}{reg}")?,
                Arg::Mem(addr) => write!(f, "{separator}{addr}")?,
                Arg::Imm(cc) if slot.place == Place::Condition => {
                    write!(f, "{separator}{}", cc_name(*cc))?;
                }
                Arg::Imm(value) => write!(f, "{separator}{value}")?,
            }
            separator = ", ";
        }
        if *broadcast {
            f.write_str(" {1toN}")?;
        }
        if let Some(round) = round {
            write!(f, " {{{round:?}}}")?;
        }
        match mask {
            MaskArg::None => {}
            MaskArg::Use(mask) | MaskArg::Tied { from: mask, .. } => write!(f, " {{{mask}}}")?,
        }
        f.write_str(if *zeroing { "{z}" } else { "" })
    }
}

/// As it is written in mnemonics.
fn cc_name(number: i64) -> String {
    let cc = usize::try_from(number).ok().and_then(|n| Cc::ALL.get(n));
    cc.map_or_else(|| number.to_string(), |cc| format!("{cc:?}").to_lowercase())
}
