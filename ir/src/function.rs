//! Modules, functions, blocks, instructions and values.
//!
//! Everything is a row in a table of the [`Function`] and is named by an entity. Blocks form a tree:
//! the entry block belongs to the function, every other block to the one `if` or `loop` instruction
//! that lists it. A block is a list of instructions, the last of which is a terminator. A value is
//! visible in the rest of its block and in the blocks nested there.

use crate::{
    ArrayRef, Block, DType, DimRef, FuncRef, Inst, LocalRef, Opcode, Scalar, TrapRef, Type, Value,
};
use smallvec::SmallVec;

/// A set of functions that call each other by [`FuncRef`].
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The functions; `FuncRef` indexes them.
    pub functions: Vec<Function>,
}

impl Module {
    /// The function of that name.
    pub fn find(&self, name: &str) -> Option<FuncRef> {
        self.functions
            .iter()
            .position(|f| f.name == name)
            .map(FuncRef::new)
    }

    /// Adds a function.
    pub fn push(&mut self, function: Function) -> FuncRef {
        self.functions.push(function);
        FuncRef::new(self.functions.len() - 1)
    }
}

impl std::ops::Index<FuncRef> for Module {
    type Output = Function;
    fn index(&self, r: FuncRef) -> &Function {
        &self.functions[r.index()]
    }
}

impl std::ops::IndexMut<FuncRef> for Module {
    fn index_mut(&mut self, r: FuncRef) -> &mut Function {
        &mut self.functions[r.index()]
    }
}

/// Whether values are one number, or one number a lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Form {
    /// One element at a time; control flow may depend on it.
    #[default]
    Scalar,
    /// Many lanes at a time, made by the `vectorize` pass: every value is uniform or varying, and every
    /// condition of an `if` is uniform; lanes that do not take part are masked.
    Vector,
}

/// A function: scalar code with parameters and results, or (when `arrays` is not empty) a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Name in the source, with the dtypes of an instance: `saxpy.f32`.
    pub name: String,
    /// Scalar or vector form.
    pub form: Form,
    /// The user asked for `fast` arithmetic (contraction, reassociation, approximate functions).
    pub fast: bool,
    /// Types of the results that `return` carries.
    pub results: Vec<Type>,
    /// Array parameters of a kernel, in the order of the ABI's `args`.
    pub arrays: Vec<ArrayParam>,
    /// Core dimensions of a gufunc kernel: extents given per call, see [`crate::abi`].
    pub dims: Vec<DimParam>,
    /// Loops of the body that were made loop dimensions (by `promote_loops`), outermost first: whoever
    /// runs the kernel adds them behind the loop dimensions of the call.
    pub loops: Vec<LoopDim>,
    /// Fixed-size arrays private to an element; zero when the element starts.
    pub locals: Vec<LocalArray>,
    /// Run-time checks, named by `guard`.
    pub traps: Vec<Trap>,
    /// The block where execution starts; its parameters are the function's.
    pub entry: Block,
    /// All blocks (those no longer owned by anything are dead).
    pub blocks: Vec<BlockData>,
    /// All instructions.
    pub insts: Vec<InstData>,
    /// All values.
    pub values: Vec<ValueData>,
}

/// One array parameter of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArrayParam {
    /// Name in the source.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Read, written, or the index pseudo-array.
    pub mode: ArrayMode,
    /// What the kernel may assume of the step between elements.
    pub access: Access,
    /// What it stands for, if not for an argument of the user.
    pub role: Role,
    /// Which part of a complex argument it is.
    pub part: Part,
    /// The core dimensions: an element of the argument is a sub-array of these extents, reached by
    /// `core.load` and `core.store`. Empty: one number, reached by `load` and `store`.
    pub core: SmallVec<[DimRef; 2]>,
    /// For each of the function's [`Function::loops`], how far one step of that loop moves in the
    /// argument: `(axis, coefficient)`, `coefficient` times the step of that core axis, summed. May be
    /// shorter than the list of loops (the rest does not move).
    pub along: Vec<SmallVec<[(u32, i64); 1]>>,
}

impl ArrayParam {
    /// An argument that is one number an element.
    pub fn new(
        name: impl Into<String>,
        dtype: DType,
        mode: ArrayMode,
        access: Access,
    ) -> ArrayParam {
        ArrayParam {
            name: name.into(),
            dtype,
            mode,
            access,
            role: Role::Argument,
            part: Part::Whole,
            core: SmallVec::new(),
            along: Vec::new(),
        }
    }

    /// An argument that is a sub-array an element.
    pub fn with_core(mut self, core: &[DimRef]) -> ArrayParam {
        self.core = SmallVec::from_slice(core);
        self
    }

    /// The dtype of the argument that this parameter, alone or with the imaginary part behind it, stands
    /// for; none for an imaginary part.
    pub fn argument_dtype(&self) -> Option<DType> {
        match self.part {
            Part::Whole => Some(self.dtype),
            Part::Re => self.dtype.complex_of_part(),
            Part::Im => None,
        }
    }

    /// The same with a role.
    pub fn with_role(mut self, role: Role) -> ArrayParam {
        self.role = role;
        self
    }
}

/// What an array parameter stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Role {
    /// An argument of the user: inputs in order, then outputs in order.
    #[default]
    Argument,
    /// Input, bool: the mask of a call with `where`, after the inputs.
    Where,
    /// Input: what an output held before a call with `where`, after the mask; one an output, in order.
    Old(ArrayRef),
    /// Input, i64: the index along promoted loop number `0`, counted from 0. Supplied by whoever runs
    /// the kernel.
    Iota(u32),
    /// Input: the argument that this array stands for once more, with other [`ArrayParam::along`] (made by
    /// `promote_loops`).
    Alias(ArrayRef),
    /// Output, u32: one where the kernel wrote the element of this output; starts as zeros.
    Written(ArrayRef),
    /// Output, u8: status flags that the element raised, see [`crate::abi::fpe`]. The last parameter.
    Fpe,
}

/// Which part of a complex argument an array parameter is. The two parts of an argument stand next to
/// each other, the real one first; kernels have them after `lower_complex`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Part {
    /// All of the argument.
    #[default]
    Whole,
    /// The real parts of a complex argument: every step is that of the complex elements.
    Re,
    /// The imaginary parts.
    Im,
}

/// A core dimension of a gufunc kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DimParam {
    /// As written in the source: `n`, `3`, `n+1`.
    pub name: String,
}

/// A loop of the body that became a loop dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoopDim {
    /// Its extent: the sum of `coefficient * extent` over these dimensions, plus `constant`; none when
    /// that is negative.
    pub dims: SmallVec<[(DimRef, i64); 1]>,
    /// See [`LoopDim::dims`].
    pub constant: i64,
}

/// What a kernel does with an array parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArrayMode {
    /// Only loaded from.
    In,
    /// Only stored to, each element.
    Out,
    /// Loaded and stored.
    InOut,
    /// Not memory: the element's index, see [`crate::abi`].
    Index,
}

/// Access class of an array parameter: what the step between elements is known to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Any number of bytes, taken from `steps` at run time.
    Strided,
    /// The element size (for an index parameter: one).
    Contiguous,
    /// Zero: one element for all.
    Uniform,
}

impl ArrayMode {
    /// The word in IR text.
    pub const fn name(self) -> &'static str {
        match self {
            ArrayMode::In => "in",
            ArrayMode::Out => "out",
            ArrayMode::InOut => "inout",
            ArrayMode::Index => "index",
        }
    }
}

impl Access {
    /// The word in IR text.
    pub const fn name(self) -> &'static str {
        match self {
            Access::Strided => "strided",
            Access::Contiguous => "contiguous",
            Access::Uniform => "uniform",
        }
    }
}

/// A fixed-size array private to one element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalArray {
    /// Name in the source.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Number of elements, at least 1.
    pub len: u32,
}

/// A run-time check of the user's program and what to say when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trap {
    /// What was checked.
    pub kind: TrapKind,
    /// Where, in the user's source.
    pub loc: Loc,
}

/// Kinds of run-time checks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// An index outside an array: its name and extent.
    IndexOutOfBounds {
        /// The array's name.
        array: String,
        /// Its extent.
        len: u64,
    },
    /// An index outside a core dimension of an argument of a gufunc.
    CoreIndexOutOfBounds {
        /// The argument's name.
        array: String,
        /// Which of its core axes, from 0.
        axis: u32,
        /// The dimension whose extent it exceeds.
        dim: DimRef,
    },
    /// A loop ran longer than the device allows.
    LoopLimit,
}

/// A place in source text: byte offsets into file `file` (0: no place, 1: the user's file, others:
/// the built-in library).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct Loc {
    /// Which text.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A block: parameters (of the entry block and of loop bodies) and instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockData {
    /// Parameters; in a loop body these are the carried values.
    pub params: Vec<Value>,
    /// Instructions in order; the last is a terminator.
    pub insts: Vec<Inst>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstData {
    /// Operation.
    pub op: Opcode,
    /// Arguments.
    pub args: SmallVec<[Value; 3]>,
    /// Immediate: constant, dtype, array, local, trap or callee.
    pub imm: Imm,
    /// Blocks it owns.
    pub blocks: SmallVec<[Block; 2]>,
    /// Values it defines.
    pub results: SmallVec<[Value; 1]>,
    /// Where in the source it comes from.
    pub loc: Loc,
}

/// The immediate operand of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Imm {
    /// None.
    None,
    /// Of `const`.
    Const(Scalar),
    /// Target dtype of `cast` and `bitcast`.
    DType(DType),
    /// Of `load`, `store`, `index`, `core.load`, `core.store`.
    Array(ArrayRef),
    /// Of `dim`.
    Dim(DimRef),
    /// Of `local.load`, `local.store`.
    Local(LocalRef),
    /// Of `guard`.
    Trap(TrapRef),
    /// Of `call`.
    Func(FuncRef),
}

/// A value: its type and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueData {
    /// Type.
    pub ty: Type,
    /// Definition.
    pub def: ValueDef,
}

/// Where a value is defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ValueDef {
    /// Result number `1` of an instruction.
    Result(Inst, u32),
    /// Parameter number `1` of a block.
    Param(Block, u32),
}

impl Function {
    /// An empty function: one entry block, no terminator yet.
    pub fn new(name: impl Into<String>) -> Function {
        Function {
            name: name.into(),
            form: Form::Scalar,
            fast: false,
            results: Vec::new(),
            arrays: Vec::new(),
            dims: Vec::new(),
            loops: Vec::new(),
            locals: Vec::new(),
            traps: Vec::new(),
            entry: Block(0),
            blocks: vec![BlockData::default()],
            insts: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Is it a kernel (has array parameters)?
    pub fn is_kernel(&self) -> bool {
        !self.arrays.is_empty()
    }

    /// The function's parameters.
    pub fn params(&self) -> &[Value] {
        &self.blocks[self.entry.index()].params
    }

    /// Data of an instruction.
    pub fn inst(&self, inst: Inst) -> &InstData {
        &self.insts[inst.index()]
    }

    /// Data of an instruction, to change.
    pub fn inst_mut(&mut self, inst: Inst) -> &mut InstData {
        &mut self.insts[inst.index()]
    }

    /// Data of a block.
    pub fn block(&self, block: Block) -> &BlockData {
        &self.blocks[block.index()]
    }

    /// Data of a block, to change.
    pub fn block_mut(&mut self, block: Block) -> &mut BlockData {
        &mut self.blocks[block.index()]
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }

    /// Definition of a value.
    pub fn def(&self, value: Value) -> ValueDef {
        self.values[value.index()].def
    }

    /// Vector form: is the value whether a bool is true in some lane?
    pub fn tests_lanes(&self, value: Value) -> bool {
        match self.def(value) {
            ValueDef::Result(inst, _) => self.inst(inst).op == Opcode::AnyTrue,
            ValueDef::Param(..) => false,
        }
    }

    /// The constant a value is, if it is one (looking through `splat`).
    pub fn as_const(&self, value: Value) -> Option<Scalar> {
        let ValueDef::Result(inst, _) = self.def(value) else {
            return None;
        };
        let data = self.inst(inst);
        match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => Some(scalar),
            (Opcode::Splat, _) => self.as_const(data.args[0]),
            _ => None,
        }
    }

    /// A new, empty, unowned block.
    pub fn new_block(&mut self) -> Block {
        self.blocks.push(BlockData::default());
        Block::new(self.blocks.len() - 1)
    }

    /// A new parameter of a block.
    pub fn new_param(&mut self, block: Block, ty: Type) -> Value {
        let n = self.block(block).params.len() as u32;
        let value = self.new_value(ty, ValueDef::Param(block, n));
        self.block_mut(block).params.push(value);
        value
    }

    /// A new instruction with results of the given types, not yet in any block.
    pub fn new_inst(
        &mut self,
        op: Opcode,
        args: &[Value],
        imm: Imm,
        blocks: &[Block],
        results: &[Type],
        loc: Loc,
    ) -> Inst {
        let inst = Inst::new(self.insts.len());
        self.insts.push(InstData {
            op,
            args: SmallVec::from_slice(args),
            imm,
            blocks: SmallVec::from_slice(blocks),
            results: SmallVec::new(),
            loc,
        });
        for ty in results {
            self.new_result(inst, *ty);
        }
        inst
    }

    /// One more result of an instruction.
    pub fn new_result(&mut self, inst: Inst, ty: Type) -> Value {
        let n = self.inst(inst).results.len() as u32;
        let value = self.new_value(ty, ValueDef::Result(inst, n));
        self.inst_mut(inst).results.push(value);
        value
    }

    /// The only result of an instruction.
    ///
    /// # Panics
    /// If it has none.
    pub fn result(&self, inst: Inst) -> Value {
        self.inst(inst).results[0]
    }

    /// The terminator of a block, if the block has instructions.
    pub fn terminator(&self, block: Block) -> Option<Inst> {
        self.block(block).insts.last().copied()
    }

    fn new_value(&mut self, ty: Type, def: ValueDef) -> Value {
        self.values.push(ValueData { ty, def });
        Value::new(self.values.len() - 1)
    }
}
