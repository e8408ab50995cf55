//! Statements: memory, control flow, and one `let` a value.

use super::{Kind, Printer, STATUS_LOOP, STATUS_TRAP, names};
use crate::raise::{Arithmetic, Budget, width};
use crate::shader::ParamsLayout;
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayRef, Block, DType, Imm, Inst, InstData, Opcode, Part, Scalar, Value};
use std::fmt::Write;

/// Variables that terminators assign to.
#[derive(Clone, Default)]
pub(super) struct Exits {
    /// Results of the innermost `if`.
    yields: Vec<String>,
    /// Results of the innermost loop.
    breaks: Vec<String>,
    /// Carried values of the innermost loop.
    carried: Vec<String>,
    /// What starts again goes on behind the text of the loop's body.
    falls_through: bool,
}

/// The text of `element` so far.
pub(super) struct Body<'p, 'a> {
    printer: &'p Printer<'a>,
    out: String,
    depth: usize,
}

impl<'p, 'a> Body<'p, 'a> {
    pub(super) fn new(printer: &'p Printer<'a>) -> Body<'p, 'a> {
        Body {
            printer,
            out: String::new(),
            depth: 1,
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = self.depth * 4);
    }

    /// Addresses of the operands, local arrays, the loop counter.
    pub(super) fn prologue(&mut self) -> Result<(), BackendError> {
        let printer = self.printer;
        if let Some(shape) = printer.params.shape {
            let rank = printer.options.rank;
            match printer.kind {
                Kind::Map => {
                    let kept = printer.options.kept.min(rank);
                    self.coordinates(shape, 0..kept, "m");
                    self.coordinates(shape, kept..rank, "i");
                }
                _ => {
                    let position = format!("params[{}] + i", ParamsLayout::FIRST);
                    self.coordinates(shape, 0..rank, &position);
                }
            }
        }
        for binding in &printer.arrays {
            let (k, offset) = (binding.array, binding.params.offset);
            let mut address = format!("params[{offset}]");
            match (printer.kernel.arrays[k].access, binding.params.strides) {
                (Access::Contiguous, _) => address.push_str(" + i"),
                (Access::Uniform, _) => {}
                (Access::Strided, Some(strides)) => {
                    // Modulo 2^32, so that negative strides work.
                    for axis in 0..printer.options.rank {
                        let _ = write!(address, " + c{axis} * params[{}]", strides + axis);
                    }
                }
                (Access::Strided, None) => {
                    return Err(BackendError::Internal(
                        "a strided operand without strides".into(),
                    ));
                }
            }
            self.line(format_args!("let o{k} = {address};"));
        }
        for (k, local) in printer.kernel.locals.iter().enumerate() {
            let ty = printer.register(local.dtype)?;
            let len = local.len;
            self.line(format_args!("var l{k} = array<{ty}, {len}>();"));
        }
        if matches!(printer.plan.budget, Some(Budget::Element(_))) {
            self.line(format_args!("iterations = 0u;"));
        }
        Ok(())
    }

    /// Coordinates along some axes of the element at a position, the last axis first.
    fn coordinates(&mut self, shape: usize, axes: std::ops::Range<usize>, position: &str) {
        if axes.is_empty() {
            return;
        }
        self.line(format_args!("let q{} = {position};", axes.end));
        for axis in axes.clone().rev() {
            let outer = axis + 1;
            let extent = shape + axis;
            if axis == axes.start {
                self.line(format_args!("let c{axis} = q{outer};"));
            } else {
                self.line(format_args!("let q{axis} = q{outer} / params[{extent}];"));
                self.line(format_args!(
                    "let c{axis} = q{outer} - q{axis} * params[{extent}];"
                ));
            }
        }
    }

    /// The instructions of a block.
    pub(super) fn block(&mut self, block: Block, exits: &Exits) -> Result<(), BackendError> {
        for inst in &self.printer.kernel.block(block).insts {
            self.inst(*inst, exits)?;
        }
        Ok(())
    }

    fn inst(&mut self, inst: Inst, exits: &Exits) -> Result<(), BackendError> {
        let data = self.printer.kernel.inst(inst);
        match data.op {
            Opcode::Const => self.constant(data),
            Opcode::Index => self.index(data),
            Opcode::Load | Opcode::CoreLoad => self.load(data),
            Opcode::Store | Opcode::CoreStore => self.store(inst, data),
            Opcode::Dim => self.dim(data),
            Opcode::LocalLoad | Opcode::LocalStore => self.local(data),
            Opcode::Guard => self.guard(data),
            Opcode::If => self.if_(data, exits),
            Opcode::Loop => self.loop_(data),
            Opcode::Yield => {
                self.assign(&exits.yields, &data.args);
                Ok(())
            }
            Opcode::Continue => {
                self.assign(&exits.carried, &data.args);
                if !exits.falls_through {
                    self.line(format_args!("continue;"));
                }
                Ok(())
            }
            Opcode::Break => {
                self.assign(&exits.breaks, &data.args);
                self.line(format_args!("break;"));
                Ok(())
            }
            Opcode::Return | Opcode::Unreachable => Ok(()),
            op if op.is_pure() => self.pure(data),
            op => Err(BackendError::Internal(format!("wgsl cannot print `{op}`"))),
        }
    }

    fn dtype(&self, value: Value) -> DType {
        self.printer.kernel.ty(value).dtype
    }

    /// `let` of an instruction's only result.
    fn define(&mut self, data: &InstData, text: &str) -> Result<(), BackendError> {
        let result = data.results[0];
        self.printer.require(self.dtype(result))?;
        let name = names::value(result);
        self.line(format_args!("let {name} = {text};"));
        Ok(())
    }

    fn pure(&mut self, data: &InstData) -> Result<(), BackendError> {
        let printer = self.printer;
        let args: Vec<String> = data.args.iter().map(|v| names::value(*v)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let text = match (data.op, data.imm) {
            (Opcode::Cast, Imm::DType(to)) => {
                printer.cast(self.dtype(data.args[0]), to, args[0])?
            }
            (Opcode::Bitcast, Imm::DType(to)) => {
                printer.bitcast(self.dtype(data.args[0]), to, args[0])?
            }
            (Opcode::Select, _) => format!("select({}, {}, {})", args[2], args[1], args[0]),
            (op, _) => {
                let constants: Vec<Option<Scalar>> = data
                    .args
                    .iter()
                    .map(|v| printer.kernel.as_const(*v))
                    .collect();
                printer.operation(op, self.dtype(data.args[0]), &args, &constants)?
            }
        };
        self.define(data, &text)
    }

    fn constant(&mut self, data: &InstData) -> Result<(), BackendError> {
        let printer = self.printer;
        let Imm::Const(scalar) = data.imm else {
            return Err(BackendError::Internal("a constant without value".into()));
        };
        let text = match scalar.dtype() {
            // Drivers fold `x + 0`, `0 - x` and `x * 0` when they see the zero; nor must they see any
            // other constant when nothing but its opacity keeps them from folding.
            DType::F32 if printer.is(Arithmetic::Patched) && scalar.as_f32() == 0.0 => {
                let sign = scalar.bits();
                format!("bitcast<f32>({} ^ {sign:#x}u)", printer.zero())
            }
            DType::F64 if printer.is(Arithmetic::Patched) && scalar.as_f64() == 0.0 => {
                let sign = scalar.bits();
                format!("bitcast<f64>({} ^ {sign:#x}lu)", printer.zero_wide()?)
            }
            DType::F32 if printer.is(Arithmetic::Barrier) => {
                format!("bitcast<f32>({} ^ {:#x}u)", printer.zero(), scalar.bits())
            }
            DType::F64 if printer.is(Arithmetic::Barrier) => {
                format!(
                    "bitcast<f64>({} ^ {:#x}lu)",
                    printer.zero_wide()?,
                    scalar.bits()
                )
            }
            _ => names::constant(scalar),
        };
        self.define(data, &text)
    }

    fn index(&mut self, data: &InstData) -> Result<(), BackendError> {
        self.printer.require(DType::I64)?;
        let k = self.array(data)?.index();
        if self.printer.binding(k).is_some() {
            return self.define(data, &format!("bitcast<i64>(u64(o{k}))"));
        }
        let (low, high) = (ParamsLayout::BASE, ParamsLayout::BASE + 1);
        let text =
            format!("bitcast<i64>(((u64(params[{high}]) << 32u) | u64(params[{low}])) + u64(i))");
        self.define(data, &text)
    }

    /// The extent of a core dimension: below 2^32, as everything that fits a device.
    fn dim(&mut self, data: &InstData) -> Result<(), BackendError> {
        self.printer.require(DType::I64)?;
        let (Imm::Dim(dim), Some(dims)) = (data.imm, self.printer.params.dims) else {
            return Err(BackendError::Internal("`dim` without dimension".into()));
        };
        let text = format!("bitcast<i64>(u64(params[{}]))", dims + dim.index());
        self.define(data, &text)
    }

    /// Number of the element (or pair) that indices of the core axes select.
    ///
    /// Modulo 2^32, which is exact: the element is in the binding.
    fn address(&self, k: usize, indices: &[Value]) -> Result<String, BackendError> {
        let printer = self.printer;
        let first = super::first_part(printer.kernel, k);
        let Some(binding) = printer.binding(k) else {
            return Err(BackendError::Internal(format!(
                "access to array {k} without memory"
            )));
        };
        let mut address = format!("o{first}");
        for (axis, index) in indices.iter().enumerate() {
            let Some(core) = binding.params.core else {
                return Err(BackendError::Internal("an index without core axis".into()));
            };
            let stride = format!("params[{}]", core + axis);
            match printer.kernel.as_const(*index).map(|c| c.as_int()) {
                Some(0) => {}
                Some(n) => {
                    let _ = write!(address, " + {}u * {stride}", n as u32);
                }
                None => {
                    let index = printer.cast(DType::I64, DType::U32, &names::value(*index))?;
                    let _ = write!(address, " + {index} * {stride}");
                }
            }
        }
        Ok(address)
    }

    fn array(&self, data: &InstData) -> Result<ArrayRef, BackendError> {
        match data.imm {
            Imm::Array(array) => Ok(array),
            _ => Err(BackendError::Internal(format!(
                "`{}` without array",
                data.op
            ))),
        }
    }

    fn load(&mut self, data: &InstData) -> Result<(), BackendError> {
        let printer = self.printer;
        let k = self.array(data)?.index();
        let param = &printer.kernel.arrays[k];
        if printer.kind == Kind::Combine {
            return self.define(data, &format!("x{k}"));
        }
        let memory = super::leader(printer.kernel, k);
        let at = self.address(k, &data.args)?;
        let bits = param.dtype.bits();
        let text = match param.dtype.size() {
            4 | 8 => format!("a{memory}[{}]", part(param.part, &at)),
            size => {
                let per_word = 4 / size;
                // `o0` needs no brackets.
                let at = if data.args.is_empty() {
                    at
                } else {
                    format!("({at})")
                };
                let mut word = format!("a{memory}[{at} / {per_word}u]");
                if width::is_atomic(printer.kernel, &printer.kernel.arrays[memory]) {
                    word = format!("atomicLoad(&{word})");
                }
                let shift = format!("({at} % {per_word}u) * {bits}u");
                match param.dtype {
                    DType::I8 | DType::I16 => {
                        format!("extractBits(bitcast<i32>({word}), {shift}, {bits}u)")
                    }
                    DType::Bool => format!("extractBits({word}, {shift}, {bits}u) != 0u"),
                    _ => format!("extractBits({word}, {shift}, {bits}u)"),
                }
            }
        };
        self.define(data, &text)
    }

    fn store(&mut self, inst: Inst, data: &InstData) -> Result<(), BackendError> {
        let printer = self.printer;
        let k = self.array(data)?.index();
        let param = &printer.kernel.arrays[k];
        let Some((value, indices)) = data.args.split_last() else {
            return Err(BackendError::Internal("a store without value".into()));
        };
        let value = names::value(*value);
        if printer.kind != Kind::Elementwise {
            let variable = printer.output_variable(k);
            self.line(format_args!("{variable} = {value};"));
            return Ok(());
        }
        let memory = super::leader(printer.kernel, k);
        let at = self.address(k, indices)?;
        if param.dtype.size() >= 4 {
            let at = part(param.part, &at);
            self.line(format_args!("a{memory}[{at}] = {value};"));
            return Ok(());
        }
        let bits = param.dtype.bits();
        let per_word = 4 / param.dtype.size() as u32;
        let bits_of = match param.dtype {
            DType::Bool => format!("select(0u, 1u, {value})"),
            DType::I8 | DType::I16 => format!("bitcast<u32>({value})"),
            _ => value,
        };
        if width::is_atomic(printer.kernel, param) {
            // Elements nearby may be anyone's, but these bits are ours.
            let s = inst.index();
            let mask = (1u32 << bits) - 1;
            self.line(format_args!("let at{s} = {at};"));
            self.line(format_args!(
                "let shift{s} = (at{s} % {per_word}u) * {bits}u;"
            ));
            self.line(format_args!(
                "atomicAnd(&a{memory}[at{s} / {per_word}u], ~({mask}u << shift{s}));"
            ));
            self.line(format_args!(
                "atomicOr(&a{memory}[at{s} / {per_word}u], ({bits_of} & {mask}u) << shift{s});"
            ));
            return Ok(());
        }
        let elements = printer.plan.elements;
        let at = if elements == per_word {
            format!("packed{k}[0]")
        } else {
            format!("packed{k}[(i % {elements}u) / {per_word}u]")
        };
        self.line(format_args!(
            "{at} = insertBits({at}, {bits_of}, (i % {per_word}u) * {bits}u, {bits}u);"
        ));
        Ok(())
    }

    fn local(&mut self, data: &InstData) -> Result<(), BackendError> {
        let Imm::Local(local) = data.imm else {
            return Err(BackendError::Internal(
                "a local access without local".into(),
            ));
        };
        let k = local.index();
        let last = self.printer.kernel.locals[k].len - 1;
        let at = format!("l{k}[clamp({}, 0i, {last}i)]", names::value(data.args[0]));
        if data.op == Opcode::LocalLoad {
            return self.define(data, &at);
        }
        let value = names::value(data.args[1]);
        self.line(format_args!("{at} = {value};"));
        Ok(())
    }

    fn guard(&mut self, data: &InstData) -> Result<(), BackendError> {
        let Imm::Trap(trap) = data.imm else {
            return Err(BackendError::Internal("a guard without trap".into()));
        };
        self.printer.uses_status.set(true);
        let ok = names::value(data.args[0]);
        let code = trap.index() + 1;
        self.line(format_args!("if !{ok} {{"));
        self.line(format_args!(
            "    atomicMax(&status[{STATUS_TRAP}], {code}u);"
        ));
        self.line(format_args!("}}"));
        Ok(())
    }

    /// Declares variables for the results of an `if` or loop; gives their names.
    fn results(&mut self, data: &InstData) -> Result<Vec<String>, BackendError> {
        data.results
            .iter()
            .map(|v| {
                let ty = self.printer.register(self.dtype(*v))?;
                let name = names::value(*v);
                self.line(format_args!("var {name}: {ty};"));
                Ok(name)
            })
            .collect()
    }

    /// Assigns values to variables. The values are `let`s or variables that no assignment here
    /// changes (carried values are copied at the start of the body), so order does not matter.
    fn assign(&mut self, variables: &[String], values: &[Value]) {
        for (variable, value) in variables.iter().zip(values) {
            let value = names::value(*value);
            self.line(format_args!("{variable} = {value};"));
        }
    }

    fn if_(&mut self, data: &InstData, exits: &Exits) -> Result<(), BackendError> {
        let yields = self.results(data)?;
        let inner = Exits {
            yields,
            ..exits.clone()
        };
        let condition = names::value(data.args[0]);
        self.line(format_args!("if {condition} {{"));
        self.arm(data.blocks[0], &inner)?;
        let empty = inner.yields.is_empty() && {
            let insts = &self.printer.kernel.block(data.blocks[1]).insts;
            insts.len() == 1 && self.printer.kernel.inst(insts[0]).op == Opcode::Yield
        };
        if !empty {
            self.line(format_args!("}} else {{"));
            self.arm(data.blocks[1], &inner)?;
        }
        self.line(format_args!("}}"));
        Ok(())
    }

    fn arm(&mut self, block: Block, exits: &Exits) -> Result<(), BackendError> {
        self.depth += 1;
        self.block(block, exits)?;
        self.depth -= 1;
        Ok(())
    }

    fn loop_(&mut self, data: &InstData) -> Result<(), BackendError> {
        let printer = self.printer;
        let breaks = self.results(data)?;
        let body = data.blocks[0];
        let params = &printer.kernel.block(body).params;
        let mut carried = Vec::new();
        for (param, initial) in params.iter().zip(&data.args) {
            let name = format!("next_{}", names::value(*param));
            let ty = printer.register(self.dtype(*param))?;
            let initial = names::value(*initial);
            self.line(format_args!("var {name}: {ty} = {initial};"));
            carried.push(name);
        }
        let exits = Exits {
            yields: Vec::new(),
            breaks,
            carried,
            falls_through: false,
        };
        let through = Exits {
            falls_through: true,
            ..exits.clone()
        };
        let copies = printer.plan.copies(printer.kernel, body);
        self.line(format_args!("loop {{"));
        self.depth += 1;
        self.count()?;
        for _ in 1..copies {
            self.line(format_args!("{{"));
            self.depth += 1;
            self.round(body, &through)?;
            self.depth -= 1;
            self.line(format_args!("}}"));
        }
        self.round(body, &exits)?;
        self.depth -= 1;
        self.line(format_args!("}}"));
        Ok(())
    }

    /// A loop's body.
    fn round(&mut self, body: Block, exits: &Exits) -> Result<(), BackendError> {
        let params = &self.printer.kernel.block(body).params;
        for (param, variable) in params.iter().zip(&exits.carried) {
            let name = names::value(*param);
            self.line(format_args!("let {name} = {variable};"));
        }
        self.block(body, exits)
    }

    /// Counts an iteration and leaves when there were too many. The results are wrong then, and the
    /// status says so.
    fn count(&mut self) -> Result<(), BackendError> {
        let Some(budget) = self.printer.plan.budget else {
            return Ok(());
        };
        self.printer.uses_status.set(true);
        let limit = match budget {
            Budget::Element(limit) | Budget::Invocation(limit) => {
                self.line(format_args!("let taken = iterations;"));
                self.line(format_args!("iterations = taken + 1u;"));
                limit
            }
            Budget::Workgroup(limit) => {
                // Invocations in lockstep all read the same count, and raise it by one together.
                self.line(format_args!("let taken = atomicLoad(&iterations);"));
                self.line(format_args!("atomicMax(&iterations, taken + 1u);"));
                limit
            }
        };
        self.line(format_args!("if taken >= {limit}u {{"));
        self.line(format_args!("    atomicMax(&status[{STATUS_LOOP}], 1u);"));
        self.line(format_args!("    break;"));
        self.line(format_args!("}}"));
        Ok(())
    }
}

/// Where the part of a pair is, given the number of the pair.
pub(super) fn part(part: Part, at: &str) -> String {
    match part {
        Part::Whole => at.to_string(),
        Part::Re => format!("({at}) * 2u"),
        Part::Im => format!("({at}) * 2u + 1u"),
    }
}
