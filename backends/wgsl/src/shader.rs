//! What comes out: the text, and how to bind arrays and parameters to it.

use kjit_ir::{DType, Trap};

/// A compute shader with the entry point `main`, all resources in group 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shader {
    /// WGSL text.
    pub source: String,
    /// Invocations a workgroup.
    pub workgroup: u32,
    /// Consecutive elements an invocation computes (in a reduction: irrelevant, see
    /// [`Shader::invocations`]).
    pub elements_per_invocation: u32,
    /// The arrays, in the order of the kernel's array parameters (index parameters have no binding).
    pub arrays: Vec<ArrayBinding>,
    /// Binding of the partial results of a reduction, and their dtype (`i32`, `u32`, `i64`, `u64`,
    /// `f32` or `f64`).
    pub partials: Option<(u32, DType)>,
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

/// The binding of one array parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayBinding {
    /// Index in the kernel's array parameters.
    pub array: usize,
    /// Binding number.
    pub binding: u32,
    /// Element type. One- and two-byte elements are packed in little-endian words of four bytes.
    pub dtype: DType,
    /// Read or written.
    pub mode: BindingMode,
    /// Where its address parameters are.
    pub params: OperandParams,
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
    /// Element offset of element zero, from the start of the binding. For written operands of one-
    /// or two-byte dtypes a whole number of words.
    pub offset: usize,
    /// For strided operands: the first of `rank` element strides, two's complement.
    pub strides: Option<usize>,
}

/// Word offsets in the parameter buffer. All words are `u32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ParamsLayout {
    /// Number of words.
    pub words: usize,
    /// First of `rank` extents, if any operand is strided.
    pub shape: Option<usize>,
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
    /// Invocations that a launch over `n` elements needs.
    pub fn invocations(&self, n: u64) -> u64 {
        if self.partials.is_some() {
            n.div_ceil(crate::Reduction::LEAF as u64) * crate::Reduction::LANES as u64
        } else {
            n.div_ceil(self.elements_per_invocation as u64)
        }
    }
}
