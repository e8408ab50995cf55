//! Diagnostics: what is wrong with the user's source, where, why, and the cure.
//!
//! Wording: lower case, one sentence, no full stop; the span points, the text does not quote more than
//! a name. Every diagnostic has a [`Code`] with a section in docs/errors.md.

use crate::source::{Source, Span};
use kjit_ir::Loc;

macro_rules! codes {
    ($($variant:ident $text:literal $title:literal;)*) => {
        /// A stable diagnostic code.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $title] $variant),* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];
            /// `E0101`
            pub const fn as_str(self) -> &'static str { match self { $(Code::$variant => $text),* } }
            /// What the code stands for, in a few words.
            pub const fn title(self) -> &'static str { match self { $(Code::$variant => $title),* } }
        }
    };
}

codes! {
    // lexical and syntax: E01xx
    UnknownCharacter    "E0101" "unknown character";
    BadLiteral          "E0102" "malformed literal";
    UnterminatedText    "E0103" "unterminated string or comment";
    UnexpectedToken     "E0104" "unexpected token";
    UnclosedDelimiter   "E0105" "unclosed delimiter";
    TooDeep             "E0106" "nesting too deep";
    NotSupportedYet     "E0107" "reserved for a later version";
    TooLarge            "E0108" "source too large";
    // names: E02xx
    UnknownName         "E0201" "unknown name";
    DuplicateName       "E0202" "name defined twice";
    UnknownType         "E0203" "unknown type";
    UnknownClass        "E0204" "unknown type class";
    Recursion           "E0205" "recursive function";
    NotAValue           "E0206" "name is not a value";
    NotAFunction        "E0207" "name is not a function";
    OutsideLoop         "E0208" "break or continue outside a loop";
    NotMutable          "E0209" "assignment to an immutable variable";
    WrongPlace          "E0210" "item or expression not allowed here";
    // types: E03xx
    Mismatch            "E0301" "mismatched types";
    BadOperand          "E0302" "operator not defined for the type";
    LiteralRange        "E0303" "literal out of range for its type";
    ArgumentCount       "E0304" "wrong number of arguments";
    MissingValue        "E0305" "missing value";
    CannotInfer         "E0306" "type cannot be inferred";
    NotConstant         "E0307" "not a constant expression";
    BadIndex            "E0308" "cannot be indexed so";
    BadCast             "E0309" "cast not defined";
    ClassBound          "E0310" "type outside the class of the type parameter";
    UnknownArgument     "E0311" "unknown named argument";
    IndexRange          "E0312" "constant index out of bounds";
    Unreachable         "E0313" "unreachable code";
    NotWritten          "E0314" "output without a value";
    BadDimension        "E0315" "dimension cannot be declared so";
    WholeArray          "E0316" "array used as one number";
}

/// A message about the user's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub loc: Loc,
    /// A few words beside the underlined place.
    pub label: String,
    /// Further places that explain it.
    pub notes: Vec<(Loc, String)>,
    /// The cure.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place of `source`.
    pub fn new(code: Code, source: &Source, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            message: message.into(),
            loc: source.loc(span),
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Adds words beside the underlined place.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Adds another place.
    pub fn note(mut self, loc: Loc, text: impl Into<String>) -> Diagnostic {
        self.notes.push((loc, text.into()));
        self
    }

    /// Adds the cure.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}
