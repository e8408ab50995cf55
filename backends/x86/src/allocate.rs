//! Registers: a finished function as regalloc2 sees it, and the allocation.
//!
//! Finishing drops blocks that nothing reaches, gives each branch whose target has parameters or several predecessors a
//! block of its own for the moves on that edge, and numbers blocks and instructions in the order of the code.

use crate::convention::{self, Convention};
use crate::encode::{Place, Width};
use crate::inst::{Arg, BlockData, BlockId, Function, Inst, MaskArg, Start, only_low};
use kjit_ir::Loc;
use kjit_ir::target::BackendError;
use regalloc2::{
    Algorithm, Block, InstRange, MachineEnv, Operand, OperandConstraint, OperandKind, OperandPos,
    PRegSet, RegClass, RegallocOptions, VReg,
};
use std::cell::RefCell;
use std::fmt;

/// A block of the finished function.
#[derive(Debug)]
struct Finished {
    first: usize,
    end: usize,
    params: Vec<VReg>,
    succs: Vec<Block>,
    preds: Vec<Block>,
    align: u8,
    part: u32,
    cold: bool,
}

/// A function whose blocks and instructions have their final order.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) function: Function,
    pub(crate) insts: Vec<Inst>,
    /// Where in the source they come from: the number of the first one, ascending.
    pub(crate) places: Vec<(usize, Loc)>,
    blocks: Vec<Finished>,
    operands: Vec<Operand>,
    /// Where the operands of each instruction start; one more at the end.
    starts: Vec<u32>,
    /// The values that jumps pass, by the range of their arguments.
    passed: Vec<VReg>,
    overwritten: PRegSet,
}

thread_local! {
    static SCRATCH: RefCell<regalloc2::Ctx> = RefCell::new(regalloc2::Ctx::default());
}

impl Body {
    /// Finishes a function.
    pub(crate) fn new(mut function: Function) -> Result<Body, BackendError> {
        function.result()?;
        function.place_cold();
        split_edges(&mut function)?;
        let order = reachable(&function);
        let mut numbers = vec![None; function.blocks.len()];
        for (n, block) in order.iter().enumerate() {
            numbers[block.0 as usize] = Some(Block::new(n));
        }
        let renumber = |block: BlockId| {
            numbers[block.0 as usize]
                .ok_or_else(|| BackendError::Internal(format!("{block:?} is never started")))
        };
        let mut body = Body {
            insts: Vec::new(),
            places: Vec::new(),
            blocks: Vec::with_capacity(order.len()),
            operands: Vec::new(),
            starts: vec![0],
            passed: Vec::new(),
            overwritten: function.target.convention.overwritten(),
            function,
        };
        for block in &order {
            let data = std::mem::take(&mut body.function.blocks[block.0 as usize]);
            let first = body.insts.len();
            if !data.ends() {
                return Err(BackendError::Internal(format!("{block:?} has no end")));
            }
            // A block starts nowhere.
            body.places.push((first, Loc::default()));
            let places = data.places.iter().map(|(n, place)| (first + n, *place));
            body.places.extend(places);
            let mut succs = Vec::new();
            for mut inst in data.insts {
                match &mut inst {
                    Inst::Jump { to, .. } => succs.push(rename(to, renumber)?),
                    Inst::Branch {
                        then, otherwise, ..
                    } => {
                        succs.push(rename(&mut then.0, renumber)?);
                        succs.push(rename(&mut otherwise.0, renumber)?);
                    }
                    _ => {}
                }
                body.constrain(&inst);
                body.insts.push(inst);
            }
            body.blocks.push(Finished {
                first,
                end: body.insts.len(),
                params: data.params,
                succs,
                preds: Vec::new(),
                align: data.align,
                part: data.part,
                cold: data.cold,
            });
        }
        for n in 0..body.blocks.len() {
            for at in 0..body.blocks[n].succs.len() {
                let succ = body.blocks[n].succs[at];
                body.blocks[succ.index()].preds.push(Block::new(n));
            }
        }
        let uses = body.function.args.iter().map(|arg| match arg {
            Arg::Use(reg) => *reg,
            _ => VReg::invalid(),
        });
        body.passed = uses.collect();
        Ok(body)
    }

    /// Tells regalloc2 what an instruction asks of its operands: first the arguments in their order, then the mask.
    fn constrain(&mut self, inst: &Inst) {
        let convention = self.function.target.convention;
        match inst {
            Inst::Op {
                op,
                width,
                args,
                mask,
                ..
            } => {
                let start = self.operands.len();
                let low = self.function.target.is_wide() && only_low(*op, *width);
                let list = &self.function.args[args.start as usize..args.end as usize];
                let constrain = |reg: VReg, place: Place, kind, pos| {
                    let constraint = match place {
                        Place::Fixed(n) => OperandConstraint::FixedReg(convention::general(n)),
                        _ if low && reg.class() == RegClass::Vector => OperandConstraint::Limit(16),
                        _ => OperandConstraint::Reg,
                    };
                    Operand::new(reg, constraint, kind, pos)
                };
                let early = |reg, place| constrain(reg, place, OperandKind::Use, OperandPos::Early);
                for (arg, slot) in list.iter().zip(op.row().slots) {
                    match *arg {
                        Arg::Use(reg) => self.operands.push(early(reg, slot.place)),
                        Arg::Def(reg) => self.operands.push(constrain(
                            reg,
                            slot.place,
                            OperandKind::Def,
                            OperandPos::Late,
                        )),
                        Arg::Tied { def, from } => {
                            let tie = self.operands.len() - start;
                            self.operands.push(early(from, slot.place));
                            self.operands.push(Operand::reg_reuse_def(def, tie));
                        }
                        Arg::Mem(addr) => {
                            if let Start::Reg(base) = addr.start {
                                self.operands.push(early(base, Place::Rm));
                            }
                            // A gather must not overwrite its indices, even if nothing else needs them.
                            let pos = match slot.place {
                                Place::Vsib => OperandPos::Late,
                                _ => OperandPos::Early,
                            };
                            let constrain =
                                |index| constrain(index, Place::Rm, OperandKind::Use, pos);
                            self.operands.extend(addr.index.map(constrain));
                        }
                        Arg::Imm(_) => {}
                    }
                }
                match *mask {
                    MaskArg::None => {}
                    MaskArg::Use(mask) => self.operands.push(Operand::reg_use(mask)),
                    MaskArg::Tied { def, from } => {
                        let tie = self.operands.len() - start;
                        self.operands.push(Operand::reg_use(from));
                        self.operands.push(Operand::reg_reuse_def(def, tie));
                    }
                }
            }
            Inst::Entry { args } => {
                let values = self.function.values(args).zip(convention.arguments);
                let defs =
                    values.map(|(reg, &n)| Operand::reg_fixed_def(reg, convention::general(n)));
                self.operands.extend(defs);
            }
            Inst::Call {
                to,
                args,
                vectors,
                result,
                vector_result,
            } => {
                self.operands.push(Operand::reg_use(*to));
                let values = self.function.values(args).zip(convention.arguments);
                let uses =
                    values.map(|(reg, &n)| Operand::reg_fixed_use(reg, convention::general(n)));
                self.operands.extend(uses);
                let values = self.function.values(vectors);
                let values = values.zip(convention.vector_arguments);
                let uses =
                    values.map(|(reg, &n)| Operand::reg_fixed_use(reg, convention::vector(n)));
                self.operands.extend(uses);
                let rax = convention::general(convention::RAX);
                let result = result.map(|reg| Operand::reg_fixed_def(reg, rax));
                self.operands.extend(result);
                let first = convention::vector(0);
                let result = vector_result.map(|reg| Operand::reg_fixed_def(reg, first));
                self.operands.extend(result);
            }
            Inst::Jump { .. } | Inst::Branch { .. } | Inst::Return => {}
        }
        self.starts.push(self.operands.len() as u32);
    }

    /// Allocates registers and gives the result to `then`.
    pub(crate) fn allocate<T>(
        &self,
        then: impl FnOnce(&regalloc2::Output) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let target = &self.function.target;
        let env = target
            .convention
            .registers(target.is_wide(), target.width == Width::Z);
        let options = RegallocOptions {
            verbose_log: false,
            validate_ssa: cfg!(debug_assertions),
            algorithm: Algorithm::Ion,
        };
        SCRATCH.with(|scratch| {
            let failed = |why: String| BackendError::Internal(format!("{why}\n{self}"));
            // A function that is compiled while another is (it cannot be) gets scratch of its own.
            let mut own = regalloc2::Ctx::default();
            let mut shared = scratch.try_borrow_mut();
            let ctx = match &mut shared {
                Ok(ctx) => &mut **ctx,
                Err(_) => &mut own,
            };
            let output = regalloc2::run_with_ctx(self, &env, &options, ctx)
                .map_err(|error| failed(format!("no registers: {error:?}")))?;
            if cfg!(debug_assertions) {
                self.check(&env, output).map_err(failed)?;
            }
            then(output)
        })
    }

    fn check(&self, env: &MachineEnv, output: &regalloc2::Output) -> Result<(), String> {
        let mut checker = regalloc2::checker::Checker::new(self, env);
        checker.prepare(output);
        checker
            .run()
            .map_err(|errors| format!("wrong registers: {errors:?}"))
    }

    /// The alignment of a block.
    pub(crate) fn align(&self, block: Block) -> u8 {
        self.blocks[block.index()].align
    }

    /// The part of the function that a block belongs to, and whether it is seldom reached.
    pub(crate) fn part(&self, block: Block) -> (u32, bool) {
        let block = &self.blocks[block.index()];
        (block.part, block.cold)
    }

    /// How the function is called.
    pub(crate) fn convention(&self) -> &'static Convention {
        self.function.target.convention
    }
}

fn rename(
    block: &mut BlockId,
    renumber: impl Fn(BlockId) -> Result<Block, BackendError>,
) -> Result<Block, BackendError> {
    let new = renumber(*block)?;
    *block = BlockId(new.index() as u32);
    Ok(new)
}

/// Targets of the instruction that ends a block.
fn targets(data: &BlockData) -> Vec<BlockId> {
    match data.insts.last() {
        Some(Inst::Jump { to, .. }) => vec![*to],
        Some(Inst::Branch {
            then, otherwise, ..
        }) => vec![then.0, otherwise.0],
        _ => Vec::new(),
    }
}

/// Gives edges blocks of their own, right behind the branch.
fn split_edges(function: &mut Function) -> Result<(), BackendError> {
    let mut preds = vec![0; function.blocks.len()];
    for data in &function.blocks {
        for target in targets(data) {
            preds[target.0 as usize] += 1;
        }
    }
    // A loop back to the entry would make a block with a predecessor out of it.
    if function
        .order
        .first()
        .is_none_or(|e| preds[e.0 as usize] > 0)
    {
        return Err(BackendError::Internal("no entry block".to_string()));
    }
    let mut order = Vec::with_capacity(function.order.len());
    for block in std::mem::take(&mut function.order) {
        order.push(block);
        let Some(Inst::Branch {
            cc,
            mut then,
            mut otherwise,
        }) = function.blocks[block.0 as usize]
            .insts
            .pop_if(|i| matches!(i, Inst::Branch { .. }))
        else {
            continue;
        };
        for edge in [&mut then, &mut otherwise] {
            if preds[edge.0.0 as usize] > 1 || !edge.1.is_empty() {
                let jump = Inst::Jump {
                    to: edge.0,
                    args: edge.1.clone(),
                };
                // Between a loop and what is around it the moves belong to the latter, whose number is less.
                let ends = [block, edge.0].map(|b| &function.blocks[b.0 as usize]);
                let part = ends[0].part.min(ends[1].part);
                let cold = ends[0].cold || ends[1].cold;
                function.blocks.push(BlockData {
                    part,
                    cold,
                    insts: vec![jump],
                    ..BlockData::default()
                });
                *edge = (BlockId(function.blocks.len() as u32 - 1), 0..0);
                order.push(edge.0);
            }
        }
        function.blocks[block.0 as usize].insts.push(Inst::Branch {
            cc,
            then,
            otherwise,
        });
    }
    function.order = order;
    Ok(())
}

/// The blocks that can run, in the order of the code; but a block comes behind one that leads to it, which regalloc2's
/// checker (its first pass goes from top to bottom) takes for granted.
fn reachable(function: &Function) -> Vec<BlockId> {
    let mut seen = vec![false; function.blocks.len()];
    seen[function.order[0].0 as usize] = true;
    let mut order = Vec::with_capacity(function.order.len());
    let mut left = function.order.clone();
    // Mostly one round, and one more to see that no block is left that can run.
    loop {
        let before = order.len();
        left.retain(|block| {
            let here = seen[block.0 as usize];
            if here {
                order.push(*block);
                for target in targets(&function.blocks[block.0 as usize]) {
                    seen[target.0 as usize] = true;
                }
            }
            !here
        });
        if order.len() == before {
            return order;
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, block) in self.blocks.iter().enumerate() {
            writeln!(f, "block{n}{:?}:", block.params)?;
            for at in block.first..block.end {
                writeln!(f, "  {at}: {}", self.function.text(&self.insts[at]))?;
            }
        }
        Ok(())
    }
}

impl regalloc2::Function for Body {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let block = &self.blocks[block.index()];
        InstRange::new(
            regalloc2::Inst::new(block.first),
            regalloc2::Inst::new(block.end),
        )
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].succs
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].preds
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.blocks[block.index()].params
    }

    fn is_ret(&self, inst: regalloc2::Inst) -> bool {
        matches!(self.insts[inst.index()], Inst::Return)
    }

    fn is_branch(&self, inst: regalloc2::Inst) -> bool {
        let inst = &self.insts[inst.index()];
        matches!(inst, Inst::Jump { .. } | Inst::Branch { .. })
    }

    fn branch_blockparams(&self, _: Block, inst: regalloc2::Inst, _: usize) -> &[VReg] {
        match &self.insts[inst.index()] {
            Inst::Jump { args, .. } => &self.passed[args.start as usize..args.end as usize],
            _ => &[],
        }
    }

    fn inst_operands(&self, inst: regalloc2::Inst) -> &[Operand] {
        let range = self.starts[inst.index()]..self.starts[inst.index() + 1];
        &self.operands[range.start as usize..range.end as usize]
    }

    fn inst_clobbers(&self, inst: regalloc2::Inst) -> PRegSet {
        let Inst::Call {
            result,
            vector_result,
            ..
        } = &self.insts[inst.index()]
        else {
            return PRegSet::empty();
        };
        let mut set = self.overwritten;
        if result.is_some() {
            set.remove(convention::general(convention::RAX));
        }
        if vector_result.is_some() {
            set.remove(convention::vector(0));
        }
        set
    }

    fn num_vregs(&self) -> usize {
        self.function.vregs
    }

    fn spillslot_size(&self, class: RegClass) -> usize {
        match class {
            RegClass::Vector => self.function.target.width.bytes() / 8,
            RegClass::Int | RegClass::Float => 1,
        }
    }
}
