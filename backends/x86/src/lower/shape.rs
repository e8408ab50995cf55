//! Choices made once a kernel: lanes, copies, constants in registers; and facts about its values.

use super::table;
use crate::Target;
use crate::encode::Op;
use kjit_ir::analysis::tree::{use_counts, walk};
use kjit_ir::{Access, Block, DType, Function as Kernel, Imm, Inst, Loc, Opcode, Value, ValueDef};

/// What decided the choices, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons {
    /// Where a value of 64 bits comes from that made all lanes so wide.
    pub(crate) wide: Option<Loc>,
    /// Vectors alive at once, of one copy.
    pub(crate) live: usize,
    /// Masks alive at once.
    pub(crate) masks: usize,
    /// What the number of copies comes from.
    pub(crate) copies: CopiesBy,
}

/// What limits the number of vectors an iteration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CopiesBy {
    /// There are as many as there ever are, or as a test wants.
    Most,
    /// Registers for vectors.
    Registers,
    /// Registers for masks.
    Masks,
    /// The size of the code.
    Size,
    /// The stack that local arrays take.
    Locals,
}

/// Bytes of stack that local arrays may take: threads may have little of it. With more, 128-bit code needs a fraction of it.
pub(super) const LOCAL_BYTES: usize = 1 << 18;
/// From so many instructions on, the loop over what is left is the only one.
const LARGE: usize = 1200;
/// Without loops there are several copies up to so many instructions.
const CHAINED: usize = 700;
/// Copies at most.
pub(super) const COPIES: usize = 4;

/// The choices.
#[derive(Debug)]
pub(super) struct Shape {
    /// Lanes of a vector.
    pub(super) lanes: usize,
    /// Vectors an iteration.
    pub(super) copies: usize,
    /// Is there a loop over whole iterations?
    pub(super) whole: bool,
    /// Bytes of a lane of masks between blocks, where masks are vectors.
    pub(super) mask_lane: u8,
    /// Constants to keep in registers: bits, and bytes of a lane.
    pub(super) constants: Vec<(u64, u8)>,
    /// The instruction that uses a value last, if it is of the block that defines it.
    pub(super) last_use: Vec<Option<Inst>>,
    /// Values that are part of the instructions that use them: compares whose only use is an `and`, under whose other
    /// mask they are done, or a choice of the smaller or larger one; negations that only `fma` uses.
    pub(super) folded: Vec<bool>,
    /// Loads whose only use takes them from memory.
    pub(super) in_memory: Vec<bool>,
    /// Bools whose only use is the condition of an `if`.
    pub(super) only_tested: Vec<bool>,
    pub(super) reasons: Reasons,
}

impl Shape {
    /// Looks at a kernel; `copies` if a test wants so many.
    pub(super) fn new(kernel: &Kernel, target: &Target, copies: Option<usize>) -> Shape {
        let (mut wide, mut narrow_compares, mut count) = (None, 0_i64, 0);
        let mut loops = false;
        walk(kernel, &mut |_, inst| {
            let data = kernel.inst(inst);
            count += 1;
            loops |= data.op == Opcode::Loop;
            for value in data.results.iter().chain(&data.args) {
                let ty = kernel.ty(*value);
                if ty.varying && ty.dtype.size() == 8 {
                    wide.get_or_insert(data.loc);
                }
            }
            let by = match data.op {
                Opcode::Select => kernel.ty(data.args[1]),
                op if table::int_predicate(op).is_some() => kernel.ty(data.args[0]),
                _ => return,
            };
            if by.varying && by.dtype != DType::Bool {
                narrow_compares += if by.dtype.size() == 8 { -1 } else { 1 };
            }
        });
        let bytes = target.width.bytes();
        let place = wide;
        let wide = wide.is_some();
        let lanes = if wide { bytes / 8 } else { bytes / 4 };
        let registers = if target.is_wide() { 32 } else { 16 };
        let last_use = last_uses(kernel);
        let live = most_live(kernel, &last_use).max(1);
        let masks_live = most_masks(kernel, &last_use);
        let mut by = CopiesBy::Most;
        let mut chosen = copies.unwrap_or_else(|| {
            let room = (registers - 4) / live;
            let masks = 6_usize.checked_div(masks_live).unwrap_or(COPIES);
            by = CopiesBy::Registers;
            let room = match target.is_wide() && masks.max(1) < room {
                true => {
                    by = CopiesBy::Masks;
                    masks.max(1)
                }
                false => room,
            };
            let fits = |copies: usize| !target.is_wide() || copies * masks_live <= 7;
            match room {
                // What waits for a chain of operations is helped more by another chain than it is hurt by spills.
                _ if !loops && count <= LARGE / 2 && 4 * live <= registers && fits(4) => {
                    by = CopiesBy::Most;
                    4
                }
                _ if !loops && count <= CHAINED && live <= 24 && fits(2) => {
                    if room >= 4 {
                        by = CopiesBy::Most;
                    }
                    room.clamp(2, 4) & 6
                }
                _ if count > LARGE / 2 => {
                    by = CopiesBy::Size;
                    1
                }
                4.. => {
                    by = CopiesBy::Most;
                    4
                }
                2..=3 => 2,
                // A loop waits for its own results, too.
                _ if loops && live <= 12 && !target.is_wide() => 2,
                _ => 1,
            }
        });
        let local: usize = kernel
            .locals
            .iter()
            .map(|l| (l.len as usize).saturating_mul(table::lane(l.dtype).into()))
            .fold(0, usize::saturating_add);
        while chosen > 1 && local.saturating_mul(lanes * chosen) > LOCAL_BYTES / 4 {
            by = CopiesBy::Locals;
            chosen /= 2;
        }
        let room = (registers - 4).saturating_sub(live * chosen);
        Shape {
            lanes,
            copies: chosen,
            whole: count <= LARGE || copies.is_some() || !target.is_wide(),
            mask_lane: if wide && narrow_compares <= 0 { 8 } else { 4 },
            constants: constants(kernel, room),
            last_use,
            folded: folded(kernel, target.is_wide()),
            in_memory: in_memory(kernel),
            only_tested: only_tested(kernel),
            reasons: Reasons {
                wide: place,
                live,
                masks: masks_live,
                copies: by,
            },
        }
    }
}

/// The constants of varying operations, those used most first, as many as there is room for.
fn constants(kernel: &Kernel, room: usize) -> Vec<(u64, u8)> {
    let mut found: Vec<((u64, u8), u32)> = Vec::new();
    walk(kernel, &mut |_, inst| {
        let data = kernel.inst(inst);
        if matches!(
            data.op,
            Opcode::Splat | Opcode::CoreLoad | Opcode::LocalLoad
        ) {
            return;
        }
        if !data.results.iter().any(|r| kernel.ty(*r).varying) {
            return;
        }
        // Shifts by a constant take an immediate.
        let shift = matches!(data.op, Opcode::Shl | Opcode::Shr);
        for arg in data.args.iter().take(if shift { 1 } else { 3 }) {
            let Some(scalar) = kernel.as_const(*arg) else {
                continue;
            };
            let super::A::C(bits, lane) = table::constant(scalar) else {
                continue;
            };
            if scalar.dtype() == DType::Bool {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == (bits, lane)) {
                Some((_, uses)) => *uses += 1,
                None => found.push(((bits, lane), 1)),
            }
        }
    });
    found.sort_by_key(|(_, uses)| std::cmp::Reverse(*uses));
    found.truncate(room);
    found.into_iter().map(|(known, _)| known).collect()
}

/// The block that defines each value, and the block and owner of each instruction's block.
struct Places {
    of_value: Vec<Option<Block>>,
    /// The instruction that owns a block, and the block that it stands in.
    owner: Vec<Option<(Inst, Block)>>,
}

impl Places {
    fn new(kernel: &Kernel) -> Places {
        let mut places = Places {
            of_value: vec![None; kernel.values.len()],
            owner: vec![None; kernel.blocks.len()],
        };
        walk(kernel, &mut |block, inst| {
            let data = kernel.inst(inst);
            for result in &data.results {
                places.of_value[result.index()] = Some(block);
            }
            for inner in &data.blocks {
                places.owner[inner.index()] = Some((inst, block));
                for param in &kernel.block(*inner).params {
                    places.of_value[param.index()] = Some(*inner);
                }
            }
        });
        places
    }
}

/// For each value the instruction of its own block that uses it last, or in which it is used last.
fn last_uses(kernel: &Kernel) -> Vec<Option<Inst>> {
    let places = Places::new(kernel);
    let mut last = vec![None; kernel.values.len()];
    walk(kernel, &mut |block, inst| {
        for arg in &kernel.inst(inst).args {
            // Climb to the block that defines it.
            let (mut at, mut user) = (block, inst);
            while places.of_value[arg.index()] != Some(at) {
                let Some((owner, outer)) = places.owner[at.index()] else {
                    break;
                };
                (at, user) = (outer, owner);
            }
            last[arg.index()] = Some(user);
        }
    });
    last
}

/// An estimate of the vectors of one copy that are alive at once, of values defined in one block and those around.
fn most_live(kernel: &Kernel, last: &[Option<Inst>]) -> usize {
    let counts = |value: Value| {
        let ty = kernel.ty(value);
        ty.varying && ty.dtype != DType::Bool && kernel.as_const(value).is_none()
    };
    live_in(kernel, kernel.entry, last, &counts)
}

/// As [`most_live`], of masks.
fn most_masks(kernel: &Kernel, last: &[Option<Inst>]) -> usize {
    let counts = |value: Value| {
        let ty = kernel.ty(value);
        ty.varying && ty.dtype == DType::Bool && kernel.as_const(value).is_none()
    };
    live_in(kernel, kernel.entry, last, &counts)
}

fn live_in(
    kernel: &Kernel,
    block: Block,
    last: &[Option<Inst>],
    counts: &impl Fn(Value) -> bool,
) -> usize {
    let params = &kernel.block(block).params;
    let mut live = params.iter().filter(|p| counts(**p)).count();
    let mut most = live;
    for &inst in &kernel.block(block).insts {
        let data = kernel.inst(inst);
        let inner = data.blocks.iter();
        let inner = inner.map(|b| live_in(kernel, *b, last, counts)).max();
        most = most.max(live + inner.unwrap_or(0));
        let mut seen: Vec<Value> = Vec::new();
        for &arg in &data.args {
            let here = matches!(kernel.def(arg), ValueDef::Result(..) | ValueDef::Param(..));
            if here && counts(arg) && last[arg.index()] == Some(inst) && !seen.contains(&arg) {
                seen.push(arg);
                live = live.saturating_sub(1);
            }
        }
        live += data.results.iter().filter(|r| counts(**r)).count();
        most = most.max(live);
    }
    most
}

/// What a value is the negation of, if it is a varying one that `fma` takes.
pub(super) fn negated(kernel: &Kernel, value: Value) -> Option<Value> {
    let ValueDef::Result(inst, _) = kernel.def(value) else {
        return None;
    };
    let data = kernel.inst(inst);
    let ty = kernel.ty(value);
    (data.op == Opcode::Neg && ty.varying && ty.dtype.is_float()).then(|| data.args[0])
}

/// The choice of the smaller or larger one of two varying floats, as the machine's instruction makes it: which gives its
/// second operand where one is NaN or both are zeros, as the choice does.
pub(super) fn extreme(kernel: &Kernel, select: Inst) -> Option<(Op, [Value; 2])> {
    let [condition, yes, no] = *kernel.inst(select).args else {
        return None;
    };
    let ValueDef::Result(compare, _) = kernel.def(condition) else {
        return None;
    };
    let data = kernel.inst(compare);
    let less = match data.op {
        Opcode::Lt => true,
        Opcode::Gt => false,
        _ => return None,
    };
    let (a, b) = (data.args[0], data.args[1]);
    let same = |x: Value, y: Value| {
        x == y || matches!((kernel.as_const(x), kernel.as_const(y)), (Some(x), Some(y)) if x == y)
    };
    let min = match (same(yes, a) && same(no, b), same(yes, b) && same(no, a)) {
        (true, _) => less,
        (_, true) => !less,
        _ => return None,
    };
    if !kernel.ty(condition).varying {
        return None;
    }
    let op = match (kernel.ty(a).dtype, min) {
        (DType::F32, true) => Op::Vminps,
        (DType::F32, false) => Op::Vmaxps,
        (DType::F64, true) => Op::Vminpd,
        (DType::F64, false) => Op::Vmaxpd,
        _ => return None,
    };
    Some((op, [yes, no]))
}

/// Varying floats loaded side by side whose only use, further down in the block and not behind a store or a block of its
/// own, is an instruction that takes its last operand from memory.
fn in_memory(kernel: &Kernel) -> Vec<bool> {
    let uses = use_counts(kernel);
    let mut left = vec![false; kernel.values.len()];
    for block in &kernel.blocks {
        // Loads that still may be, and the block's instructions so far that have taken one.
        let mut waiting: Vec<Value> = Vec::new();
        for &inst in &block.insts {
            let data = kernel.inst(inst);
            if let (Opcode::Load, Imm::Array(array), true) =
                (data.op, data.imm, data.args.is_empty())
            {
                let value = data.results[0];
                let ty = kernel.ty(value);
                if kernel.arrays[array.index()].access == Access::Contiguous
                    && ty.varying
                    && matches!(ty.dtype, DType::F32 | DType::F64)
                    && uses[value.index()] == 1
                {
                    waiting.push(value);
                }
                continue;
            }
            if !data.op.is_pure() || !data.blocks.is_empty() {
                waiting.clear();
                continue;
            }
            let float = data
                .args
                .last()
                .is_some_and(|arg| kernel.ty(*arg).dtype.is_float());
            let place = match (data.op, &*data.args) {
                (Opcode::Add | Opcode::Mul, [a, b]) if float => [*b, *a]
                    .into_iter()
                    .find(|x| waiting.contains(x) && kernel.as_const(*x).is_none()),
                (Opcode::Sub | Opcode::Div, [_, b]) | (Opcode::Fma, [_, _, b]) if float => Some(*b),
                (Opcode::Sqrt, [a]) => Some(*a),
                _ => None,
            };
            if let Some(value) = place.filter(|x| waiting.contains(x)) {
                left[value.index()] = true;
            }
        }
    }
    left
}

/// With `masks`: varying compares that one `and` uses, and nothing else; and negations that only `fma` uses.
fn folded(kernel: &Kernel, masks: bool) -> Vec<bool> {
    let uses = use_counts(kernel);
    let mut folded = vec![false; kernel.values.len()];
    let mut in_fma = vec![0; kernel.values.len()];
    walk(kernel, &mut |_, inst| {
        let data = kernel.inst(inst);
        if data.op == Opcode::Fma {
            for arg in &data.args {
                in_fma[arg.index()] += 1;
                let all = in_fma[arg.index()] == uses[arg.index()];
                folded[arg.index()] = all && negated(kernel, *arg).is_some();
            }
        }
        if data.op == Opcode::Select {
            let condition = data.args[0];
            if uses[condition.index()] == 1 && extreme(kernel, inst).is_some() {
                folded[condition.index()] = true;
            }
            return;
        }
        if !masks {
            return;
        }
        let ty = data.results.first().map(|r| kernel.ty(*r));
        if data.op != Opcode::And || ty.is_none_or(|ty| !ty.varying || ty.dtype != DType::Bool) {
            return;
        }
        let compare = |value: &&Value| match kernel.def(**value) {
            ValueDef::Result(of, _) => {
                let of = kernel.inst(of);
                table::int_predicate(of.op).is_some()
                    && kernel.ty(of.args[0]).dtype != DType::Bool
                    && uses[value.index()] == 1
            }
            ValueDef::Param(..) => false,
        };
        if let Some(value) = data.args.iter().rev().find(compare) {
            folded[value.index()] = true;
        }
    });
    folded
}

/// Bools that one `if` tests, and nothing else uses.
fn only_tested(kernel: &Kernel) -> Vec<bool> {
    let uses = use_counts(kernel);
    let mut tested = vec![false; kernel.values.len()];
    walk(kernel, &mut |_, inst| {
        let data = kernel.inst(inst);
        if data.op == Opcode::If {
            let condition = data.args[0];
            tested[condition.index()] = uses[condition.index()] == 1;
        }
    });
    tested
}
