//! From allocated registers to bytes: moves, frames, jumps.
//!
//! ```text
//! [rsp + shadow ...]   spilled values, each aligned to its size
//! [...]                stack slots, then vector registers that the convention keeps
//! [rbp]                the caller's rbp, where the frame is aligned to more than 16 bytes
//! [...]                general registers that the convention keeps
//! ```
//!
//! A function that spills nothing, keeps nothing and calls nothing has neither prologue nor frame.

use crate::allocate::Body;
use crate::convention::{RBP, RSP};
use crate::encode::{self, Assembler, Cc, Code, Decor, Instr, Label, Mem, Op, Reg, Width};
use crate::inst::{Addr, Arg, Function, Inst, MaskArg, Start, number};
use kjit_ir::Loc;
use kjit_ir::target::BackendError;
use regalloc2::{
    Allocation, Block, Edit, Function as _, InstOrEdit, Output, PReg, PRegSet, RegClass,
};

/// Bytes that the operating system may leave unmapped below the stack: frames touch each of them on their way.
const PAGE: i32 = 4096;

/// A compiled function.
#[derive(Debug)]
pub struct Compiled {
    /// Its bytes.
    pub code: Code,
    /// Bytes of its frame, without saved general registers.
    pub frame: usize,
    /// Moves between registers that the allocation needed.
    pub moves: usize,
    /// Values stored to and loaded from the frame.
    pub spills: usize,
    /// Where in the source the bytes come from: the offset of the first one, ascending.
    pub places: Vec<(usize, Loc)>,
    /// What is in each part of a kernel: what is outside of loops, then its loops.
    pub parts: Vec<Part>,
}

/// Counts of one part of a function.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Part {
    /// Instructions, but for jumps.
    pub instructions: usize,
    /// Those of them that store values to the frame and load them.
    pub spills: usize,
    /// Instructions of blocks that are seldom reached.
    pub cold: usize,
}

impl Function {
    /// Allocates registers and makes machine code. A mistake in the function is a bug of the backend, told with the
    /// function.
    pub fn compile(self) -> Result<Compiled, BackendError> {
        let body = Body::new(self)?;
        body.allocate(|output| Emitter::new(&body, output)?.emit())
    }
}

struct Emitter<'a> {
    body: &'a Body,
    output: &'a Output,
    asm: Assembler,
    labels: Vec<Label>,
    /// Where each block leads if it holds nothing but a jump, else itself.
    threads: Vec<usize>,
    frame: Frame,
    /// Vectors of more than 128 bits are in use.
    upper: bool,
    moves: usize,
    spills: usize,
    parts: Vec<Part>,
    /// The part being written, and whether that is a block that is seldom reached.
    part: (usize, bool),
    /// Where the code comes from, a place for each mark of the assembler.
    places: Vec<Loc>,
}

/// The stack of a function.
#[derive(Debug, Default)]
struct Frame {
    /// Kept general registers that are used.
    pushed: Vec<Reg>,
    /// Kept vector registers that are used, and where they are.
    saved: Vec<(Reg, i32)>,
    /// Offset of the spilled values.
    spills: i32,
    /// Offsets of stack slots.
    slots: Vec<i32>,
    size: i32,
    align: i32,
}

impl Frame {
    fn needs_base(&self) -> bool {
        self.align > 16
    }
}

fn internal(what: impl Into<String>) -> BackendError {
    BackendError::Internal(what.into())
}

impl<'a> Emitter<'a> {
    fn new(body: &'a Body, output: &'a Output) -> Result<Emitter<'a>, BackendError> {
        let mut asm = Assembler::new();
        let labels = (0..body.num_blocks()).map(|_| asm.label()).collect();
        for constant in &body.function.constants {
            asm.constant(constant);
        }
        let frame = frame(body, output)?;
        let mut emitter = Emitter {
            body,
            output,
            asm,
            labels,
            threads: Vec::new(),
            frame,
            upper: false,
            moves: 0,
            spills: 0,
            parts: vec![Part::default()],
            part: (0, false),
            places: Vec::new(),
        };
        emitter.threads = emitter.threads();
        let wide = |inst: &Inst| {
            matches!(
                inst,
                Inst::Op {
                    width: Width::Y | Width::Z,
                    ..
                }
            )
        };
        emitter.upper = body.insts.iter().any(wide);
        Ok(emitter)
    }

    /// Follows jumps of blocks that hold nothing else. A circle of such blocks leads to itself.
    fn threads(&self) -> Vec<usize> {
        let count = self.body.num_blocks();
        let next: Vec<Option<usize>> = (0..count).map(|n| self.only_jumps(n)).collect();
        let follow = |start: usize| {
            let mut at = start;
            for _ in 0..count {
                match next[at] {
                    Some(to) => at = to,
                    None => return at,
                }
            }
            start
        };
        (0..count).map(follow).collect()
    }

    fn only_jumps(&self, block: usize) -> Option<usize> {
        let mut to = None;
        for item in self
            .output
            .block_insts_and_edits(self.body, Block::new(block))
        {
            match item {
                InstOrEdit::Inst(inst) => match &self.body.insts[inst.index()] {
                    Inst::Jump { to: target, .. } => to = Some(target.0 as usize),
                    _ => return None,
                },
                InstOrEdit::Edit(Edit::Move { from, to }) if from == to => {}
                InstOrEdit::Edit(_) => return None,
            }
        }
        to
    }

    fn emit(mut self) -> Result<Compiled, BackendError> {
        self.prologue()?;
        let count = self.body.num_blocks();
        let mut places = self.body.places.iter().peekable();
        for n in 0..count {
            // Nothing goes to a block that only jumps.
            if self.threads[n] != n && n != 0 {
                continue;
            }
            let block = Block::new(n);
            let align = self.body.align(block);
            if align > 1 {
                self.asm.align(align);
            }
            self.asm.place(self.labels[n]);
            let (part, cold) = self.body.part(block);
            self.part = (part as usize, cold);
            if self.parts.len() <= part as usize {
                self.parts.resize(part as usize + 1, Part::default());
            }
            let next = (n + 1..count).find(|&b| self.threads[b] == b);
            for item in self.output.block_insts_and_edits(self.body, block) {
                match item {
                    InstOrEdit::Inst(inst) => {
                        let mut place = None;
                        while let Some(next) = places.next_if(|p| p.0 <= inst.index()) {
                            place = Some(next.1);
                        }
                        self.mark(place);
                        let allocs = self.output.inst_allocs(inst);
                        self.inst(&self.body.insts[inst.index()], allocs, next)?;
                    }
                    InstOrEdit::Edit(Edit::Move { from, to }) => self.transfer(*from, *to)?,
                }
            }
        }
        let code = self.asm.finish().map_err(internal)?;
        let places = code.marks.iter().copied().zip(self.places);
        Ok(Compiled {
            places: places.collect(),
            code,
            frame: self.frame.size as usize,
            moves: self.moves,
            spills: self.spills,
            parts: self.parts,
        })
    }

    /// What follows comes from this place of the source.
    fn mark(&mut self, place: Option<Loc>) {
        if let Some(place) = place
            && self.places.last().copied().unwrap_or_default() != place
        {
            self.asm.mark();
            self.places.push(place);
        }
    }

    /// An instruction of the table, checked.
    fn instr(&mut self, instr: &Instr<'_>) -> Result<(), BackendError> {
        let needs = instr.features().map_err(internal)?;
        if !self.body.function.target.features.contains(needs) {
            return Err(internal(format!("{instr:?} needs {needs:?}")));
        }
        let part = &mut self.parts[self.part.0];
        match self.part.1 {
            true => part.cold += 1,
            false => part.instructions += 1,
        }
        self.asm.instr(instr);
        Ok(())
    }

    fn plain(&mut self, op: Op, width: Width, args: &[encode::Arg]) -> Result<(), BackendError> {
        self.instr(&Instr {
            op,
            width,
            args,
            decor: Decor::NONE,
        })
    }

    fn inst(
        &mut self,
        inst: &Inst,
        allocs: &[Allocation],
        next: Option<usize>,
    ) -> Result<(), BackendError> {
        match inst {
            Inst::Op { .. } => self.table(inst, allocs),
            Inst::Entry { .. } => Ok(()),
            Inst::Call { vectors, .. } => {
                // What is called may use instructions that wait for the upper halves.
                if self.upper && vectors.is_empty() {
                    self.plain(Op::Vzeroupper, Width::None, &[])?;
                }
                let to = allocs.first().and_then(|a| a.as_reg());
                let to = to.ok_or_else(|| internal("a call of no register"))?;
                self.plain(Op::Call, Width::None, &[encode::Arg::Reg(number(to))])
            }
            Inst::Jump { to, .. } => {
                self.go(to.0 as usize, next);
                Ok(())
            }
            Inst::Branch {
                cc,
                then,
                otherwise,
            } => {
                self.branch(*cc, then.0.0 as usize, otherwise.0.0 as usize, next);
                Ok(())
            }
            Inst::Return => self.epilogue(),
        }
    }

    fn spill(&mut self) {
        self.spills += 1;
        self.parts[self.part.0].spills += usize::from(!self.part.1);
    }

    fn go(&mut self, to: usize, next: Option<usize>) {
        let to = self.threads[to];
        if next != Some(to) {
            self.asm.jump(self.labels[to]);
        }
    }

    fn branch(&mut self, cc: Cc, then: usize, otherwise: usize, next: Option<usize>) {
        let (then, otherwise) = (self.threads[then], self.threads[otherwise]);
        if then == otherwise {
            self.go(then, next);
        } else if next == Some(then) {
            self.asm.jump_if(cc.not(), self.labels[otherwise]);
        } else {
            self.asm.jump_if(cc, self.labels[then]);
            self.go(otherwise, next);
        }
    }

    /// An instruction of the table, its operands in the order in which [`Body`] told them to regalloc2.
    fn table(&mut self, inst: &Inst, allocs: &[Allocation]) -> Result<(), BackendError> {
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
            return Err(internal("no instruction of the table"));
        };
        let mut allocs = allocs.iter();
        let mut take = || {
            let reg = allocs.next().and_then(|alloc| alloc.as_reg());
            reg.map(number)
                .ok_or_else(|| internal(format!("no register in {inst:?}")))
        };
        let list = &self.body.function.args[args.start as usize..args.end as usize];
        let mut found = [encode::Arg::Imm(0); 6];
        let mut count = 0;
        for (arg, slot) in list.iter().zip(op.row().slots) {
            let value = match arg {
                Arg::Use(_) | Arg::Def(_) => encode::Arg::Reg(take()?),
                Arg::Tied { .. } => {
                    take()?;
                    encode::Arg::Reg(take()?)
                }
                Arg::Mem(addr) => encode::Arg::Mem(self.frame.address(addr, &mut take)?),
                Arg::Imm(value) => encode::Arg::Imm(*value),
            };
            if encode::is_encoded(slot) && count < found.len() {
                found[count] = value;
                count += 1;
            }
        }
        let mask = match mask {
            MaskArg::None => 0,
            MaskArg::Use(_) => take()?,
            MaskArg::Tied { .. } => {
                take()?;
                take()?
            }
        };
        self.instr(&Instr {
            op: *op,
            width: *width,
            args: &found[..count],
            decor: Decor {
                mask,
                zeroing: *zeroing,
                broadcast: *broadcast,
                round: *round,
            },
        })
    }

    /// A move that the allocation asks for.
    fn transfer(&mut self, from: Allocation, to: Allocation) -> Result<(), BackendError> {
        if from == to {
            return Ok(());
        }
        let vector = self.body.function.target.width;
        let (load, store, width) = match from.as_reg().or(to.as_reg()).map(PReg::class) {
            Some(RegClass::Int) => (Op::Mov, Op::MovStore, Width::Q),
            Some(RegClass::Vector) => (Op::Vmovaps, Op::VmovapsStore, vector),
            Some(RegClass::Float) => (Op::Kmovq, Op::KmovqStore, Width::None),
            None => return Err(internal("a move from stack to stack")),
        };
        match (from.as_reg(), to.as_reg(), from.as_stack(), to.as_stack()) {
            (Some(from), Some(to), ..) => {
                self.moves += 1;
                let args = [encode::Arg::Reg(number(to)), encode::Arg::Reg(number(from))];
                self.plain(load, width, &args)
            }
            (Some(from), _, _, Some(slot)) => {
                self.spill();
                let mem = encode::Arg::Mem(self.frame.spilled(slot.index()));
                self.plain(store, width, &[mem, encode::Arg::Reg(number(from))])
            }
            (_, Some(to), Some(slot), _) => {
                self.spill();
                let mem = encode::Arg::Mem(self.frame.spilled(slot.index()));
                self.plain(load, width, &[encode::Arg::Reg(number(to)), mem])
            }
            _ => Err(internal("a move from or to nothing")),
        }
    }

    fn prologue(&mut self) -> Result<(), BackendError> {
        let reg = encode::Arg::Reg;
        for n in self.frame.pushed.clone() {
            self.plain(Op::Push, Width::None, &[reg(n)])?;
        }
        if self.frame.needs_base() {
            self.plain(Op::Push, Width::None, &[reg(RBP)])?;
            self.plain(Op::Mov, Width::Q, &[reg(RBP), reg(RSP)])?;
            let mask = encode::Arg::Imm(-i64::from(self.frame.align));
            self.plain(Op::AndImm8, Width::Q, &[reg(RSP), mask])?;
        }
        let mut left = self.frame.size;
        while left > PAGE {
            self.adjust(Op::SubImm8, Op::SubImm, PAGE)?;
            let top = encode::Arg::Mem(Mem::base(RSP, 0));
            self.plain(Op::Test, Width::D, &[top, reg(0)])?;
            left -= PAGE;
        }
        if left > 0 {
            self.adjust(Op::SubImm8, Op::SubImm, left)?;
        }
        for (n, at) in self.frame.saved.clone() {
            let mem = encode::Arg::Mem(Mem::base(RSP, at));
            self.plain(Op::VmovupsStore, Width::X, &[mem, reg(n)])?;
        }
        Ok(())
    }

    fn epilogue(&mut self) -> Result<(), BackendError> {
        let reg = encode::Arg::Reg;
        if self.upper {
            self.plain(Op::Vzeroupper, Width::None, &[])?;
        }
        for (n, at) in self.frame.saved.clone() {
            let mem = encode::Arg::Mem(Mem::base(RSP, at));
            self.plain(Op::Vmovups, Width::X, &[reg(n), mem])?;
        }
        if self.frame.needs_base() {
            self.plain(Op::Mov, Width::Q, &[reg(RSP), reg(RBP)])?;
            self.plain(Op::Pop, Width::None, &[reg(RBP)])?;
        } else if self.frame.size > 0 {
            self.adjust(Op::AddImm8, Op::AddImm, self.frame.size)?;
        }
        for n in self.frame.pushed.clone().into_iter().rev() {
            self.plain(Op::Pop, Width::None, &[reg(n)])?;
        }
        self.plain(Op::Ret, Width::None, &[])
    }

    /// Moves `rsp`.
    fn adjust(&mut self, short: Op, long: Op, by: i32) -> Result<(), BackendError> {
        let op = if by < 128 { short } else { long };
        let args = [encode::Arg::Reg(RSP), encode::Arg::Imm(i64::from(by))];
        self.plain(op, Width::Q, &args)
    }
}

impl Frame {
    fn spilled(&self, slot: usize) -> Mem {
        Mem::base(RSP, self.spills + 8 * slot as i32)
    }

    fn address(
        &self,
        addr: &Addr,
        take: &mut impl FnMut() -> Result<Reg, BackendError>,
    ) -> Result<Mem, BackendError> {
        let mut disp = addr.disp;
        let base = match addr.start {
            Start::None => encode::Base::None,
            Start::Reg(_) => encode::Base::Reg(take()?),
            Start::Const(id) => encode::Base::Const(id),
            Start::Stack(slot) => {
                let at = self.slots.get(slot.0 as usize).copied();
                let at = at.ok_or_else(|| internal(format!("no {slot:?}")))?;
                disp = disp
                    .checked_add(at)
                    .ok_or_else(|| internal("an address outside of the frame"))?;
                encode::Base::Reg(RSP)
            }
        };
        Ok(Mem {
            base,
            index: addr.index.map(|_| take()).transpose()?,
            scale: addr.scale,
            disp,
        })
    }
}

/// Decides about the stack of a function.
fn frame(body: &Body, output: &Output) -> Result<Frame, BackendError> {
    let convention = body.convention();
    let (mut written, mut vectors_spilled) = (PRegSet::empty(), false);
    for alloc in &output.allocs {
        if let Some(reg) = alloc.as_reg() {
            written.add(reg);
        }
    }
    for (_, Edit::Move { from, to }) in &output.edits {
        if let Some(reg) = to.as_reg() {
            written.add(reg);
        }
        let class = from.as_reg().or(to.as_reg()).map(PReg::class);
        vectors_spilled |= (from.is_stack() || to.is_stack()) && class == Some(RegClass::Vector);
    }
    let calls = body.insts.iter().any(|i| matches!(i, Inst::Call { .. }));
    let kept = convention.kept.iter().copied();
    let pushed: Vec<Reg> = kept
        .filter(|&n| written.contains(crate::convention::general(n)))
        .collect();
    let shadow = if calls { convention.shadow as u64 } else { 0 };
    let mut align: u64 = 16;
    if vectors_spilled {
        align = align.max(body.function.target.width.bytes() as u64);
    }
    for (_, slot) in &body.function.slots {
        align = align.max(u64::from(*slot));
    }
    let spills = match output.num_spillslots {
        0 => shadow,
        _ => shadow.next_multiple_of(align),
    };
    let mut end = spills + 8 * output.num_spillslots as u64;
    let mut slots = Vec::new();
    for (bytes, align) in &body.function.slots {
        end = end.next_multiple_of(u64::from(*align));
        slots.push(end);
        end += u64::from(*bytes);
    }
    let mut saved = Vec::new();
    for n in convention.kept_vectors.iter().copied() {
        if written.contains(crate::convention::vector(n)) {
            end = end.next_multiple_of(16);
            saved.push((n, end));
            end += 16;
        }
    }
    // At the entry rsp is 8 below a multiple of 16; without alignment of its own the frame corrects that for calls
    // and for what it holds.
    let mut size = end.next_multiple_of(align);
    if align <= 16 && (size > 0 || calls) {
        let even = pushed.len().is_multiple_of(2);
        size = end.next_multiple_of(16) + if even { 8 } else { 0 };
    }
    let fit = |offset: u64| i32::try_from(offset).map_err(|_| too_large(end));
    Ok(Frame {
        pushed,
        saved: saved
            .into_iter()
            .map(|(n, at)| Ok((n, fit(at)?)))
            .collect::<Result<_, BackendError>>()?,
        spills: fit(spills)?,
        slots: slots.into_iter().map(fit).collect::<Result<_, _>>()?,
        size: fit(size)?,
        // Calls need rsp aligned, which `and` sees to as well.
        align: align as i32,
    })
}

fn too_large(bytes: u64) -> BackendError {
    BackendError::Unsupported(format!("a kernel with {bytes} bytes of local memory"))
}
