//! Dead code elimination: removes what no effect and no result depends on, down to single carried
//! values and single results of an `if` or `loop`.
//!
//! A loop without effects goes only if it provably ends.

use crate::analysis::effects::provably_ends;
use crate::{Block, Function, Imm, Inst, Opcode, Value, ValueDef};

/// Runs the pass.
pub fn dce(func: &mut Function) -> bool {
    let mut pass = Dce {
        inst_live: vec![false; func.insts.len()],
        value_live: vec![false; func.values.len()],
        local_read: vec![false; func.locals.len()],
        local_stores: vec![Vec::new(); func.locals.len()],
        owner: vec![None; func.blocks.len()],
        home: vec![Block(0); func.insts.len()],
        exits: vec![Vec::new(); func.blocks.len()],
        todo: Vec::new(),
        roots: Vec::new(),
        func,
        changed: false,
    };
    let entry = pass.func.entry;
    pass.index(entry, None);
    for root in std::mem::take(&mut pass.roots) {
        pass.need(root);
    }
    while let Some(value) = pass.todo.pop() {
        pass.need_definition(value);
    }
    pass.sweep(entry);
    pass.changed
}

struct Dce<'a> {
    func: &'a mut Function,
    inst_live: Vec<bool>,
    value_live: Vec<bool>,
    local_read: Vec<bool>,
    /// Stores to each local array, which live only if it is read.
    local_stores: Vec<Vec<Inst>>,
    /// The instruction that owns each block.
    owner: Vec<Option<Inst>>,
    /// The block each instruction is in.
    home: Vec<Block>,
    /// For each loop body its breaks and continues; for each arm its yield.
    exits: Vec<Vec<Inst>>,
    todo: Vec<Value>,
    /// What is needed for its effect.
    roots: Vec<Inst>,
    changed: bool,
}

impl Dce<'_> {
    /// Fills the tables and notes what has effects. `body` is the innermost loop's.
    fn index(&mut self, block: Block, body: Option<Block>) {
        for n in 0..self.func.block(block).insts.len() {
            let inst = self.func.block(block).insts[n];
            self.home[inst.index()] = block;
            let data = self.func.inst(inst);
            match data.op {
                Opcode::Yield => self.exits[block.index()].push(inst),
                Opcode::Break | Opcode::Continue => {
                    if let Some(body) = body {
                        self.exits[body.index()].push(inst);
                    }
                }
                _ => {}
            }
            let is_loop = data.op == Opcode::Loop;
            for inner in data.blocks.clone() {
                self.owner[inner.index()] = Some(inst);
                self.index(inner, if is_loop { Some(inner) } else { body });
            }
            let data = self.func.inst(inst);
            match (data.op, data.imm) {
                (
                    Opcode::Store
                    | Opcode::CoreStore
                    | Opcode::Guard
                    | Opcode::Call
                    | Opcode::Return,
                    _,
                ) => {
                    self.roots.push(inst);
                }
                (Opcode::Unreachable, _) if block == self.func.entry => self.roots.push(inst),
                (Opcode::LocalStore, Imm::Local(local)) => {
                    self.local_stores[local.index()].push(inst);
                }
                (Opcode::Loop, _) if !provably_ends(self.func, inst) => self.roots.push(inst),
                _ => {}
            }
        }
    }

    fn need_value(&mut self, value: Value) {
        if !self.value_live[value.index()] {
            self.value_live[value.index()] = true;
            self.todo.push(value);
        }
    }

    /// Marks an instruction and what it takes for it to run.
    fn need(&mut self, inst: Inst) {
        if self.inst_live[inst.index()] {
            return;
        }
        self.inst_live[inst.index()] = true;
        let data = self.func.inst(inst);
        match data.op {
            Opcode::If => {
                let condition = data.args[0];
                self.need_value(condition);
            }
            Opcode::Loop => {
                // Where it goes on and ends, and so every `if` around these.
                let body = data.blocks[0];
                for n in 0..self.exits[body.index()].len() {
                    let exit = self.exits[body.index()][n];
                    self.need(exit);
                }
            }
            // Their arguments are needed one by one.
            Opcode::Yield | Opcode::Break | Opcode::Continue => {}
            _ => {
                for arg in data.args.clone() {
                    self.need_value(arg);
                }
            }
        }
        if let (Opcode::LocalLoad, Imm::Local(local)) =
            (self.func.inst(inst).op, self.func.inst(inst).imm)
            && !self.local_read[local.index()]
        {
            self.local_read[local.index()] = true;
            for store in std::mem::take(&mut self.local_stores[local.index()]) {
                self.need(store);
            }
        }
        if let Some(owner) = self.owner[self.home[inst.index()].index()] {
            self.need(owner);
        }
    }

    /// A value is needed: so is what makes it.
    fn need_definition(&mut self, value: Value) {
        match self.func.def(value) {
            ValueDef::Param(block, n) => {
                let Some(owner) = self.owner[block.index()] else {
                    return;
                };
                self.need(owner);
                let initial = self.func.inst(owner).args[n as usize];
                self.need_value(initial);
                self.need_exits(block, Opcode::Continue, n);
            }
            ValueDef::Result(inst, n) => {
                self.need(inst);
                let data = self.func.inst(inst);
                match data.op {
                    Opcode::Loop => {
                        let body = data.blocks[0];
                        self.need_exits(body, Opcode::Break, n);
                    }
                    Opcode::If => {
                        for arm in data.blocks.clone() {
                            self.need_exits(arm, Opcode::Yield, n);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Argument `n` of the exits of one kind is needed.
    fn need_exits(&mut self, block: Block, op: Opcode, n: u32) {
        for e in 0..self.exits[block.index()].len() {
            let exit = self.exits[block.index()][e];
            if self.func.inst(exit).op == op {
                let arg = self.func.inst(exit).args[n as usize];
                self.need_value(arg);
            }
        }
    }

    fn sweep(&mut self, block: Block) {
        let mut insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let before = insts.len();
        insts.retain(|i| self.inst_live[i.index()] || self.func.inst(*i).op.is_terminator());
        self.changed |= insts.len() != before;
        for &inst in &insts {
            let data = self.func.inst(inst);
            let blocks = data.blocks.clone();
            match data.op {
                Opcode::If => {
                    let keep = self.live_results(inst);
                    for &arm in &blocks {
                        self.trim_exits(arm, Opcode::Yield, &keep);
                    }
                    self.trim_results(inst, &keep);
                }
                Opcode::Loop => {
                    let body = blocks[0];
                    let keep = self.live_results(inst);
                    self.trim_exits(body, Opcode::Break, &keep);
                    self.trim_results(inst, &keep);
                    let params = self.func.block(body).params.clone();
                    let keep: Vec<bool> =
                        params.iter().map(|p| self.value_live[p.index()]).collect();
                    self.trim_exits(body, Opcode::Continue, &keep);
                    retain(&mut self.func.inst_mut(inst).args, &keep);
                    retain(&mut self.func.block_mut(body).params, &keep);
                    for (n, p) in self.func.block(body).params.clone().iter().enumerate() {
                        self.func.values[p.index()].def = ValueDef::Param(body, n as u32);
                    }
                    self.changed |= keep.contains(&false);
                }
                _ => {}
            }
            for inner in blocks {
                self.sweep(inner);
            }
        }
        self.func.block_mut(block).insts = insts;
    }

    fn live_results(&self, inst: Inst) -> Vec<bool> {
        let results = &self.func.inst(inst).results;
        results.iter().map(|r| self.value_live[r.index()]).collect()
    }

    fn trim_exits(&mut self, block: Block, op: Opcode, keep: &[bool]) {
        for e in 0..self.exits[block.index()].len() {
            let exit = self.exits[block.index()][e];
            if self.func.inst(exit).op == op {
                retain(&mut self.func.inst_mut(exit).args, keep);
            }
        }
    }

    fn trim_results(&mut self, inst: Inst, keep: &[bool]) {
        self.changed |= keep.contains(&false);
        retain(&mut self.func.inst_mut(inst).results, keep);
        for (n, r) in self.func.inst(inst).results.clone().iter().enumerate() {
            self.func.values[r.index()].def = ValueDef::Result(inst, n as u32);
        }
    }
}

/// Keeps the elements whose flag is set.
fn retain(list: &mut impl Retain, keep: &[bool]) {
    if keep.contains(&false) {
        list.retain_flagged(keep);
    }
}

/// Both kinds of lists of values.
trait Retain {
    fn retain_flagged(&mut self, keep: &[bool]);
}

impl Retain for Vec<Value> {
    fn retain_flagged(&mut self, keep: &[bool]) {
        let mut flags = keep.iter();
        self.retain(|_| flags.next().copied().unwrap_or(true));
    }
}

impl<const N: usize> Retain for smallvec::SmallVec<[Value; N]> {
    fn retain_flagged(&mut self, keep: &[bool]) {
        let mut flags = keep.iter();
        self.retain(|_| flags.next().copied().unwrap_or(true));
    }
}
