//! What comes out: the text, and how to bind arrays and parameters to it.

use kjit_ir::{DType, Trap};

/// A compute shader with the entry point `main`, all resources in group 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shader {
    /// WGSL text.
    pub source: String,
    /// Invocations a workgroup.
    pub workgroup: u32,
    /// Consecutive elements an invocation computes (of a reduction: 1).
    pub elements_per_invocation: u32,
    /// The arrays, in the order of the kernel's array parameters. Index parameters are here only when
    /// they are strided ([`kjit_ir::Role::Iota`]); of the two parts of a complex argument the first.
    pub arrays: Vec<ArrayBinding>,
    /// The partial results that a reduction's shader stores.
    pub partials: Vec<PartialBinding>,
    /// The partial results that it loads.
    pub sources: Vec<PartialBinding>,
    /// Binding of the parameters, a read-only `array<u32>`.
    pub params_binding: u32,
    /// Where each parameter is.
    pub params: ParamsLayout,
    /// Binding of the status words, two `atomic<u32>` that must start as zero, if the shader reports:
    /// word 0 is one more than the index of a trap that fired, word 1 is not zero when a loop ran
    /// into the limit.
    pub status_binding: Option<u32>,
    /// Number of bindings in the group.
    pub bindings: u32,
    /// The text uses `f64`.
    pub uses_f64: bool,
    /// The text uses `i64` or `u64`.
    pub uses_i64: bool,
    /// Arithmetic is strict and the text relies on the SPIR-V being patched
    /// (see [`crate::StrictMode::Patch`]).
    pub needs_patch: bool,
    /// The kernel's traps, which status word 0 counts from 1.
    pub traps: Vec<Trap>,
}

/// One array parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayBinding {
    /// Index in the kernel's array parameters.
    pub array: usize,
    /// Binding number; parameters that stand for one argument share it. `None` for an index.
    pub binding: Option<u32>,
    /// Element type: of the pair, when the parameter is the first part of a complex argument. One- and
    /// two-byte elements are packed in little-endian words of four bytes.
    pub dtype: DType,
    /// Read or written.
    pub mode: BindingMode,
    /// Where its address parameters are.
    pub params: OperandParams,
}

/// A buffer of partial results, one (or a pair) for each subtree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialBinding {
    /// Binding number.
    pub binding: u32,
    /// What its elements are: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, or a complex dtype. Narrow
    /// integers and `f16` (its bits) have 32 bits here, and `bool` is 0 or 1.
    pub dtype: DType,
}

/// How the shader uses a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindingMode {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// Word offsets of an operand's address parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperandParams {
    /// Element offset of element zero, from the start of the binding. For contiguous outputs of one-
    /// or two-byte dtypes a whole number of words. Of an index, its first value.
    pub offset: usize,
    /// For strided operands: the first of `rank` element strides, two's complement.
    pub strides: Option<usize>,
    /// For operands with core dimensions: the first of their element strides, one a core axis.
    pub core: Option<usize>,
}

/// Word offsets in the parameter buffer. All words are `u32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ParamsLayout {
    /// Number of words.
    pub words: usize,
    /// First of `rank` extents, if any operand is strided.
    pub shape: Option<usize>,
    /// First of the extents of the core dimensions, one a dimension, if there are any.
    pub dims: Option<usize>,
    /// First of the words of [`ReduceParams`], if the shader is of a reduction.
    pub reduce: Option<usize>,
}

/// What the shaders of a reduction are told, as offsets from [`ParamsLayout::reduce`].
///
/// [`crate::emit_leaves`] maps and reduces leaves. Its *units* are leaves of outputs, 16 a workgroup.
/// [`crate::emit_tree`] reduces partial results; its units are blocks of `GROUP` times
/// [`ReduceParams::PARTIALS`] neighbouring ones. Unit `u` is of output `u / (GROUP * BLOCKS)` (tree: `u /
/// BLOCKS`), so that workgroups go along the reduced axes, or, if `OUTER`, of output `u % OUTPUTS`, so
/// that they go along the outputs. Partial result `b` of output `m` is number `m * BLOCKS + b`, or if
/// `OUTER` number `b * OUTPUTS + m`.
pub struct ReduceParams;

impl ReduceParams {
    /// Elements (tree: partial results) of an output.
    pub const COUNT: usize = 0;
    /// Outputs.
    pub const OUTPUTS: usize = 1;
    /// Leaves of an output.
    pub const LEAVES: usize = 2;
    /// A power of two: leaves that a workgroup combines, up to 16, 1 if `OUTER`; tree: invocations of a
    /// unit, up to 256.
    pub const GROUP: usize = 3;
    /// Partial results that an output is left with.
    pub const BLOCKS: usize = 4;
    /// Not zero: neighbouring invocations are of neighbouring outputs.
    pub const OUTER: usize = 5;
    /// Number of the first partial result that is stored.
    pub const FIRST: usize = 6;
    /// Number of words.
    pub const WORDS: usize = 7;
    /// Partial results that an invocation of the tree combines.
    pub const PARTIALS: u32 = 8;
    /// Consecutive elements that share a leaf.
    pub const LEAF: u32 = 1024;
    /// Interleaved lanes of a leaf.
    pub const LANES: u32 = 16;
    /// Leaves of a workgroup.
    pub const UNITS: u32 = 16;
    /// Invocations of a workgroup.
    pub const WORKGROUP: u32 = 256;
}

impl ParamsLayout {
    /// Word: number of elements of this launch.
    pub const N: usize = 0;
    /// Two words (low, high): what index parameters give for the first element of this launch.
    pub const BASE: usize = 1;
    /// Two words that must be zero: the zero that no optimiser knows.
    pub const ZERO: usize = 3;
    /// Word: position of the first element of this launch in the nest that strided operands are
    /// addressed in. With strided operands the nest has fewer than 2^32 elements.
    pub const FIRST: usize = 5;
    /// First word that depends on the kernel.
    pub(crate) const OPERANDS: usize = 6;
}

impl Shader {
    /// Invocations that a launch over `n` elements needs (not of a reduction).
    pub fn invocations(&self, n: u64) -> u64 {
        n.div_ceil(self.elements_per_invocation as u64)
    }
}
