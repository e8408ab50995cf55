//! Blocks and statements.

use super::Parser;
use crate::ast::{BinaryOp, Block, Expr, ExprKind, Ident, Stmt, StmtKind};
use crate::diagnostic::Code;
use crate::lexer::TokenKind;
use crate::source::Span;

/// A statement, or the expression that ends its block.
#[expect(clippy::large_enum_variant, reason = "it lives for one call")]
enum Parsed {
    Stmt(Stmt),
    Tail(Expr),
    Nothing,
}

impl Parser<'_> {
    /// `{ .. }`. In panic mode it looks for the brace in the rest of the statement; from there on all
    /// is well again.
    pub(super) fn block(&mut self) -> Block {
        self.block_before_else(false)
    }

    /// A block; `else_may_follow`: it is the first one of an `if`.
    pub(super) fn block_before_else(&mut self, else_may_follow: bool) -> Block {
        if self.panic {
            self.skip_statement(true);
        }
        let open = self.span();
        if !self.at(TokenKind::OpenBrace) {
            if !self.panic {
                self.unexpected_help(
                    "`{`",
                    Some("a body stands in braces, also when it is one statement".to_string()),
                );
            }
            return self.no_block();
        }
        if !self.enter() {
            return self.no_block();
        }
        self.panic = false;
        self.bump();
        self.open_braces.push((open, else_may_follow));
        let mut block = Block::default();
        self.statements(&mut block);
        self.open_braces.pop();
        self.leave();
        block.span = self.span_from(open);
        block
    }

    fn statements(&mut self, block: &mut Block) {
        loop {
            while self.eat(TokenKind::Semicolon) {}
            if self.eat(TokenKind::CloseBrace) {
                return;
            }
            if self.at(TokenKind::Eof) || (self.at_item() && self.item_ends_block()) {
                self.unclosed_block();
                return;
            }
            if self.else_ends_block() {
                self.unclosed_block();
                // the `else` is where it should be
                self.panic = false;
                return;
            }
            match self.statement() {
                Parsed::Stmt(stmt) => block.stmts.push(stmt),
                Parsed::Tail(expr) => block.tail = Some(Box::new(expr)),
                Parsed::Nothing => {}
            }
            if self.panic {
                if self.at_item() && self.first_on_line() && self.item_ends_block() {
                    return;
                }
                self.skip_statement(false);
                if self.at(TokenKind::Eof) {
                    return;
                }
                if !(self.at_item() && self.item_ends_block()) {
                    self.panic = false;
                }
            }
        }
    }

    /// A block meets the end of the file or the next item.
    fn unclosed_block(&mut self) {
        let (open, _) = self.open_braces.last().copied().unwrap_or_default();
        if !self.panic {
            let here = self.source.loc(self.span());
            let found = self.found();
            let diagnostic = self
                .diagnostic(Code::UnclosedDelimiter, open, "`{` is not closed")
                .label("opened here")
                .note(here, format!("{found} comes before its end"))
                .help("add `}`");
            self.fail(diagnostic);
        }
    }

    /// Is the item keyword here the next item of the file (and a `}` is missing above), or an item
    /// written inside this block? Indentation tells: it stands no deeper than the line of the `{`.
    fn item_ends_block(&self) -> bool {
        if !self.first_on_line() {
            return false;
        }
        let (open, _) = self.open_braces.last().copied().unwrap_or_default();
        self.indent(self.span()) <= self.indent(open)
    }

    /// Is the `else` here the one that follows this block, whose `}` is missing?
    fn else_ends_block(&self) -> bool {
        let (open, else_may_follow) = self.open_braces.last().copied().unwrap_or_default();
        self.at(TokenKind::Else)
            && else_may_follow
            && self.first_on_line()
            && self.indent(self.span()) <= self.indent(open)
    }

    /// Blanks before the first character of the line.
    fn indent(&self, span: Span) -> usize {
        let text = &self.source.text;
        let line = text[..span.start as usize].rfind('\n').map_or(0, |p| p + 1);
        text[line..]
            .bytes()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count()
    }

    fn statement(&mut self) -> Parsed {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Let => self.let_statement(),
            TokenKind::While => {
                self.bump();
                let condition = self.condition();
                StmtKind::While(condition, self.block())
            }
            TokenKind::Loop => {
                self.bump();
                StmtKind::Loop(self.block())
            }
            TokenKind::For => self.for_statement(),
            TokenKind::Break => {
                self.bump();
                if !self.panic && !self.at_statement_end() {
                    let diagnostic = self
                        .diagnostic(Code::UnexpectedToken, self.span(), "`break` takes no value")
                        .help("assign the value to a variable declared before the loop");
                    self.fail(diagnostic);
                }
                self.statement_end();
                StmtKind::Break
            }
            TokenKind::Continue => {
                self.bump();
                self.statement_end();
                StmtKind::Continue
            }
            TokenKind::Return => {
                self.bump();
                let value = (!self.at_statement_end()).then(|| self.expr());
                self.statement_end();
                StmtKind::Return(value)
            }
            TokenKind::Else => {
                let diagnostic = self
                    .diagnostic(Code::UnexpectedToken, start, "`else` without `if`")
                    .help("`else` follows the `}` of an `if`, with no `;` between");
                self.fail(diagnostic);
                self.bump();
                return Parsed::Nothing;
            }
            _ if self.at_item() => {
                let diagnostic = self
                    .diagnostic(
                        Code::WrongPlace,
                        start,
                        format!("a `{}` item cannot stand inside a block", self.text()),
                    )
                    .help(if self.at(TokenKind::Const) {
                        "use `let`, or move the constant out of the function"
                    } else {
                        "move it out, to the level of the file"
                    });
                self.report(diagnostic);
                // read past it in silence
                let before = self.diagnostics.len();
                let panic = self.panic;
                if self.enter() {
                    self.item();
                    self.leave();
                }
                self.diagnostics.truncate(before);
                self.panic = panic;
                return Parsed::Nothing;
            }
            _ => return self.expression_statement(),
        };
        Parsed::Stmt(Stmt {
            kind,
            span: self.span_from(start),
        })
    }

    fn let_statement(&mut self) -> StmtKind {
        self.bump();
        let mut mutable = false;
        let mut names: Vec<Ident> = Vec::new();
        let mut tuple = false;
        let mut_span = self.span();
        if self.eat(TokenKind::Mut) {
            mutable = true;
            if self.at(TokenKind::OpenParen) {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        mut_span,
                        "`mut` stands before each name of a tuple",
                    )
                    .help("write `let (mut a, mut b) = ..`");
                self.report(diagnostic);
            }
        }
        if self.at(TokenKind::OpenParen) {
            tuple = true;
            let open = self.bump().span;
            let mut muts = 0;
            while !matches!(self.kind(), TokenKind::CloseParen | TokenKind::Eof) && !self.panic {
                muts += usize::from(self.eat(TokenKind::Mut));
                names.push(self.name("a name"));
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
            self.close(open, TokenKind::CloseParen, "`,` or `)`");
            let pattern = self.span_from(open);
            if !self.panic && muts != 0 && muts != names.len() {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        pattern,
                        "`mut` stands before some names of the tuple only",
                    )
                    .help("write it before every name or before none");
                self.report(diagnostic);
            }
            if !self.panic && names.is_empty() {
                let diagnostic = self
                    .diagnostic(Code::UnexpectedToken, pattern, "the pattern binds no name")
                    .help("write `let (a, b) = ..`, or leave `let` out");
                self.report(diagnostic);
            }
            mutable |= muts != 0;
        } else {
            names.push(self.name("a name"));
        }
        let ty = if self.eat(TokenKind::Colon) && !self.at(TokenKind::Assign) {
            Some(self.type_expr())
        } else {
            None
        };
        let value = self.initializer(&names);
        self.semicolon();
        StmtKind::Let {
            mutable,
            names,
            tuple,
            ty,
            value,
        }
    }

    fn initializer(&mut self, names: &[Ident]) -> Expr {
        if self.eat(TokenKind::Assign) {
            return self.expr();
        }
        if self.panic {
            return self.error_expr();
        }
        let name = names.first().map_or("x", |n| &n.name);
        match self.kind() {
            TokenKind::Semicolon | TokenKind::CloseBrace => {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span(),
                        format!("the variable {name} gets no value"),
                    )
                    .help(format!(
                        "write `let {name} = 0.0;`: every variable starts with a value"
                    ));
                self.report(diagnostic);
                self.error_expr()
            }
            TokenKind::Ident if self.peek(1).kind == TokenKind::Assign => {
                let help = format!(
                    "the type comes after the name: `let {}: {name} = ..`",
                    self.text()
                );
                self.unexpected_help("`=`", Some(help));
                self.error_expr()
            }
            TokenKind::EqEq => {
                self.unexpected_help(
                    "`=`",
                    Some("`==` compares; a value is given with `=`".to_string()),
                );
                self.error_expr()
            }
            kind if assign_op(kind).is_some() => {
                self.unexpected_help("`=`", Some(format!("a new variable has no old value; to change one, leave `let` out: `{name} {} ..`", self.text())));
                self.error_expr()
            }
            _ => {
                self.unexpected("`=`");
                self.error_expr()
            }
        }
    }

    fn for_statement(&mut self) -> StmtKind {
        const FORM: &str = "write `for i in 0..n { .. }`";
        self.bump();
        let paren = self.at(TokenKind::OpenParen);
        let name = if paren {
            let span = self.span();
            self.unexpected_help("the name of the loop variable", Some(FORM.to_string()));
            Ident {
                name: String::new(),
                span,
            }
        } else {
            self.name("the name of the loop variable")
        };
        if !self.panic && !self.eat(TokenKind::In) {
            self.unexpected_help("`in`", Some(FORM.to_string()));
        }
        if self.panic {
            let start = self.error_expr();
            let end = self.error_expr();
            return StmtKind::For {
                name,
                start,
                end,
                body: self.block(),
            };
        }
        let start = self.expr();
        if !self.panic {
            match self.kind() {
                TokenKind::DotDot => {
                    self.bump();
                }
                TokenKind::DotDotEq => {
                    let diagnostic = self
                        .diagnostic(
                            Code::UnexpectedToken,
                            self.span(),
                            "there is no inclusive range",
                        )
                        .help("write `a..b + 1`: the end is not part of a range");
                    self.report(diagnostic);
                    self.bump();
                }
                _ => self.unexpected_help("`..` and the end of the range", Some(FORM.to_string())),
            }
        }
        let end = self.expr();
        StmtKind::For {
            name,
            start,
            end,
            body: self.block(),
        }
    }

    /// The condition of `if` and `while`.
    pub(super) fn condition(&mut self) -> Expr {
        if self.at(TokenKind::Let) {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    "there are no patterns in conditions",
                )
                .help("write a condition that gives a bool, as in `x > 0`");
            self.fail(diagnostic);
            return self.error_expr();
        }
        let left = self.expr();
        if !self.panic && self.at(TokenKind::Assign) {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    "`=` assigns and gives no value",
                )
                .help("compare with `==`");
            self.report(diagnostic);
            self.bump();
            let right = self.expr();
            let span = left.span.to(right.span);
            return Expr {
                kind: ExprKind::Binary(BinaryOp::Eq, Box::new(left), Box::new(right)),
                span,
            };
        }
        if !self.panic && matches!(self.kind(), TokenKind::Colon)
            || self.at_word("then")
            || self.at_word("do")
        {
            self.unexpected_help(
                "`{`",
                Some("a body stands in braces: `if c { .. } else { .. }`".to_string()),
            );
        }
        left
    }

    /// A statement that starts with an expression, or the tail of the block.
    fn expression_statement(&mut self) -> Parsed {
        let start = self.span();
        if let Some(parsed) = self.foreign_statement() {
            return parsed;
        }
        let block_like = matches!(self.kind(), TokenKind::If | TokenKind::OpenBrace);
        let target = if block_like {
            self.block_like_statement()
        } else {
            self.expr()
        };
        let is_block = matches!(target.kind, ExprKind::If(..) | ExprKind::Block(_));
        if self.panic {
            return Parsed::Stmt(Stmt {
                kind: StmtKind::Expr(target),
                span: self.span_from(start),
            });
        }
        let kind = self.kind();
        if kind == TokenKind::CloseBrace || self.else_ends_block() {
            return Parsed::Tail(target);
        }
        if is_block && block_like {
            self.eat(TokenKind::Semicolon);
            return Parsed::Stmt(Stmt {
                span: self.span_from(start),
                kind: StmtKind::Expr(target),
            });
        }
        let kind = if kind == TokenKind::Assign || assign_op(kind).is_some() {
            self.bump();
            let value = self.expr();
            if self.at(TokenKind::Assign) && !self.panic {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span(),
                        "an assignment gives no value",
                    )
                    .help("write one assignment a statement; comparing is `==`");
                self.fail(diagnostic);
            }
            self.statement_end();
            StmtKind::Assign {
                target,
                op: assign_op(kind),
                value,
            }
        } else {
            self.semicolon();
            StmtKind::Expr(target)
        };
        Parsed::Stmt(Stmt {
            kind,
            span: self.span_from(start),
        })
    }

    /// Statements of other languages that start with a name: `int x = 1`, `var x = 1`, `x := 1`,
    /// `elif`, `switch`, ..
    fn foreign_statement(&mut self) -> Option<Parsed> {
        if !self.at(TokenKind::Ident) {
            return None;
        }
        let word = self.text();
        let next = self.peek(1);
        if next.kind == TokenKind::Colon && self.peek(2).kind == TokenKind::Assign {
            let help =
                format!("write `let {word} = ..` for a new variable, `{word} = ..` to change one");
            self.bump();
            self.unexpected_help("a statement", Some(help));
            return Some(Parsed::Nothing);
        }
        let declares = next.kind == TokenKind::Ident && self.peek(2).kind == TokenKind::Assign;
        let help = match word {
            "match" | "switch" if !matches!(next.kind, TokenKind::Assign | TokenKind::Dot) => {
                "write `if a { .. } else if b { .. } else { .. }`".to_string()
            }
            "elif" | "elseif" | "elsif" => "write `else if` after the `}` of the `if`".to_string(),
            "do" if next.kind == TokenKind::OpenBrace => {
                "write `loop { .. }` with `if c { break; }` at its end".to_string()
            }
            _ if declares => format!(
                "a variable is declared with `let {} = ..;`",
                self.text_of(next.span)
            ),
            _ => return None,
        };
        self.unexpected_help("a statement", Some(help));
        self.bump();
        Some(Parsed::Nothing)
    }

    fn at_statement_end(&self) -> bool {
        matches!(
            self.kind(),
            TokenKind::Semicolon | TokenKind::CloseBrace | TokenKind::Eof
        ) || (self.first_on_line()
            && (self.kind().is_keyword()
                && !matches!(
                    self.kind(),
                    TokenKind::If | TokenKind::True | TokenKind::False
                )))
    }

    /// The end of a statement that may also end its block without `;`, as in Rust.
    fn statement_end(&mut self) {
        if !self.at(TokenKind::CloseBrace) {
            self.semicolon();
        }
    }

    /// `;`. Where a line ends without it, it is asked for there and reading goes on.
    pub(super) fn semicolon(&mut self) {
        if self.panic || self.eat(TokenKind::Semicolon) {
            return;
        }
        let before = self.previous_end();
        // a missing `}` is the mistake then, and will be reported
        let block_is_open = !self.open_braces.is_empty()
            && (self.at(TokenKind::Eof)
                || self.else_ends_block()
                || (self.at_item() && self.item_ends_block()));
        if block_is_open {
            return;
        }
        if self.at(TokenKind::Error) {
            self.panic = true;
            return;
        }
        let ends = self.first_on_line()
            || matches!(
                self.kind(),
                TokenKind::CloseBrace | TokenKind::Eof | TokenKind::Let | TokenKind::Return
            );
        if ends && !matches!(self.kind(), TokenKind::CloseParen | TokenKind::CloseBracket) {
            let place = Span {
                start: before.end,
                end: before.end,
            };
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    place,
                    "the statement does not end with `;`",
                )
                .help("add `;`");
            self.report(diagnostic);
            return;
        }
        let help = match self.kind() {
            TokenKind::CloseParen | TokenKind::CloseBracket => Some(format!(
                "no `{}` is open here; remove it",
                opener(self.text())
            )),
            TokenKind::Comma => {
                Some("a statement ends with `;`; several values stand in parentheses".to_string())
            }
            TokenKind::DotDot | TokenKind::DotDotEq => {
                Some("a range stands in `for i in a..b` or in an index `x[a..b]`".to_string())
            }
            TokenKind::FatArrow => Some("greater or equal is written `>=`".to_string()),
            TokenKind::EqEq => None,
            TokenKind::OpenBrace => {
                Some("a block stands after `if`, `for`, `while` or `loop`".to_string())
            }
            _ => None,
        };
        self.unexpected_help("`;`", help);
    }
}

fn opener(close: &str) -> &'static str {
    match close {
        ")" => "(",
        "]" => "[",
        _ => "{",
    }
}

/// The operator of `+=` and the like.
fn assign_op(kind: TokenKind) -> Option<BinaryOp> {
    Some(match kind {
        TokenKind::PlusAssign => BinaryOp::Add,
        TokenKind::MinusAssign => BinaryOp::Sub,
        TokenKind::StarAssign => BinaryOp::Mul,
        TokenKind::SlashAssign => BinaryOp::Div,
        TokenKind::PercentAssign => BinaryOp::Rem,
        TokenKind::AndAssign => BinaryOp::BitAnd,
        TokenKind::OrAssign => BinaryOp::BitOr,
        TokenKind::CaretAssign => BinaryOp::BitXor,
        TokenKind::ShlAssign => BinaryOp::Shl,
        TokenKind::ShrAssign => BinaryOp::Shr,
        _ => return None,
    })
}
