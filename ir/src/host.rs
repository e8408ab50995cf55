//! The host program: `main` after the front end, ready for the runtime to execute.
//!
//! It is a small dynamically typed tree, because dtypes and shapes of arrays (which `load` reads from
//! files) are known only when it runs. Element-wise parts do not run here: the runtime collects them
//! into [`FusedExpr`]s, and the front end lowers each of those to one kernel.

use crate::{Class, DType, Loc, Opcode};

/// The host program of one source file.
#[derive(Clone, Debug, Default)]
pub struct HostProgram {
    /// `param` items, in source order.
    pub params: Vec<HostParam>,
    /// Names of the variables; [`Slot`] indexes them. Two variables may share a name (shadowing).
    pub slots: Vec<String>,
    /// Statements of `main`.
    pub body: Vec<HostStmt>,
}

/// A `param` item: a number settable from outside.
#[derive(Clone, Debug)]
pub struct HostParam {
    /// Name.
    pub name: String,
    /// Default value, an expression of literals and earlier params.
    pub default: HostExpr,
    /// Declared dtype, if any.
    pub dtype: Option<DType>,
    /// Where.
    pub loc: Loc,
}

/// A variable of the host program.
pub type Slot = usize;

/// A statement with its place.
#[derive(Clone, Debug)]
pub struct HostStmt {
    /// What.
    pub kind: HostStmtKind,
    /// Where.
    pub loc: Loc,
}

/// Statements of the host program.
#[derive(Clone, Debug)]
pub enum HostStmtKind {
    /// `let x = e;`, `x = e;`, `let (a, b) = e;`: several targets take the several outputs of a call.
    Assign {
        /// Variables that receive the value(s).
        targets: Vec<Slot>,
        /// The value.
        value: HostExpr,
    },
    /// `x[1..3] = e;`
    AssignIndex {
        /// The array variable, changed in place (copy on write).
        target: Slot,
        /// Where in it.
        index: Vec<HostIndex>,
        /// The value, broadcast to the slice and cast to its dtype only if that is a safe cast.
        value: HostExpr,
    },
    /// `for i in a..b { .. }`
    For {
        /// Loop variable.
        slot: Slot,
        /// First value.
        start: HostExpr,
        /// One past the last value.
        end: HostExpr,
        /// Statements.
        body: Vec<HostStmt>,
    },
    /// `if c { .. } else { .. }` with a scalar condition.
    If {
        /// Condition.
        condition: HostExpr,
        /// Statements.
        then_body: Vec<HostStmt>,
        /// Statements.
        else_body: Vec<HostStmt>,
    },
    /// An expression for its effect.
    Expr(HostExpr),
}

/// An expression with its place.
#[derive(Clone, Debug)]
pub struct HostExpr {
    /// What.
    pub kind: HostExprKind,
    /// Where.
    pub loc: Loc,
}

/// Expressions of the host program.
#[derive(Clone, Debug)]
pub enum HostExprKind {
    /// Integer literal: weakly typed, adopts the other operand's dtype (i64 alone).
    Int(i128),
    /// Float literal: weakly typed, adopts the other operand's float dtype (f64 alone or with ints).
    Float(f64),
    /// `true`, `false`
    Bool(bool),
    /// `"text"`
    Str(String),
    /// `none`, as a value of `axis`: no single axis, all of them.
    None,
    /// A dtype used as an argument: `zeros(3, dtype = f32)`.
    DType(DType),
    /// A variable.
    Slot(Slot),
    /// A param, by index.
    Param(usize),
    /// Element-wise operator.
    Unary(UnaryOp, Box<HostExpr>),
    /// Element-wise operator.
    Binary(BinaryOp, Box<HostExpr>, Box<HostExpr>),
    /// `x as f32`
    Cast(Box<HostExpr>, DType),
    /// A call with positional and named arguments.
    Call {
        /// What is called.
        callee: HostCallee,
        /// Positional arguments.
        args: Vec<HostExpr>,
        /// `name = value` arguments.
        named: Vec<(String, HostExpr)>,
    },
    /// `x[1..-1, ..]`
    Index(Box<HostExpr>, Vec<HostIndex>),
    /// `(a, b)`: shapes, and the several outputs of a call.
    Tuple(Vec<HostExpr>),
    /// `[1.0, 2.0]`: a 1-D array (nested: n-D).
    Array(Vec<HostExpr>),
}

/// What a host call calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCallee {
    /// A `ufunc` of the file, or an element-wise built-in function such as `sqrt`, by the name under
    /// which the front end gives its [`Signature`].
    ///
    /// Also a `gufunc`, which [`Signature::core`] tells apart. Named arguments are those of
    /// [`CALL_ARGUMENTS`], and for gufuncs the names of output-only dimensions.
    Elementwise(String),
    /// A method of a ufunc: `add.reduce(x, axis = 0)`. Named arguments: [`UfuncMethod::named`].
    Method(String, UfuncMethod),
    /// A host function.
    Builtin(HostFn),
}

/// Named arguments of a call of a ufunc or gufunc; `axes`, `axis` and `keepdims` are for gufuncs only.
pub const CALL_ARGUMENTS: &[&str] = &[
    "out",
    "where",
    "casting",
    "dtype",
    "signature",
    "axes",
    "axis",
    "keepdims",
];

/// Methods of a ufunc, besides calling it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UfuncMethod {
    /// `f.reduce(x, axis = 0)`
    Reduce,
    /// `f.accumulate(x, axis = 0)`
    Accumulate,
    /// `f.reduceat(x, indices, axis = 0)`
    ReduceAt,
    /// `f.outer(x, y)`
    Outer,
    /// `f.at(x, indices, y)`: in the host program, where arrays are values, the changed array comes back.
    At,
}

impl UfuncMethod {
    /// All of them.
    pub const ALL: &'static [UfuncMethod] = &[
        UfuncMethod::Reduce,
        UfuncMethod::Accumulate,
        UfuncMethod::ReduceAt,
        UfuncMethod::Outer,
        UfuncMethod::At,
    ];

    /// Name in source.
    pub const fn name(self) -> &'static str {
        match self {
            UfuncMethod::Reduce => "reduce",
            UfuncMethod::Accumulate => "accumulate",
            UfuncMethod::ReduceAt => "reduceat",
            UfuncMethod::Outer => "outer",
            UfuncMethod::At => "at",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<UfuncMethod> {
        UfuncMethod::ALL.iter().copied().find(|m| m.name() == name)
    }

    /// Fewest and most positional arguments.
    pub const fn arity(self) -> (usize, usize) {
        match self {
            UfuncMethod::Reduce | UfuncMethod::Accumulate => (1, 1),
            UfuncMethod::ReduceAt | UfuncMethod::Outer => (2, 2),
            UfuncMethod::At => (2, 3),
        }
    }

    /// Named arguments it takes.
    pub const fn named(self) -> &'static [&'static str] {
        match self {
            UfuncMethod::Reduce => &["axis", "dtype", "keepdims", "initial", "where"],
            UfuncMethod::Accumulate | UfuncMethod::ReduceAt => &["axis", "dtype"],
            UfuncMethod::Outer => &["dtype", "casting"],
            UfuncMethod::At => &[],
        }
    }
}

/// One index of `x[..]`.
#[derive(Clone, Debug)]
pub enum HostIndex {
    /// `x[i]`: removes the axis; negative counts from the end.
    At(HostExpr),
    /// `x[a..b]`, either end optional; negative counts from the end; clamped as NumPy does.
    Range(Option<HostExpr>, Option<HostExpr>),
}

macro_rules! host_fns {
    ($($variant:ident $name:literal $min:literal..=$max:literal [$($named:literal),*] $doc:literal;)*) => {
        /// Functions of the host language.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum HostFn { $(#[doc = $doc] $variant),* }

        impl HostFn {
            /// All of them, in the order of the table.
            pub const ALL: &'static [HostFn] = &[$(HostFn::$variant),*];
            /// Name in source.
            pub const fn name(self) -> &'static str { match self { $(HostFn::$variant => $name),* } }
            /// Fewest and most positional arguments.
            pub const fn arity(self) -> (usize, usize) { match self { $(HostFn::$variant => ($min, $max)),* } }
            /// Named arguments it takes.
            pub const fn named(self) -> &'static [&'static str] { match self { $(HostFn::$variant => &[$($named),*]),* } }
            /// One-line documentation.
            pub const fn doc(self) -> &'static str { match self { $(HostFn::$variant => $doc),* } }
            /// The function of that name.
            pub fn from_name(name: &str) -> Option<HostFn> { match name { $($name => Some(HostFn::$variant),)* _ => None } }
        }
    };
}

host_fns! {
    // variant name positional named documentation
    Load     "load"     1..=1 []  "Array from a `.npy` file, `.npz` member (`load(\"a.npz:name\")`) or `.csv` table.";
    Save     "save"     2..=2 []  "Writes an array to `.npy`, `.npz` (`file.npz:name`), `.csv`, or a 2-D array as a `.png` picture.";
    Print    "print"    0..=1000 [] "Prints values separated by blanks.";
    Assert   "assert"   1..=2 []  "Stops with an error unless the scalar (or every element) is true; second argument: a message.";
    Zeros    "zeros"    1..=1 ["dtype"] "Zeros of a shape (number or tuple); f64 unless `dtype` says otherwise.";
    Ones     "ones"     1..=1 ["dtype"] "Ones of a shape.";
    Full     "full"     2..=2 ["dtype"] "A shape filled with a value.";
    Arange   "arange"   1..=3 ["dtype"] "`arange(stop)`, `arange(start, stop)`, `arange(start, stop, step)`, as NumPy's.";
    Linspace "linspace" 3..=3 ["dtype"] "`linspace(start, stop, n)`: n evenly spaced values, both ends included.";
    Uniform  "uniform"  1..=1 ["seed", "dtype"] "Philox4x32-10 uniform numbers in [0, 1) of a shape; element i depends on seed and i alone; f64 unless `dtype` says f32.";
    Normal   "normal"   1..=1 ["seed", "dtype"] "Philox4x32-10 standard normal numbers of a shape; element i depends on seed and i alone.";
    Sum      "sum"      1..=1 ["axis", "keepdims"] "Sum of all elements, or of those along axes, on a tree that depends on the length alone.";
    Mean     "mean"     1..=1 ["axis", "keepdims"] "Mean of all elements, or of those along axes.";
    Min      "min"      1..=1 ["axis", "keepdims"] "Smallest element (NaN if any is NaN), of all or along axes.";
    Max      "max"      1..=1 ["axis", "keepdims"] "Largest element (NaN if any is NaN), of all or along axes.";
    CumSum   "cumsum"   1..=1 ["axis"] "Sums of the elements up to each one, along an axis (the first unless `axis` says otherwise).";
    ArgMin   "argmin"   1..=1 ["axis", "keepdims"] "Index of the first smallest element (of the first NaN if any), of all or along an axis.";
    ArgMax   "argmax"   1..=1 ["axis", "keepdims"] "Index of the first largest element (of the first NaN if any), of all or along an axis.";
    Dot      "dot"      2..=2 []  "Sum of products of two 1-D arrays.";
    Len      "len"      1..=1 []  "Extent of the first axis.";
    Size     "size"     1..=1 []  "Number of elements.";
    Reshape  "reshape"  2..=2 []  "The same elements in C order with another shape.";
    Transpose "transpose" 1..=1 [] "Axes in reverse order.";
}

/// Unary operators of the language.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnaryOp {
    /// `-x`
    Neg,
    /// `!x`
    Not,
}

/// Binary operators of the language.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `&&` (element-wise in the host program)
    And,
    /// `||` (element-wise in the host program)
    Or,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl BinaryOp {
    /// The operator in source.
    pub const fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
        }
    }

    /// The instruction that computes it on one dtype (but `%` of floats, which is a library function).
    pub const fn opcode(self) -> Opcode {
        match self {
            BinaryOp::Add => Opcode::Add,
            BinaryOp::Sub => Opcode::Sub,
            BinaryOp::Mul => Opcode::Mul,
            BinaryOp::Div => Opcode::Div,
            BinaryOp::Rem => Opcode::Rem,
            BinaryOp::BitAnd | BinaryOp::And => Opcode::And,
            BinaryOp::BitOr | BinaryOp::Or => Opcode::Or,
            BinaryOp::BitXor => Opcode::Xor,
            BinaryOp::Shl => Opcode::Shl,
            BinaryOp::Shr => Opcode::Shr,
            BinaryOp::Eq => Opcode::Eq,
            BinaryOp::Ne => Opcode::Ne,
            BinaryOp::Lt => Opcode::Lt,
            BinaryOp::Le => Opcode::Le,
            BinaryOp::Gt => Opcode::Gt,
            BinaryOp::Ge => Opcode::Ge,
        }
    }

    /// Does it give a bool whatever it compares?
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
        )
    }
}

/// The call signature of an element-wise function: a `ufunc` of the file or a built-in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Name.
    pub name: String,
    /// Type parameters with their bounds.
    pub generics: Vec<(String, Class)>,
    /// Inputs: name and type.
    pub inputs: Vec<(String, TypeSpec)>,
    /// Outputs: name (`out` when the source names none) and type.
    pub outputs: Vec<(String, TypeSpec)>,
    /// What `reduce` starts from, as written: an integer or a float.
    pub identity: Option<f64>,
    /// May a reduction combine elements in any grouping and order? Said by `identity` or
    /// `reorderable`; a reduction with any other ufunc goes from left to right.
    pub reorderable: bool,
    /// The core dimensions of a gufunc; `None` for a ufunc.
    pub core: Option<CoreSignature>,
    /// Where it is declared.
    pub loc: Loc,
}

/// The core dimensions of a gufunc. `dims` are those of its kernels, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CoreSignature {
    /// The dimensions, in order of first appearance.
    pub dims: Vec<CoreDim>,
    /// For each input, the dimensions of its core axes; none for a number.
    pub inputs: Vec<Vec<usize>>,
    /// For each output.
    pub outputs: Vec<Vec<usize>>,
}

/// One core dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreDim {
    /// As written: `n`, `3`, `n+1`; without the `?`.
    pub name: String,
    /// What its extent is.
    pub extent: DimExpr,
    /// Written with `?`: arguments may lack the axis, which then has the extent 1 and is removed from
    /// the outputs.
    pub optional: bool,
}

/// The extent of a core dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DimExpr {
    /// A dimension with a name of its own (this one): given by the arguments, or by the caller when it
    /// appears in outputs only.
    Free,
    /// Fixed.
    Const(i64),
    /// The extent of another dimension.
    Dim(usize),
    /// Sum.
    Add(Box<DimExpr>, Box<DimExpr>),
    /// Difference; a negative extent is an error of the call.
    Sub(Box<DimExpr>, Box<DimExpr>),
    /// Product.
    Mul(Box<DimExpr>, Box<DimExpr>),
    /// Quotient, rounded down; by zero is an error of the call.
    Div(Box<DimExpr>, Box<DimExpr>),
}

impl CoreSignature {
    /// Does the dimension appear in outputs only, so that the caller has to give it?
    pub fn is_output_only(&self, dim: usize) -> bool {
        self.dims[dim].extent == DimExpr::Free && !self.inputs.iter().flatten().any(|d| *d == dim)
    }
}

/// NumPy's notation: `(m,k),(k,n)->(m,n)`.
impl std::fmt::Display for CoreSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (side, arrow) in [(&self.inputs, "->"), (&self.outputs, "")] {
            for (n, dims) in side.iter().enumerate() {
                let comma = if n > 0 { "," } else { "" };
                write!(f, "{comma}(")?;
                for (k, dim) in dims.iter().enumerate() {
                    let comma = if k > 0 { "," } else { "" };
                    let dim = &self.dims[*dim];
                    let mark = if dim.optional { "?" } else { "" };
                    write!(f, "{comma}{}{mark}", dim.name)?;
                }
                write!(f, ")")?;
            }
            write!(f, "{arrow}")?;
        }
        Ok(())
    }
}

/// The type of a parameter: fixed, or one of the type parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TypeSpec {
    /// A fixed dtype.
    DType(DType),
    /// The type parameter of that number.
    Generic(usize),
    /// The dtype of the parts of a complex type parameter; the type parameter itself if it is real.
    Part(usize),
    /// The complex dtype with parts of the type parameter: c128 of f64, else c64.
    ComplexOf(usize),
}

impl TypeSpec {
    /// The dtype, given those of the type parameters.
    pub fn resolve(self, generics: &[DType]) -> DType {
        match self {
            TypeSpec::DType(d) => d,
            TypeSpec::Generic(g) => generics[g],
            TypeSpec::Part(g) => generics[g].part().unwrap_or(generics[g]),
            TypeSpec::ComplexOf(g) => generics[g].complex_of_part().unwrap_or(DType::C64),
        }
    }
}

/// An element-wise expression over several inputs that becomes one kernel, without temporaries.
///
/// Nodes are in evaluation order: arguments name earlier nodes. Dtypes are explicit: whoever builds it
/// inserts the `Cast`s that promotion asks for, so that both arguments of an operator agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FusedExpr {
    /// Dtypes of the input arrays (scalars are inputs with a zero step).
    pub inputs: Vec<DType>,
    /// The nodes.
    pub nodes: Vec<FusedNode>,
    /// Nodes stored to the outputs, in order: `(node, which of its results)`.
    pub outputs: Vec<(usize, usize)>,
}

/// One node of a [`FusedExpr`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FusedNode {
    /// Operation.
    pub op: FusedOp,
    /// Arguments: `(node, which of its results)`.
    pub args: Vec<(usize, usize)>,
    /// Where in the host program.
    pub loc: Loc,
}

/// Operations of a [`FusedExpr`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FusedOp {
    /// Element of an input.
    Input(usize),
    /// The element's linear (C order) index, i64. The kernel gets an index parameter, after the inputs
    /// and before the outputs.
    Index,
    /// `(x)` to a dtype.
    Cast(DType),
    /// Operator.
    Unary(UnaryOp),
    /// Operator; both arguments have one dtype.
    Binary(BinaryOp),
    /// A ufunc or element-wise built-in, with the dtypes of its type parameters.
    Call(String, Vec<DType>),
}
