//! Common subexpression elimination: the same operation on the same values is done once.
//!
//! Scoped by the block tree: what an arm computes is known in the arm only. Takes pure operations and
//! loads of arrays that the kernel never writes.

use crate::analysis::effects::is_movable;
use crate::analysis::tree::Subst;
use crate::{Block, Function, Imm, Opcode, Type, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Runs the pass.
pub fn cse(func: &mut Function) -> bool {
    // Growing the map would cost as much as all else.
    let known = FxHashMap::with_capacity_and_hasher(func.insts.len(), Default::default());
    let mut pass = Cse {
        subst: Subst::new(func),
        func,
        known,
        log: Vec::new(),
        changed: false,
    };
    pass.block(pass.func.entry);
    pass.changed
}

type Key = (Opcode, Imm, Type, SmallVec<[Value; 3]>);

struct Cse<'a> {
    func: &'a mut Function,
    subst: Subst,
    known: FxHashMap<Key, Value>,
    /// Keys in the order they were added, to forget at the end of a block.
    log: Vec<Key>,
    changed: bool,
}

impl Cse<'_> {
    fn block(&mut self, block: Block) {
        let mark = self.log.len();
        let mut insts = std::mem::take(&mut self.func.block_mut(block).insts);
        insts.retain(|&inst| {
            self.subst.apply(self.func.inst_mut(inst));
            for n in 0..self.func.inst(inst).blocks.len() {
                let inner = self.func.inst(inst).blocks[n];
                self.block(inner);
            }
            if !is_movable(self.func, inst) {
                return true;
            }
            let result = self.func.result(inst);
            let data = self.func.inst(inst);
            let mut args = data.args.clone();
            let first = args.first().map(|a| self.func.ty(*a).dtype);
            if first.is_some_and(|dtype| data.op.is_commutative(dtype)) {
                args.sort_unstable();
            }
            let key = (data.op, data.imm, self.func.ty(result), args);
            if let Some(&known) = self.known.get(&key) {
                self.subst.set(result, known);
                self.changed = true;
                return false;
            }
            self.known.insert(key.clone(), result);
            self.log.push(key);
            true
        });
        self.func.block_mut(block).insts = insts;
        if block == self.func.entry {
            return;
        }
        for key in self.log.drain(mark..) {
            self.known.remove(&key);
        }
    }
}
