//! Every row of the table against iced-x86: what it decodes from our bytes must be the instruction that was meant, and
//! what it encodes itself must be the same bytes.
//!
//! No two equally good encodings are left to choice: VEX where there is one and nothing asks for EVEX, two bytes of it
//! where they do, the shortest displacement. So bytes are compared, not lengths.

mod addresses;
mod jumps;
mod registers;
mod rows;

use super::row::{Kind, Place, Slot};
use super::{Arg, Base, Decor, Encoding, Instr, Mem, Op, Round, Width, is_encoded};
use crate::Features;
use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, Encoder, Instruction, Mnemonic, OpKind, Register,
    RoundingControl,
};
use std::collections::HashMap;

/// Where the code is said to be.
const IP: u64 = 0x10_0000;

/// Holds instructions against iced-x86.
struct Judge {
    mnemonics: HashMap<String, Mnemonic>,
    encoder: Encoder,
    bytes: Vec<u8>,
    /// Instructions that agreed.
    count: usize,
    /// What did not.
    wrong: Vec<String>,
}

/// The widths that a row has.
fn widths(op: Op) -> Vec<Width> {
    let row = op.row();
    let all = [
        Width::X,
        Width::Y,
        Width::Z,
        Width::D,
        Width::Q,
        Width::None,
    ];
    let fits = |width: &Width| {
        let legacy = row
            .legacy
            .is_some_and(|l| l.sized == matches!(width, Width::D | Width::Q));
        let legacy = legacy && !width.is_vector();
        legacy
            || row.vex.is_some_and(|vex| vex.lengths.has(*width))
            || row.evex.is_some_and(|evex| evex.lengths.has(*width))
    };
    all.into_iter().filter(fits).collect()
}

/// The slots that are written in the instruction.
fn slots(op: Op) -> Vec<Slot> {
    op.row().slots.iter().copied().filter(is_encoded).collect()
}

/// A sequence of numbers that looks random and is the same every time.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }

    /// Some operand for a slot; memory for those that must be.
    fn arg(&mut self, slot: &Slot, high: bool) -> Arg {
        match slot.place {
            Place::Imm(1) => Arg::Imm(self.below(256) as i64 - 128),
            Place::Imm(4) => Arg::Imm(i64::from(self.below(1 << 32) as u32 as i32)),
            Place::Imm(_) => Arg::Imm(self.below(1 << 48) as i64 - (1 << 47)),
            Place::Condition => Arg::Imm(self.below(16) as i64),
            Place::RmMem => Arg::Mem(Mem::indexed(3, 1, 2, 64)),
            Place::Vsib => Arg::Mem(Mem::indexed(3, 9, 2, 64)),
            Place::Is4 => Arg::Reg(self.below(16) as u8),
            _ => Arg::Reg(self.below(match slot.kind {
                Kind::V(_) | Kind::Xmm => 16 << u32::from(high),
                Kind::K => 8,
                _ => 16,
            }) as u8),
        }
    }
}

/// The number of registers of a gather or scatter must differ: a mask that needs to be there.
fn needed(op: Op) -> Decor {
    match op.row().evex {
        Some(evex) if evex.masking == super::Masking::Required => Decor::merge(3),
        _ => Decor::NONE,
    }
}

impl Judge {
    fn new() -> Judge {
        let mnemonics = Mnemonic::values().map(|m| (format!("{m:?}").to_lowercase(), m));
        Judge {
            mnemonics: mnemonics.collect(),
            encoder: Encoder::new(64),
            bytes: Vec::new(),
            count: 0,
            wrong: Vec::new(),
        }
    }

    /// One instruction, which must be one that [`Instr::check`] takes.
    fn judge(&mut self, instr: &Instr<'_>) -> Option<Instruction> {
        let encoding = match instr.check() {
            Ok(encoding) => encoding,
            Err(why) => {
                self.wrong.push(why);
                return None;
            }
        };
        self.bytes.clear();
        instr.encode(&mut self.bytes);
        let options = DecoderOptions::NONE;
        let decoded = Decoder::with_ip(64, &self.bytes, IP, options).decode();
        let bytes = std::mem::take(&mut self.bytes);
        let verdict = self.compare(instr, &encoding, &decoded, &bytes);
        match verdict {
            Ok(()) => self.count += 1,
            Err(why) => self
                .wrong
                .push(format!("{instr:?}\n  {bytes:02x?} is {decoded}: {why}")),
        }
        self.bytes = bytes;
        Some(decoded)
    }

    fn compare(
        &mut self,
        instr: &Instr<'_>,
        encoding: &Encoding,
        decoded: &Instruction,
        bytes: &[u8],
    ) -> Result<(), String> {
        let row = instr.op.row();
        same("length", decoded.len(), bytes.len())?;
        let name = match encoding {
            Encoding::Vex(vex) => vex.name,
            _ => row.name,
        };
        let condition = slots(instr.op).iter().any(|s| s.place == Place::Condition);
        if !condition {
            let mnemonic = self.mnemonics.get(name).copied();
            same("mnemonic", Some(decoded.mnemonic()), mnemonic)?;
        }
        let mut operand = 0;
        for (slot, arg) in slots(instr.op).iter().zip(instr.args) {
            if slot.place == Place::Condition {
                let cc = condition_number(decoded);
                same("condition", Arg::Imm(cc), *arg)?;
                continue;
            }
            self.operand(instr, slot, arg, decoded, operand)?;
            operand += 1;
        }
        let implied = row
            .slots
            .iter()
            .any(|s| s.kind == Kind::G8 && !is_encoded(s));
        same("operands", decoded.op_count(), operand + u32::from(implied))?;
        decorated(instr.decor, decoded)?;
        let needs = on_avx512f(instr.features()?);
        let stated = stated(decoded);
        // Some forms of 128 bits, and broadcasts from memory, ask for AVX only where the row says AVX2.
        let less = needs == Features::AVX2 && stated == Features::AVX;
        if needs != stated && !less {
            return Err(format!("features {needs:?}, not {stated:?}"));
        }
        let mut again = *decoded;
        let based = decoded.memory_base() != Register::None && !decoded.is_ip_rel_memory_operand();
        if based {
            again.set_memory_displ_size(u32::from(decoded.memory_displacement64() != 0));
        }
        let _ = self.encoder.take_buffer();
        self.encoder
            .encode(&again, IP)
            .map_err(|error| error.to_string())?;
        let theirs = self.encoder.take_buffer();
        same("bytes", bytes, &theirs[..])
    }

    fn operand(
        &self,
        instr: &Instr<'_>,
        slot: &Slot,
        arg: &Arg,
        decoded: &Instruction,
        operand: u32,
    ) -> Result<(), String> {
        match *arg {
            Arg::Reg(reg) => {
                let meant = register(slot.kind, instr.width, reg);
                same("register", decoded.op_register(operand), meant)
            }
            Arg::Imm(value) => {
                let Place::Imm(bytes) = slot.place else {
                    return Err("an immediate elsewhere".to_string());
                };
                let bits = 64 - 8 * u32::from(bytes);
                let found = decoded.immediate(operand) as i64;
                same("immediate", found << bits, value << bits)
            }
            Arg::Mem(mem) => {
                same("kind", decoded.op_kind(operand), OpKind::Memory)?;
                let base = match mem.base {
                    Base::None => Register::None,
                    Base::Reg(reg) => Register::RAX + u32::from(reg),
                    Base::Const(_) => Register::RIP,
                };
                same("base", decoded.memory_base(), base)?;
                let index = mem.index.map(|index| match slot.place {
                    Place::Vsib => register(slot.kind, instr.width, index),
                    _ => Register::RAX + u32::from(index),
                });
                same(
                    "index",
                    decoded.memory_index(),
                    index.unwrap_or(Register::None),
                )?;
                let scale = mem.index.map_or(0, |_| mem.scale);
                same("scale", decoded.memory_index_scale(), 1 << scale)?;
                match base {
                    Register::RIP => Ok(()),
                    _ => same(
                        "displacement",
                        decoded.memory_displacement64() as i64,
                        i64::from(mem.disp),
                    ),
                }
            }
        }
    }

    /// All must have agreed, and so many at least.
    fn finish(self, least: usize) {
        // One of each instruction.
        let mut shown = self.wrong.clone();
        shown.dedup_by_key(|text| text.split(',').next().map(str::to_string));
        shown.truncate(20);
        assert!(
            self.wrong.is_empty(),
            "{} of {} are wrong:\n{}",
            self.wrong.len(),
            self.count + self.wrong.len(),
            shown.join("\n")
        );
        assert!(self.count >= least, "only {} instructions", self.count);
        println!("{} instructions agree with iced-x86", self.count);
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, meant: T) -> Result<(), String> {
    match found == meant {
        true => Ok(()),
        false => Err(format!("{what} {found:02x?}, not {meant:02x?}")),
    }
}

/// The register of a kind.
fn register(kind: Kind, width: Width, number: u8) -> Register {
    let n = u32::from(number);
    let vector = |bytes: usize| match bytes.max(16) {
        16 => Register::XMM0 + n,
        32 => Register::YMM0 + n,
        _ => Register::ZMM0 + n,
    };
    match kind {
        Kind::V(shift) => vector(width.bytes() >> shift),
        Kind::Xmm => vector(16),
        Kind::K => Register::K0 + n,
        Kind::G if width == Width::Q => Register::RAX + n,
        Kind::G | Kind::G32 => Register::EAX + n,
        Kind::G64 => Register::RAX + n,
        Kind::G16 => Register::AX + n,
        Kind::G8 if n < 4 => Register::AL + n,
        Kind::G8 => Register::SPL + (n - 4),
        Kind::No => Register::None,
    }
}

fn decorated(decor: Decor, decoded: &Instruction) -> Result<(), String> {
    let mask = match decor.mask {
        0 => Register::None,
        n => Register::K0 + u32::from(n),
    };
    same("mask", decoded.op_mask(), mask)?;
    same("zeroing", decoded.zeroing_masking(), decor.zeroing)?;
    same("broadcast", decoded.is_broadcast(), decor.broadcast)?;
    let round = match decor.round {
        None | Some(Round::Sae) => RoundingControl::None,
        Some(Round::Nearest) => RoundingControl::RoundToNearest,
        Some(Round::Down) => RoundingControl::RoundDown,
        Some(Round::Up) => RoundingControl::RoundUp,
        Some(Round::Zero) => RoundingControl::RoundTowardZero,
    };
    same("rounding", decoded.rounding_control(), round)?;
    let sae = decor.round == Some(Round::Sae);
    same("sae", decoded.suppress_all_exceptions(), sae)
}

/// The number of the condition in the opcode.
fn condition_number(decoded: &Instruction) -> i64 {
    use iced_x86::ConditionCode as C;
    let order = [
        C::o,
        C::no,
        C::b,
        C::ae,
        C::e,
        C::ne,
        C::be,
        C::a,
        C::s,
        C::ns,
        C::p,
        C::np,
        C::l,
        C::ge,
        C::le,
        C::g,
    ];
    let found = decoded.condition_code();
    order
        .iter()
        .position(|c| *c == found)
        .map_or(-1, |n| n as i64)
}

/// The features that iced-x86 states, as far as they are ours.
fn stated(decoded: &Instruction) -> Features {
    let mut all = Features::NONE;
    for feature in decoded.cpuid_features() {
        all = all.and(match feature {
            CpuidFeature::AVX => Features::AVX,
            CpuidFeature::AVX2 => Features::AVX2,
            CpuidFeature::FMA => Features::FMA,
            CpuidFeature::F16C => Features::F16C,
            CpuidFeature::BMI1 => Features::BMI1,
            CpuidFeature::BMI2 => Features::BMI2,
            CpuidFeature::LZCNT => Features::LZCNT,
            CpuidFeature::POPCNT => Features::POPCNT,
            CpuidFeature::AVX512F => Features::AVX512F,
            CpuidFeature::AVX512DQ => Features::AVX512DQ,
            CpuidFeature::AVX512VL => Features::AVX512VL,
            CpuidFeature::AVX512BW => Features::AVX512BW,
            CpuidFeature::AVX512CD => Features::AVX512CD,
            CpuidFeature::AVX512_VBMI => Features::VBMI,
            CpuidFeature::AVX512_IFMA => Features::IFMA,
            CpuidFeature::AVX512_VPOPCNTDQ => Features::VPOPCNTDQ,
            CpuidFeature::AVX512_BITALG => Features::BITALG,
            _ => Features::NONE,
        });
    }
    on_avx512f(all)
}

/// The other parts of AVX-512 stand on AVX512F, whether it is stated or not.
fn on_avx512f(features: Features) -> Features {
    let mut wide = Features::NAMED
        .iter()
        .filter(|(_, name)| name.starts_with("avx512"));
    match wide.any(|(feature, _)| features.contains(*feature)) {
        true => features.and(Features::AVX512F),
        false => features,
    }
}

/// Decodes a whole piece of code.
fn decode_all(bytes: &[u8]) -> Vec<Instruction> {
    let decoder = Decoder::with_ip(64, bytes, IP, DecoderOptions::NONE);
    let all: Vec<Instruction> = decoder.into_iter().collect();
    assert!(all.iter().all(|i| i.code() != Code::INVALID));
    all
}
