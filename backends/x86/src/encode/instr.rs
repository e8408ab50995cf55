//! One instruction with machine registers: whether it can be encoded, and its bytes.

use super::row::{
    Access, Evex, Kind, Legacy, Map, Masking, Place, Prefix, Rounding, Row, Slot, Vex, W,
};
use super::{Op, Width};
use crate::Features;

/// The number of a machine register; which file it is of follows from the instruction.
pub type Reg = u8;

/// What an address starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Base {
    /// Nothing.
    #[default]
    None,
    /// A general register.
    Reg(Reg),
    /// A constant of the pool, relative to the next instruction.
    Const(ConstId),
}

/// A constant of an [`super::Assembler`]'s pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConstId(pub(crate) u32);

/// An address: `base + index * scale + disp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mem {
    /// Where it starts.
    pub base: Base,
    /// A general register other than `rsp`; a vector for gathers and scatters.
    pub index: Option<Reg>,
    /// 1, 2, 4 or 8 as its logarithm.
    pub scale: u8,
    /// Bytes beyond.
    pub disp: i32,
}

impl Mem {
    /// `[base + disp]`.
    pub const fn base(base: Reg, disp: i32) -> Mem {
        Mem {
            base: Base::Reg(base),
            index: None,
            scale: 0,
            disp,
        }
    }

    /// `[base + index * 2^scale + disp]`.
    pub const fn indexed(base: Reg, index: Reg, scale: u8, disp: i32) -> Mem {
        Mem {
            base: Base::Reg(base),
            index: Some(index),
            scale,
            disp,
        }
    }

    /// A constant.
    pub const fn constant(id: ConstId) -> Mem {
        Mem {
            base: Base::Const(id),
            index: None,
            scale: 0,
            disp: 0,
        }
    }
}

/// An operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A register.
    Reg(Reg),
    /// Memory.
    Mem(Mem),
    /// An immediate, or the number of a condition.
    Imm(i64),
}

/// How an instruction rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Round {
    /// To nearest, ties to even.
    Nearest,
    /// Down.
    Down,
    /// Up.
    Up,
    /// Towards zero.
    Zero,
    /// As the environment says, without exceptions.
    Sae,
}

/// What an EVEX instruction says besides its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decor {
    /// The mask register, 1 to 7; 0 is none.
    pub mask: Reg,
    /// Elements that are masked off become zero.
    pub zeroing: bool,
    /// The memory operand is one element for all lanes.
    pub broadcast: bool,
    /// Rounding.
    pub round: Option<Round>,
}

impl Decor {
    /// Nothing.
    pub const NONE: Decor = Decor {
        mask: 0,
        zeroing: false,
        broadcast: false,
        round: None,
    };

    /// Masked-off elements keep their values.
    pub const fn merge(mask: Reg) -> Decor {
        Decor {
            mask,
            ..Decor::NONE
        }
    }

    /// Masked-off elements become zero.
    pub const fn zero(mask: Reg) -> Decor {
        Decor {
            mask,
            zeroing: true,
            ..Decor::NONE
        }
    }

    /// Memory is broadcast.
    pub const BROADCAST: Decor = Decor {
        broadcast: true,
        ..Decor::NONE
    };
}

/// An instruction with machine registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instr<'a> {
    /// Which.
    pub op: Op,
    /// How wide.
    pub width: Width,
    /// One for each slot of the row that is encoded, in the row's order.
    pub args: &'a [Arg],
    /// What else EVEX says.
    pub decor: Decor,
}

/// Which encoding an instruction gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Legacy.
    Legacy(Legacy),
    /// VEX.
    Vex(Vex),
    /// EVEX.
    Evex(Evex),
}

/// Where the bytes of an instruction refer to a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ConstRef {
    /// The constant.
    pub(super) id: ConstId,
    /// Where its 4 bytes of displacement are; they hold what to add.
    pub(super) at: usize,
    /// Bytes from there to the end of the instruction.
    pub(super) rest: usize,
}

/// The operands by the place they are encoded at.
#[derive(Clone, Copy, Default)]
struct Places {
    reg: Reg,
    vvvv: Reg,
    rm: Option<Arg>,
    rm_is_vector: bool,
    is4: Option<Reg>,
    imm: Option<(i64, u8)>,
    low: Reg,
    /// A register whose 8-bit name exists only with a REX prefix.
    rex: bool,
    /// Some vector register is one of 16 to 31.
    high: bool,
    vsib: bool,
}

/// Is it an operand that is encoded?
pub(crate) fn is_encoded(slot: &Slot) -> bool {
    !matches!(slot.place, Place::Fixed(_))
}

impl Kind {
    /// Registers of this kind.
    fn count(self) -> u8 {
        match self {
            Kind::V(_) | Kind::Xmm => 32,
            Kind::K => 8,
            Kind::G | Kind::G8 | Kind::G16 | Kind::G32 | Kind::G64 => 16,
            Kind::No => 0,
        }
    }

    /// Is it a vector?
    pub(crate) const fn is_vector(self) -> bool {
        matches!(self, Kind::V(_) | Kind::Xmm)
    }
}

impl Instr<'_> {
    /// The encoding that the instruction gets, or what is wrong with it.
    pub fn check(&self) -> Result<Encoding, String> {
        self.find().map_err(|why| format!("{self:?}: {why}"))
    }

    fn find(&self) -> Result<Encoding, String> {
        let row = self.op.row();
        let mut args = self.args.iter();
        for slot in row.slots.iter().filter(|slot| is_encoded(slot)) {
            let arg = args.next().ok_or("too few operands")?;
            check_arg(slot, arg)?;
        }
        if args.next().is_some() {
            return Err("too many operands".to_string());
        }
        let places = self.places();
        let memory = match places.rm {
            Some(Arg::Mem(mem)) => Some(mem),
            _ => None,
        };
        if let Some(mem) = memory {
            let constant = matches!(mem.base, Base::Const(_));
            if mem.scale > 3
                || (constant && mem.index.is_some())
                || (mem.index == Some(4) && !places.vsib)
            {
                return Err("no such address".to_string());
            }
        }
        if places.vsib && row.slots[0].access != Access::Read {
            // A gather's registers must differ; in VEX the mask too.
            let index = memory.and_then(|mem| mem.index);
            let masked = row.vex.is_some();
            if index == Some(places.reg)
                || (masked && (index == Some(places.vvvv) || places.reg == places.vvvv))
            {
                return Err("a gather into its own index or mask".to_string());
            }
        }
        match self.pick(&places) {
            Some(Encoding::Evex(evex)) => {
                self.check_evex(&evex, memory.is_some())?;
                Ok(Encoding::Evex(evex))
            }
            Some(encoding) => Ok(encoding),
            None => Err("no encoding of this width with these operands".to_string()),
        }
    }

    fn check_evex(&self, evex: &Evex, memory: bool) -> Result<(), String> {
        let decor = self.decor;
        let to_memory = self.op.row().slots.first().is_some_and(|slot| {
            matches!(slot.place, Place::RmMem | Place::Vsib)
                || (matches!(slot.place, Place::Rm) && memory)
        });
        let mask = match evex.masking {
            Masking::No => decor.mask == 0,
            Masking::Required => decor.mask != 0,
            Masking::Merge | Masking::MergeZero => true,
        };
        let zeroing =
            !decor.zeroing || (decor.mask != 0 && evex.masking == Masking::MergeZero && !to_memory);
        let broadcast = !decor.broadcast || (memory && evex.tuple.element().is_some());
        let round = match (decor.round, evex.rounding) {
            (None, _) => true,
            (Some(Round::Sae), Rounding::Sae) => true,
            (Some(Round::Sae), _) => false,
            (Some(_), rounding) => rounding == Rounding::Mode,
        };
        let wide = decor.round.is_none() || evex.lengths.is_scalar() || self.width == Width::Z;
        match () {
            () if !mask || decor.mask > 7 => Err("no such mask".to_string()),
            () if !zeroing => Err("cannot zero".to_string()),
            () if !broadcast => Err("cannot broadcast".to_string()),
            () if !round || !wide || (decor.round.is_some() && memory) => {
                Err("cannot round".to_string())
            }
            () => Ok(()),
        }
    }

    /// What the CPU must have.
    pub fn features(&self) -> Result<Features, String> {
        Ok(match self.check()? {
            Encoding::Legacy(legacy) => legacy.features,
            Encoding::Vex(vex) => vex.features,
            Encoding::Evex(evex) if self.width == Width::Z || evex.lengths.is_scalar() => {
                evex.features.and(Features::AVX512F)
            }
            Encoding::Evex(evex) => evex.features.and(Features::AVX512F).and(Features::AVX512VL),
        })
    }

    /// The encoding, for operands that are right. VEX unless something asks for EVEX.
    fn pick(&self, places: &Places) -> Option<Encoding> {
        let row = self.op.row();
        if let Some(legacy) = row.legacy {
            let sized = matches!(self.width, Width::D | Width::Q);
            return (sized == legacy.sized && self.decor == Decor::NONE)
                .then_some(Encoding::Legacy(legacy));
        }
        let memory = matches!(places.rm, Some(Arg::Mem(_)));
        if let Some(vex) = row.vex
            && vex.lengths.has(self.width)
            && self.decor == Decor::NONE
            && !places.high
            && (vex.memory || !memory)
            && places
                .imm
                .is_none_or(|(value, _)| value as u8 & !vex.immediate == 0)
        {
            return Some(Encoding::Vex(vex));
        }
        row.evex
            .filter(|evex| evex.lengths.has(self.width))
            .map(Encoding::Evex)
    }

    fn places(&self) -> Places {
        let mut places = Places::default();
        let mut args = self.args.iter();
        for slot in self.op.row().slots {
            if !is_encoded(slot) {
                continue;
            }
            let Some(arg) = args.next() else { break };
            let vector = slot.kind.is_vector();
            if let Arg::Reg(reg) = *arg {
                places.high |= vector && reg >= 16;
                places.rex |= slot.kind == Kind::G8 && (4..8).contains(&reg);
            }
            match (slot.place, *arg) {
                (Place::Reg, Arg::Reg(reg)) => places.reg = reg,
                (Place::Vvvv, Arg::Reg(reg)) => places.vvvv = reg,
                (Place::Is4, Arg::Reg(reg)) => places.is4 = Some(reg),
                (Place::Low, Arg::Reg(reg)) => places.low = reg,
                (Place::Condition, Arg::Imm(cc)) => places.low = cc as u8,
                (Place::Imm(bytes), Arg::Imm(value)) => places.imm = Some((value, bytes)),
                (Place::Vsib, Arg::Mem(mem)) => {
                    places.rm = Some(Arg::Mem(mem));
                    places.vsib = true;
                    places.high |= mem.index.is_some_and(|index| index >= 16);
                }
                (_, arg) => {
                    places.rm = Some(arg);
                    places.rm_is_vector = vector;
                }
            }
        }
        places
    }

    /// Appends the bytes; says where they refer to a constant. The instruction must be one that [`Instr::check`]
    /// takes: else the bytes mean something else.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<ConstRef> {
        debug_assert_eq!(self.check().err(), None);
        let row = self.op.row();
        let places = self.places();
        let encoding = self.pick(&places)?;
        let memory = match places.rm {
            Some(Arg::Mem(mem)) => Some(mem),
            _ => None,
        };
        let base = match memory.map(|mem| mem.base) {
            Some(Base::Reg(base)) => base,
            _ => 0,
        };
        let index = memory.and_then(|mem| mem.index).unwrap_or(0);
        let rm = match places.rm {
            Some(Arg::Reg(rm)) => rm,
            _ => base,
        };
        let reg = row.digit.unwrap_or(places.reg);
        let fields = Fields {
            reg,
            rm,
            index,
            vvvv: places.vvvv,
        };
        let mut unit = 1;
        match encoding {
            Encoding::Legacy(legacy) => self.legacy(out, row, legacy, &places, fields),
            Encoding::Vex(vex) => self.vex(out, row, vex, fields),
            Encoding::Evex(evex) => {
                unit = evex.tuple.bytes(self.width, self.decor.broadcast) as i32;
                self.evex(out, row, evex, &places, fields);
            }
        }
        let mut constant = None;
        match places.rm {
            Some(Arg::Reg(rm)) => out.push(0xc0 | (reg & 7) << 3 | rm & 7),
            Some(Arg::Mem(mem)) => constant = modrm(out, mem, reg & 7, unit),
            _ => {}
        }
        let before = out.len();
        if let Some(is4) = places.is4 {
            out.push(is4 << 4);
        }
        if let Some((value, bytes)) = places.imm {
            out.extend_from_slice(&value.to_le_bytes()[..usize::from(bytes)]);
        }
        out.extend(row.suffix);
        constant.map(|(id, at)| ConstRef {
            id,
            at,
            rest: 4 + out.len() - before,
        })
    }

    fn w(&self, w: W) -> u8 {
        match w {
            W::W0 => 0,
            W::W1 => 1,
            W::Size => (self.width == Width::Q) as u8,
        }
    }

    fn legacy(
        &self,
        out: &mut Vec<u8>,
        row: &Row,
        legacy: Legacy,
        places: &Places,
        fields: Fields,
    ) {
        match row.prefix {
            Prefix::NP => {}
            Prefix::P66 => out.push(0x66),
            Prefix::PF3 => out.push(0xf3),
            Prefix::PF2 => out.push(0xf2),
        }
        let condition = row.slots.iter().any(|s| s.place == Place::Condition);
        let b = match condition {
            false => (fields.rm | places.low) >> 3 & 1,
            true => fields.rm >> 3 & 1,
        };
        let rex =
            self.w(legacy.w) << 3 | (fields.reg >> 3 & 1) << 2 | (fields.index >> 3 & 1) << 1 | b;
        if rex != 0 || places.rex {
            out.push(0x40 | rex);
        }
        match row.map {
            Map::M00 => {}
            Map::M0F => out.push(0x0f),
            Map::M38 => out.extend([0x0f, 0x38]),
            Map::M3A => out.extend([0x0f, 0x3a]),
        }
        out.push(match condition {
            false => row.opcode | places.low & 7,
            true => row.opcode | places.low,
        });
    }

    fn vex(&self, out: &mut Vec<u8>, row: &Row, vex: Vex, fields: Fields) {
        let w = self.w(vex.w);
        let r = !fields.reg >> 3 & 1;
        let x = !fields.index >> 3 & 1;
        let b = !fields.rm >> 3 & 1;
        let tail = (!fields.vvvv & 15) << 3 | vex.lengths.field(self.width) << 2 | row.prefix as u8;
        if w == 0 && x == 1 && b == 1 && row.map == Map::M0F {
            out.extend([0xc5, r << 7 | tail]);
        } else {
            out.extend([
                0xc4,
                r << 7 | x << 6 | b << 5 | row.map as u8,
                w << 7 | tail,
            ]);
        }
        out.push(row.opcode);
    }

    fn evex(&self, out: &mut Vec<u8>, row: &Row, evex: Evex, places: &Places, fields: Fields) {
        let register = matches!(places.rm, Some(Arg::Reg(_)));
        let inverted = |reg: Reg, bit: u8| !reg >> bit & 1;
        // X extends the index, or a vector register in rm; V' a vector in vvvv, or a vector of indices.
        let x = match register && places.rm_is_vector {
            true => inverted(fields.rm, 4),
            false => inverted(fields.index, 3),
        };
        let v = match places.vsib {
            true => inverted(fields.index, 4),
            false => inverted(fields.vvvv, 4),
        };
        let (length, b) = match self.decor.round {
            None => (evex.lengths.field(self.width), self.decor.broadcast as u8),
            // The length is 512 bits then, whatever the field says.
            Some(Round::Sae) => (0, 1),
            Some(mode) => (mode as u8, 1),
        };
        out.extend([
            0x62,
            inverted(fields.reg, 3) << 7
                | x << 6
                | inverted(fields.rm, 3) << 5
                | inverted(fields.reg, 4) << 4
                | row.map as u8,
            self.w(evex.w) << 7 | (!fields.vvvv & 15) << 3 | 4 | row.prefix as u8,
            (self.decor.zeroing as u8) << 7 | length << 5 | b << 4 | v << 3 | self.decor.mask,
            row.opcode,
        ]);
    }
}

/// The registers of an instruction by field.
#[derive(Clone, Copy)]
struct Fields {
    reg: Reg,
    rm: Reg,
    index: Reg,
    vvvv: Reg,
}

fn check_arg(slot: &Slot, arg: &Arg) -> Result<(), String> {
    let fits = match (slot.place, *arg) {
        (Place::Rm | Place::RmMem, Arg::Mem(mem)) => mem.index.is_none_or(|index| index < 16),
        (Place::Vsib, Arg::Mem(mem)) => {
            mem.index.is_some_and(|index| index < 32) && !matches!(mem.base, Base::Const(_))
        }
        (Place::RmMem | Place::Vsib | Place::Imm(_) | Place::Condition, Arg::Reg(_)) => false,
        (Place::Is4, Arg::Reg(reg)) => reg < 16,
        (_, Arg::Reg(reg)) => reg < slot.kind.count(),
        // A byte may be given signed or unsigned.
        (Place::Imm(1), Arg::Imm(value)) => (-128..256).contains(&value),
        (Place::Imm(4), Arg::Imm(value)) => (-(1 << 31)..1 << 32).contains(&value),
        (Place::Imm(_), Arg::Imm(_)) => true,
        (Place::Condition, Arg::Imm(value)) => (0..16).contains(&value),
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{arg:?} does not fit {slot:?}")),
    }
}

/// `modrm`, `sib` and displacement of memory; `unit` is what an 8-bit displacement counts.
/// Says where the displacement of a constant is.
fn modrm(out: &mut Vec<u8>, mem: Mem, reg: u8, unit: i32) -> Option<(ConstId, usize)> {
    let reg = reg << 3;
    let sib = |base: u8| mem.scale << 6 | (mem.index.map_or(4, |index| index & 7)) << 3 | base;
    let base = match mem.base {
        Base::Const(id) => {
            out.push(reg | 0b101);
            let at = out.len();
            out.extend(mem.disp.to_le_bytes());
            return Some((id, at));
        }
        Base::None => {
            out.extend([reg | 0b100, sib(0b101)]);
            out.extend(mem.disp.to_le_bytes());
            return None;
        }
        Base::Reg(base) => base & 7,
    };
    let short = mem.disp % unit == 0 && i8::try_from(mem.disp / unit).is_ok();
    // Without displacement, base 101 would mean no base.
    let mode = match (mem.disp == 0 && base != 0b101, short) {
        (true, _) => 0,
        (false, true) => 0x40,
        (false, false) => 0x80,
    };
    // Base 100 means that a sib byte follows.
    if mem.index.is_some() || base == 0b100 {
        out.extend([mode | reg | 0b100, sib(base)]);
    } else {
        out.push(mode | reg | base);
    }
    match mode {
        0 => {}
        0x40 => out.push((mem.disp / unit) as u8),
        _ => out.extend(mem.disp.to_le_bytes()),
    }
    None
}
