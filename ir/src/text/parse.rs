//! Parses IR text.

use super::MAX_DEPTH;
use super::lex::{Token, lex};
use crate::opcode::Rule;
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, Block, DType, DimParam, DimRef, Form, FuncRef,
    Function, Imm, Inst, Loc, LocalArray, LocalRef, LoopDim, Module, Opcode, Part, Role, Scalar,
    Trap, TrapKind, TrapRef, Type, Value,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::fmt;

/// Why a text is not IR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for TextError {}

/// Parses a module; the grammar is in the [module documentation](super).
pub fn parse_module(text: &str) -> Result<Module> {
    let tokens = lex(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        func: Function::new(""),
        values: FxHashMap::default(),
        depth: 0,
    };
    let mut module = Module::default();
    while *parser.peek() != Token::End {
        module.push(parser.function()?);
    }
    Ok(module)
}

/// A result before `=`: its number and, where the text gives one, its type.
type Named = (u32, Option<Type>);

type Result<T> = std::result::Result<T, TextError>;

struct Parser<'a> {
    tokens: &'a [(Token<'a>, u32)],
    at: usize,
    func: Function,
    /// Values of the text, by their number there.
    values: FxHashMap<u32, Value>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn function(&mut self) -> Result<Function> {
        self.func = Function::new("");
        self.values.clear();
        if self.eat_word("vector") {
            self.func.form = Form::Vector;
        }
        let kernel = match self.word("`function` or `kernel`")? {
            "function" => false,
            "kernel" => true,
            other => return self.error(format!("expected `function` or `kernel`, not `{other}`")),
        };
        self.func.name = match self.next() {
            Token::Word(name) => name.to_string(),
            Token::Str(name) => name,
            token => return self.expected("a function's name", &token),
        };
        let entry = self.func.entry;
        if self.eat('(') {
            self.list(')', |p| {
                let number = p.entity("v", "a parameter")?;
                p.punct(':')?;
                let ty = p.ty()?;
                let value = p.func.new_param(entry, ty);
                p.define(number, value)
            })?;
        }
        self.func.results = self.types()?;
        self.func.fast = self.eat_word("fast");
        self.punct('{')?;
        self.declarations()?;
        if kernel != self.func.is_kernel() {
            return self.error(if kernel {
                "a kernel has at least one array".into()
            } else {
                "a function with arrays is a `kernel`".into()
            });
        }
        self.rest_of_block(entry)?;
        Ok(std::mem::replace(&mut self.func, Function::new("")))
    }

    fn declarations(&mut self) -> Result<()> {
        loop {
            if self.eat_word("dim") {
                let n = self.func.dims.len();
                self.declared("d", "a dimension", n)?;
                let name = self.string()?;
                self.func.dims.push(DimParam { name });
            } else if self.eat_word("promoted") {
                self.integer::<u32>("the number of the loop")?;
                let constant = self.integer("the constant of the extent")?;
                let mut looping = LoopDim {
                    dims: SmallVec::new(),
                    constant,
                };
                while let Some(dim) = self.eat_dim()? {
                    self.punct('*')?;
                    looping.dims.push((dim, self.integer("a coefficient")?));
                }
                self.func.loops.push(looping);
            } else if self.eat_word("array") {
                let n = self.func.arrays.len();
                self.declared("a", "an array", n)?;
                let mode = self.choice("array mode", |name| {
                    let all = [ArrayMode::In, ArrayMode::Out, ArrayMode::InOut];
                    let mut all = all.into_iter().chain([ArrayMode::Index]);
                    all.find(|m| m.name() == name)
                })?;
                let dtype = self.dtype()?;
                let access = self.choice("access class", |name| {
                    let all = [Access::Strided, Access::Contiguous, Access::Uniform];
                    all.into_iter().find(|a| a.name() == name)
                })?;
                let name = self.string()?;
                let mut array = ArrayParam::new(name, dtype, mode, access);
                self.array_details(&mut array)?;
                self.func.arrays.push(array);
            } else if self.eat_word("local") {
                let n = self.func.locals.len();
                self.declared("l", "a local array", n)?;
                self.punct('[')?;
                let dtype = self.dtype()?;
                self.punct(';')?;
                let len = self.integer("the number of elements")?;
                self.punct(']')?;
                let name = self.string()?;
                self.func.locals.push(LocalArray { name, dtype, len });
            } else if self.eat_word("trap") {
                let n = self.func.traps.len();
                self.declared("trap", "a trap", n)?;
                let kind = match self.word("a trap kind")? {
                    "index_out_of_bounds" => TrapKind::IndexOutOfBounds {
                        array: self.string()?,
                        len: self.integer("the array's extent")?,
                    },
                    "core_index_out_of_bounds" => TrapKind::CoreIndexOutOfBounds {
                        array: self.string()?,
                        axis: self.integer("the axis")?,
                        dim: match self.eat_dim()? {
                            Some(dim) => dim,
                            None => return self.error("expected a dimension".into()),
                        },
                    },
                    "loop_limit" => TrapKind::LoopLimit,
                    other => return self.error(format!("there is no trap kind `{other}`")),
                };
                let loc = self.place();
                self.func.traps.push(Trap { kind, loc });
            } else {
                return Ok(());
            }
        }
    }

    /// `iota 0 re core (d0) along 0 1 * 2`: what stands behind the name of an array.
    fn array_details(&mut self, array: &mut ArrayParam) -> Result<()> {
        loop {
            if self.eat_word("where") {
                array.role = Role::Where;
            } else if self.eat_word("fpe") {
                array.role = Role::Fpe;
            } else if self.eat_word("iota") {
                array.role = Role::Iota(self.integer("the number of a loop")?);
            } else if self.eat_word("old") {
                array.role = Role::Old(ArrayRef(self.entity("a", "an array")?));
            } else if self.eat_word("alias") {
                array.role = Role::Alias(ArrayRef(self.entity("a", "an array")?));
            } else if self.eat_word("written") {
                array.role = Role::Written(ArrayRef(self.entity("a", "an array")?));
            } else if self.eat_word("re") {
                array.part = Part::Re;
            } else if self.eat_word("im") {
                array.part = Part::Im;
            } else if self.eat_word("core") {
                self.punct('(')?;
                let mut core = SmallVec::new();
                self.list(')', |p| match p.eat_dim()? {
                    Some(dim) => {
                        core.push(dim);
                        Ok(())
                    }
                    None => p.error("expected a dimension".into()),
                })?;
                array.core = core;
            } else if self.eat_word("along") {
                let number: usize = self.integer("the number of a loop")?;
                let axis: u32 = self.integer("a core axis")?;
                self.punct('*')?;
                let coefficient = self.integer("a coefficient")?;
                if number >= self.func.loops.len() {
                    return self.error(format!("there is no promoted loop {number}"));
                }
                if array.along.len() <= number {
                    array.along.resize(number + 1, SmallVec::new());
                }
                array.along[number].push((axis, coefficient));
            } else {
                return Ok(());
            }
        }
    }

    /// A declared dimension, if one comes.
    fn eat_dim(&mut self) -> Result<Option<DimRef>> {
        let Token::Word(word) = self.peek() else {
            return Ok(None);
        };
        if entity_number(word, "d").is_none() {
            return Ok(None);
        }
        let number = self.entity("d", "a dimension")?;
        let number = self.known(number, "d", self.func.dims.len())?;
        Ok(Some(DimRef(number)))
    }

    /// The entity of a declaration, which must be the next of its kind.
    fn declared(&mut self, prefix: &str, what: &str, next: usize) -> Result<()> {
        let number = self.entity(prefix, what)?;
        if number as usize != next {
            return self.error(format!(
                "{what} declared here must be `{prefix}{next}`, not `{prefix}{number}`"
            ));
        }
        Ok(())
    }

    /// `{ .. }`
    fn block(&mut self, block: Block) -> Result<()> {
        self.punct('{')?;
        self.rest_of_block(block)
    }

    fn rest_of_block(&mut self, block: Block) -> Result<()> {
        if self.depth >= MAX_DEPTH {
            return self.error(format!("blocks nest deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        while !self.eat('}') {
            let inst = self.inst()?;
            self.func.block_mut(block).insts.push(inst);
        }
        self.depth -= 1;
        Ok(())
    }

    fn inst(&mut self) -> Result<Inst> {
        let mut results = Vec::new();
        if let Token::Word(word) = self.peek()
            && entity_number(word, "v").is_some()
        {
            loop {
                let number = self.entity("v", "a result")?;
                let ty = if self.eat(':') {
                    Some(self.ty()?)
                } else {
                    None
                };
                results.push((number, ty));
                if !self.eat(',') {
                    break;
                }
            }
            self.punct('=')?;
        }
        let inst = self.func.insts.len();
        let name = self.word("an instruction")?;
        let Some(op) = Opcode::from_name(name) else {
            return self.error(format!("there is no operation `{name}`"));
        };
        let values = match op {
            Opcode::If => self.if_(&results)?,
            Opcode::Loop => self.loop_(&results)?,
            _ => self.simple(op, &results)?,
        };
        // Only now: an instruction's own blocks do not see its results.
        for (result, value) in results.iter().zip(&values) {
            self.define(result.0, *value)?;
        }
        let inst = Inst::new(inst);
        let loc = self.place();
        self.func.inst_mut(inst).loc = loc;
        Ok(inst)
    }

    fn if_(&mut self, results: &[Named]) -> Result<Vec<Value>> {
        let condition = self.value()?;
        let types = self.types()?;
        let arms = [self.func.new_block(), self.func.new_block()];
        let values = self.new_inst(Opcode::If, &[condition], Imm::None, &arms, results, &types)?;
        self.block(arms[0])?;
        if !self.eat_word("else") {
            let token = self.peek().clone();
            return self.expected("`else`", &token);
        }
        self.block(arms[1])?;
        Ok(values)
    }

    fn loop_(&mut self, results: &[Named]) -> Result<Vec<Value>> {
        let mut initial = Vec::new();
        let mut params = Vec::new();
        self.punct('(')?;
        self.list(')', |p| {
            let number = p.entity("v", "a carried value")?;
            p.punct(':')?;
            let ty = p.ty()?;
            p.punct('=')?;
            // Not defined yet: an initial value is not one of this loop's own.
            initial.push(p.value()?);
            params.push((number, ty));
            Ok(())
        })?;
        let types = self.types()?;
        let body = self.func.new_block();
        let values = self.new_inst(Opcode::Loop, &initial, Imm::None, &[body], results, &types)?;
        for (number, ty) in params {
            let value = self.func.new_param(body, ty);
            self.define(number, value)?;
        }
        self.block(body)?;
        Ok(values)
    }

    /// Any operation without blocks.
    fn simple(&mut self, op: Opcode, results: &[Named]) -> Result<Vec<Value>> {
        let imm = match op {
            Opcode::Const => {
                let dtype = self.dtype()?;
                Imm::Const(self.scalar(dtype)?)
            }
            Opcode::Cast | Opcode::Bitcast => Imm::DType(self.dtype()?),
            Opcode::Dim => {
                let number = self.entity("d", "a dimension")?;
                Imm::Dim(DimRef(self.known(number, "d", self.func.dims.len())?))
            }
            Opcode::Index | Opcode::Load | Opcode::Store | Opcode::CoreLoad | Opcode::CoreStore => {
                let number = self.entity("a", "an array")?;
                Imm::Array(ArrayRef(self.known(number, "a", self.func.arrays.len())?))
            }
            Opcode::LocalLoad | Opcode::LocalStore => {
                let number = self.entity("l", "a local array")?;
                Imm::Local(LocalRef(self.known(number, "l", self.func.locals.len())?))
            }
            Opcode::Guard => {
                let number = self.entity("trap", "a trap")?;
                Imm::Trap(TrapRef(self.known(
                    number,
                    "trap",
                    self.func.traps.len(),
                )?))
            }
            Opcode::Call => Imm::Func(FuncRef(self.entity("fn", "a function")?)),
            _ => Imm::None,
        };
        let comma_first = matches!(
            imm,
            Imm::Array(_) | Imm::Dim(_) | Imm::Local(_) | Imm::Trap(_) | Imm::Func(_)
        );
        let mut args: SmallVec<[Value; 3]> = SmallVec::new();
        let more = match comma_first {
            true => self.eat(','),
            // Without a comma to announce them, arguments stand on the operation's own line.
            false => {
                self.tokens[self.at].1 == self.line()
                    && matches!(self.peek(), Token::Word(w) if entity_number(w, "v").is_some())
            }
        };
        if more {
            args.push(self.value()?);
            while self.eat(',') {
                args.push(self.value()?);
            }
        }
        let types = match op {
            Opcode::Call => self.types()?,
            _ => self.result_type(op, imm, &args).into_iter().collect(),
        };
        self.new_inst(op, &args, imm, &[], results, &types)
    }

    /// The type of an operation's result; the likeliest one if it is ill typed, which is for the
    /// verifier to say.
    fn result_type(&self, op: Opcode, imm: Imm, args: &[Value]) -> Option<Type> {
        let in_form = |dtype| Type {
            dtype,
            varying: self.func.form == Form::Vector,
        };
        let types: SmallVec<[Type; 3]> = args.iter().map(|v| self.func.ty(*v)).collect();
        let first = types.first().copied().unwrap_or(Type::BOOL);
        let to = match imm {
            Imm::DType(dtype) => Some(dtype),
            _ => None,
        };
        match (op, imm) {
            (Opcode::Const, Imm::Const(scalar)) => Some(scalar.dtype().into()),
            (Opcode::Load, Imm::Array(array)) => {
                let array = &self.func.arrays[array.index()];
                Some(match array.access {
                    Access::Uniform => array.dtype.into(),
                    _ => in_form(array.dtype),
                })
            }
            (Opcode::Dim, _) => Some(DType::I64.into()),
            (Opcode::CoreLoad, Imm::Array(array)) => {
                let array = &self.func.arrays[array.index()];
                let varying = self.func.form == Form::Vector
                    && (array.access != Access::Uniform || types.iter().any(|t| t.varying));
                Some(Type {
                    dtype: array.dtype,
                    varying,
                })
            }
            (Opcode::Complex | Opcode::Re | Opcode::Im, _) => {
                Some(op.result_type(&types, None).unwrap_or(first))
            }
            (Opcode::Index, Imm::Array(array)) => {
                Some(in_form(self.func.arrays[array.index()].dtype))
            }
            (Opcode::LocalLoad, Imm::Local(local)) => {
                Some(in_form(self.func.locals[local.index()].dtype))
            }
            (Opcode::Splat, _) => Some(Type::varying(first.dtype)),
            (Opcode::AnyTrue, _) => Some(Type::BOOL),
            (Opcode::First, _) => Some(DType::I32.into()),
            (Opcode::Extract, _) => Some(first.dtype.into()),
            (Opcode::Insert, _) => Some(Type::varying(first.dtype)),
            _ => match op.rule() {
                Rule::Special => None,
                rule => Some(
                    op.result_type(&types, to)
                        .unwrap_or_else(|_| match (rule, to) {
                            (Rule::Compare, _) => first.with_dtype(DType::Bool),
                            (Rule::Select, _) => types.last().copied().unwrap_or(first),
                            (Rule::Convert, Some(to)) => first.with_dtype(to),
                            _ => first,
                        }),
                ),
            },
        }
    }

    /// Makes an instruction and its results, which have these types unless the text says others.
    fn new_inst(
        &mut self,
        op: Opcode,
        args: &[Value],
        imm: Imm,
        blocks: &[Block],
        results: &[Named],
        types: &[Type],
    ) -> Result<Vec<Value>> {
        let (given, expected) = (results.len(), types.len());
        if given != expected {
            return self.error(format!("`{op}` has {expected} results here, not {given}"));
        }
        let types: Vec<Type> = results
            .iter()
            .zip(types)
            .map(|((_, given), ty)| given.unwrap_or(*ty))
            .collect();
        let inst = self
            .func
            .new_inst(op, args, imm, blocks, &types, Loc::default());
        Ok(self.func.inst(inst).results.to_vec())
    }

    fn define(&mut self, number: u32, value: Value) -> Result<()> {
        match self.values.insert(number, value) {
            None => Ok(()),
            Some(_) => self.error(format!("`v{number}` is defined twice")),
        }
    }

    fn value(&mut self) -> Result<Value> {
        let number = self.entity("v", "a value")?;
        match self.values.get(&number) {
            Some(value) => Ok(*value),
            None => self.error(format!("`v{number}` is not defined before its use")),
        }
    }

    fn known(&self, number: u32, prefix: &str, len: usize) -> Result<u32> {
        if (number as usize) < len {
            Ok(number)
        } else {
            self.error(format!("`{prefix}{number}` is not declared"))
        }
    }

    fn types(&mut self) -> Result<Vec<Type>> {
        let mut types = Vec::new();
        if *self.peek() == Token::Arrow {
            self.next();
            if self.eat('(') {
                self.list(')', |p| {
                    types.push(p.ty()?);
                    Ok(())
                })?;
            } else {
                types.push(self.ty()?);
            }
        }
        Ok(types)
    }

    fn ty(&mut self) -> Result<Type> {
        let dtype = self.dtype()?;
        let varying = self.eat('*');
        Ok(Type { dtype, varying })
    }

    fn dtype(&mut self) -> Result<DType> {
        self.choice("dtype", DType::from_name)
    }

    /// One of a fixed set of words.
    fn choice<T>(&mut self, what: &str, find: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let word = self.word(what)?;
        match find(word) {
            Some(found) => Ok(found),
            None => self.error(format!("there is no {what} `{word}`")),
        }
    }

    fn scalar(&mut self, dtype: DType) -> Result<Scalar> {
        if let Some(part) = dtype.part() {
            self.punct('(')?;
            let re = self.scalar(part)?;
            self.punct(',')?;
            let im = self.scalar(part)?;
            self.punct(')')?;
            return match Scalar::complex(re, im) {
                Some(scalar) => Ok(scalar),
                None => self.error(format!("parts of {dtype} are {part}")),
            };
        }
        let (text, number) = match self.next() {
            Token::Word(word) => (word, false),
            Token::Number(number) => (number, true),
            token => return self.expected("a constant", &token),
        };
        let bits = text
            .strip_prefix("0x")
            .filter(|digits| !digits.starts_with('+'));
        let scalar = match (dtype, bits) {
            (_, Some(digits)) => u128::from_str_radix(digits, 16)
                .ok()
                .map(|bits| Scalar::from_bits(dtype, bits))
                .filter(|s| u128::from_str_radix(digits, 16) == Ok(s.bits())),
            (DType::Bool, None) => text.parse().ok().map(Scalar::bool),
            // Words such as `inf` and `nan` are not constants: their bits are.
            _ if !number => None,
            (DType::F16, None) => text.parse().ok().map(Scalar::f16),
            (DType::F32, None) => text.parse().ok().map(Scalar::f32),
            (DType::F64, None) => text.parse().ok().map(Scalar::f64),
            _ if dtype.is_int() => text
                .parse()
                .ok()
                .map(|int| Scalar::int(dtype, int))
                .filter(|s| text.parse() == Ok(s.as_int())),
            _ => None,
        };
        match scalar {
            Some(scalar) => Ok(scalar),
            None => self.error(format!("`{text}` is not a constant of type {dtype}")),
        }
    }

    fn integer<T: std::str::FromStr>(&mut self, what: &str) -> Result<T> {
        match self.next() {
            Token::Number(text) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => self.error(format!("`{text}` cannot be {what}")),
            },
            token => self.expected(what, &token),
        }
    }

    fn string(&mut self) -> Result<String> {
        match self.next() {
            Token::Str(string) => Ok(string),
            token => self.expected("a name in quotes", &token),
        }
    }

    fn place(&mut self) -> Loc {
        match *self.peek() {
            Token::Place(loc) => {
                self.next();
                loc
            }
            _ => Loc::default(),
        }
    }

    /// The number of an entity such as `v3`.
    fn entity(&mut self, prefix: &str, what: &str) -> Result<u32> {
        let token = self.next();
        let number = match token {
            Token::Word(word) => entity_number(word, prefix),
            _ => None,
        };
        match number {
            Some(number) => Ok(number),
            None => self.expected(&format!("{what} (`{prefix}0`)"), &token),
        }
    }

    /// Items separated by commas, up to `close`.
    fn list(&mut self, close: char, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(close) {
                return Ok(());
            }
            self.punct(',')?;
        }
    }

    fn word(&mut self, what: &str) -> Result<&'a str> {
        match self.next() {
            Token::Word(word) => Ok(word),
            token => self.expected(what, &token),
        }
    }

    fn punct(&mut self, c: char) -> Result<()> {
        if self.eat(c) {
            return Ok(());
        }
        let token = self.next();
        self.expected(&format!("`{c}`"), &token)
    }

    fn eat(&mut self, c: char) -> bool {
        let there = *self.peek() == Token::Punct(c);
        if there {
            self.at += 1;
        }
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = *self.peek() == Token::Word(word);
        if there {
            self.at += 1;
        }
        there
    }

    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at].0
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    /// The line of the token just taken.
    fn line(&self) -> u32 {
        self.tokens[self.at.saturating_sub(1)].1
    }

    fn error<T>(&self, message: String) -> Result<T> {
        let line = self.line();
        Err(TextError { line, message })
    }

    fn expected<T>(&self, what: &str, found: &Token<'_>) -> Result<T> {
        let found = match found {
            Token::Word(text) | Token::Number(text) => format!("`{text}`"),
            Token::Str(_) => "a string".into(),
            Token::Place(_) => "a source place".into(),
            Token::Arrow => "`->`".into(),
            Token::Punct(c) => format!("`{c}`"),
            Token::End => "the end of the text".into(),
        };
        self.error(format!("expected {what}, not {found}"))
    }
}

fn entity_number(word: &str, prefix: &str) -> Option<u32> {
    let digits = word.strip_prefix(prefix)?;
    // No sign, no leading zeros: each entity has one spelling.
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    (plain && (digits.len() == 1 || !digits.starts_with('0')))
        .then(|| digits.parse().ok())
        .flatten()
}
