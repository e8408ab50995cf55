//! What each loop of a kernel in vector form does for an element: operations by kind, and bytes.
//!
//! An operation on what all lanes share costs an element next to nothing and is left out. The arms of an `if` count in
//! full, but for those that are seldom run, which are counted apart.

use super::effects::is_rare;
use super::limits::latency;
use crate::target::{CodeNote, How};
use crate::{
    Access, ArrayMode, Block, DType, Function, Imm, Inst, InstData, Loc, Opcode, Value, ValueDef,
};
use std::collections::HashMap;

/// A kind of operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OpKind {
    /// Sum or difference of floats, negation, absolute value.
    Add,
    /// Product of floats.
    Mul,
    /// Product and sum with one rounding.
    Fma,
    /// Quotient of floats.
    Div,
    /// Square root.
    Sqrt,
    /// Smaller or larger of two.
    MinMax,
    /// To an integral value.
    Round,
    /// Integers: sums, logic, shifts.
    Int,
    /// Product of integers.
    IntMul,
    /// Quotient or remainder of integers.
    IntDiv,
    /// Comparison.
    Compare,
    /// One of two by a bool.
    Select,
    /// From one dtype to another.
    Convert,
    /// Logic of bools: masks.
    Mask,
    /// Load of an element at an address of its own.
    Gather,
    /// Store to such a one.
    Scatter,
    /// Access to a local array.
    Local,
    /// Anything that the backend does lane by lane.
    ByLanes,
}

impl OpKind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            OpKind::Add => "add",
            OpKind::Mul => "mul",
            OpKind::Fma => "fma",
            OpKind::Div => "div",
            OpKind::Sqrt => "sqrt",
            OpKind::MinMax => "min/max",
            OpKind::Round => "round",
            OpKind::Int => "int",
            OpKind::IntMul => "int mul",
            OpKind::IntDiv => "int div",
            OpKind::Compare => "compare",
            OpKind::Select => "select",
            OpKind::Convert => "convert",
            OpKind::Mask => "mask",
            OpKind::Gather => "gather",
            OpKind::Scatter => "scatter",
            OpKind::Local => "local array",
            OpKind::ByLanes => "lane by lane",
        }
    }
}

/// Operations of one kind, of lanes of so many bytes (4, or 8 for dtypes of 64 bits).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// The kind.
    pub kind: OpKind,
    /// Bytes of a lane.
    pub lane: usize,
    /// How many.
    pub number: u32,
    /// How many of them the backend says the number of instructions of, and that number in all.
    pub told: [u32; 2],
}

/// One loop.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LoopWork {
    /// The `loop`, or none: the loop over the elements, which is the first.
    pub inst: Option<Inst>,
    /// Where it is in the source.
    pub loc: Loc,
    /// In how many loops it is.
    pub depth: usize,
    /// Is it in an arm that is seldom run?
    pub is_seldom: bool,
    /// May lanes leave it at different times, each by a mask?
    pub masked: bool,
    /// Operations an element (and iteration), those of loops in it left out.
    pub ops: Vec<Count>,
    /// Operations in arms that are seldom run.
    pub seldom: u32,
    /// Bytes that an element reads.
    pub read: usize,
    /// Bytes that are read once for all lanes of an iteration.
    pub shared: usize,
    /// Bytes that an element writes.
    pub written: usize,
    /// Loads and stores of vectors.
    pub accesses: [u32; 2],
    /// Cycles of the longest chain of operations from an iteration to the next one.
    pub chain: u32,
}

impl LoopWork {
    fn count(&mut self, kind: OpKind, lane: usize, told: Option<u32>) {
        let is_same = |c: &Count| (c.kind, c.lane) == (kind, lane);
        let at = self.ops.iter().position(is_same).unwrap_or_else(|| {
            self.ops.push(Count {
                kind,
                lane,
                number: 0,
                told: [0; 2],
            });
            self.ops.len() - 1
        });
        let count = &mut self.ops[at];
        count.number += 1;
        if let Some(instructions) = told {
            count.told[0] += 1;
            count.told[1] += instructions;
        }
    }
}

/// The loops of a kernel in vector form, outer ones first; what the backend tells of its code says what went lane by
/// lane.
pub fn loops(func: &Function, notes: &[CodeNote]) -> Vec<LoopWork> {
    let mut work = Work {
        func,
        notes,
        loops: vec![LoopWork::default()],
    };
    let stores = |inst: &&Inst| func.inst(**inst).op == Opcode::Store;
    let insts = &func.block(func.entry).insts;
    // The loop over the elements is what its stores are for.
    let place = insts.iter().find(stores).or(insts.first());
    work.loops[0].loc = place.map(|inst| func.inst(*inst).loc).unwrap_or_default();
    work.block(func.entry, 0, false);
    work.loops
}

struct Work<'a> {
    func: &'a Function,
    notes: &'a [CodeNote],
    loops: Vec<LoopWork>,
}

impl Work<'_> {
    fn block(&mut self, block: Block, at: usize, seldom: bool) {
        let func = self.func;
        for &inst in &func.block(block).insts {
            let data = func.inst(inst);
            if data.op == Opcode::Loop {
                let inner = LoopWork {
                    inst: Some(inst),
                    loc: data.loc,
                    depth: self.loops[at].depth + 1,
                    masked: leaves_by_mask(func, data.blocks[0]),
                    is_seldom: seldom || self.loops[at].is_seldom,
                    chain: chain(func, data),
                    ..LoopWork::default()
                };
                self.loops.push(inner);
                let own = self.loops.len() - 1;
                // What is seldom in a loop that is seldom run is told of the loop.
                self.block(data.blocks[0], own, false);
                continue;
            }
            if let Some((kind, lane)) = kind(func, data) {
                let kind = if self.goes_by_lanes(data) {
                    OpKind::ByLanes
                } else {
                    kind
                };
                let told = self.told(data);
                let own = &mut self.loops[at];
                if seldom {
                    own.seldom += 1;
                } else {
                    own.count(kind, lane, told);
                }
            }
            if !seldom {
                self.access(data, at);
            }
            let rare = data.op == Opcode::If && is_rare(func, data.args[0]);
            for (n, inner) in data.blocks.iter().enumerate() {
                self.block(*inner, at, seldom || (rare && n == 0));
            }
        }
        self.loops[at].ops.sort_by_key(|c| (c.kind, c.lane));
    }

    /// The number of instructions of an operation, if the backend says it.
    fn told(&self, data: &InstData) -> Option<u32> {
        let is_own = |note: &&CodeNote| note.loc == data.loc && note.op == data.op;
        let mut own = self.notes.iter().filter(is_own);
        own.find_map(|note| match note.how {
            How::Instructions(n) => Some(n),
            _ => None,
        })
    }

    /// Does the backend do it lane by lane? Quotients of integers are counted as such.
    fn goes_by_lanes(&self, data: &InstData) -> bool {
        let is_own = |note: &CodeNote| {
            note.loc == data.loc
                && note.op == data.op
                && matches!(note.how, How::Called | How::ByLanes)
        };
        !matches!(data.op, Opcode::Div | Opcode::Rem) && self.notes.iter().any(is_own)
    }

    fn access(&mut self, data: &InstData, at: usize) {
        let Imm::Array(array) = data.imm else { return };
        let param = &self.func.arrays[array.index()];
        if param.mode == ArrayMode::Index || data.op == Opcode::Index {
            return;
        }
        let bytes = param.dtype.size();
        let work = &mut self.loops[at];
        match data.op {
            Opcode::Load | Opcode::CoreLoad => {
                let varying = self.func.ty(data.results[0]).varying;
                match (varying, param.access) {
                    // Read ahead of the loops.
                    (false, Access::Uniform) if data.op == Opcode::Load => return,
                    (false, _) => work.shared += bytes,
                    (true, _) => work.read += bytes,
                }
                work.accesses[0] += 1;
            }
            Opcode::Store | Opcode::CoreStore => {
                work.written += bytes;
                work.accesses[1] += 1;
            }
            _ => {}
        }
    }
}

/// Do lanes stay in a loop, masked off, until all of them have left?
fn leaves_by_mask(func: &Function, body: Block) -> bool {
    let mut masked = false;
    for &inst in &func.block(body).insts {
        let data = func.inst(inst);
        let leaves = data.blocks.iter().any(|arm| {
            let last = func.terminator(*arm);
            last.is_some_and(|last| func.inst(last).op == Opcode::Break)
        });
        masked |= data.op == Opcode::If && leaves && func.tests_lanes(data.args[0]);
    }
    masked
}

/// What an instruction counts as, with the bytes of its lanes.
fn kind(func: &Function, data: &InstData) -> Option<(OpKind, usize)> {
    use Opcode as O;
    let lane = |dtype: DType| if dtype.size() == 8 { 8 } else { 4 };
    if let (O::CoreStore | O::Store, Imm::Array(array)) = (data.op, data.imm) {
        let param = &func.arrays[array.index()];
        let apart = param.access == Access::Strided
            || data
                .args
                .iter()
                .take(param.core.len())
                .any(|a| is_index_a_lane(func, *a));
        return apart.then(|| (OpKind::Scatter, lane(param.dtype)));
    }
    if data.op == O::LocalStore {
        let dtype = func.ty(data.args[1]).dtype;
        return Some((OpKind::Local, lane(dtype)));
    }
    let ty = func.ty(*data.results.first()?);
    if !ty.varying {
        return None;
    }
    let from = data.args.last().map_or(ty.dtype, |a| func.ty(*a).dtype);
    let wider = lane(from).max(lane(ty.dtype));
    let float = ty.dtype.is_float();
    let kind = match (data.op, float) {
        (O::Load | O::CoreLoad, _) => {
            let Imm::Array(array) = data.imm else {
                return None;
            };
            let param = &func.arrays[array.index()];
            let index = data.args.iter().take(param.core.len());
            let apart = param.access == Access::Strided
                || index.into_iter().any(|a| is_index_a_lane(func, *a));
            return apart.then(|| (OpKind::Gather, lane(ty.dtype)));
        }
        (O::LocalLoad, _) => OpKind::Local,
        (op, _) if op.rule() == crate::opcode::Rule::Compare && from != DType::Bool => {
            return Some((OpKind::Compare, lane(from)));
        }
        (O::Select, _) if ty.dtype != DType::Bool => OpKind::Select,
        (O::Cast, _) if from != ty.dtype => return Some((OpKind::Convert, wider)),
        (O::Const | O::Splat | O::Bitcast | O::Rare | O::Index | O::Cast, _) => return None,
        (op, _) if ty.dtype == DType::Bool && op.is_pure() => OpKind::Mask,
        (O::Div, true) => OpKind::Div,
        (O::Sqrt, _) => OpKind::Sqrt,
        (O::Fma, _) => OpKind::Fma,
        (O::Mul, true) => OpKind::Mul,
        (O::Min | O::Max | O::FMin | O::FMax, _) => OpKind::MinMax,
        (O::Floor | O::Ceil | O::Trunc | O::Round, _) => OpKind::Round,
        (O::Add | O::Sub | O::Neg | O::Abs, true) => OpKind::Add,
        (O::Mul | O::MulHi, false) => OpKind::IntMul,
        (O::Div | O::Rem, false) => OpKind::IntDiv,
        (op, _) if op.is_pure() => OpKind::Int,
        _ => return None,
    };
    Some((kind, lane(ty.dtype)))
}

/// Is an index one of its own in each lane?
fn is_index_a_lane(func: &Function, index: Value) -> bool {
    match func.def(index) {
        _ if !func.ty(index).varying => false,
        ValueDef::Result(inst, _) => func.inst(inst).op != Opcode::Splat,
        ValueDef::Param(..) => true,
    }
}

/// Cycles from the values that an iteration of a loop starts with to those that the next one does.
fn chain(func: &Function, data: &InstData) -> u32 {
    let body = data.blocks[0];
    let mut known: HashMap<Value, Option<u32>> = HashMap::new();
    for param in &func.block(body).params {
        // Counters run ahead of the rest.
        let ty = func.ty(*param);
        known.insert(*param, (ty.varying || ty.dtype.is_float()).then_some(0));
    }
    let mut longest = 0;
    measure(func, body, &mut known, &mut longest);
    longest
}

/// The longest chain to what each instruction gives; to what a `continue` passes on.
fn measure(
    func: &Function,
    block: Block,
    known: &mut HashMap<Value, Option<u32>>,
    longest: &mut u32,
) {
    for &inst in &func.block(block).insts {
        let data = func.inst(inst);
        let of = |known: &HashMap<Value, Option<u32>>, args: &[Value]| {
            args.iter()
                .filter_map(|a| known.get(a).copied().flatten())
                .max()
        };
        let own = of(known, &data.args);
        match data.op {
            Opcode::Continue => *longest = (*longest).max(own.unwrap_or(0)),
            Opcode::If => {
                let mut ends = Vec::new();
                for arm in &data.blocks {
                    measure(func, *arm, known, longest);
                    let last = func.terminator(*arm).map(|last| func.inst(last));
                    ends.extend(last.filter(|last| last.op == Opcode::Yield));
                }
                for (n, result) in data.results.iter().enumerate() {
                    let arms = ends.iter().filter_map(|end| end.args.get(n));
                    let arms: Vec<Value> = arms.copied().collect();
                    known.insert(*result, of(known, &arms));
                }
            }
            // How often it runs is not known: it is a chain of its own.
            Opcode::Loop => {}
            op => {
                for result in &data.results {
                    let dtype = func.ty(*result).dtype;
                    known.insert(*result, own.map(|own| own + latency(op, dtype)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::vectorize;
    use crate::text::parse_module;
    use crate::{FuncRef, verify};

    fn work(text: &str) -> Vec<LoopWork> {
        let module = parse_module(text).unwrap_or_else(|e| panic!("{e}"));
        let func = vectorize(&module[FuncRef(0)]);
        verify::verify(&func, None).unwrap_or_else(|e| panic!("{e}"));
        loops(&func, &[])
    }

    fn numbers(work: &LoopWork) -> Vec<(&'static str, usize, u32)> {
        let ops = work.ops.iter();
        ops.map(|c| (c.kind.name(), c.lane, c.number)).collect()
    }

    #[test]
    fn a_straight_kernel() {
        let work = work(
            r#"kernel k {
                array a0 in f32 contiguous "x"
                array a1 in f32 uniform "k"
                array a2 out f32 contiguous "y"
                v0 = load a0
                v1 = load a1
                v2 = mul v0, v1
                v3 = mul v1, v1
                v4 = sqrt v2
                v5 = add v4, v3
                store a2, v5
                return
            }"#,
        );
        assert_eq!(work.len(), 1);
        let expected = [("add", 4, 1), ("mul", 4, 1), ("sqrt", 4, 1)];
        assert_eq!(
            numbers(&work[0]),
            expected,
            "what all lanes share does not count"
        );
        assert_eq!((work[0].read, work[0].shared, work[0].written), (4, 0, 4));
        assert_eq!(work[0].accesses, [1, 1]);
    }

    #[test]
    fn a_loop_waits_for_what_it_carries() {
        let work = work(
            r#"kernel k {
                array a0 in f64 contiguous "x"
                array a1 out f64 contiguous "y"
                v0 = load a0
                v1 = const i32 0
                v2 = const i32 1
                v3 = const i32 8
                v4 = loop (v5: i32 = v1, v6: f64 = v0) -> (f64) {
                    v7 = lt v5, v3
                    if v7 {
                        yield
                    } else {
                        break v6
                    }
                    v8 = add v5, v2
                    v9 = fma v6, v6, v0
                    v10 = sqrt v9
                    continue v8, v10
                }
                store a1, v4
                return
            }"#,
        );
        assert_eq!(work.len(), 2);
        assert_eq!((work[0].read, work[0].written), (8, 8));
        assert!(work[0].ops.is_empty());
        assert_eq!(numbers(&work[1]), [("fma", 8, 1), ("sqrt", 8, 1)]);
        assert_eq!(
            (work[1].depth, work[1].chain, work[1].masked),
            (1, 4 + 18, false)
        );
    }
}
