//! The syntax tree: what the parser makes of a file, before names and types mean anything.
//!
//! The parser always returns a tree; where the text was wrong there are [`ExprKind::Error`] nodes,
//! which later stages pass over in silence (the mistake has been reported).

pub use crate::dump::{dump, dump_expr};
use crate::source::Span;
pub use kjit_ir::{BinaryOp, UnaryOp};

/// A source file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Items in source order.
    pub items: Vec<Item>,
}

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// An item with its place.
#[derive(Clone, Debug)]
pub struct Item {
    /// What.
    pub kind: ItemKind,
    /// Where, from the first keyword to the last brace.
    pub span: Span,
}

/// Items of a file.
#[derive(Clone, Debug)]
pub enum ItemKind {
    /// `ufunc`, `gufunc` or `fn`.
    Function(FunctionItem),
    /// `const NAME: f64 = 3.14;`
    Const(ConstItem),
    /// `param n = 1000;`
    Param(ConstItem),
    /// `main { .. }`
    Main(Block),
}

/// Which keyword a function was declared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FunctionKind {
    /// `ufunc`: an element-wise function over arrays.
    Ufunc,
    /// `gufunc`: a function over sub-arrays.
    Gufunc,
    /// `fn`: a helper, inlined where it is called.
    Fn,
}

/// `ufunc name<T: float>(a: T, b: T) -> (lo: T, hi: T) identity 0 fast { .. }`
#[derive(Clone, Debug)]
pub struct FunctionItem {
    /// `ufunc`, `gufunc` or `fn`.
    pub kind: FunctionKind,
    /// Name.
    pub name: Ident,
    /// Type parameters: name and class.
    pub generics: Vec<(Ident, Ident)>,
    /// Parameters.
    pub params: Vec<ParamDecl>,
    /// Results: `-> T` is one without a name, `-> (lo: T, hi: T)` or `-> (T, T)` several.
    pub outputs: Vec<OutputDecl>,
    /// `identity e` (ufunc only).
    pub identity: Option<Expr>,
    /// `reorderable` (ufunc only): where the word stands.
    pub reorderable: Option<Span>,
    /// `fast`: where the word stands.
    pub fast: Option<Span>,
    /// Body.
    pub body: Block,
}

/// `a: T`
#[derive(Clone, Debug)]
pub struct ParamDecl {
    /// Name.
    pub name: Ident,
    /// Type.
    pub ty: TypeExpr,
}

/// One result, named or not.
#[derive(Clone, Debug)]
pub struct OutputDecl {
    /// Name, if given.
    pub name: Option<Ident>,
    /// Type.
    pub ty: TypeExpr,
}

/// `const` and `param` items.
#[derive(Clone, Debug)]
pub struct ConstItem {
    /// Name.
    pub name: Ident,
    /// Declared type, if any.
    pub ty: Option<TypeExpr>,
    /// Value.
    pub value: Expr,
}

/// A type with its place.
#[derive(Clone, Debug)]
pub struct TypeExpr {
    /// What.
    pub kind: TypeExprKind,
    /// Where.
    pub span: Span,
}

/// Types as written.
#[derive(Clone, Debug)]
pub enum TypeExprKind {
    /// `f32` or `T`.
    Name(String),
    /// `[f32; 4]`: a local array (the length is a constant expression). `[T; m, n?]`: a parameter or
    /// result of a gufunc. There is at least one extent.
    Array(Box<TypeExpr>, Vec<Extent>),
    /// The text was wrong and has been reported.
    Error,
}

/// One extent of an array type.
#[derive(Clone, Debug)]
pub struct Extent {
    /// A name, a number, or arithmetic on them.
    pub size: Expr,
    /// Where `?` stands: arguments may lack the axis.
    pub optional: Option<Span>,
}

/// `{ statements; tail }`
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Statements.
    pub stmts: Vec<Stmt>,
    /// The value of the block: a last expression without semicolon.
    pub tail: Option<Box<Expr>>,
    /// Where, braces included.
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
    /// `let x: T = e;`, `let mut x = e;`, `let (a, b) = e;`
    Let {
        /// `mut` was written (for a tuple: before every name or before none).
        mutable: bool,
        /// One name, or several of a tuple pattern.
        names: Vec<Ident>,
        /// The pattern was a tuple.
        tuple: bool,
        /// Declared type, if any.
        ty: Option<TypeExpr>,
        /// Value.
        value: Expr,
    },
    /// `x = e;`, `x += e;`, `x[i] = e;`
    Assign {
        /// A name or an index expression (the parser accepts any expression).
        target: Expr,
        /// `+=` and the like.
        op: Option<BinaryOp>,
        /// Value.
        value: Expr,
    },
    /// `while c { .. }`
    While(Expr, Block),
    /// `loop { .. }`
    Loop(Block),
    /// `for i in a..b { .. }`
    For {
        /// Loop variable.
        name: Ident,
        /// First value.
        start: Expr,
        /// One past the last value.
        end: Expr,
        /// Body.
        body: Block,
    },
    /// `break;`
    Break,
    /// `continue;`
    Continue,
    /// `return;`, `return e;`
    Return(Option<Expr>),
    /// An expression for its effect, or an `if` or block used as a statement.
    Expr(Expr),
}

/// An expression with its place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// Expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `42`, `0xff`, `1_000`, `7u8`: value and suffix.
    Int(u128, Option<String>),
    /// `1.5`, `1e-3`, `2.0f32`: the digits without `_` and suffix, and the suffix.
    Float(String, Option<String>),
    /// `true`, `false`
    Bool(bool),
    /// `"text"`, escapes resolved (host program only).
    Str(String),
    /// A name: variable, constant, parameter, dtype, function.
    Name(String),
    /// `-x`, `!x`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x as f32`
    Cast(Box<Expr>, TypeExpr),
    /// `f(a, b, name = c)`
    Call(Ident, Vec<Arg>),
    /// `x.f(a)`: method form; the receiver is the first argument.
    Method(Box<Expr>, Ident, Vec<Arg>),
    /// `x[i, a..b]`
    Index(Box<Expr>, Vec<IndexArg>),
    /// `if c { a } else { b }`; an `else if` is a block whose tail is an `if`.
    If(Box<Expr>, Block, Option<Block>),
    /// `{ .. }`
    Block(Block),
    /// `(a, b)`; one element needs no tuple, so there are none or at least two.
    Tuple(Vec<Expr>),
    /// `[a, b, c]`
    Array(Vec<Expr>),
    /// `[0.0; 4]`
    Repeat(Box<Expr>, Box<Expr>),
    /// The text was wrong and has been reported.
    Error,
}

/// A call argument, positional or named.
#[derive(Clone, Debug)]
pub struct Arg {
    /// `name =`
    pub name: Option<Ident>,
    /// Value.
    pub value: Expr,
}

/// One index.
#[derive(Clone, Debug)]
pub enum IndexArg {
    /// `i`
    At(Expr),
    /// `a..b`, `a..`, `..b`, `..`
    Range(Option<Expr>, Option<Expr>, Span),
}
