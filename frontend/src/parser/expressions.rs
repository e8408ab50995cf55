//! Expressions: precedence climbing over Rust's table.

use super::Parser;
use crate::ast::{Arg, BinaryOp, Block, Expr, ExprKind, Ident, IndexArg, UnaryOp};
use crate::diagnostic::Code;
use crate::lexer::TokenKind;
use crate::parser::MAX_DEPTH;
use crate::source::Span;

/// How tightly the comparisons bind; they do not chain.
const COMPARISON: u8 = 3;
/// How tightly `as` binds.
const CAST: u8 = 10;

/// Operator and how tightly it binds.
fn binary_op(kind: TokenKind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        TokenKind::OrOr => (BinaryOp::Or, 1),
        TokenKind::AndAnd => (BinaryOp::And, 2),
        TokenKind::EqEq => (BinaryOp::Eq, COMPARISON),
        TokenKind::NotEq => (BinaryOp::Ne, COMPARISON),
        TokenKind::Less => (BinaryOp::Lt, COMPARISON),
        TokenKind::LessEq => (BinaryOp::Le, COMPARISON),
        TokenKind::Greater => (BinaryOp::Gt, COMPARISON),
        TokenKind::GreaterEq => (BinaryOp::Ge, COMPARISON),
        TokenKind::Or => (BinaryOp::BitOr, 4),
        TokenKind::Caret => (BinaryOp::BitXor, 5),
        TokenKind::And => (BinaryOp::BitAnd, 6),
        TokenKind::Shl => (BinaryOp::Shl, 7),
        TokenKind::Shr => (BinaryOp::Shr, 7),
        TokenKind::Plus => (BinaryOp::Add, 8),
        TokenKind::Minus => (BinaryOp::Sub, 8),
        TokenKind::Star => (BinaryOp::Mul, 9),
        TokenKind::Slash => (BinaryOp::Div, 9),
        TokenKind::Percent => (BinaryOp::Rem, 9),
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Expr {
        self.expr_above(0)
    }

    /// An expression that `?` may follow.
    pub(super) fn extent_expr(&mut self) -> Expr {
        self.expr_above(1)
    }

    /// An expression of operators that bind at least as tightly as `min`.
    ///
    /// `depth` bounds what nests; `deepest` is how deep the finished tree reaches: a chain `a + b + c`
    /// pushes what it has so far one level down with every operator.
    fn expr_above(&mut self, min: u8) -> Expr {
        if self.panic || !self.enter() {
            return self.error_expr();
        }
        let outside = std::mem::replace(&mut self.deepest, self.depth);
        let left = self.unary();
        let expr = self.operators(left, min);
        self.deepest = self.deepest.max(outside);
        self.leave();
        expr
    }

    /// The tree built so far moves one level down; false if that is too deep.
    fn grow(&mut self) -> bool {
        self.deepest += 1;
        if self.deepest > MAX_DEPTH {
            if !self.panic {
                self.too_deep();
            }
            return false;
        }
        true
    }

    pub(super) fn error_expr(&self) -> Expr {
        Expr {
            kind: ExprKind::Error,
            span: self.span(),
        }
    }

    /// What follows an operand: operators at least as tight as `min`, and their operands.
    fn operators(&mut self, mut left: Expr, min: u8) -> Expr {
        while !self.panic {
            if self.at(TokenKind::As) {
                if CAST < min {
                    break;
                }
                self.bump();
                let ty = self.type_expr();
                let span = self.span_from(left.span);
                left = Expr {
                    kind: ExprKind::Cast(Box::new(left), ty),
                    span,
                };
                if !self.grow() {
                    return self.error_expr();
                }
                continue;
            }
            let Some((op, tightness)) = self.operator(min) else {
                break;
            };
            if tightness < min {
                break;
            }
            if self.is_increment() {
                let sign = self.text();
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span().to(self.peek(1).span),
                        format!("there is no `{sign}{sign}`"),
                    )
                    .help(format!("write `x {sign}= 1;`"));
                self.fail(diagnostic);
                break;
            }
            if self.at(TokenKind::Star) && self.peek(1).kind == TokenKind::Star && self.joined(0) {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span().to(self.peek(1).span),
                        "there is no operator `**`",
                    )
                    .help("write a power as `powi(x, n)`, a square as `x * x`");
                self.fail(diagnostic);
                break;
            }
            if matches!(self.kind(), TokenKind::Less)
                && self.peek(1).kind == TokenKind::Greater
                && self.joined(0)
            {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span().to(self.peek(1).span),
                        "there is no operator `<>`",
                    )
                    .help("not equal is written `!=`");
                self.fail(diagnostic);
                break;
            }
            if matches!(self.kind(), TokenKind::EqEq | TokenKind::NotEq)
                && self.peek(1).kind == TokenKind::Assign
                && self.joined(0)
            {
                let text = self.text();
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span().to(self.peek(1).span),
                        format!("there is no operator `{text}=`"),
                    )
                    .help(format!("write `{text}`"));
                self.fail(diagnostic);
                break;
            }
            self.bump();
            let right = self.expr_above(tightness + 1);
            let span = left.span.to(right.span);
            left = Expr {
                kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
                span,
            };
            if !self.grow() {
                return self.error_expr();
            }
            if tightness == COMPARISON
                && matches!(binary_op(self.kind()), Some((_, COMPARISON)))
                && !self.panic
            {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span(),
                        "comparisons do not chain",
                    )
                    .help("write `a < b && b < c`, or use parentheses");
                self.fail(diagnostic);
            }
        }
        if !self.panic && self.at(TokenKind::Question) && min == 0 {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    "there is no operator `?`",
                )
                .help("write a choice as `if c { a } else { b }`");
            self.fail(diagnostic);
        }
        left
    }

    /// The operator here, also one spelled as a word (which is reported, and read as what it means).
    fn operator(&mut self, min: u8) -> Option<(BinaryOp, u8)> {
        if self.at(TokenKind::Ident) {
            let (op, tightness) = match self.text() {
                "and" => (BinaryOp::And, 2),
                "or" => (BinaryOp::Or, 1),
                "mod" => (BinaryOp::Rem, 9),
                "xor" => (BinaryOp::BitXor, 5),
                _ => return None,
            };
            // not the start of a next line whose `;` is missing above
            if tightness < min || matches!(self.peek(1).kind, TokenKind::Assign | TokenKind::Dot) {
                return None;
            }
            let word = self.text();
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    format!("there is no operator `{word}`"),
                )
                .help(format!("write `{}`", op.symbol()));
            self.report(diagnostic);
            return Some((op, tightness));
        }
        binary_op(self.kind())
    }

    /// `x++` with no operand to follow.
    fn is_increment(&self) -> bool {
        matches!(self.kind(), TokenKind::Plus | TokenKind::Minus)
            && self.peek(1).kind == self.kind()
            && self.joined(0)
            && matches!(
                self.peek(2).kind,
                TokenKind::Semicolon
                    | TokenKind::CloseParen
                    | TokenKind::CloseBracket
                    | TokenKind::CloseBrace
                    | TokenKind::Comma
                    | TokenKind::OpenBrace
                    | TokenKind::Eof
            )
    }

    /// Prefix operators and their operand. A loop, so that `-----x` of any length is safe.
    fn unary(&mut self) -> Expr {
        let mut prefixes: Vec<(Option<UnaryOp>, Span)> = Vec::new();
        loop {
            let span = self.span();
            let op = match self.kind() {
                TokenKind::Minus => Some(UnaryOp::Neg),
                TokenKind::Not => Some(UnaryOp::Not),
                TokenKind::Ident if self.text() == "not" && self.starts_operand(1) => {
                    let diagnostic = self
                        .diagnostic(Code::UnexpectedToken, span, "there is no operator `not`")
                        .help("write `!`");
                    self.report(diagnostic);
                    Some(UnaryOp::Not)
                }
                TokenKind::Plus => {
                    let twice = self.peek(1).kind == TokenKind::Plus && self.joined(0);
                    let (what, help) = if twice {
                        ("there is no `++`", "write `x += 1;`")
                    } else {
                        ("there is no unary `+`", "leave it out")
                    };
                    let diagnostic = self
                        .diagnostic(Code::UnexpectedToken, span, what)
                        .help(help);
                    if twice {
                        self.fail(diagnostic);
                        break;
                    }
                    self.report(diagnostic);
                    None
                }
                TokenKind::And | TokenKind::AndAnd | TokenKind::Star => {
                    let diagnostic = self
                        .diagnostic(Code::UnexpectedToken, span, "there are no references")
                        .help(format!(
                            "leave `{}` out: a function takes and gives values",
                            self.text()
                        ));
                    self.report(diagnostic);
                    self.bump();
                    self.eat(TokenKind::Mut);
                    prefixes.push((None, span));
                    continue;
                }
                _ => break,
            };
            prefixes.push((op, span));
            self.bump();
        }
        if self.deepest as usize + prefixes.len() > MAX_DEPTH as usize {
            self.too_deep();
            return self.error_expr();
        }
        let mut expr = self.postfix();
        for (op, span) in prefixes.into_iter().rev() {
            let span = span.to(expr.span);
            expr = match op {
                Some(op) => Expr {
                    kind: ExprKind::Unary(op, Box::new(expr)),
                    span,
                },
                None => expr,
            };
            if !self.grow() {
                return self.error_expr();
            }
        }
        expr
    }

    /// Does the token `n` after this one start an operand (and is no continuation of an expression)?
    fn starts_operand(&self, n: usize) -> bool {
        matches!(
            self.peek(n).kind,
            TokenKind::Ident | TokenKind::True | TokenKind::False | TokenKind::Number
        )
    }

    fn postfix(&mut self) -> Expr {
        let operand = self.primary();
        self.postfix_of(operand)
    }

    /// Calls, methods and indices after an operand.
    fn postfix_of(&mut self, mut expr: Expr) -> Expr {
        while !self.panic {
            let kind = match self.kind() {
                TokenKind::Dot => match self.method(expr) {
                    Ok(kind) => kind,
                    Err(expr) => return expr,
                },
                TokenKind::OpenBracket => {
                    let open = self.bump().span;
                    let indices = self.indices(open);
                    let span = self.span_from(expr.span);
                    expr = Expr {
                        kind: ExprKind::Index(Box::new(expr), indices),
                        span,
                    };
                    if !self.grow() {
                        return self.error_expr();
                    }
                    continue;
                }
                TokenKind::OpenParen if !self.first_on_line() => {
                    let diagnostic = self
                        .diagnostic(
                            Code::UnexpectedToken,
                            self.span(),
                            "only a name can be called",
                        )
                        .help("write `name(..)`, or an operator before the parenthesis");
                    self.fail(diagnostic);
                    return expr;
                }
                TokenKind::ColonColon => {
                    let help = match self.peek(1).kind {
                        TokenKind::Less => {
                            "types are found from the arguments; cast an argument with `as`"
                        }
                        _ => {
                            "there are no paths: constants are literals or `const` items, functions have one name"
                        }
                    };
                    self.unexpected_help("an operator", Some(help.to_string()));
                    return expr;
                }
                _ => break,
            };
            let span = self.span_from(kind.1);
            expr = Expr { kind: kind.0, span };
            if !self.grow() {
                return self.error_expr();
            }
        }
        expr
    }

    /// `.name(args)`: the expression, and the span it starts with.
    fn method(&mut self, receiver: Expr) -> Result<(ExprKind, Span), Expr> {
        let dot = self.bump().span;
        if self.at(TokenKind::Number) {
            let help = match receiver.kind {
                ExprKind::Int(..) | ExprKind::Float(..) => {
                    "a number has one point and decimal or whole digits, as in `1.5` or `0xff`"
                }
                _ => "take a tuple apart with `let (a, b) = ..`",
            };
            self.unexpected_help("the name of a method", Some(help.to_string()));
            return Err(receiver);
        }
        // a word of the language may name a method: nothing else can stand here
        let name = if self.kind().is_keyword() {
            let span = self.bump().span;
            Ident {
                name: self.text_of(span).to_string(),
                span,
            }
        } else {
            self.name("the name of a method")
        };
        if self.panic {
            return Err(receiver);
        }
        if !self.at(TokenKind::OpenParen) {
            let span = dot.to(name.span);
            let diagnostic = self
                .diagnostic(Code::UnexpectedToken, span, "values have no fields")
                .help(format!(
                    "call a method with parentheses: `.{}()`",
                    name.name
                ));
            self.fail(diagnostic);
            return Err(receiver);
        }
        let start = receiver.span;
        let open = self.bump().span;
        let args = self.args(open);
        Ok((ExprKind::Method(Box::new(receiver), name, args), start))
    }

    /// Arguments up to and with `)`.
    fn args(&mut self, open: Span) -> Vec<Arg> {
        let mut args = Vec::new();
        while !self.panic && !self.at(TokenKind::CloseParen) && !self.at_list_end() {
            let name = if self.at(TokenKind::Ident) && self.peek(1).kind == TokenKind::Assign {
                let name = self.name("a name");
                self.bump();
                Some(name)
            } else {
                None
            };
            let value = self.expr();
            if self.at(TokenKind::Colon) && !self.panic && matches!(value.kind, ExprKind::Name(_)) {
                let named = self.text_of(value.span);
                let help = format!("a named argument is written `{named} = ..`");
                self.unexpected_help("`,` or `)`", Some(help));
            }
            args.push(Arg { name, value });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.close(open, TokenKind::CloseParen, "`,` or `)`");
        args
    }

    fn at_list_end(&self) -> bool {
        matches!(
            self.kind(),
            TokenKind::Eof | TokenKind::Semicolon | TokenKind::CloseBrace
        )
    }

    fn indices(&mut self, open: Span) -> Vec<IndexArg> {
        let mut indices = Vec::new();
        while !self.panic && !self.at(TokenKind::CloseBracket) && !self.at_list_end() {
            let start = self.span();
            let first = match self.kind() {
                TokenKind::DotDot | TokenKind::DotDotEq | TokenKind::Colon => None,
                _ => Some(self.expr()),
            };
            if self.panic {
                break;
            }
            let index = match (self.kind(), first) {
                (TokenKind::DotDot, first) => {
                    self.bump();
                    let ends = matches!(self.kind(), TokenKind::Comma | TokenKind::CloseBracket);
                    let second = (!ends).then(|| self.expr());
                    IndexArg::Range(first, second, self.span_from(start))
                }
                (TokenKind::DotDotEq, _) => {
                    self.unexpected_help(
                        "`..`",
                        Some("the end is not part of a range: write `a..b + 1`".to_string()),
                    );
                    break;
                }
                (TokenKind::Colon, _) => {
                    self.unexpected_help(
                        "`,` or `]`",
                        Some("a slice is written `x[a..b]`, all of an axis `x[..]`".to_string()),
                    );
                    break;
                }
                (_, Some(first)) => IndexArg::At(first),
                (_, None) => break,
            };
            indices.push(index);
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if indices.is_empty() && self.at(TokenKind::CloseBracket) && !self.panic {
            self.unexpected_help(
                "an index",
                Some("write `x[i]`, or `x[..]` for all of it".to_string()),
            );
        }
        self.close(open, TokenKind::CloseBracket, "`,` or `]`");
        indices
    }

    fn primary(&mut self) -> Expr {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Number => return self.number(),
            TokenKind::Str => return self.string(),
            TokenKind::True | TokenKind::False => {
                ExprKind::Bool(self.bump().kind == TokenKind::True)
            }
            TokenKind::Ident => self.name_or_call(),
            TokenKind::OpenParen => self.parenthesized(),
            TokenKind::OpenBracket => self.array(),
            TokenKind::If => return self.if_expr(),
            TokenKind::OpenBrace => ExprKind::Block(self.block()),
            _ => {
                self.not_an_expression();
                ExprKind::Error
            }
        };
        Expr {
            kind,
            span: self.span_from(start),
        }
    }

    fn name_or_call(&mut self) -> ExprKind {
        let span = self.bump().span;
        let name = Ident {
            name: self.text_of(span).to_string(),
            span,
        };
        let is_macro = self.at(TokenKind::Not)
            && self.previous_end().end == self.span().start
            && matches!(
                self.peek(1).kind,
                TokenKind::OpenParen | TokenKind::OpenBracket
            );
        if is_macro {
            let shorter = name.name.trim_end_matches("ln");
            let help = match name.name.as_str() {
                "vec" => "write `[a, b, c]`".to_string(),
                _ => format!("write `{shorter}(..)`"),
            };
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    name.span.to(self.span()),
                    "there are no macros",
                )
                .help(help);
            self.fail(diagnostic);
            return ExprKind::Error;
        }
        // a parenthesis on a new line starts a statement of its own
        if self.at(TokenKind::OpenParen) && !self.first_on_line() {
            let open = self.bump().span;
            let args = self.args(open);
            if !self.grow() {
                return ExprKind::Error;
            }
            return ExprKind::Call(name, args);
        }
        ExprKind::Name(name.name)
    }

    fn parenthesized(&mut self) -> ExprKind {
        let open = self.bump().span;
        if self.eat(TokenKind::CloseParen) {
            return ExprKind::Tuple(Vec::new());
        }
        let first = self.expr();
        if matches!(self.kind(), TokenKind::DotDot | TokenKind::DotDotEq) && !self.panic {
            let help =
                "a range stands in `for i in a..b` or in an index `x[a..b]`, without parentheses";
            self.unexpected_help("`,` or `)`", Some(help.to_string()));
        }
        if !self.at(TokenKind::Comma) || self.panic {
            if self.at(TokenKind::Assign) && !self.panic {
                self.unexpected_help("`)`", Some("comparing is written `==`".to_string()));
            }
            self.close(open, TokenKind::CloseParen, "`,` or `)`");
            return first.kind;
        }
        let mut elements = vec![first];
        while self.eat(TokenKind::Comma)
            && !self.at(TokenKind::CloseParen)
            && !self.at_list_end()
            && !self.panic
        {
            elements.push(self.expr());
        }
        self.close(open, TokenKind::CloseParen, "`,` or `)`");
        if elements.len() == 1 {
            return elements.remove(0).kind;
        }
        ExprKind::Tuple(elements)
    }

    fn array(&mut self) -> ExprKind {
        let open = self.bump().span;
        let mut elements = Vec::new();
        while !self.panic && !self.at(TokenKind::CloseBracket) && !self.at_list_end() {
            elements.push(self.expr());
            if elements.len() == 1 && self.at(TokenKind::Semicolon) && !self.panic {
                self.bump();
                let length = self.expr();
                self.close(open, TokenKind::CloseBracket, "`]`");
                return ExprKind::Repeat(Box::new(elements.remove(0)), Box::new(length));
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.close(open, TokenKind::CloseBracket, "`,` or `]`");
        ExprKind::Array(elements)
    }

    /// `if c { .. } else { .. }`
    fn if_expr(&mut self) -> Expr {
        let start = self.bump().span;
        let condition = self.condition();
        let then = self.block_before_else(true);
        let is_elif =
            self.at(TokenKind::Ident) && matches!(self.text(), "elif" | "elseif" | "elsif");
        let otherwise = if is_elif && !self.panic {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    format!("there is no `{}`", self.text()),
                )
                .help("write `else if`");
            self.report(diagnostic);
            Some(self.else_if())
        } else if self.eat(TokenKind::Else) {
            if self.at(TokenKind::If) {
                Some(self.else_if())
            } else {
                Some(self.block())
            }
        } else {
            None
        };
        Expr {
            kind: ExprKind::If(Box::new(condition), then, otherwise),
            span: self.span_from(start),
        }
    }

    /// The `if` after `else`, as a block of its own. At `if`, or at a word that stands for `else if`.
    fn else_if(&mut self) -> Block {
        if !self.enter() {
            return self.no_block();
        }
        let tail = self.if_expr();
        self.leave();
        let span = tail.span;
        Block {
            stmts: Vec::new(),
            tail: Some(Box::new(tail)),
            span,
        }
    }

    /// `if` or a block at the start of a statement: it ends the statement, unless a method follows.
    pub(super) fn block_like_statement(&mut self) -> Expr {
        if self.panic || !self.enter() {
            return self.error_expr();
        }
        let outside = std::mem::replace(&mut self.deepest, self.depth);
        let mut expr = self.primary();
        if self.at(TokenKind::Dot) && !self.panic {
            expr = self.postfix_of(expr);
            expr = self.operators(expr, 0);
        }
        self.deepest = self.deepest.max(outside);
        self.leave();
        expr
    }

    /// Says what is wrong with a token that starts no expression.
    fn not_an_expression(&mut self) {
        let word = self.text();
        let help = match self.kind() {
            TokenKind::Loop
            | TokenKind::While
            | TokenKind::For
            | TokenKind::Return
            | TokenKind::Break
            | TokenKind::Continue => {
                let diagnostic = self
                    .diagnostic(
                        Code::WrongPlace,
                        self.span(),
                        format!("`{word}` is a statement and gives no value"),
                    )
                    .help("write it as a statement of its own");
                self.fail(diagnostic);
                return;
            }
            TokenKind::Dot if self.peek(1).kind == TokenKind::Number && self.joined(0) => {
                let digits = self.text_of(self.peek(1).span);
                Some(format!("write `0.{digits}`"))
            }
            TokenKind::DotDot | TokenKind::DotDotEq => {
                Some("a range stands in `for i in a..b` or in an index `x[a..b]`".to_string())
            }
            TokenKind::Or | TokenKind::OrOr => {
                Some("there are no closures; write a `fn`".to_string())
            }
            TokenKind::Assign => Some("comparing is written `==`".to_string()),
            TokenKind::Colon | TokenKind::ColonColon => Some(
                "a slice is written `x[a..b]`, all of an axis `x[..]`; it takes each element"
                    .to_string(),
            ),
            TokenKind::Greater | TokenKind::Less => None,
            TokenKind::Let => {
                Some("`let` starts a statement; end the one before it with `;`".to_string())
            }
            kind if self.reported_words.contains(&kind) => {
                self.panic = true;
                return;
            }
            kind if kind.is_keyword() => Some(format!(
                "`{word}` is a word of the language and cannot name a value"
            )),
            _ => None,
        };
        self.unexpected_help("an expression", help);
    }
}
