//! Which limit of a CPU a loop runs into, by a simple model: an estimate, to know where to look.
//!
//! Four times are compared, each as if all else took none:
//!
//! - *memory*: bytes of the element over the bandwidth of main memory, of one core;
//! - *cache*: vectors loaded and stored over what the first-level cache moves in a cycle;
//! - *arithmetic*: operations of vectors over those that a core starts in a cycle, each weighed by how many
//!   instructions it takes;
//! - *division*: quotients and roots over what the one unit for them does; that is the same for all widths;
//! - *latency*: the chain of operations from an iteration to the next one, shared by the elements that are under way.
//!
//! The largest of them binds. What the model leaves out: decoding, branches that are guessed wrong, the levels of
//! cache between the first and memory, other cores.

use super::work::{LoopWork, OpKind};
use crate::{DType, Opcode};

/// The parameters of the model.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Cycles in a nanosecond.
    pub ghz: f64,
    /// Bytes in a nanosecond between a core and main memory.
    pub memory: f64,
    /// Instructions of vectors started in a cycle.
    pub starts: f64,
    /// Vectors loaded in a cycle.
    pub loads: f64,
    /// Vectors stored in a cycle.
    pub stores: f64,
    /// Elements that a gather, or code that goes element by element, loads or stores in a cycle.
    pub single: f64,
    /// Cycles of the division unit for a quotient of f32 and of f64.
    pub divide: [f64; 2],
    /// The same for a root.
    pub root: [f64; 2],
    /// Cycles for a quotient of 64-bit integers, in a function that goes lane by lane.
    pub divide_words: f64,
    /// Cycles for an element of what else goes lane by lane.
    pub by_lane: f64,
}

/// The machine that estimates are for: a server core of the generation of Ice Lake and Sapphire Rapids, at the 3.5 GHz
/// of the one that was measured.
///
/// Sources: what starts in a cycle, and latencies ([`latency`]), from the tables of uops.info for Ice Lake; the bandwidth
/// (`z = a * x + y` over arrays of 64 MB, plain stores, one thread), the roots of f64 and gathers from measurements on
/// an Intel Xeon (family 6, model 167) in November 2026. What goes lane by lane is a guess: some moves a lane.
pub const MACHINE: Machine = Machine {
    ghz: 3.5,
    memory: 16.0,
    starts: 2.0,
    loads: 2.0,
    stores: 1.0,
    single: 2.0,
    divide: [0.63, 2.0],
    root: [0.75, 2.8],
    divide_words: 14.0,
    by_lane: 4.0,
};

/// Cycles from the arguments of an operation to its result.
pub const fn latency(op: Opcode, dtype: DType) -> u32 {
    use Opcode as O;
    match op {
        O::Const | O::Splat | O::Bitcast | O::Rare => 0,
        O::Add | O::Sub | O::Mul | O::Fma if dtype.is_float() => 4,
        O::Mul | O::MulHi => 10,
        O::Div if dtype.is_float() => 14,
        O::Div | O::Rem => 30,
        O::Sqrt => 18,
        O::Min | O::Max | O::FMin | O::FMax if dtype.is_float() => 9,
        O::Floor | O::Ceil | O::Trunc | O::Round => 8,
        O::Cast => 5,
        O::Eq | O::Ne | O::Lt | O::Le | O::Gt | O::Ge => 3,
        O::Load | O::CoreLoad | O::LocalLoad => 7,
        _ => 1,
    }
}

/// Instructions that an operation takes a vector.
const fn weight(kind: OpKind, lane: usize) -> f64 {
    match (kind, lane) {
        (OpKind::IntMul, 8) => 3.0,
        (OpKind::MinMax, _) => 3.0,
        (OpKind::Round | OpKind::Convert | OpKind::IntMul | OpKind::Local, _) => 2.0,
        (OpKind::IntDiv, _) => 6.0,
        // These are limited by what they wait for.
        (OpKind::Div | OpKind::Sqrt | OpKind::Gather | OpKind::Scatter | OpKind::ByLanes, _) => 0.0,
        _ => 1.0,
    }
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Bandwidth of main memory.
    Memory,
    /// Loads and stores in the first-level cache.
    Cache,
    /// Operations of vectors.
    Arithmetic,
    /// The unit for quotients and roots.
    Division,
    /// A result is waited for.
    Latency,
}

impl Limit {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Memory => "memory bandwidth",
            Limit::Cache => "loads and stores",
            Limit::Arithmetic => "arithmetic",
            Limit::Division => "division",
            Limit::Latency => "latency",
        }
    }
}

/// Nanoseconds an element (and iteration of the loop) by each limit, the largest first; memory is left out of loops in
/// the loop over the elements, since what they read may be in a cache.
#[derive(Clone, PartialEq, Debug)]
pub struct Estimate {
    /// The limits.
    pub limits: Vec<(Limit, f64)>,
}

impl Estimate {
    /// What binds where everything comes from the first-level cache.
    pub fn in_cache(&self) -> Option<(Limit, f64)> {
        let mut limits = self.limits.iter();
        limits.find(|(limit, _)| *limit != Limit::Memory).copied()
    }
}

/// Estimates a loop that runs in vectors of so many bits, so many elements a vector and vectors an iteration.
pub fn estimate(work: &LoopWork, bits: usize, lanes: usize, copies: usize) -> Estimate {
    let machine = MACHINE;
    let (bits, lanes) = (bits as f64, lanes as f64);
    let mut arithmetic = 0.0;
    let mut division = 0.0;
    let mut cache = 0.0;
    for count in &work.ops {
        let (number, wide) = (f64::from(count.number), usize::from(count.lane == 8));
        // Vectors that hold the lanes: two where a value is wider than the vector.
        let vectors = (lanes * 8.0 * count.lane as f64 / bits).max(1.0);
        let [told, instructions] = count.told.map(f64::from);
        let started = (number - told) * weight(count.kind, count.lane) + instructions;
        arithmetic += vectors * started / machine.starts / lanes;
        if count.kind == OpKind::ByLanes {
            arithmetic += number * machine.by_lane;
        }
        division += number
            * match count.kind {
                OpKind::Div => machine.divide[wide],
                OpKind::Sqrt => machine.root[wide],
                // Integers of 32 bits are divided as f64.
                OpKind::IntDiv if wide == 0 => machine.divide[1],
                OpKind::IntDiv => machine.divide_words,
                _ => 0.0,
            };
        if matches!(count.kind, OpKind::Gather | OpKind::Scatter) {
            cache += number / machine.single;
        }
    }
    let single = |kind| {
        let counts = work.ops.iter().filter(move |c| c.kind == kind);
        counts.map(|c| c.number).sum::<u32>()
    };
    let [loads, stores] = work.accesses;
    let loads = f64::from(loads.saturating_sub(single(OpKind::Gather)));
    let stores = f64::from(stores.saturating_sub(single(OpKind::Scatter)));
    cache += (loads / machine.loads).max(stores / machine.stores) / lanes;
    let latency = f64::from(work.chain) / (lanes * copies as f64);
    let mut limits: Vec<(Limit, f64)> = vec![
        (Limit::Cache, cache / machine.ghz),
        (Limit::Arithmetic, arithmetic / machine.ghz),
        (Limit::Division, division / machine.ghz),
        (Limit::Latency, latency / machine.ghz),
    ];
    if work.inst.is_none() {
        let bytes = (work.read + work.written) as f64;
        limits.push((Limit::Memory, bytes / machine.memory));
    }
    limits.retain(|(_, time)| *time > 0.0);
    limits.sort_by(|a, b| b.1.total_cmp(&a.1));
    Estimate { limits }
}

#[cfg(test)]
mod tests {
    use super::super::work::Count;
    use super::*;

    #[test]
    fn what_binds() {
        let count = |kind, number| Count {
            kind,
            lane: 4,
            number,
            told: [0; 2],
        };
        let mut work = LoopWork {
            read: 8,
            written: 4,
            accesses: [2, 1],
            ops: vec![count(OpKind::Mul, 1), count(OpKind::Add, 1)],
            ..LoopWork::default()
        };
        let saxpy = estimate(&work, 512, 16, 4);
        assert_eq!(saxpy.limits[0].0, Limit::Memory);
        assert_eq!(saxpy.in_cache().map(|l| l.0), Some(Limit::Cache));
        work.ops.push(count(OpKind::Sqrt, 1));
        let root = estimate(&work, 512, 16, 4);
        assert_eq!(root.in_cache().map(|l| l.0), Some(Limit::Division));
        // A polynomial of degree 16, as measured: 0.14 ns with 512 bits, twice that with 256.
        work.ops = vec![count(OpKind::Fma, 16)];
        let [wide, half] = [(512, 16), (256, 8)].map(|(bits, lanes)| {
            let (limit, time) = estimate(&work, bits, lanes, 4).in_cache().unwrap();
            assert_eq!(limit, Limit::Arithmetic);
            time
        });
        assert!((0.13..0.15).contains(&wide), "{wide}");
        assert!((half / wide - 2.0).abs() < 1e-9);
        work.inst = Some(crate::Inst::new(0));
        work.chain = 12;
        let waits = estimate(&work, 512, 16, 1);
        assert!(
            waits
                .limits
                .iter()
                .all(|(limit, _)| *limit != Limit::Memory)
        );
        assert!(
            waits
                .limits
                .iter()
                .any(|(limit, _)| *limit == Limit::Latency)
        );
    }
}
