//! What a row of the instruction table says: operands, where they are encoded, and which encodings there are.

use crate::Features;

/// How wide an instruction works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Width {
    /// 128-bit vectors, and scalars in vector registers.
    X,
    /// 256-bit vectors.
    Y,
    /// 512-bit vectors.
    Z,
    /// General registers of 32 bits.
    D,
    /// General registers of 64 bits.
    Q,
    /// The instruction says it itself: masks, stores of bytes, `ret`.
    None,
}

impl Width {
    /// Bytes of a register of this width.
    pub const fn bytes(self) -> usize {
        match self {
            Width::X => 16,
            Width::Y => 32,
            Width::Z => 64,
            Width::D => 4,
            Width::Q => 8,
            Width::None => 0,
        }
    }

    /// Is it one of vectors?
    pub const fn is_vector(self) -> bool {
        matches!(self, Width::X | Width::Y | Width::Z)
    }
}

/// Which part of the encoding an operand goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `modrm.reg`.
    Reg,
    /// The `vvvv` field of VEX and EVEX.
    Vvvv,
    /// `modrm.rm`: register or memory.
    Rm,
    /// `modrm.rm`, a register only.
    RmReg,
    /// `modrm.rm`, memory only.
    RmMem,
    /// `modrm.rm`, memory with a vector of indices; the slot's kind is that of the vector.
    Vsib,
    /// The upper half of an immediate byte.
    Is4,
    /// An immediate of so many bytes, sign-extended.
    Imm(u8),
    /// The low bits of the opcode.
    Low,
    /// A condition, in the low bits of the opcode.
    Condition,
    /// Not encoded: always this general register.
    Fixed(u8),
}

/// What register an operand is, or would be if it is memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A vector of the instruction's width divided by two to this power; of 128 bits at least.
    V(u8),
    /// A 128-bit register, whatever the width.
    Xmm,
    /// A mask register.
    K,
    /// A general register of the instruction's width.
    G,
    /// A general register, its low 8 bits.
    G8,
    /// A general register, its low 16 bits.
    G16,
    /// A general register, its low 32 bits.
    G32,
    /// A general register, 64 bits.
    G64,
    /// No register.
    No,
}

/// What an instruction does with an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes all of it.
    Write,
    /// Reads, then writes it.
    Both,
}

/// One operand of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Where it is encoded.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
    /// What is done with it.
    pub access: Access,
}

/// The mandatory prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Prefix {
    /// None.
    NP,
    /// `66`.
    P66,
    /// `F3`.
    PF3,
    /// `F2`.
    PF2,
}

/// The opcode map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Map {
    /// One-byte opcodes.
    M00,
    /// `0F`.
    M0F,
    /// `0F 38`.
    M38,
    /// `0F 3A`.
    M3A,
}

/// The `W` bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum W {
    /// Clear (or ignored).
    W0,
    /// Set.
    W1,
    /// Set for [`Width::Q`].
    Size,
}

/// Which lengths an encoding has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lengths(u8);

impl Lengths {
    /// 128 and 256 bits.
    pub const XY: Lengths = Lengths(0b011);
    /// All of them.
    pub const XYZ: Lengths = Lengths(0b111);
    /// 256 bits.
    pub const Y: Lengths = Lengths(0b010);
    /// 256 and 512 bits.
    pub const YZ: Lengths = Lengths(0b110);
    /// 512 bits.
    pub const Z: Lengths = Lengths(0b100);
    /// A scalar, or 128 bits without need of AVX512VL.
    pub const SCALAR: Lengths = Lengths(0b1001);
    /// No vector; `L` is 0.
    pub const L0: Lengths = Lengths(0b1_0000);
    /// No vector; `L` is 1.
    pub const L1: Lengths = Lengths(0b10_0000);
    /// General registers of 32 or 64 bits; `L` is 0.
    pub const DQ: Lengths = Lengths(0b100_0000);

    /// Is this width among them?
    pub const fn has(self, width: Width) -> bool {
        match width {
            Width::X | Width::Y | Width::Z => self.0 >> (width as u8) & 1 != 0,
            Width::D | Width::Q => self.0 == Lengths::DQ.0,
            Width::None => self.0 == Lengths::L0.0 || self.0 == Lengths::L1.0,
        }
    }

    /// Is it a scalar in a vector register?
    pub const fn is_scalar(self) -> bool {
        self.0 == Lengths::SCALAR.0
    }

    /// The `L` field for this width.
    pub(crate) const fn field(self, width: Width) -> u8 {
        match width {
            Width::X | Width::D | Width::Q => 0,
            Width::Y => 1,
            Width::Z => 2,
            Width::None => (self.0 == Lengths::L1.0) as u8,
        }
    }
}

/// The tuple type: how many bytes a memory operand has, which is the unit of an 8-bit displacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tuple {
    /// The vector, or one element of so many bytes in all lanes.
    Full(u8),
    /// Half of the vector, or one element of so many bytes in all lanes.
    Half(u8),
    /// The vector's width divided by two to this power; no broadcast.
    Part(u8),
    /// So many bytes, at any width.
    Bytes(u8),
    /// 8 bytes at 128 bits, else the vector: `vmovddup`.
    Dup,
    /// There is no memory form.
    None,
}

impl Tuple {
    /// Bytes of the memory operand.
    pub const fn bytes(self, width: Width, broadcast: bool) -> usize {
        match self {
            Tuple::Full(element) | Tuple::Half(element) if broadcast => element as usize,
            Tuple::Full(_) => width.bytes(),
            Tuple::Half(_) => width.bytes() / 2,
            Tuple::Part(shift) => width.bytes() >> shift,
            Tuple::Bytes(n) => n as usize,
            Tuple::Dup if matches!(width, Width::X) => 8,
            Tuple::Dup => width.bytes(),
            Tuple::None => 1,
        }
    }

    /// Bytes of a broadcast element, where there may be one.
    pub const fn element(self) -> Option<usize> {
        match self {
            Tuple::Full(0) | Tuple::Half(0) => None,
            Tuple::Full(element) | Tuple::Half(element) => Some(element as usize),
            _ => None,
        }
    }
}

/// What the `{k}` field of an EVEX form may say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Masking {
    /// Nothing.
    No,
    /// A mask; elements that are off keep their values.
    Merge,
    /// A mask; elements that are off keep their values or become zero.
    MergeZero,
    /// There must be one.
    Required,
}

/// Rounding in the instruction, for forms with registers only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// None.
    No,
    /// The mode, without exceptions.
    Mode,
    /// No exceptions.
    Sae,
}

/// A legacy encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Legacy {
    /// `REX.W`.
    pub w: W,
    /// It works on general registers of either width, else on what it says.
    pub sized: bool,
    /// What it needs.
    pub features: Features,
}

/// A VEX encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vex {
    /// Its mnemonic.
    pub name: &'static str,
    /// Its `W` bit.
    pub w: W,
    /// Its lengths.
    pub lengths: Lengths,
    /// What it needs.
    pub features: Features,
    /// May its `rm` be memory?
    pub memory: bool,
    /// The bits of an immediate byte that mean the same as in the EVEX encoding.
    pub immediate: u8,
}

/// An EVEX encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evex {
    /// Its `W` bit.
    pub w: W,
    /// Its lengths.
    pub lengths: Lengths,
    /// What it needs; and AVX512VL where vectors are shorter than 512 bits.
    pub features: Features,
    /// Its memory operand.
    pub tuple: Tuple,
    /// Its mask.
    pub masking: Masking,
    /// Its rounding.
    pub rounding: Rounding,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The mnemonic (a VEX encoding may have another).
    pub name: &'static str,
    /// The operands, as Intel orders them; [`Place::Fixed`] ones are not written in assembly text.
    pub slots: &'static [Slot],
    /// Mandatory prefix.
    pub prefix: Prefix,
    /// Opcode map.
    pub map: Map,
    /// The opcode's byte.
    pub opcode: u8,
    /// Part of the opcode in `modrm.reg`.
    pub digit: Option<u8>,
    /// A last byte that is the same always.
    pub suffix: Option<u8>,
    /// The legacy encoding.
    pub legacy: Option<Legacy>,
    /// The VEX encoding.
    pub vex: Option<Vex>,
    /// The EVEX encoding.
    pub evex: Option<Evex>,
}

/// A row without encodings, for the table to complete.
pub(super) const fn row(
    name: &'static str,
    slots: &'static [Slot],
    prefix: Prefix,
    map: Map,
    opcode: u8,
) -> Row {
    Row {
        name,
        slots,
        prefix,
        map,
        opcode,
        digit: None,
        suffix: None,
        legacy: None,
        vex: None,
        evex: None,
    }
}

impl Row {
    /// `modrm.reg` is this part of the opcode.
    pub(super) const fn digit(mut self, digit: u8) -> Row {
        self.digit = Some(digit);
        self
    }

    /// The last byte is this.
    pub(super) const fn suffix(mut self, suffix: u8) -> Row {
        self.suffix = Some(suffix);
        self
    }

    /// A legacy encoding for 32 and 64 bits.
    pub(super) const fn sized(mut self, features: Features) -> Row {
        self.legacy = Some(Legacy {
            w: W::Size,
            sized: true,
            features,
        });
        self
    }

    /// A legacy encoding of one width.
    pub(super) const fn plain(mut self, w: W) -> Row {
        self.legacy = Some(Legacy {
            w,
            sized: false,
            features: Features::NONE,
        });
        self
    }

    /// A VEX encoding.
    pub(super) const fn vex(mut self, w: W, lengths: Lengths, features: Features) -> Row {
        self.vex = Some(Vex {
            name: self.name,
            w,
            lengths,
            features,
            memory: true,
            immediate: 0xff,
        });
        self
    }

    /// The VEX encoding has a mnemonic of its own.
    pub(super) const fn vex_name(mut self, name: &'static str) -> Row {
        if let Some(vex) = &mut self.vex {
            vex.name = name;
        }
        self
    }

    /// The VEX encoding has no memory form.
    pub(super) const fn vex_registers(mut self) -> Row {
        if let Some(vex) = &mut self.vex {
            vex.memory = false;
        }
        self
    }

    /// The VEX encoding knows fewer bits of the immediate.
    pub(super) const fn vex_immediate(mut self, bits: u8) -> Row {
        if let Some(vex) = &mut self.vex {
            vex.immediate = bits;
        }
        self
    }

    /// An EVEX encoding; the mask follows from the first operand.
    pub(super) const fn evex(
        mut self,
        w: W,
        lengths: Lengths,
        features: Features,
        tuple: Tuple,
    ) -> Row {
        let masking = match self.slots[0] {
            Slot {
                place: Place::RmMem,
                ..
            } => Masking::Merge,
            Slot { kind: Kind::K, .. } => Masking::Merge,
            _ => Masking::MergeZero,
        };
        self.evex = Some(Evex {
            w,
            lengths,
            features,
            tuple,
            masking,
            rounding: Rounding::No,
        });
        self
    }

    /// The EVEX encoding has another use of the mask.
    pub(super) const fn masking(mut self, masking: Masking) -> Row {
        if let Some(evex) = &mut self.evex {
            evex.masking = masking;
        }
        self
    }

    /// The EVEX encoding may say how to round.
    pub(super) const fn er(mut self) -> Row {
        if let Some(evex) = &mut self.evex {
            evex.rounding = Rounding::Mode;
        }
        self
    }

    /// The EVEX encoding may suppress exceptions.
    pub(super) const fn sae(mut self) -> Row {
        if let Some(evex) = &mut self.evex {
            evex.rounding = Rounding::Sae;
        }
        self
    }
}
