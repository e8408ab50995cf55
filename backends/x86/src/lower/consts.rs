//! Constants: in registers for the whole function as far as there are enough, else operands in memory.

use super::{A, Lower};
use crate::encode::{Op, Place, Width};
use crate::{Addr, VReg};

/// A constant as an instruction takes it.
pub(super) enum Operand {
    /// In a register.
    Reg(VReg),
    /// A whole vector in memory.
    Memory(Addr),
    /// One lane in memory.
    Element(Addr),
}

/// The input of an instruction that may be memory, if it is given so many.
pub(super) fn memory_place(op: Op, inputs: usize) -> Option<usize> {
    let slots = op.row().slots;
    let read = slots
        .iter()
        .filter(|s| s.access != crate::encode::Access::Write);
    let at = read.clone().position(|s| s.place == Place::Rm)?;
    (read.count() == inputs).then_some(at)
}

impl Lower<'_> {
    /// Puts constants into registers ahead of the loops: as many as the shape allows.
    pub(super) fn open_constants(&mut self) {
        for (bits, lane) in self.shape.constants.clone() {
            let reg = self.broadcast(bits, lane);
            self.constants.insert((bits, lane), reg);
        }
    }

    /// A constant as an operand, in memory if that may be.
    pub(super) fn operand(
        &mut self,
        op: Op,
        width: Width,
        (bits, lane): (u64, u8),
        memory: bool,
    ) -> Operand {
        if let Some(reg) = self.constants.get(&(bits, lane)) {
            return Operand::Reg(*reg);
        }
        let row = op.row();
        if memory && self.masks {
            let element = row.evex.and_then(|evex| evex.tuple.element());
            if element == Some(usize::from(lane)) {
                let id = self.f.constant(&bits.to_le_bytes()[..usize::from(lane)]);
                return Operand::Element(Addr::constant(id));
            }
        } else if memory && row.vex.is_some_and(|vex| vex.memory) {
            return Operand::Memory(self.repeated(bits, lane, width));
        }
        Operand::Reg(self.broadcast(bits, lane))
    }

    /// A vector of a constant, in memory.
    fn repeated(&mut self, bits: u64, lane: u8, width: Width) -> Addr {
        let one = &bits.to_le_bytes()[..usize::from(lane)];
        let bytes = one.repeat(width.bytes() / usize::from(lane));
        Addr::constant(self.f.constant(&bytes))
    }

    /// A constant in a register.
    pub(super) fn constant(&mut self, bits: u64, lane: u8) -> VReg {
        match self.constants.get(&(bits, lane)) {
            Some(reg) => *reg,
            None => self.broadcast(bits, lane),
        }
    }

    fn broadcast(&mut self, bits: u64, lane: u8) -> VReg {
        let width = self.width(lane);
        if lane == 8 && width == Width::X {
            let at = self.repeated(bits, lane, width);
            return self.f.op(Op::Vmovups, width, &[at.into()]);
        }
        let id = self.f.constant(&bits.to_le_bytes()[..usize::from(lane)]);
        let op = match lane {
            4 => Op::Vbroadcastss,
            _ => Op::Vbroadcastsd,
        };
        self.f.op(op, width, &[Addr::constant(id).into()])
    }

    /// A vector that is not the same in every lane: lane `n` has `value(n)`.
    pub(super) fn lane_values(&mut self, lane: u8, value: impl Fn(i64) -> i64) -> Addr {
        let mut bytes = Vec::with_capacity(64);
        for n in 0..self.lanes as i64 {
            bytes.extend_from_slice(&value(n).to_le_bytes()[..usize::from(lane)]);
        }
        Addr::constant(self.f.constant(&bytes))
    }

    /// The operand as a register.
    pub(super) fn reg(&mut self, a: A) -> VReg {
        match a {
            A::R(reg) => reg,
            A::C(bits, lane) => self.constant(bits, lane),
            A::M(_) | A::I(_) => {
                self.refuse("memory as a register");
                self.status
            }
        }
    }
}
