//! Machine instructions over virtual registers: functions of blocks in SSA form, and their builder.
//!
//! Three classes of registers: [`RegClass::Int`] are general registers, [`RegClass::Vector`] vectors of any width (and
//! scalar floats), [`RegClass::Float`] masks. A value that an instruction overwrites is an operand of its own: the
//! builder ties it to the result. Loops carry values by block parameters.

use crate::convention::Convention;
use crate::encode::{Access, Cc, ConstId, Kind, Masking, Op, Place, Reg, Round, Width};
use crate::{Features, encode};
use kjit_ir::Loc;
use kjit_ir::target::BackendError;
use regalloc2::{RegClass, VReg};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// What a function is compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the CPU has.
    pub features: Features,
    /// The widest vectors of the function: they are moved and spilled at this width.
    pub width: Width,
    /// How it is called.
    pub convention: &'static Convention,
}

impl Target {
    /// Registers 16 to 31, and masks?
    pub fn is_wide(&self) -> bool {
        self.features.contains(Features::TIER_AVX512)
    }
}

/// A block of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockId(pub(crate) u32);

/// Memory of the function's frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackSlot(pub(crate) u32);

/// What an address starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Nothing.
    None,
    /// A general register.
    Reg(VReg),
    /// A constant.
    Const(ConstId),
    /// Memory of the frame.
    Stack(StackSlot),
}

/// An address: `start + index * 2^scale + disp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addr {
    /// Where it starts.
    pub start: Start,
    /// A general register; a vector for gathers and scatters.
    pub index: Option<VReg>,
    /// The logarithm of 1, 2, 4 or 8.
    pub scale: u8,
    /// Bytes beyond.
    pub disp: i32,
}

impl Addr {
    /// `[base + disp]`.
    pub fn base(base: VReg, disp: i32) -> Addr {
        Addr {
            start: Start::Reg(base),
            index: None,
            scale: 0,
            disp,
        }
    }

    /// `[base + index * 2^scale + disp]`.
    pub fn indexed(base: VReg, index: VReg, scale: u8, disp: i32) -> Addr {
        Addr {
            index: Some(index),
            scale,
            ..Addr::base(base, disp)
        }
    }

    /// A constant of the pool.
    pub fn constant(id: ConstId) -> Addr {
        Addr {
            start: Start::Const(id),
            index: None,
            scale: 0,
            disp: 0,
        }
    }

    /// Memory of the frame.
    pub fn stack(slot: StackSlot, disp: i32) -> Addr {
        Addr {
            start: Start::Stack(slot),
            index: None,
            scale: 0,
            disp,
        }
    }
}

/// What an instruction is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A value.
    Reg(VReg),
    /// Memory.
    Mem(Addr),
    /// An immediate, or the number of a condition.
    Imm(i64),
}

impl From<VReg> for Input {
    fn from(reg: VReg) -> Input {
        Input::Reg(reg)
    }
}

impl From<Addr> for Input {
    fn from(addr: Addr) -> Input {
        Input::Mem(addr)
    }
}

impl From<Cc> for Input {
    fn from(cc: Cc) -> Input {
        Input::Imm(cc as i64)
    }
}

/// What an instruction says besides its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extra {
    /// The mask.
    pub mask: Option<VReg>,
    /// What elements have that are masked off. Without it they are zero; those of an instruction that overwrites an
    /// operand (`vfmadd231ps`) keep that operand's values, whatever is given here.
    pub into: Option<VReg>,
    /// Memory is one element for all lanes.
    pub broadcast: bool,
    /// Rounding.
    pub round: Option<Round>,
}

impl Extra {
    /// Nothing.
    pub const NONE: Extra = Extra {
        mask: None,
        into: None,
        broadcast: false,
        round: None,
    };

    /// Elements that are masked off are zero, or, in memory, not written.
    pub fn masked(mask: VReg) -> Extra {
        Extra {
            mask: Some(mask),
            ..Extra::NONE
        }
    }

    /// Elements that are masked off are those of another value.
    pub fn merged(mask: VReg, into: VReg) -> Extra {
        Extra {
            into: Some(into),
            ..Extra::masked(mask)
        }
    }

    /// Memory is broadcast.
    pub const BROADCAST: Extra = Extra {
        broadcast: true,
        ..Extra::NONE
    };
}

/// An operand of a machine instruction, slot by slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arg {
    Use(VReg),
    Def(VReg),
    Tied { def: VReg, from: VReg },
    Mem(Addr),
    Imm(i64),
}

/// The `{k}` of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MaskArg {
    None,
    Use(VReg),
    /// Gathers and scatters clear it.
    Tied {
        def: VReg,
        from: VReg,
    },
}

/// A machine instruction.
#[derive(Clone, Debug)]
pub(crate) enum Inst {
    /// One of the table.
    Op {
        op: Op,
        width: Width,
        args: Range<u32>,
        mask: MaskArg,
        zeroing: bool,
        broadcast: bool,
        round: Option<Round>,
    },
    /// The values that the function is called with.
    Entry { args: Range<u32> },
    /// Calls what an address points to.
    Call {
        to: VReg,
        args: Range<u32>,
        vectors: Range<u32>,
        result: Option<VReg>,
        vector_result: Option<VReg>,
    },
    /// Goes to a block with its parameters.
    Jump { to: BlockId, args: Range<u32> },
    /// Goes to one of two blocks, by the flags. They have no parameters once the function is finished.
    Branch {
        cc: Cc,
        then: (BlockId, Range<u32>),
        otherwise: (BlockId, Range<u32>),
    },
    /// Leaves the function.
    Return,
}

/// A block.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockData {
    pub(crate) params: Vec<VReg>,
    pub(crate) insts: Vec<Inst>,
    /// Where in the source instructions come from: the number of the first one, ascending.
    pub(crate) places: Vec<(usize, Loc)>,
    /// The block starts at a multiple of this.
    pub(crate) align: u8,
    /// Which part of the function it belongs to, see [`Function::set_part`].
    pub(crate) part: u32,
    /// Is it seldom reached?
    pub(crate) cold: bool,
}

impl BlockData {
    pub(crate) fn ends(&self) -> bool {
        let last = self.insts.last();
        last.is_some_and(|i| matches!(i, Inst::Jump { .. } | Inst::Branch { .. } | Inst::Return))
    }
}

/// A function of machine instructions, and its builder.
///
/// Mistakes of the caller (an operand of the wrong class, a block without end) are kept and told by
/// [`Function::compile`].
#[derive(Debug)]
pub struct Function {
    pub(crate) target: Target,
    pub(crate) blocks: Vec<BlockData>,
    /// Blocks in the order of the code.
    pub(crate) order: Vec<BlockId>,
    /// Blocks that come behind these.
    cold: Vec<BlockId>,
    is_cold: bool,
    pub(crate) args: Vec<Arg>,
    pub(crate) vregs: usize,
    pub(crate) constants: Vec<Box<[u8]>>,
    known: FxHashMap<Box<[u8]>, ConstId>,
    /// Size and alignment.
    pub(crate) slots: Vec<(u32, u32)>,
    current: Option<BlockId>,
    place: Loc,
    part: u32,
    error: Option<String>,
}

impl Function {
    /// Without blocks.
    pub fn new(target: Target) -> Function {
        Function {
            target,
            blocks: Vec::new(),
            order: Vec::new(),
            cold: Vec::new(),
            is_cold: false,
            args: Vec::new(),
            vregs: 0,
            constants: Vec::new(),
            known: FxHashMap::default(),
            slots: Vec::new(),
            current: None,
            place: Loc::default(),
            part: 0,
            error: None,
        }
    }

    /// What it is compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Keeps the first mistake.
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.error.is_none() {
            self.error = Some(what());
        }
    }

    /// The first mistake, with what to print beside.
    pub(crate) fn result(&self) -> Result<(), BackendError> {
        match &self.error {
            None => Ok(()),
            Some(what) => Err(BackendError::Internal(what.clone())),
        }
    }

    /// A new virtual register.
    fn vreg(&mut self, class: RegClass) -> VReg {
        if self.vregs >= VReg::MAX {
            self.wrong(|| "too many registers".to_string());
            return VReg::new(0, class);
        }
        self.vregs += 1;
        VReg::new(self.vregs - 1, class)
    }

    /// A constant of 1 to 64 bytes, a power of two.
    pub fn constant(&mut self, bytes: &[u8]) -> ConstId {
        if let Some(id) = self.known.get(bytes) {
            return *id;
        }
        if !bytes.len().is_power_of_two() || bytes.len() > 64 {
            self.wrong(|| format!("a constant of {} bytes", bytes.len()));
        }
        let id = ConstId(self.constants.len() as u32);
        self.constants.push(bytes.into());
        self.known.insert(bytes.into(), id);
        id
    }

    /// Memory of the frame; `align` is a power of two up to 64.
    pub fn stack(&mut self, bytes: u32, align: u32) -> StackSlot {
        if !align.is_power_of_two() || align > 64 {
            self.wrong(|| format!("a stack slot aligned to {align}"));
        }
        self.slots.push((bytes, align));
        StackSlot(self.slots.len() as u32 - 1)
    }

    /// A block with parameters of these classes.
    pub fn block(&mut self, params: &[RegClass]) -> (BlockId, Vec<VReg>) {
        let params: Vec<VReg> = params.iter().map(|&class| self.vreg(class)).collect();
        self.blocks.push(BlockData {
            params: params.clone(),
            ..BlockData::default()
        });
        (BlockId(self.blocks.len() as u32 - 1), params)
    }

    /// Code goes to this block from now on; it comes next in the order of the code.
    pub fn start(&mut self, block: BlockId) {
        if self.order.contains(&block) || self.cold.contains(&block) {
            self.wrong(|| format!("{block:?} is started twice"));
            return;
        }
        let data = &mut self.blocks[block.0 as usize];
        (data.part, data.cold) = (self.part, self.is_cold);
        match self.is_cold {
            true => self.cold.push(block),
            false => self.order.push(block),
        }
        self.current = Some(block);
    }

    /// Blocks started from now on are seldom reached (or are not): they come behind all others. Gives what held before.
    pub fn set_cold(&mut self, cold: bool) -> bool {
        std::mem::replace(&mut self.is_cold, cold)
    }

    /// The blocks in the order of the code.
    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = &BlockId> {
        self.order.iter().chain(&self.cold)
    }

    /// Puts the blocks that are seldom reached where they belong.
    pub(crate) fn place_cold(&mut self) {
        self.order.append(&mut self.cold);
    }

    /// The block starts at a multiple of so many bytes (a power of two up to 64): for heads of loops.
    pub fn align(&mut self, block: BlockId, bytes: u8) {
        self.blocks[block.0 as usize].align = bytes;
    }

    /// Starts the entry block, and gives the arguments: general registers, as many as the convention passes in
    /// registers.
    pub fn entry(&mut self, arguments: usize) -> Vec<VReg> {
        if arguments > self.target.convention.arguments.len() || !self.order.is_empty() {
            self.wrong(|| "an entry that cannot be".to_string());
            return (0..arguments).map(|_| self.vreg(RegClass::Int)).collect();
        }
        let (block, _) = self.block(&[]);
        self.start(block);
        let regs: Vec<VReg> = (0..arguments).map(|_| self.vreg(RegClass::Int)).collect();
        let args = self.list(regs.iter().copied().map(Arg::Def));
        self.push(Inst::Entry { args });
        regs
    }

    fn list(&mut self, args: impl Iterator<Item = Arg>) -> Range<u32> {
        let start = self.args.len() as u32;
        self.args.extend(args);
        start..self.args.len() as u32
    }

    /// Instructions from now on come from this place of the source.
    pub fn set_place(&mut self, place: Loc) {
        self.place = place;
    }

    /// That place.
    pub(crate) fn place(&self) -> Loc {
        self.place
    }

    /// Blocks started from now on belong to this part of the function ([`crate::Compiled::parts`] counts by them):
    /// the number of a loop, outer ones first. Gives what held before.
    pub(crate) fn set_part(&mut self, part: u32) -> u32 {
        std::mem::replace(&mut self.part, part)
    }

    fn push(&mut self, inst: Inst) {
        match self.current {
            Some(block) if !self.blocks[block.0 as usize].ends() => {
                let block = &mut self.blocks[block.0 as usize];
                let last = block.places.last().map(|(_, place)| *place);
                if last.unwrap_or_default() != self.place {
                    block.places.push((block.insts.len(), self.place));
                }
                block.insts.push(inst);
            }
            _ => self.wrong(|| format!("{inst:?} is in no block, or behind its end")),
        }
    }

    /// Appends an instruction. `inputs` are what it reads, and memory that it writes, in the order of the row's slots;
    /// what it writes to registers is new. Returns the first result (an invalid register if there is none).
    pub fn op(&mut self, op: Op, width: Width, inputs: &[Input]) -> VReg {
        self.op_with(op, width, Extra::NONE, inputs)
    }

    /// As [`Function::op`], with mask, broadcast or rounding.
    pub fn op_with(&mut self, op: Op, width: Width, extra: Extra, inputs: &[Input]) -> VReg {
        self.op2(op, width, extra, inputs).0
    }

    /// As [`Function::op_with`], for instructions with two results.
    pub fn op2(&mut self, op: Op, width: Width, extra: Extra, inputs: &[Input]) -> (VReg, VReg) {
        let row = op.row();
        let read = |slot: &&encode::Slot| slot.access != Access::Write || is_memory(slot.place);
        let stores = inputs.len() > row.slots.iter().filter(read).count();
        let mut results = [VReg::invalid(); 2];
        let mut count = 0;
        let mut inputs = inputs.iter();
        let start = self.args.len() as u32;
        let masked = extra.mask.is_some();
        // A blend has an operand for elements that are off.
        let blends = op.blends();
        let mut zeroing = false;
        for (n, slot) in row.slots.iter().enumerate() {
            let written = match slot.access {
                Access::Write => !(is_memory(slot.place) || stores && slot.place == Place::Rm),
                Access::Both => !is_memory(slot.place),
                Access::Read => false,
            };
            let class = class(slot.kind);
            let input = match (slot.access, written) {
                (Access::Write, true) => None,
                _ => {
                    let next = inputs.next();
                    if next.is_none() {
                        self.wrong(|| format!("too few inputs of {op:?}"));
                    }
                    next.copied()
                }
            };
            if let (Some(Input::Reg(reg)), Some(class)) = (input, class)
                && reg.class() != class
            {
                self.wrong(|| format!("{reg} is no {class:?} for {op:?}"));
            }
            let arg = match (input, class) {
                (Some(Input::Mem(addr)), _) => Arg::Mem(addr),
                (Some(Input::Imm(value)), _) => Arg::Imm(value),
                (Some(Input::Reg(reg)), _) if !written => Arg::Use(reg),
                (input, Some(class)) => {
                    let def = self.vreg(class);
                    if count < results.len() {
                        results[count] = def;
                        count += 1;
                    }
                    let vector = n == 0 && masked && class == RegClass::Vector;
                    match (input, extra.into) {
                        (Some(Input::Reg(from)), _) => Arg::Tied { def, from },
                        (_, Some(from)) if vector => Arg::Tied { def, from },
                        _ => {
                            zeroing |= vector && !blends;
                            Arg::Def(def)
                        }
                    }
                }
                _ => {
                    self.wrong(|| format!("no operand for {slot:?} of {op:?}"));
                    Arg::Imm(0)
                }
            };
            self.args.push(arg);
        }
        if inputs.next().is_some() {
            self.wrong(|| format!("too many inputs of {op:?}"));
        }
        if width.is_vector() && width > self.target.width {
            self.wrong(|| format!("{op:?} of more than the function's vectors"));
        }
        let low = self.target.is_wide() && only_low(op, width);
        let tied =
            |arg: &Arg| matches!(arg, Arg::Tied { def, .. } if def.class() == RegClass::Vector);
        if low && self.args[start as usize..].iter().any(tied) {
            // regalloc2 cannot limit a register that is tied; AVX-512 has forms of its own for what this would be.
            self.wrong(|| format!("{op:?} in a function with 32 vector registers"));
        }
        let consumed = row.evex.is_some_and(|e| e.masking == Masking::Required);
        let mask = match extra.mask {
            None => MaskArg::None,
            Some(from) if consumed => MaskArg::Tied {
                def: self.vreg(RegClass::Float),
                from,
            },
            Some(mask) => MaskArg::Use(mask),
        };
        if extra.mask.is_some_and(|m| m.class() != RegClass::Float) {
            self.wrong(|| format!("the mask of {op:?} is none"));
        }
        let args = start..self.args.len() as u32;
        self.push(Inst::Op {
            op,
            width,
            args,
            mask,
            zeroing,
            broadcast: extra.broadcast,
            round: extra.round,
        });
        (results[0], results[1])
    }

    /// Calls the function at an address, which must not unwind. General registers and (in the System V convention)
    /// vectors are passed in the registers of the convention; the results are what the function leaves in `rax` and
    /// in the first vector register.
    pub fn call(&mut self, to: VReg, arguments: &[VReg], vectors: &[VReg]) -> (VReg, VReg) {
        let convention = self.target.convention;
        if arguments.len() > convention.arguments.len()
            || vectors.len() > convention.vector_arguments.len()
        {
            self.wrong(|| "a call with more arguments than registers".to_string());
            return (VReg::invalid(), VReg::invalid());
        }
        let args = self.list(arguments.iter().copied().map(Arg::Use));
        let passed = self.list(vectors.iter().copied().map(Arg::Use));
        let result = self.vreg(RegClass::Int);
        let vector = (!vectors.is_empty()).then(|| self.vreg(RegClass::Vector));
        self.push(Inst::Call {
            to,
            args,
            vectors: passed,
            result: Some(result),
            vector_result: vector,
        });
        (result, vector.unwrap_or(VReg::invalid()))
    }

    /// Goes to a block.
    pub fn jump(&mut self, to: BlockId, args: &[VReg]) {
        let args = self.passed(to, args);
        self.push(Inst::Jump { to, args });
    }

    /// Goes to the first block if the condition holds, else to the second.
    pub fn branch(&mut self, cc: Cc, then: (BlockId, &[VReg]), otherwise: (BlockId, &[VReg])) {
        let then = (then.0, self.passed(then.0, then.1));
        let otherwise = (otherwise.0, self.passed(otherwise.0, otherwise.1));
        self.push(Inst::Branch {
            cc,
            then,
            otherwise,
        });
    }

    fn passed(&mut self, to: BlockId, args: &[VReg]) -> Range<u32> {
        let params = &self.blocks[to.0 as usize].params;
        let same = params.len() == args.len()
            && params.iter().zip(args).all(|(p, a)| p.class() == a.class());
        if !same {
            self.wrong(|| format!("{args:?} are not what {to:?} takes"));
        }
        self.list(args.iter().copied().map(Arg::Use))
    }

    /// Leaves the function.
    pub fn ret(&mut self) {
        self.push(Inst::Return);
    }

    /// The values of a range of arguments that are all uses or definitions.
    pub(crate) fn values(&self, range: &Range<u32>) -> impl Iterator<Item = VReg> + use<'_> {
        let args = &self.args[range.start as usize..range.end as usize];
        args.iter().filter_map(|arg| match arg {
            Arg::Use(reg) | Arg::Def(reg) => Some(*reg),
            _ => None,
        })
    }
}

/// Has the instruction no form with registers 16 to 31?
pub(crate) fn only_low(op: Op, width: Width) -> bool {
    let row = op.row();
    row.evex.is_none_or(|evex| !evex.lengths.has(width)) && row.vex.is_some()
}

/// Is it memory always?
fn is_memory(place: Place) -> bool {
    matches!(place, Place::RmMem | Place::Vsib)
}

/// The class of registers of a kind.
pub(crate) fn class(kind: Kind) -> Option<RegClass> {
    match kind {
        Kind::V(_) | Kind::Xmm => Some(RegClass::Vector),
        Kind::K => Some(RegClass::Float),
        Kind::G | Kind::G8 | Kind::G16 | Kind::G32 | Kind::G64 => Some(RegClass::Int),
        Kind::No => None,
    }
}

/// The number of an allocated register.
pub(crate) fn number(reg: regalloc2::PReg) -> Reg {
    reg.hw_enc() as Reg
}
