//! The resolved tree: names are numbers, types as written are [`Ty`], and every expression has an id
//! under which inference files its type.

use crate::source::Span;
use crate::types::Ty;
use kjit_ir::host::CoreSignature;
use kjit_ir::{BinaryOp, Class, Scalar, UnaryOp};
use rustc_hash::FxHashMap;

/// Number of a function of the program.
pub type FnId = usize;
/// Number of a constant of the program.
pub type ConstId = usize;
/// Number of a variable of a body.
pub type LocalId = usize;
/// Number of an expression of a body.
pub type ExprId = usize;

/// Everything callable of a file (or of the library).
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// `ufunc`s, `gufunc`s and `fn`s, in source order.
    pub functions: Vec<Function>,
    /// `const` items, in source order.
    pub consts: Vec<Const>,
    /// The functions by name.
    pub names: FxHashMap<String, FnId>,
}

/// A `ufunc`, `gufunc` or `fn`.
#[derive(Clone, Debug)]
pub struct Function {
    /// Declared with `ufunc`.
    pub is_ufunc: bool,
    /// What a `gufunc` has besides.
    pub gufunc: Option<Gufunc>,
    /// Name.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// Number of the source text.
    pub file: u32,
    /// Type parameters with their bounds.
    pub generics: Vec<(String, Class)>,
    /// Parameters; they are the first variables of the body.
    pub params: Vec<(String, Ty)>,
    /// Results: name, if any, and type.
    pub outputs: Vec<(Option<String>, Ty)>,
    /// `fast` was written.
    pub fast: bool,
    /// What a reduction starts from.
    pub identity: Option<f64>,
    /// A reduction may combine elements in any order.
    pub reorderable: bool,
    /// Code.
    pub body: Body,
}

impl Function {
    /// Names and types of the parameters.
    pub fn body_params(&self) -> Vec<(&str, Ty)> {
        self.params
            .iter()
            .map(|(name, ty)| (name.as_str(), ty.clone()))
            .collect()
    }

    /// The type of a call: the output, or a tuple of them.
    pub fn result_ty(&self) -> Ty {
        match self.outputs.as_slice() {
            [(_, ty)] => ty.clone(),
            list => Ty::Tuple(list.iter().map(|(_, ty)| ty.clone()).collect()),
        }
    }
}

/// What a `gufunc` has that other functions have not.
#[derive(Clone, Debug)]
pub struct Gufunc {
    /// The core dimensions and who has which.
    pub core: CoreSignature,
    /// The variables that stand for dimensions, and for which.
    pub dims: Vec<(LocalId, usize)>,
    /// How the body uses the outputs.
    pub outputs: Vec<OutputUse>,
}

/// How the body of a gufunc uses one output.
#[derive(Clone, Copy, Debug)]
pub struct OutputUse {
    /// The variable that stands for it.
    pub local: LocalId,
    /// Some element is read.
    pub read: bool,
    /// Some element is changed by `+=` or the like: the output starts as zeros.
    pub updated: bool,
}

/// A `const` item.
#[derive(Clone, Debug)]
pub struct Const {
    /// Its value; `None` when it was wrong and has been reported.
    pub value: Option<Scalar>,
}

/// Code with its variables.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Variables: parameters first (of a gufunc then outputs and dimensions), then in order of
    /// declaration.
    pub locals: Vec<Local>,
    /// Code.
    pub block: Block,
    /// Types of the expressions, by id, filled by inference.
    pub types: Vec<Ty>,
    /// Type arguments of calls to generic functions, by expression id, filled by inference.
    pub generics: FxHashMap<ExprId, Vec<Ty>>,
    /// Literals whose range must be checked when the function is instantiated.
    pub generic_literals: Vec<(Literal, Span, Ty)>,
}

/// A variable.
#[derive(Clone, Debug)]
pub struct Local {
    /// Name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Declared with `mut`.
    pub mutable: bool,
    /// Type; [`Ty::Unit`] until inference where none is declared.
    pub ty: Ty,
}

/// `{ statements; tail }`
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Statements.
    pub stmts: Vec<Stmt>,
    /// Value.
    pub tail: Option<Box<Expr>>,
    /// Where.
    pub span: Span,
}

/// A statement with its place.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// Statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `let x = e;`, `let (a, b) = e;`
    Let {
        /// The variables.
        locals: Vec<LocalId>,
        /// The pattern was a tuple.
        tuple: bool,
        /// The declared type.
        ty: Option<Ty>,
        /// Value.
        value: Expr,
    },
    /// `x = e;`, `x += e;`
    Assign {
        /// The variable.
        local: LocalId,
        /// Where it stands.
        span: Span,
        /// `+=` and the like.
        op: Option<BinaryOp>,
        /// Value.
        value: Expr,
    },
    /// `x[i, j] = e;`, `x[i, j] += e;`
    AssignIndex {
        /// The array.
        local: LocalId,
        /// Where the element expression stands.
        span: Span,
        /// One index an axis.
        index: Vec<Expr>,
        /// `+=` and the like.
        op: Option<BinaryOp>,
        /// Value.
        value: Expr,
    },
    /// `while c { .. }` and `loop { .. }` (no condition).
    Loop {
        /// Condition of a `while`.
        condition: Option<Expr>,
        /// Body.
        body: Block,
        /// Variables declared outside and assigned inside.
        assigned: Vec<LocalId>,
        /// There is a `break` for this loop.
        has_break: bool,
    },
    /// `for i in a..b { .. }`
    For {
        /// Loop variable.
        local: LocalId,
        /// First value.
        start: Expr,
        /// One past the last value.
        end: Expr,
        /// Body.
        body: Block,
        /// Variables declared outside and assigned inside.
        assigned: Vec<LocalId>,
    },
    /// `break;`
    Break,
    /// `continue;`
    Continue,
    /// `return e;`
    Return(Option<Expr>),
    /// An expression for its effect.
    Expr(Expr),
}

/// An expression with its place and id.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
    /// Number in the body.
    pub id: ExprId,
}

/// A number as written, sign included.
#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    /// `-3`
    Int(i128),
    /// `1.5e3`: its digits.
    Float(String),
}

/// Expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, with the dtype of its suffix.
    Literal(Literal, Option<kjit_ir::DType>),
    /// `true`, `false`
    Bool(bool),
    /// A variable.
    Local(LocalId),
    /// A constant.
    Const(ConstId),
    /// `-x`, `!x`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x as f32`
    Cast(Box<Expr>, Ty),
    /// A call.
    Call(Callee, Vec<Expr>),
    /// `x[i, j]`: one index an axis.
    Index(Box<Expr>, Vec<Expr>),
    /// `if c { a } else { b }`
    If {
        /// Condition.
        condition: Box<Expr>,
        /// Arm.
        then_block: Block,
        /// Arm.
        else_block: Option<Block>,
        /// Variables declared outside and assigned in the arms.
        assigned: Vec<LocalId>,
    },
    /// `{ .. }`
    Block(Block),
    /// `(a, b)`
    Tuple(Vec<Expr>),
    /// `[a, b, c]`
    Array(Vec<Expr>),
    /// `[x; 4]`
    Repeat(Box<Expr>, u32),
    /// Wrong and reported.
    Error,
}

/// What a call calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// A function of the same program.
    Function(FnId),
    /// A family of the library: its members for f32 and for f64.
    Family(FnId, FnId),
    /// A built-in function, by its row in the table.
    Builtin(&'static crate::builtins::Builtin),
}
