//! Items: `ufunc`, `gufunc`, `fn`, `const`, `param`, `main`; their types.

use super::Parser;
use crate::ast::{
    Block, ConstItem, Expr, ExprKind, Extent, File, FunctionItem, FunctionKind, Ident, Item,
    ItemKind, OutputDecl, ParamDecl, TypeExpr, TypeExprKind,
};
use crate::diagnostic::Code;
use crate::lexer::TokenKind;
use crate::source::Span;
use kjit_ir::DType;

const ITEMS: &str = "a file holds `ufunc`, `gufunc`, `fn`, `const`, `param` and `main` items";

impl Parser<'_> {
    /// The whole file.
    pub(super) fn file(&mut self) -> File {
        let mut file = File::default();
        while !self.at(TokenKind::Eof) {
            if self.at(TokenKind::Semicolon) {
                self.bump();
                continue;
            }
            if let Some(item) = self.item() {
                file.items.push(item);
            }
            if self.panic {
                self.skip_to_item();
                self.panic = false;
            }
        }
        file
    }

    /// One item. None: it has been reported, and tokens may be left for [`Parser::skip_to_item`].
    pub(super) fn item(&mut self) -> Option<Item> {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Ufunc => self.function(FunctionKind::Ufunc)?,
            TokenKind::Gufunc => self.function(FunctionKind::Gufunc)?,
            TokenKind::Fn => {
                if self.peek(1).kind == TokenKind::Main {
                    self.fn_main()
                } else {
                    self.function(FunctionKind::Fn)?
                }
            }
            TokenKind::Const => ItemKind::Const(self.constant("const")),
            TokenKind::Param => ItemKind::Param(self.constant("param")),
            TokenKind::Main => {
                self.bump();
                ItemKind::Main(self.block())
            }
            TokenKind::Kernel => {
                let what = self.text();
                let diagnostic = self
                    .diagnostic(
                        Code::NotSupportedYet,
                        start,
                        format!("`{what}` items are reserved for a later version"),
                    )
                    .help("write a `ufunc`, which works on one element at a time");
                self.fail(diagnostic);
                self.bump();
                self.skip_reserved_item();
                return None;
            }
            _ => return self.not_an_item(),
        };
        Some(Item {
            kind,
            span: self.span_from(start),
        })
    }

    /// Skips what follows `kernel` up to the end of its body.
    fn skip_reserved_item(&mut self) {
        while !matches!(self.kind(), TokenKind::Eof | TokenKind::OpenBrace) && !self.at_item() {
            self.bump();
        }
        if self.at(TokenKind::OpenBrace) {
            self.skip_group();
        }
        self.panic = false;
    }

    /// Skips a balanced `{ .. }`.
    fn skip_group(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.bump().kind {
                TokenKind::OpenBrace => depth += 1,
                TokenKind::CloseBrace if depth <= 1 => return,
                TokenKind::CloseBrace => depth -= 1,
                TokenKind::Eof => return,
                _ => {}
            }
        }
    }

    /// Skips to the next item: an item keyword outside braces, or at the start of a line's first column.
    fn skip_to_item(&mut self) {
        let mut depth = 0usize;
        loop {
            let first_column = {
                let start = self.span().start as usize;
                start == 0 || self.source.text.as_bytes()[start - 1] == b'\n'
            };
            if self.at(TokenKind::Eof) || (self.at_item() && (depth == 0 || first_column)) {
                return;
            }
            match self.bump().kind {
                TokenKind::OpenBrace => depth += 1,
                TokenKind::CloseBrace => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// What stands where an item should.
    fn not_an_item(&mut self) -> Option<Item> {
        if self.at(TokenKind::CloseBrace) {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    "this `}` closes nothing",
                )
                .help("remove it, or look for a missing `{` above");
            self.fail(diagnostic);
            self.bump();
            return None;
        }
        let word = self.text();
        let next = self.peek(1).kind;
        if self.at(TokenKind::Ident)
            && matches!(word, "pub" | "unsafe" | "async" | "export" | "inline")
        {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    self.span(),
                    format!("there is no `{word}`"),
                )
                .help("leave it out: every item of a file can be seen and called");
            let skip = if next == TokenKind::OpenParen { 4 } else { 1 };
            let follows = self.peek(skip).kind;
            if matches!(
                follows,
                TokenKind::Ufunc
                    | TokenKind::Gufunc
                    | TokenKind::Fn
                    | TokenKind::Const
                    | TokenKind::Param
                    | TokenKind::Main
            ) {
                self.report(diagnostic);
                for _ in 0..skip {
                    self.bump();
                }
                return self.item();
            }
            self.fail(diagnostic);
            self.bump();
            return None;
        }
        let help = match self.kind() {
            TokenKind::Let => {
                "put it in `main { .. }`, or write `const NAME: f64 = 1.0;` or `param name = 1.0;`"
            }
            TokenKind::For
            | TokenKind::While
            | TokenKind::Loop
            | TokenKind::If
            | TokenKind::Return => "statements stand in `main { .. }` or in the body of a function",
            TokenKind::Ident => match word {
                "def" | "func" | "function" | "proc" | "void" | "float" | "double" | "int"
                | "extern" => {
                    "a function is written `fn name(x: f32) -> f32 { .. }`, an element-wise one `ufunc name(..)`"
                }
                "static" | "var" | "auto" | "final" => {
                    "write `const NAME: f64 = 1.0;` or `param name = 1.0;`"
                }
                "struct" | "enum" | "type" | "trait" | "impl" | "class" | "union" | "mod"
                | "namespace" => {
                    "there are no types, traits or modules of one's own; values are numbers and arrays"
                }
                "use" | "import" | "include" | "from" | "extern_crate" => {
                    "built-in functions need no import; a program is one file"
                }
                _ if matches!(
                    next,
                    TokenKind::OpenParen | TokenKind::Assign | TokenKind::Dot | TokenKind::Not
                ) =>
                {
                    "statements stand in `main { .. }`"
                }
                _ => ITEMS,
            },
            _ => ITEMS,
        };
        self.unexpected_help("an item", Some(help.to_string()));
        self.bump();
        None
    }

    /// `fn main() { .. }`: a habit from elsewhere.
    fn fn_main(&mut self) -> ItemKind {
        let span = self.span();
        self.bump();
        let diagnostic = self
            .diagnostic(
                Code::UnexpectedToken,
                span.to(self.span()),
                "the host program is no function",
            )
            .help("write `main { .. }`");
        self.report(diagnostic);
        self.bump();
        if self.at(TokenKind::OpenParen) {
            while !matches!(
                self.kind(),
                TokenKind::OpenBrace
                    | TokenKind::CloseBrace
                    | TokenKind::Semicolon
                    | TokenKind::Eof
            ) {
                self.bump();
            }
        }
        self.panic = true;
        let block = self.block();
        self.panic = false;
        ItemKind::Main(block)
    }

    /// A name being declared.
    pub(super) fn name(&mut self, what: &str) -> Ident {
        let span = self.span();
        if self.at(TokenKind::Ident) {
            self.bump();
            return Ident {
                name: self.text_of(span).to_string(),
                span,
            };
        }
        let help = self.kind().is_keyword().then(|| {
            format!(
                "`{}` is a word of the language; choose another name",
                self.text()
            )
        });
        if help.is_some() {
            self.reported_words.push(self.kind());
        }
        self.unexpected_help(what, help);
        Ident {
            name: String::new(),
            span,
        }
    }

    fn constant(&mut self, keyword: &str) -> ConstItem {
        self.bump();
        let name = self.name("a name");
        let ty = self.eat(TokenKind::Colon).then(|| self.type_expr());
        let value = if self.at(TokenKind::Assign) || self.panic {
            self.eat(TokenKind::Assign);
            self.expr()
        } else {
            let help = format!("write `{keyword} {} = 1.0;`", name.name);
            self.unexpected_help("`=` and a value", Some(help));
            Expr {
                kind: ExprKind::Error,
                span: self.span(),
            }
        };
        self.semicolon();
        ConstItem { name, ty, value }
    }

    fn function(&mut self, kind: FunctionKind) -> Option<ItemKind> {
        self.bump();
        let name = self.name("the name of the function");
        if name.name.is_empty() {
            return None;
        }
        let generics = self.generics();
        let params = self.params();
        let outputs = self.outputs(kind);
        let (identity, reorderable, fast) = self.attributes(kind);
        if !self.at(TokenKind::OpenBrace) && !self.panic {
            let help = if self.at_word("where") {
                "bounds stand with the type parameter, as in `<T: float>`"
            } else {
                "the body stands in braces"
            };
            self.unexpected_help("`{`", Some(help.to_string()));
        }
        let body = self.block();
        Some(ItemKind::Function(FunctionItem {
            kind,
            name,
            generics,
            params,
            outputs,
            identity,
            reorderable,
            fast,
            body,
        }))
    }

    fn generics(&mut self) -> Vec<(Ident, Ident)> {
        let mut generics = Vec::new();
        let open = self.span();
        if self.panic || !self.eat(TokenKind::Less) {
            return generics;
        }
        while !self.at(TokenKind::Greater) && !self.panic {
            let name = self.name("the name of a type parameter");
            if !self.panic && !self.at(TokenKind::Colon) {
                let message = format!("the type parameter {} has no class", name.name);
                let diagnostic = self
                    .diagnostic(Code::UnexpectedToken, name.span, message)
                    .help(format!(
                        "write `{}: float`; classes are `int`, `uint`, `float`, `complex`, `real`, `number` and `any`",
                        name.name
                    ));
                self.report(diagnostic);
                let any = Ident {
                    name: "any".to_string(),
                    span: name.span,
                };
                generics.push((name, any));
            } else if self.eat(TokenKind::Colon) {
                let class = self.name("a type class");
                generics.push((name, class));
                if self.at(TokenKind::Plus) && !self.panic {
                    let diagnostic = self
                        .diagnostic(Code::UnexpectedToken, self.span(), "a type parameter has one class")
                        .help("choose the widest that fits: `number` is every number, `any` every type");
                    self.fail(diagnostic);
                }
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if self.panic {
            // the list ends at its `>`: what follows can be read again
            while !matches!(
                self.kind(),
                TokenKind::Greater
                    | TokenKind::OpenParen
                    | TokenKind::OpenBrace
                    | TokenKind::CloseBrace
                    | TokenKind::Eof
            ) {
                self.bump();
            }
            if self.eat(TokenKind::Greater) {
                self.panic = false;
            }
        } else {
            self.close(open, TokenKind::Greater, "`,` or `>`");
        }
        generics
    }

    fn params(&mut self) -> Vec<ParamDecl> {
        let mut params = Vec::new();
        let open = self.span();
        if self.panic || !self.expect(TokenKind::OpenParen, "`(` and the parameters") {
            return params;
        }
        while !matches!(self.kind(), TokenKind::CloseParen | TokenKind::Eof) && !self.panic {
            if self.at(TokenKind::Mut) {
                let next = self.peek(1);
                let name = self.text_of(next.span);
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span(),
                        "a parameter cannot be `mut`",
                    )
                    .help(format!("copy it in the body: `let mut {name} = {name};`"));
                self.report(diagnostic);
                self.bump();
            }
            let c_type = self.at(TokenKind::Ident) && self.peek(1).kind == TokenKind::Ident;
            let name = self.name("the name of a parameter");
            if self.panic {
                break;
            }
            if self.at(TokenKind::Colon) {
                self.bump();
                let ty = self.type_expr();
                params.push(ParamDecl { name, ty });
            } else if c_type {
                let second = self.text();
                let help = if DType::from_name(second).is_some() {
                    format!("a `:` stands between them: `{}: {second}`", name.name)
                } else {
                    format!("the type comes after the name: `{second}: {}`", name.name)
                };
                self.unexpected_help("`:` and a type", Some(help));
            } else if matches!(self.kind(), TokenKind::Comma | TokenKind::CloseParen) {
                let message = format!("the parameter {} has no type", name.name);
                let diagnostic = self
                    .diagnostic(Code::UnexpectedToken, name.span, message)
                    .help(format!(
                        "write `{}: f32`, or `{}: T` with a type parameter",
                        name.name, name.name
                    ));
                self.report(diagnostic);
                let ty = TypeExpr {
                    kind: TypeExprKind::Error,
                    span: name.span,
                };
                params.push(ParamDecl { name, ty });
            } else {
                self.unexpected("`:` and a type");
            }
            if !self.panic && self.at(TokenKind::Assign) {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        self.span(),
                        "parameters have no default values",
                    )
                    .help("pass every argument where the function is called");
                self.fail(diagnostic);
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if self.panic {
            self.skip_list(TokenKind::CloseParen);
        } else {
            self.close(open, TokenKind::CloseParen, "`,` or `)`");
        }
        params
    }

    /// Skips what is left of a list; if its end is found, the mistake is over.
    fn skip_list(&mut self, close: TokenKind) {
        let mut open = 0usize;
        loop {
            match self.kind() {
                kind if kind == close && open == 0 => {
                    self.bump();
                    self.panic = false;
                    return;
                }
                TokenKind::Eof
                | TokenKind::OpenBrace
                | TokenKind::CloseBrace
                | TokenKind::Semicolon => return,
                TokenKind::OpenParen | TokenKind::OpenBracket => open += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket => open = open.saturating_sub(1),
                _ => {}
            }
            self.bump();
        }
    }

    fn outputs(&mut self, kind: FunctionKind) -> Vec<OutputDecl> {
        if self.panic {
            return Vec::new();
        }
        if !self.at(TokenKind::Arrow) {
            let help = match kind {
                FunctionKind::Gufunc => "write the outputs after `->`, as in `-> (y: [f64; n])`",
                _ => "write the type of the result after `->`, as in `-> f32`",
            };
            self.unexpected_help("`->` and the type of the result", Some(help.to_string()));
            // `: T` or `=> T` for `-> T`: the body can be read all the same
            while !matches!(
                self.kind(),
                TokenKind::OpenBrace
                    | TokenKind::CloseBrace
                    | TokenKind::Semicolon
                    | TokenKind::Eof
            ) && !self.at_item()
            {
                self.bump();
            }
            let span = self.span();
            let ty = TypeExpr {
                kind: TypeExprKind::Error,
                span,
            };
            return vec![OutputDecl { name: None, ty }];
        }
        self.bump();
        if !self.at(TokenKind::OpenParen) {
            return vec![OutputDecl {
                name: None,
                ty: self.type_expr(),
            }];
        }
        let open = self.bump().span;
        let mut outputs = Vec::new();
        while !matches!(self.kind(), TokenKind::CloseParen | TokenKind::Eof) && !self.panic {
            let named = self.at(TokenKind::Ident) && self.peek(1).kind == TokenKind::Colon;
            let name = named.then(|| {
                let name = self.name("a name");
                self.bump();
                name
            });
            outputs.push(OutputDecl {
                name,
                ty: self.type_expr(),
            });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if outputs.is_empty() && !self.panic {
            let diagnostic = self
                .diagnostic(
                    Code::UnexpectedToken,
                    open.to(self.span()),
                    "a function gives at least one result",
                )
                .help("write the type of the result, as in `-> f32`");
            self.report(diagnostic);
            let ty = TypeExpr {
                kind: TypeExprKind::Error,
                span: open,
            };
            outputs.push(OutputDecl { name: None, ty });
        }
        if self.panic {
            self.skip_list(TokenKind::CloseParen);
        } else {
            self.close(open, TokenKind::CloseParen, "`,` or `)`");
        }
        outputs
    }

    /// `identity e`, `reorderable` and `fast`, in any order.
    fn attributes(&mut self, kind: FunctionKind) -> (Option<Expr>, Option<Span>, Option<Span>) {
        let mut identity = None;
        let mut reorderable = None;
        let mut fast = None;
        while !self.panic {
            let span = self.span();
            let word = self.text();
            let twice = match self.kind() {
                TokenKind::Identity => {
                    self.bump();
                    let value = self.expr();
                    if kind != FunctionKind::Ufunc && !self.panic {
                        let diagnostic = self
                            .diagnostic(Code::WrongPlace, span, "only a `ufunc` has an identity")
                            .help("remove it, or make the function a `ufunc`");
                        self.report(diagnostic);
                        continue;
                    }
                    identity.replace(value).is_some()
                }
                TokenKind::Fast => {
                    self.bump();
                    fast.replace(span).is_some()
                }
                TokenKind::Ident if word == "reorderable" => {
                    self.bump();
                    if kind != FunctionKind::Ufunc {
                        let diagnostic = self
                            .diagnostic(Code::WrongPlace, span, "only a `ufunc` is reorderable")
                            .help("remove it, or make the function a `ufunc`");
                        self.report(diagnostic);
                        continue;
                    }
                    reorderable.replace(span).is_some()
                }
                _ => break,
            };
            if twice {
                let diagnostic = self
                    .diagnostic(
                        Code::UnexpectedToken,
                        span,
                        format!("`{word}` is given twice"),
                    )
                    .help("remove one of them");
                self.report(diagnostic);
            }
        }
        (identity, reorderable, fast)
    }

    /// A type.
    pub(super) fn type_expr(&mut self) -> TypeExpr {
        let start = self.span();
        if self.panic || !self.enter() {
            return TypeExpr {
                kind: TypeExprKind::Error,
                span: start,
            };
        }
        let kind = match self.kind() {
            TokenKind::Ident => self.named_type(),
            TokenKind::OpenBracket => self.array_type(),
            TokenKind::And => {
                let diagnostic = self
                    .diagnostic(Code::UnexpectedToken, start, "there are no references")
                    .help("a function takes and gives values: write the type without `&`");
                self.report(diagnostic);
                self.bump();
                self.eat(TokenKind::Mut);
                let _ = self.type_expr();
                TypeExprKind::Error
            }
            _ => {
                self.unexpected_help("a type", Some("types are `bool`, `i8` to `i64`, `u8` to `u64`, `f16`, `f32`, `f64`, `c64`, `c128` and type parameters".to_string()));
                TypeExprKind::Error
            }
        };
        self.leave();
        TypeExpr {
            kind,
            span: self.span_from(start),
        }
    }

    fn named_type(&mut self) -> TypeExprKind {
        let span = self.bump().span;
        let name = self.text_of(span);
        if matches!(self.kind(), TokenKind::Less | TokenKind::ColonColon)
            && !self.at_comparison_after_cast()
        {
            let diagnostic = self
                .diagnostic(Code::UnexpectedToken, self.span(), format!("the type {name} takes no arguments"))
                .help("a local array is written `[f32; 4]`; arrays come in element by element, as in `x: f32`");
            self.fail(diagnostic);
            return TypeExprKind::Error;
        }
        TypeExprKind::Name(name.to_string())
    }

    /// `x as f32 < y` compares; `Vec<f32>` does not.
    fn at_comparison_after_cast(&self) -> bool {
        self.at(TokenKind::Less) && {
            let span = self.previous_end();
            let name = self.text_of(span);
            DType::from_name(name).is_some() || name.len() == 1
        }
    }

    fn array_type(&mut self) -> TypeExprKind {
        let open = self.bump().span;
        let element = self.type_expr();
        if !self.panic && self.at(TokenKind::CloseBracket) {
            let diagnostic = self
                .diagnostic(Code::UnexpectedToken, open.to(self.span()), "an array type needs a length")
                .help("write `[f32; 4]`; for whole arrays, name the element type: a `ufunc` is applied to each");
            self.report(diagnostic);
            self.bump();
            return TypeExprKind::Error;
        }
        if self.panic || !self.expect(TokenKind::Semicolon, "`;` and the length of the array") {
            return TypeExprKind::Error;
        }
        let mut extents = vec![self.extent()];
        while !self.panic && self.eat(TokenKind::Comma) {
            if self.at(TokenKind::CloseBracket) {
                break;
            }
            extents.push(self.extent());
        }
        self.close(open, TokenKind::CloseBracket, "`,` or `]`");
        TypeExprKind::Array(Box::new(element), extents)
    }

    /// `n`, `4`, `n + 1`, `n?`
    fn extent(&mut self) -> Extent {
        let size = self.extent_expr();
        let mark = self.span();
        let optional = (!self.panic && self.eat(TokenKind::Question)).then_some(mark);
        Extent { size, optional }
    }

    /// An empty block, after a mistake.
    pub(super) fn no_block(&self) -> Block {
        Block {
            span: self.span(),
            ..Block::default()
        }
    }
}
