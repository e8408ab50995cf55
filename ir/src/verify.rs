//! The verifier: what well-formed IR is.
//!
//! Every pass may assume these rules and must leave them true. A violation is always a bug in kjit
//! (or in a hand-written `.kir` file), never in the user's program.
//!
//! Declarations
//! 1. A part of a complex argument is f32 or f64, and its other part, alike in all but `access`, stands beside
//!    it.
//! 2. An index array is i64. A local array has at least one element.
//! 3. A kernel (a function with arrays) has no parameters and no results.
//!
//! Structure
//! 4. Every entity named anywhere is in range.
//! 5. Blocks form a tree: the entry block is owned by no instruction, every other reachable block by
//!    one; they nest at most [`MAX_DEPTH`] deep.
//! 6. A block ends with a terminator and has no other. An instruction stands in one place.
//! 7. Only the entry block and loop bodies have parameters.
//! 8. `if` owns two blocks, `loop` one, any other operation none.
//! 9. A value says who defines it, and that says the same.
//! 10. A value is used only after its definition, in the same block or in one nested there.
//!
//! Operations
//! 11. Arguments and results are as many, and of the types, that the opcode table says; a `const` has
//!     the dtype of its constant.
//! 12. The immediate is of the kind the operation needs, and there is none otherwise.
//! 13. `load` names an array of mode `in` or `inout`, `store` of `out` or `inout`, `index` of `index`;
//!     the value stored has the dtype of the array. The same for local arrays, whose index is i32.
//!     `core.load` and `core.store` take one i64 index for each core axis of the array, which has some;
//!     every dimension named is declared.
//! 14. `call` names a function of the module that is not a kernel, with its types.
//!
//! Control
//! 15. The condition of an `if` is a uniform bool.
//! 16. A loop's initial values have the types of the body's parameters.
//! 17. `yield` ends an arm of an `if`, with the types of its results. `break` and `continue` stand in
//!     a loop and carry the types of the innermost one's results and parameters. `return` carries the
//!     function's results. The entry block ends with `return` or `unreachable`.
//!
//! Form
//! 18. Varying types, `splat`, `any` and masks occur only in vector form.
//! 19. In vector form `return` ends the entry block only, and there is no `call`.
//! 20. In vector form a mask is a varying bool; the results of `load` (of a uniform array: uniform,
//!     and without mask), `index` and `local.load` are varying, and so are the values of `store`,
//!     `local.store` and `guard`. `splat` takes a uniform value, `any` a varying bool.

use crate::text::{MAX_DEPTH, print_annotated};
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, Block, DType, Form, Function, Imm, Inst, InstData,
    LocalRef, Module, Opcode, Part, Type, Value, ValueDef,
};
use std::fmt;

/// Checks every rule; `module` is needed only to check calls.
pub fn verify(func: &Function, module: Option<&Module>) -> Result<(), VerifierErrors> {
    let mut verifier = Verifier {
        func,
        module,
        errors: Vec::new(),
        seen_blocks: vec![false; func.blocks.len()],
        seen_insts: vec![false; func.insts.len()],
        defined: vec![false; func.values.len()],
        visible: vec![false; func.values.len()],
        loops: Vec::new(),
    };
    verifier.declarations();
    verifier.block(func.entry, Owner::Function, 0);
    let errors = verifier.errors;
    if errors.is_empty() {
        return Ok(());
    }
    Err(VerifierErrors::new(func, errors))
}

/// Where a rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// In the function's declarations.
    Function,
    /// In a block as a whole.
    Block(Block),
    /// In an instruction.
    Inst(Inst),
}

/// One broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierError {
    /// Where.
    pub location: Location,
    /// What is wrong.
    pub message: String,
}

/// Everything that is wrong with a function. `Display` shows it within the IR.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierErrors {
    /// The broken rules, in the order they were met; at least one.
    pub errors: Vec<VerifierError>,
    /// The function's text with the errors below the instructions they speak of.
    pub listing: String,
}

impl VerifierErrors {
    fn new(func: &Function, errors: Vec<VerifierError>) -> VerifierErrors {
        let listing = print_annotated(func, &mut |inst| {
            let here = Location::Inst(inst);
            let here = errors.iter().filter(|e| e.location == here);
            here.map(|e| e.message.clone()).collect()
        });
        VerifierErrors { errors, listing }
    }
}

impl fmt::Display for VerifierErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            match error.location {
                Location::Function => writeln!(f, "{}", error.message)?,
                Location::Block(block) => writeln!(f, "{block}: {}", error.message)?,
                Location::Inst(inst) => writeln!(f, "{inst}: {}", error.message)?,
            }
        }
        f.write_str(&self.listing)
    }
}

impl std::error::Error for VerifierErrors {}

/// What a block belongs to.
#[derive(Clone, Copy)]
enum Owner {
    Function,
    Arm(Inst),
    Body,
}

struct Verifier<'a> {
    func: &'a Function,
    module: Option<&'a Module>,
    errors: Vec<VerifierError>,
    seen_blocks: Vec<bool>,
    seen_insts: Vec<bool>,
    /// Values whose definition was met.
    defined: Vec<bool>,
    /// Values that may be used here.
    visible: Vec<bool>,
    /// The loops around this place, innermost last, with their bodies.
    loops: Vec<(Inst, Block)>,
}

impl<'a> Verifier<'a> {
    fn error(&mut self, location: Location, message: impl Into<String>) {
        // A malformed function can break rules without end; the first ones tell the story.
        if self.errors.len() < 100 {
            self.errors.push(VerifierError {
                location,
                message: message.into(),
            });
        }
    }

    fn vector(&self) -> bool {
        self.func.form == Form::Vector
    }

    fn declarations(&mut self) {
        let func = self.func;
        let here = Location::Function;
        for (n, array) in func.arrays.iter().enumerate() {
            if array.mode == ArrayMode::Index && array.dtype != DType::I64 {
                let r = ArrayRef::new(n);
                self.error(here, format!("index array {r} is {}, not i64", array.dtype));
            }
        }
        for (n, array) in func.arrays.iter().enumerate() {
            let r = ArrayRef::new(n);
            if let Some(dim) = array.core.iter().find(|d| d.index() >= func.dims.len()) {
                self.error(
                    here,
                    format!("{r} has a core axis {dim} that is not declared"),
                );
            }
            let axes = array.core.len();
            if array.along.len() > func.loops.len()
                || array
                    .along
                    .iter()
                    .flatten()
                    .any(|(axis, _)| *axis as usize >= axes)
            {
                self.error(
                    here,
                    format!("{r} moves along a loop or axis that is not there"),
                );
            }
        }
        for (n, array) in func.arrays.iter().enumerate() {
            let other = match array.part {
                Part::Whole => continue,
                Part::Re => func.arrays.get(n + 1).map(|o| (o, Part::Im)),
                Part::Im => n.checked_sub(1).map(|n| (&func.arrays[n], Part::Re)),
            };
            let matches = other.is_some_and(|(other, part)| {
                let like = ArrayParam {
                    part,
                    access: other.access,
                    ..array.clone()
                };
                *other == like
            });
            if !matches || array.dtype.complex_of_part().is_none() {
                let r = ArrayRef::new(n);
                self.error(here, format!("{r} is one part without the other"));
            }
        }
        for looping in &func.loops {
            if let Some((dim, _)) = looping
                .dims
                .iter()
                .find(|(d, _)| d.index() >= func.dims.len())
            {
                self.error(
                    here,
                    format!("a promoted loop counts {dim}, which is not declared"),
                );
            }
        }
        for (n, local) in func.locals.iter().enumerate() {
            if local.len == 0 {
                let r = LocalRef::new(n);
                self.error(here, format!("local array {r} has no element"));
            }
        }
        for ty in &func.results {
            self.ty(here, *ty);
        }
        if func.is_kernel() && !func.results.is_empty() {
            self.error(here, "a kernel has no results");
        }
    }

    fn ty(&mut self, here: Location, ty: Type) {
        if ty.varying && !self.vector() {
            self.error(here, format!("varying type {ty} in scalar form"));
        }
    }

    fn block(&mut self, block: Block, owner: Owner, depth: usize) {
        let func = self.func;
        let here = Location::Block(block);
        let Some(data) = func.blocks.get(block.index()) else {
            return self.error(here, "there is no such block");
        };
        if depth >= MAX_DEPTH {
            return self.error(here, format!("blocks nest deeper than {MAX_DEPTH}"));
        }
        if std::mem::replace(&mut self.seen_blocks[block.index()], true) {
            return self.error(here, "the block is owned twice");
        }
        match owner {
            Owner::Arm(_) if !data.params.is_empty() => {
                self.error(here, "an arm of an `if` has no parameters");
            }
            Owner::Function if func.is_kernel() && !data.params.is_empty() => {
                self.error(here, "a kernel has no parameters");
            }
            _ => {}
        }
        for (n, param) in data.params.iter().enumerate() {
            self.define(here, *param, ValueDef::Param(block, n as u32));
        }
        for (n, inst) in data.insts.iter().enumerate() {
            self.inst(*inst, owner, block, depth, n + 1 == data.insts.len());
        }
        if data.insts.is_empty() {
            self.error(here, "the block is empty: it needs a terminator");
        }
        // What the block defined is not visible outside.
        for param in &data.params {
            self.hide(*param);
        }
        for inst in &data.insts {
            if let Some(inst) = func.insts.get(inst.index()) {
                for result in &inst.results {
                    self.hide(*result);
                }
            }
        }
    }

    fn define(&mut self, here: Location, value: Value, def: ValueDef) {
        let Some(data) = self.func.values.get(value.index()) else {
            return self.error(here, format!("there is no value {value}"));
        };
        if data.def != def {
            let said = data.def;
            self.error(here, format!("{value} says it is {said:?}, not {def:?}"));
        }
        if std::mem::replace(&mut self.defined[value.index()], true) {
            self.error(here, format!("{value} is defined twice"));
        }
        self.visible[value.index()] = true;
        self.ty(here, data.ty);
    }

    fn hide(&mut self, value: Value) {
        if let Some(visible) = self.visible.get_mut(value.index()) {
            *visible = false;
        }
    }

    fn inst(&mut self, inst: Inst, owner: Owner, block: Block, depth: usize, last: bool) {
        let func = self.func;
        let here = Location::Inst(inst);
        let Some(data) = func.insts.get(inst.index()) else {
            return self.error(here, "there is no such instruction");
        };
        if std::mem::replace(&mut self.seen_insts[inst.index()], true) {
            return self.error(here, "the instruction stands in two places");
        }
        let op = data.op;
        if last && !op.is_terminator() {
            self.error(
                here,
                format!("the block ends with `{op}`, not a terminator"),
            );
        }
        if !last && op.is_terminator() {
            self.error(here, format!("`{op}` stands before the end of its block"));
        }
        let args = self.args(here, data);
        self.imm(here, data);
        let blocks = match op {
            Opcode::If => 2,
            Opcode::Loop => 1,
            _ => 0,
        };
        let owned = data.blocks.len();
        if owned != blocks {
            self.error(here, format!("`{op}` owns {blocks} blocks, not {owned}"));
        }
        if let Some(args) = args {
            match op {
                _ if op.is_terminator() => self.terminator(here, data, &args, owner, block),
                Opcode::Loop => self.initial_values(here, data, &args),
                _ => self.operation(here, data, &args),
            }
        }
        for child in &data.blocks {
            if op == Opcode::Loop {
                self.loops.push((inst, *child));
                self.block(*child, Owner::Body, depth + 1);
                self.loops.pop();
            } else {
                self.block(*child, Owner::Arm(inst), depth + 1);
            }
        }
        for (n, result) in data.results.iter().enumerate() {
            self.define(here, *result, ValueDef::Result(inst, n as u32));
        }
    }

    /// The types of the arguments, if all of them exist.
    fn args(&mut self, here: Location, data: &InstData) -> Option<Vec<Type>> {
        let mut types = Vec::with_capacity(data.args.len());
        for arg in &data.args {
            match self.func.values.get(arg.index()) {
                None => self.error(here, format!("there is no value {arg}")),
                Some(value) => {
                    if !self.visible[arg.index()] {
                        self.error(here, format!("{arg} is not visible here"));
                    }
                    types.push(value.ty);
                }
            }
        }
        (types.len() == data.args.len()).then_some(types)
    }

    fn imm(&mut self, here: Location, data: &InstData) {
        let func = self.func;
        let op = data.op;
        let ok = match (op, data.imm) {
            (Opcode::Const, Imm::Const(_)) => true,
            (Opcode::Cast | Opcode::Bitcast, Imm::DType(_)) => true,
            (Opcode::Load | Opcode::Store | Opcode::Index, Imm::Array(array)) => {
                match func.arrays.get(array.index()) {
                    None => self.error(here, format!("there is no array {array}")),
                    Some(param) => {
                        let mode = param.mode;
                        let fits = match op {
                            Opcode::Load => matches!(mode, ArrayMode::In | ArrayMode::InOut),
                            Opcode::Store => matches!(mode, ArrayMode::Out | ArrayMode::InOut),
                            _ => mode == ArrayMode::Index,
                        };
                        if !fits {
                            let mode = mode.name();
                            self.error(here, format!("`{op}` of {array}, whose mode is `{mode}`"));
                        }
                        if !param.core.is_empty() {
                            self.error(here, format!("`{op}` of {array}, which has core axes"));
                        }
                    }
                }
                true
            }
            (Opcode::Dim, Imm::Dim(dim)) => {
                if dim.index() >= func.dims.len() {
                    self.error(here, format!("there is no dimension {dim}"));
                }
                true
            }
            (Opcode::CoreLoad | Opcode::CoreStore, Imm::Array(array)) => {
                match func.arrays.get(array.index()) {
                    None => self.error(here, format!("there is no array {array}")),
                    Some(param) if param.core.is_empty() => {
                        self.error(here, format!("`{op}` of {array}, which has no core axis"));
                    }
                    Some(param) => {
                        let mode = param.mode;
                        let fits = match op {
                            Opcode::CoreLoad => matches!(mode, ArrayMode::In | ArrayMode::InOut),
                            _ => matches!(mode, ArrayMode::Out | ArrayMode::InOut),
                        };
                        if !fits {
                            let mode = mode.name();
                            self.error(here, format!("`{op}` of {array}, whose mode is `{mode}`"));
                        }
                    }
                }
                true
            }
            (Opcode::LocalLoad | Opcode::LocalStore, Imm::Local(local)) => {
                if local.index() >= func.locals.len() {
                    self.error(here, format!("there is no local array {local}"));
                }
                true
            }
            (Opcode::Guard, Imm::Trap(trap)) => {
                if trap.index() >= func.traps.len() {
                    self.error(here, format!("there is no trap {trap}"));
                }
                true
            }
            (Opcode::Call, Imm::Func(_)) => true,
            (
                Opcode::Const
                | Opcode::Cast
                | Opcode::Bitcast
                | Opcode::Load
                | Opcode::Store
                | Opcode::Index
                | Opcode::Dim
                | Opcode::CoreLoad
                | Opcode::CoreStore
                | Opcode::LocalLoad
                | Opcode::LocalStore
                | Opcode::Guard
                | Opcode::Call,
                _,
            ) => false,
            (_, imm) => imm == Imm::None,
        };
        if !ok {
            self.error(here, format!("`{op}` has the wrong immediate"));
        }
    }

    fn result_types(&self, data: &InstData) -> Vec<Type> {
        let values = &self.func.values;
        let known = data.results.iter().filter_map(|v| values.get(v.index()));
        known.map(|v| v.ty).collect()
    }

    /// Checks a list of types against what it should be.
    fn types(&mut self, here: Location, what: &str, found: &[Type], expected: &[Type]) {
        if found != expected {
            let (found, expected) = (Types(found), Types(expected));
            self.error(here, format!("{what} are {found}, not {expected}"));
        }
    }

    fn terminator(
        &mut self,
        here: Location,
        data: &InstData,
        args: &[Type],
        owner: Owner,
        block: Block,
    ) {
        let func = self.func;
        self.types(here, "results", &self.result_types(data), &[]);
        match data.op {
            Opcode::Yield => match owner {
                Owner::Arm(inst) => {
                    let results = self.result_types(func.inst(inst));
                    self.types(here, "yielded types", args, &results);
                }
                _ => self.error(here, "`yield` outside an arm of an `if`"),
            },
            Opcode::Break => match self.loops.last() {
                Some((inst, _)) => {
                    let results = self.result_types(func.inst(*inst));
                    self.types(here, "types carried out", args, &results);
                }
                None => self.error(here, "`break` outside a loop"),
            },
            Opcode::Continue => match self.loops.last() {
                Some((_, body)) => {
                    let params = self.param_types(*body);
                    self.types(here, "types carried on", args, &params);
                }
                None => self.error(here, "`continue` outside a loop"),
            },
            Opcode::Return => {
                self.types(here, "returned types", args, &func.results);
                if self.vector() && block != func.entry {
                    self.error(here, "`return` inside a block in vector form");
                }
            }
            // `unreachable`
            _ => self.arity(here, data, args, 0),
        }
    }

    fn param_types(&self, block: Block) -> Vec<Type> {
        let Some(data) = self.func.blocks.get(block.index()) else {
            return Vec::new();
        };
        let values = &self.func.values;
        let known = data.params.iter().filter_map(|v| values.get(v.index()));
        known.map(|v| v.ty).collect()
    }

    fn initial_values(&mut self, here: Location, data: &InstData, args: &[Type]) {
        if let Some(body) = data.blocks.first() {
            let params = self.param_types(*body);
            self.types(here, "types of initial values", args, &params);
        }
    }

    fn arity(&mut self, here: Location, data: &InstData, args: &[Type], arity: usize) {
        let (op, n) = (data.op, args.len());
        if n != arity {
            self.error(here, format!("{op} takes {arity} arguments, not {n}"));
        }
    }

    /// Anything but terminators and `loop`: checks arguments and results.
    fn operation(&mut self, here: Location, data: &InstData, args: &[Type]) {
        let func = self.func;
        let op = data.op;
        let vector = self.vector();
        let in_form = |dtype| Type {
            dtype,
            varying: vector,
        };
        let results = self.result_types(data);
        let result = match (op, data.imm) {
            (Opcode::If, _) => {
                self.types(here, "types of the arguments", args, &[Type::BOOL]);
                // The results are what the arms yield.
                return;
            }
            (Opcode::Const, Imm::Const(scalar)) => {
                self.arity(here, data, args, 0);
                Some(Type::scalar(scalar.dtype()))
            }
            (Opcode::Index | Opcode::Load, Imm::Array(array)) => {
                let Some(param) = func.arrays.get(array.index()) else {
                    return;
                };
                let uniform = op == Opcode::Load && param.access == Access::Uniform;
                let masks = op == Opcode::Load && !uniform;
                self.masked(here, args, &[], masks);
                Some(if uniform {
                    Type::scalar(param.dtype)
                } else {
                    in_form(param.dtype)
                })
            }
            (Opcode::Store, Imm::Array(array)) => {
                let Some(param) = func.arrays.get(array.index()) else {
                    return;
                };
                self.masked(here, args, &[in_form(param.dtype)], true);
                None
            }
            (Opcode::Dim, _) => {
                self.arity(here, data, args, 0);
                Some(Type::scalar(DType::I64))
            }
            (Opcode::CoreLoad | Opcode::CoreStore, Imm::Array(array)) => {
                let Some(param) = func.arrays.get(array.index()) else {
                    return;
                };
                let mut expected: Vec<Type> = args
                    .iter()
                    .chain(std::iter::repeat(&Type::BOOL))
                    .take(param.core.len())
                    .map(|ty| ty.with_dtype(DType::I64))
                    .collect();
                let varying = vector
                    && (param.access != Access::Uniform || expected.iter().any(|t| t.varying));
                let element = Type {
                    dtype: param.dtype,
                    varying,
                };
                if op == Opcode::CoreLoad {
                    self.masked(here, args, &expected, varying);
                    Some(element)
                } else {
                    expected.push(in_form(param.dtype));
                    self.masked(here, args, &expected, true);
                    None
                }
            }
            (Opcode::LocalLoad, Imm::Local(local)) => {
                let Some(local) = func.locals.get(local.index()) else {
                    return;
                };
                self.masked(here, args, &[index_type(args)], false);
                Some(in_form(local.dtype))
            }
            (Opcode::LocalStore, Imm::Local(local)) => {
                let Some(local) = func.locals.get(local.index()) else {
                    return;
                };
                let expected = [index_type(args), in_form(local.dtype)];
                self.masked(here, args, &expected, true);
                None
            }
            (Opcode::Guard, _) => {
                self.masked(here, args, &[in_form(DType::Bool)], true);
                None
            }
            (Opcode::Call, Imm::Func(callee)) => {
                if vector {
                    self.error(here, "`call` in vector form");
                }
                let Some(module) = self.module else {
                    return;
                };
                let Some(callee) = module.functions.get(callee.index()) else {
                    return self.error(here, format!("there is no function {callee}"));
                };
                if callee.is_kernel() {
                    self.error(here, "`call` of a kernel");
                }
                let entry = callee.blocks.get(callee.entry.index());
                let params = entry.map_or(&[][..], |b| b.params.as_slice());
                let params = params.iter().filter_map(|v| callee.values.get(v.index()));
                let params: Vec<Type> = params.map(|v| v.ty).collect();
                self.types(here, "types of the arguments", args, &params);
                self.types(here, "types of the results", &results, &callee.results);
                return;
            }
            (Opcode::Splat, _) => {
                self.vector_only(here, op);
                self.arity(here, data, args, 1);
                if args.first().is_some_and(|ty| ty.varying) {
                    self.error(here, "`splat` of a varying value");
                }
                args.first().map(|ty| Type::varying(ty.dtype))
            }
            (Opcode::AnyTrue, _) => {
                self.vector_only(here, op);
                let expected = [Type::varying(DType::Bool)];
                self.types(here, "types of the arguments", args, &expected);
                Some(Type::BOOL)
            }
            (Opcode::First, _) => {
                self.vector_only(here, op);
                let expected = [Type::varying(DType::Bool)];
                self.types(here, "types of the arguments", args, &expected);
                Some(DType::I32.into())
            }
            (Opcode::Extract | Opcode::Insert, _) => {
                self.vector_only(here, op);
                let number = args.first().map_or(Type::BOOL, |ty| ty.dtype.into());
                let value = Type::varying(number.dtype);
                let expected = [value, DType::I32.into(), number];
                let (count, result) = match op {
                    Opcode::Extract => (2, number),
                    _ => (3, value),
                };
                self.types(here, "types of the arguments", args, &expected[..count]);
                Some(result)
            }
            _ => {
                let to = match data.imm {
                    Imm::DType(dtype) => Some(dtype),
                    _ => None,
                };
                match op.result_type(args, to) {
                    Ok(ty) => Some(ty),
                    Err(message) => return self.error(here, message),
                }
            }
        };
        self.types(here, "types of the results", &results, result.as_slice());
    }

    /// Checks arguments that may be followed by a mask.
    fn masked(&mut self, here: Location, args: &[Type], expected: &[Type], masks: bool) {
        let Some((mask, rest)) = args
            .split_last()
            .filter(|_| args.len() == expected.len() + 1)
        else {
            return self.types(here, "types of the arguments", args, expected);
        };
        self.types(here, "types of the arguments", rest, expected);
        if !masks || !self.vector() {
            self.error(here, "a mask where none is allowed");
        } else if *mask != Type::varying(DType::Bool) {
            self.error(here, format!("a mask of type {mask}, not bool*"));
        }
    }

    fn vector_only(&mut self, here: Location, op: Opcode) {
        if !self.vector() {
            self.error(here, format!("`{op}` in scalar form"));
        }
    }
}

/// i32, uniform or varying as the first argument is: local arrays take both.
fn index_type(args: &[Type]) -> Type {
    let first = args.first().copied().unwrap_or(Type::BOOL);
    first.with_dtype(DType::I32)
}

struct Types<'a>(&'a [Type]);

impl fmt::Display for Types<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (n, ty) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{ty}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
