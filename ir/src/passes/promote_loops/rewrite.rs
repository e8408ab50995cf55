//! Checks that the iterations of a nest are independent, and takes its loops away.

use super::affine::{Affine, Term};
use super::nest::{Level, Nest};
use super::{any_below, definition};
use crate::analysis::tree::{Subst, walk_block};
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, Function, FunctionBuilder, Imm, Inst, LoopDim,
    Opcode, Role, Value,
};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// How far one step of each promoted loop moves in an array; see [`ArrayParam::along`].
type Along = Vec<SmallVec<[(u32, i64); 1]>>;

/// A `core.load` or `core.store`.
struct CoreAccess {
    inst: Inst,
    array: ArrayRef,
    index: Vec<Affine>,
    along: Along,
}

/// The kernel of a nest without the loops whose iterations are independent; nothing if there is none.
pub(super) fn promoted(func: &Function, nest: &Nest) -> Option<Function> {
    let statement = nest.levels[0].inst;
    let before = slice(func, statement)?;
    let stored = stored_arrays(func, statement)?;
    let outside: HashSet<Inst> = before.iter().copied().collect();
    let is_outside = |value: Value| definition(func, value).is_some_and(|i| outside.contains(&i));
    let accesses = |levels: &[&Level]| {
        let counters: Vec<Value> = levels.iter().map(|level| level.counter).collect();
        let mut accesses = Vec::new();
        for &inst in before.iter().chain([&statement]) {
            any_below(func, inst, &mut |inst| {
                accesses.extend(core_access(func, inst, &counters));
                false
            });
        }
        accesses
    };
    let all: Vec<&Level> = nest.levels.iter().collect();
    let of_all = accesses(&all);
    let is_independent = |k: usize| {
        stored.iter().all(|array| {
            let mine: Vec<&CoreAccess> = of_all.iter().filter(|a| a.array == *array).collect();
            has_own_slabs(&mine, k, &is_outside)
        })
    };
    let independent: Vec<bool> = (0..all.len()).map(is_independent).collect();
    let levels = all.iter().zip(&independent).filter(|(_, goes)| **goes);
    let levels: Vec<&Level> = levels.map(|(level, _)| *level).collect();
    if levels.is_empty() {
        return None;
    }
    let accesses = accesses(&levels);
    let mut kernel = func.clone();
    kernel.loops = levels.iter().map(|level| loop_dim(level)).collect();
    let params = array_params(&mut kernel, &accesses)?;
    let body = stand_in(&mut kernel, &nest.levels, &independent);
    Some(assemble(kernel, &levels, before, body, &accesses, &params))
}

/// What runs in the place of the first of these loops when some of them go: the loop, or what it does.
fn stand_in(kernel: &mut Function, levels: &[Level], goes: &[bool]) -> Vec<Inst> {
    let level = &levels[0];
    let inner = levels.get(1).map(|inner| inner.inst);
    let inside = match inner {
        Some(_) => stand_in(kernel, &levels[1..], &goes[1..]),
        None => Vec::new(),
    };
    let replaced = |insts: &[Inst]| -> Vec<Inst> {
        let parts = insts.iter().map(|inst| match Some(*inst) == inner {
            true => inside.clone(),
            false => vec![*inst],
        });
        parts.flatten().collect()
    };
    if goes[0] {
        return replaced(&level.insts);
    }
    let insts = replaced(&kernel.block(level.body).insts);
    kernel.block_mut(level.body).insts = insts;
    vec![level.inst]
}

fn loop_dim(level: &Level) -> LoopDim {
    let dims = level
        .extent
        .terms
        .iter()
        .filter_map(|(term, n)| match term {
            Term::Extent(dim) => Some((*dim, *n)),
            _ => None,
        });
    LoopDim {
        dims: dims.collect(),
        constant: level.extent.constant,
    }
}

/// The top-level instructions that a statement needs, in order; nothing if one of them cannot be run once
/// more in each iteration.
fn slice(func: &Function, statement: Inst) -> Option<Vec<Inst>> {
    let top: HashSet<Inst> = func.block(func.entry).insts.iter().copied().collect();
    let mut needed = HashSet::new();
    let mut pending = Vec::new();
    let arguments = |inst: Inst, pending: &mut Vec<Value>| {
        any_below(func, inst, &mut |inst| {
            pending.extend(&func.inst(inst).args);
            false
        });
    };
    arguments(statement, &mut pending);
    while let Some(value) = pending.pop() {
        let Some(inst) = definition(func, value) else {
            continue;
        };
        if !top.contains(&inst) || !needed.insert(inst) {
            continue;
        }
        let costly = any_below(func, inst, &mut |inst| {
            let data = func.inst(inst);
            data.op == Opcode::Loop || matches!(data.imm, Imm::Local(_))
        });
        if costly {
            return None;
        }
        arguments(inst, &mut pending);
    }
    let insts = func.block(func.entry).insts.iter();
    Some(insts.filter(|i| needed.contains(i)).copied().collect())
}

fn core_access(func: &Function, inst: Inst, counters: &[Value]) -> Option<CoreAccess> {
    let data = func.inst(inst);
    let (Opcode::CoreLoad | Opcode::CoreStore, Imm::Array(array)) = (data.op, data.imm) else {
        return None;
    };
    let axes = func.arrays[array.index()].core.len();
    let index = data.args[..axes].iter();
    let index: Vec<Affine> = index.map(|v| Affine::of(func, *v, counters)).collect();
    let movement = |k: usize| {
        let axes = index.iter().enumerate();
        let moved = axes.map(|(axis, a)| (axis as u32, a.coefficient(Term::Counter(k))));
        moved.filter(|(_, coefficient)| *coefficient != 0).collect()
    };
    let along = (0..counters.len()).map(movement).collect();
    Some(CoreAccess {
        inst,
        array,
        index,
        along,
    })
}

/// The arrays that a statement writes; nothing if it writes anything else.
fn stored_arrays(func: &Function, statement: Inst) -> Option<Vec<ArrayRef>> {
    let mut stored = Vec::new();
    let other = any_below(func, statement, &mut |inst| {
        let data = func.inst(inst);
        if let (Opcode::CoreStore, Imm::Array(array)) = (data.op, data.imm) {
            stored.push(array);
        }
        data.op == Opcode::Store || matches!(data.imm, Imm::Local(_))
    });
    (!other).then_some(stored)
}

/// Is there an axis that all these accesses index by one multiple of this counter alone, plus what does
/// not change in the nest?
fn has_own_slabs(accesses: &[&CoreAccess], k: usize, is_outside: &dyn Fn(Value) -> bool) -> bool {
    let Some(first) = accesses.first() else {
        return false;
    };
    (0..first.index.len()).any(|axis| {
        let mine = &first.index[axis];
        let fixed = |term: &Term| match term {
            Term::Counter(n) => *n == k,
            Term::Extent(_) => true,
            Term::Value(value) => is_outside(*value),
        };
        let same = |other: &&CoreAccess| {
            let mut difference = other.index[axis].clone();
            difference.add(mine, -1);
            difference == Affine::default()
        };
        mine.coefficient(Term::Counter(k)) != 0
            && mine.terms.iter().all(|(term, _)| fixed(term))
            && accesses.iter().all(same)
    })
}

/// The array parameter of each access: the array's own where it moves like the first access to it, else
/// one more of the same argument.
fn array_params(kernel: &mut Function, accesses: &[CoreAccess]) -> Option<Vec<ArrayRef>> {
    let mut own: HashMap<(ArrayRef, &Along), ArrayRef> = HashMap::new();
    let mut moved: HashSet<ArrayRef> = HashSet::new();
    let mut params = Vec::new();
    for access in accesses {
        let (array, along) = (access.array, &access.along);
        if let Some(param) = own.get(&(array, along)) {
            params.push(*param);
            continue;
        }
        let param = if moved.insert(array) {
            kernel.arrays[array.index()].along = along.clone();
            array
        } else {
            let param = &kernel.arrays[array.index()];
            if param.mode != ArrayMode::In {
                return None;
            }
            let mut alias = param.clone().with_role(Role::Alias(array));
            alias.along = along.clone();
            kernel.arrays.push(alias);
            ArrayRef::new(kernel.arrays.len() - 1)
        };
        own.insert((array, along), param);
        params.push(param);
    }
    Some(params)
}

/// Puts the kernel together: what comes before the nest, the counters, and the body.
fn assemble(
    mut kernel: Function,
    levels: &[&Level],
    before: Vec<Inst>,
    body: Vec<Inst>,
    accesses: &[CoreAccess],
    params: &[ArrayRef],
) -> Function {
    let entry = kernel.entry;
    let last = kernel.terminator(entry);
    let mut insts = before;
    let mut subst = Subst::new(&kernel);
    for (k, level) in levels.iter().enumerate() {
        let name = format!("index {k}");
        let iota = ArrayParam::new(name, DType::I64, ArrayMode::Index, Access::Strided);
        kernel.arrays.push(iota.with_role(Role::Iota(k as u32)));
        let iota = ArrayRef::new(kernel.arrays.len() - 1);
        let dtype = kernel.ty(level.counter).dtype;
        let written = write(&mut kernel, |b| {
            let index = b.load(iota);
            let low = level.low.emit(b);
            let counter = b.binary(Opcode::Add, index, low);
            b.cast(counter, dtype)
        });
        subst.set(level.counter, written.1);
        insts.extend(written.0);
    }
    insts.extend(body);
    insts.extend(last);
    kernel.block_mut(entry).insts = insts;
    let mut places: HashMap<Inst, Vec<Inst>> = HashMap::new();
    for (access, param) in accesses.iter().zip(params) {
        kernel.inst_mut(access.inst).imm = Imm::Array(*param);
        let mut written = Vec::new();
        for (axis, index) in access.index.iter().enumerate() {
            let mut rest = index.clone();
            let mut moved = false;
            for (k, level) in levels.iter().enumerate() {
                let coefficient = rest.take(Term::Counter(k));
                rest.add(&level.low, coefficient);
                moved |= coefficient != 0;
            }
            if moved {
                let (insts, value) = write(&mut kernel, |b| rest.emit(b));
                kernel.inst_mut(access.inst).args[axis] = value;
                written.extend(insts);
            }
        }
        places.insert(access.inst, written);
    }
    let mut blocks = vec![entry];
    walk_block(&kernel, entry, &mut |_, inst| {
        blocks.extend(&kernel.inst(inst).blocks);
    });
    for block in blocks {
        let old = std::mem::take(&mut kernel.block_mut(block).insts);
        let new = old.into_iter().flat_map(|inst| {
            let written = places.remove(&inst).unwrap_or_default();
            written.into_iter().chain([inst])
        });
        kernel.block_mut(block).insts = new.collect();
    }
    subst.apply_all(&mut kernel);
    kernel
}

/// Instructions that are in no block yet, and what they give.
fn write(
    kernel: &mut Function,
    write: impl FnOnce(&mut FunctionBuilder) -> Value,
) -> (Vec<Inst>, Value) {
    let block = kernel.new_block();
    let func = std::mem::replace(kernel, Function::new(""));
    let mut builder = FunctionBuilder::at_end(func, block);
    let value = write(&mut builder);
    *kernel = builder.func;
    (std::mem::take(&mut kernel.block_mut(block).insts), value)
}

/// Removes the inputs that promotion added and nobody reads.
pub(super) fn drop_unused_inputs(kernel: &mut Function) {
    let mut used: HashSet<ArrayRef> = HashSet::new();
    for inst in &kernel.insts {
        if let Imm::Array(array) = inst.imm {
            used.insert(array);
        }
    }
    let mut map = Vec::new();
    let mut arrays = Vec::new();
    for (n, param) in std::mem::take(&mut kernel.arrays).into_iter().enumerate() {
        let added = matches!(param.role, Role::Iota(_) | Role::Alias(_));
        map.push(ArrayRef::new(arrays.len()));
        if !added || used.contains(&ArrayRef::new(n)) {
            arrays.push(param);
        }
    }
    kernel.arrays = arrays;
    for inst in &mut kernel.insts {
        if let Imm::Array(array) = &mut inst.imm {
            *array = map[array.index()];
        }
    }
}
