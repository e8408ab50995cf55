//! The engine: runs kernels over arrays on a target.

/// Where kernels run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// One core.
    #[default]
    Cpu,
    /// Every core (small work stays on the calling thread).
    Parallel,
    /// A GPU.
    Gpu,
    /// The best of the host: parallel when the work is large, else one core.
    Auto,
}

/// How `parallel` hands out blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Schedule {
    /// One equal share a thread.
    Static,
    /// Blocks of one size, taken when a thread is free.
    Dynamic,
    /// Blocks that get smaller towards the end, taken when a thread is free.
    #[default]
    Guided,
}

/// What an engine is asked for.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where kernels run.
    pub target: Target,
    /// Threads of `parallel`; by default those of the pool it is called in.
    pub threads: Option<usize>,
    /// How `parallel` hands out blocks.
    pub schedule: Schedule,
    /// Allow contraction, reassociation and approximate functions.
    pub fast: bool,
    /// Interpret kernels instead of compiling them: the oracle.
    pub interp: bool,
    /// Make scalar machine code only.
    pub scalar: bool,
}

/// Reductions of all elements to one value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceOp {
    /// Sum: `i64` for bool and signed integers, `u64` for unsigned ones, floats keep their dtype.
    Sum,
    /// Smallest element; NaN if any is.
    Min,
    /// Largest element; NaN if any is.
    Max,
    /// Index of the first smallest element, or of the first NaN.
    ArgMin,
    /// Index of the first largest element, or of the first NaN.
    ArgMax,
}
