//! Prints functions and modules as text.

use super::MAX_DEPTH;
use crate::{
    Block, Form, Function, Imm, Inst, InstData, Loc, Module, Opcode, Part, Role, TrapKind, Type,
    Value,
};
use std::fmt::{self, Write};

/// The text of a function.
pub fn print_function(func: &Function) -> String {
    let mut printer = Printer::new(func, Some(vec![None; func.values.len()]), None);
    printer.function();
    printer.out
}

/// The text of a module: its functions, an empty line between them.
pub fn print_module(module: &Module) -> String {
    let texts: Vec<String> = module.functions.iter().map(print_function).collect();
    texts.join("\n")
}

/// The text of a function with the value numbers it has in memory, calling `note` after each
/// instruction for the lines to put below it. Works on malformed functions too.
pub(crate) fn print_annotated(
    func: &Function,
    note: &mut dyn FnMut(Inst) -> Vec<String>,
) -> String {
    let mut printer = Printer::new(func, None, Some(note));
    printer.function();
    printer.out
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print_function(self))
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print_module(self))
    }
}

type Note<'a> = &'a mut dyn FnMut(Inst) -> Vec<String>;

struct Printer<'a> {
    func: &'a Function,
    /// Numbers given so far, when renumbering.
    numbers: Option<Vec<Option<usize>>>,
    next: usize,
    note: Option<Note<'a>>,
    /// Blocks printed already.
    seen: Vec<bool>,
    depth: usize,
    out: String,
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($printer:expr, $($arg:tt)*) => { let _ = write!($printer.out, $($arg)*); };
}

impl<'a> Printer<'a> {
    fn new(
        func: &'a Function,
        numbers: Option<Vec<Option<usize>>>,
        note: Option<Note<'a>>,
    ) -> Printer<'a> {
        Printer {
            func,
            numbers,
            next: 0,
            note,
            seen: vec![false; func.blocks.len()],
            depth: 0,
            out: String::new(),
        }
    }

    fn function(&mut self) {
        let func = self.func;
        if func.form == Form::Vector {
            put!(self, "vector ");
        }
        let word = if func.is_kernel() {
            "kernel"
        } else {
            "function"
        };
        put!(self, "{word} ");
        self.name(&func.name);
        let params = match func.blocks.get(func.entry.index()) {
            Some(entry) => entry.params.as_slice(),
            None => &[],
        };
        if !func.is_kernel() || !params.is_empty() {
            put!(self, "(");
            for (n, param) in params.iter().enumerate() {
                self.comma(n);
                self.value(*param);
                put!(self, ": ");
                self.value_type(*param);
            }
            put!(self, ")");
        }
        if let [ty] = func.results.as_slice() {
            put!(self, " -> {ty}");
        } else {
            self.types(func.results.iter().copied().map(Some));
        }
        if func.fast {
            put!(self, " fast");
        }
        put!(self, " {{\n");
        self.declarations();
        self.block(func.entry);
        put!(self, "}}\n");
    }

    fn declarations(&mut self) {
        for (n, dim) in self.func.dims.iter().enumerate() {
            put!(self, "    dim d{n} ");
            self.string(&dim.name);
            put!(self, "\n");
        }
        for (n, looping) in self.func.loops.iter().enumerate() {
            put!(self, "    promoted {n} {}", looping.constant);
            for (dim, coefficient) in &looping.dims {
                put!(self, " {dim} * {coefficient}");
            }
            put!(self, "\n");
        }
        for (n, array) in self.func.arrays.iter().enumerate() {
            let (mode, access) = (array.mode.name(), array.access.name());
            put!(self, "    array a{n} {mode} {} {access} ", array.dtype);
            self.string(&array.name);
            match array.role {
                Role::Argument => {}
                Role::Where => {
                    put!(self, " where");
                }
                Role::Old(of) => {
                    put!(self, " old {of}");
                }
                Role::Iota(of) => {
                    put!(self, " iota {of}");
                }
                Role::Alias(of) => {
                    put!(self, " alias {of}");
                }
                Role::Written(of) => {
                    put!(self, " written {of}");
                }
                Role::Fpe => {
                    put!(self, " fpe");
                }
            }
            match array.part {
                Part::Whole => {}
                Part::Re => {
                    put!(self, " re");
                }
                Part::Im => {
                    put!(self, " im");
                }
            }
            if !array.core.is_empty() {
                put!(self, " core (");
                for (n, dim) in array.core.iter().enumerate() {
                    self.comma(n);
                    put!(self, "{dim}");
                }
                put!(self, ")");
            }
            for (n, steps) in array.along.iter().enumerate() {
                for (axis, coefficient) in steps {
                    put!(self, " along {n} {axis} * {coefficient}");
                }
            }
            put!(self, "\n");
        }
        for (n, local) in self.func.locals.iter().enumerate() {
            put!(self, "    local l{n} [{}; {}] ", local.dtype, local.len);
            self.string(&local.name);
            put!(self, "\n");
        }
        for (n, trap) in self.func.traps.iter().enumerate() {
            put!(self, "    trap trap{n} ");
            match &trap.kind {
                TrapKind::IndexOutOfBounds { array, len } => {
                    put!(self, "index_out_of_bounds ");
                    self.string(array);
                    put!(self, " {len}");
                }
                TrapKind::CoreIndexOutOfBounds { array, axis, dim } => {
                    put!(self, "core_index_out_of_bounds ");
                    self.string(array);
                    put!(self, " {axis} {dim}");
                }
                TrapKind::LoopLimit => {
                    put!(self, "loop_limit");
                }
            }
            self.place(trap.loc);
            put!(self, "\n");
        }
    }

    fn block(&mut self, block: Block) {
        // Only in malformed functions is a block owned twice (by itself, say), or so deep.
        let seen = self.seen.get_mut(block.index());
        let again = seen.is_some_and(|seen| std::mem::replace(seen, true));
        if again || self.depth >= MAX_DEPTH {
            self.indent(1);
            put!(self, "...\n");
            return;
        }
        self.depth += 1;
        match self.func.blocks.get(block.index()) {
            Some(data) => {
                for inst in &data.insts {
                    self.inst(*inst);
                }
            }
            None => {
                self.indent(0);
                put!(self, "? {block}\n");
            }
        }
        self.depth -= 1;
    }

    fn inst(&mut self, inst: Inst) {
        self.indent(0);
        let func = self.func;
        match func.insts.get(inst.index()) {
            Some(data) => {
                self.operation(data);
                self.place(data.loc);
            }
            None => {
                put!(self, "? {inst}");
            }
        }
        put!(self, "\n");
        let notes = match &mut self.note {
            Some(note) => note(inst),
            None => Vec::new(),
        };
        for line in notes {
            self.indent(0);
            put!(self, "// ^ {line}\n");
        }
    }

    fn operation(&mut self, data: &InstData) {
        for (n, result) in data.results.iter().enumerate() {
            self.comma(n);
            self.value(*result);
        }
        if !data.results.is_empty() {
            put!(self, " = ");
        }
        put!(self, "{}", data.op);
        match data.op {
            Opcode::If => {
                for (n, arg) in data.args.iter().enumerate() {
                    put!(self, "{}", if n == 0 { " " } else { ", " });
                    self.value(*arg);
                }
                self.result_types(data);
                for (n, block) in data.blocks.iter().enumerate() {
                    put!(self, "{}", if n == 0 { " {\n" } else { " else {\n" });
                    self.block(*block);
                    self.indent(0);
                    put!(self, "}}");
                }
            }
            Opcode::Loop => {
                put!(self, " (");
                self.carried(data);
                put!(self, ")");
                self.result_types(data);
                for block in &data.blocks {
                    put!(self, " {{\n");
                    self.block(*block);
                    self.indent(0);
                    put!(self, "}}");
                }
            }
            _ => {
                // An entity among the operands is separated from the arguments by a comma, a dtype is not.
                let before_first = match data.imm {
                    Imm::None => " ",
                    Imm::Const(scalar) => {
                        put!(self, " {} {scalar}", scalar.dtype());
                        " "
                    }
                    Imm::DType(dtype) => {
                        put!(self, " {dtype}");
                        " "
                    }
                    Imm::Array(array) => {
                        put!(self, " {array}");
                        ", "
                    }
                    Imm::Dim(dim) => {
                        put!(self, " {dim}");
                        ", "
                    }
                    Imm::Local(local) => {
                        put!(self, " {local}");
                        ", "
                    }
                    Imm::Trap(trap) => {
                        put!(self, " {trap}");
                        ", "
                    }
                    Imm::Func(func) => {
                        put!(self, " {func}");
                        ", "
                    }
                };
                for (n, arg) in data.args.iter().enumerate() {
                    put!(self, "{}", if n == 0 { before_first } else { ", " });
                    self.value(*arg);
                }
                if data.op == Opcode::Call {
                    self.result_types(data);
                }
            }
        }
    }

    /// `v6: f32 = v0, v7: i32 = v2`, with `?` where a malformed loop has too few of either.
    fn carried(&mut self, data: &InstData) {
        let func = self.func;
        let body = data.blocks.first().and_then(|b| func.blocks.get(b.index()));
        let params = body.map_or(&[][..], |b| b.params.as_slice());
        for n in 0..params.len().max(data.args.len()) {
            self.comma(n);
            match params.get(n) {
                Some(param) => {
                    self.value(*param);
                    put!(self, ": ");
                    self.value_type(*param);
                }
                None => {
                    put!(self, "?");
                }
            }
            put!(self, " = ");
            match data.args.get(n) {
                Some(arg) => self.value(*arg),
                None => {
                    put!(self, "?");
                }
            }
        }
    }

    fn result_types(&mut self, data: &InstData) {
        let func = self.func;
        let types = data.results.iter();
        self.types(types.map(|v| func.values.get(v.index()).map(|data| data.ty)));
    }

    /// ` -> (f32, i32)`; nothing when there are none.
    fn types(&mut self, types: impl ExactSizeIterator<Item = Option<Type>>) {
        if types.len() == 0 {
            return;
        }
        put!(self, " -> (");
        for (n, ty) in types.enumerate() {
            self.comma(n);
            match ty {
                Some(ty) => {
                    put!(self, "{ty}");
                }
                None => {
                    put!(self, "?");
                }
            }
        }
        put!(self, ")");
    }

    fn value(&mut self, value: Value) {
        let number = match &mut self.numbers {
            None => Some(value.index()),
            Some(numbers) => numbers.get_mut(value.index()).map(|slot| {
                *slot.get_or_insert_with(|| {
                    self.next += 1;
                    self.next - 1
                })
            }),
        };
        match number {
            Some(number) => {
                put!(self, "v{number}");
            }
            None => {
                put!(self, "?");
            }
        }
    }

    fn value_type(&mut self, value: Value) {
        match self.func.values.get(value.index()) {
            Some(data) => {
                put!(self, "{}", data.ty);
            }
            None => {
                put!(self, "?");
            }
        }
    }

    fn place(&mut self, loc: Loc) {
        if loc.file != 0 {
            put!(self, " @{}:{}-{}", loc.file, loc.start, loc.end);
        }
    }

    fn name(&mut self, name: &str) {
        if super::lex::is_name(name) {
            put!(self, "{name}");
        } else {
            self.string(name);
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                c if c.is_control() => {
                    put!(self, "\\u{{{:x}}}", c as u32);
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn comma(&mut self, n: usize) {
        if n > 0 {
            self.out.push_str(", ");
        }
    }

    fn indent(&mut self, extra: usize) {
        // Deeper than this, indentation would make the text quadratic in the depth.
        for _ in 0..(self.depth + extra).clamp(1, 40) {
            self.out.push_str("    ");
        }
    }
}
