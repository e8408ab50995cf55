//! Prints a kernel as WGSL: resources, helpers, `element` (one element), `main` (who computes which).
//!
//! The body is flat SSA: one `let` a value, so that no expression nests. Constants are `let`s too, which
//! keeps WGSL's compile-time evaluation (an error for `x / 0`, long shifts, overflow) away from them.

mod body;
mod cast;
mod helpers;
mod names;
mod ops;

use crate::raise::{Arithmetic, Budget, Plan};
use crate::shader::{ArrayBinding, BindingMode, OperandParams, ParamsLayout, Shader};
use crate::{Reduction, WgslOptions};
use helpers::Helper;
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayMode, DType, Function, Opcode};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Prints the kernel as the plan says.
pub fn print(
    kernel: &Function,
    options: &WgslOptions,
    plan: &Plan,
) -> Result<Shader, BackendError> {
    let printer = Printer::new(kernel, options, plan);
    let element = printer.element()?;
    let main = printer.main_body()?;
    // Helpers first: only now is it known what `main` has to prepare.
    let helpers = printer.helper_text()?;
    let main = printer.main(&main);
    printer.assemble(&helpers, &element, &main)
}

/// What printing needs to know and collects on the way.
struct Printer<'a> {
    kernel: &'a Function,
    options: &'a WgslOptions,
    plan: &'a Plan,
    arrays: Vec<ArrayBinding>,
    params: ParamsLayout,
    /// Helper functions the text calls.
    helpers: RefCell<BTreeSet<Helper>>,
    uses_f64: Cell<bool>,
    uses_i64: Cell<bool>,
    /// The text uses `zero` (a `u32`) or `zero_wide` (a `u64`), the zeros no optimiser knows.
    uses_zero: Cell<bool>,
    uses_zero_wide: Cell<bool>,
    uses_status: Cell<bool>,
}

/// The words of a status buffer.
const STATUS_TRAP: usize = 0;
const STATUS_LOOP: usize = 1;

impl<'a> Printer<'a> {
    fn new(kernel: &'a Function, options: &'a WgslOptions, plan: &'a Plan) -> Printer<'a> {
        let mut words = ParamsLayout::OPERANDS;
        let mut take = |n: usize| {
            let at = words;
            words += n;
            at
        };
        let mut arrays = Vec::new();
        let mut strided = false;
        for (array, param) in kernel.arrays.iter().enumerate() {
            let reduced = options.reduce.is_some() && param.mode == ArrayMode::Out;
            if param.mode == ArrayMode::Index || reduced {
                continue;
            }
            let is_strided = param.access == Access::Strided;
            strided |= is_strided;
            arrays.push(ArrayBinding {
                array,
                binding: arrays.len() as u32,
                dtype: param.dtype,
                mode: match param.mode {
                    ArrayMode::In | ArrayMode::Index => BindingMode::Read,
                    ArrayMode::Out | ArrayMode::InOut => BindingMode::ReadWrite,
                },
                params: OperandParams {
                    offset: take(1),
                    strides: is_strided.then(|| take(options.rank)),
                },
            });
        }
        let shape = strided.then(|| take(options.rank));
        Printer {
            kernel,
            options,
            plan,
            arrays,
            params: ParamsLayout { words, shape },
            helpers: RefCell::default(),
            uses_f64: Cell::new(false),
            uses_i64: Cell::new(false),
            uses_zero: Cell::new(false),
            uses_zero_wide: Cell::new(false),
            uses_status: Cell::new(false),
        }
    }

    /// The binding of an array parameter.
    fn binding(&self, array: usize) -> Option<&ArrayBinding> {
        self.arrays.iter().find(|b| b.array == array)
    }

    /// The dtype of partial results.
    fn partial(&self, reduction: Reduction) -> Result<DType, BackendError> {
        let output = self
            .kernel
            .arrays
            .iter()
            .find(|a| a.mode == ArrayMode::Out)
            .ok_or_else(|| BackendError::Internal("a reduction without output".to_string()))?;
        Ok(match (reduction, output.dtype) {
            (_, DType::F32 | DType::F64) => output.dtype,
            (Reduction::Sum, dtype) if dtype.is_unsigned_int() => DType::U64,
            (Reduction::Sum, _) => DType::I64,
            (_, DType::Bool) => {
                return Err(BackendError::Unsupported(
                    "minimum and maximum of bool are not made by shaders".to_string(),
                ));
            }
            (_, dtype) => names::register_dtype(dtype),
        })
    }

    /// Text of `element`: computes element `i` of the launch.
    fn element(&self) -> Result<String, BackendError> {
        let mut body = body::Body::new(self);
        body.prologue()?;
        body.block(self.kernel.entry, &body::Exits::default())?;
        Ok(format!("fn element(i: u32) {{\n{}}}\n", body.finish()))
    }

    /// What `main` does with the number of its invocation: from invocations to elements.
    fn main_body(&self) -> Result<String, BackendError> {
        if self.options.reduce.is_some() {
            self.main_reduce()
        } else if self.plan.elements > 1 {
            Ok(self.main_packed())
        } else {
            let n = ParamsLayout::N;
            Ok(format!(
                "    if thread < params[{n}] {{\n        element(thread);\n    }}\n"
            ))
        }
    }

    /// Text of `main`.
    fn main(&self, body: &str) -> String {
        let mut out = String::new();
        let workgroup = self.plan.workgroup;
        let _ = write!(
            out,
            "@compute @workgroup_size({workgroup})\n\
             fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, \
             @builtin(local_invocation_index) local: u32) {{\n"
        );
        let zero = ParamsLayout::ZERO;
        if self.uses_zero.get() {
            let _ = writeln!(out, "    zero = params[{zero}];");
        }
        if self.uses_zero_wide.get() {
            let _ = writeln!(
                out,
                "    zero_wide = (u64(params[{}]) << 32u) | u64(params[{zero}]);",
                zero + 1
            );
        }
        let _ = writeln!(
            out,
            "    let thread = (group.y * groups.x + group.x) * {workgroup}u + local;"
        );
        out.push_str(body);
        out.push_str("}\n");
        out
    }

    /// Narrow outputs: compute the elements of a word, then store the word.
    fn main_packed(&self) -> String {
        let elements = self.plan.elements;
        let n = ParamsLayout::N;
        let mut out = String::new();
        let _ = writeln!(out, "    let first = thread * {elements}u;");
        let _ = writeln!(out, "    if first < params[{n}] {{");
        let _ = writeln!(
            out,
            "        for (var e = 0u; e < {elements}u; e = e + 1u) {{"
        );
        let _ = writeln!(out, "            let i = first + e;");
        let _ = writeln!(out, "            if i < params[{n}] {{");
        let _ = writeln!(out, "                element(i);");
        let _ = writeln!(out, "            }}\n        }}");
        for binding in self.packed() {
            let size = binding.dtype.size() as u32;
            let (k, offset) = (binding.array, binding.params.offset);
            let per_word = 4 / size;
            let _ = writeln!(
                out,
                "        let w{k} = (params[{offset}] + first) / {per_word}u;"
            );
            for word in 0..elements / per_word {
                let store = format!("a{k}[w{k} + {word}u] = packed{k}[{word}];");
                if word == 0 {
                    let _ = writeln!(out, "        {store}");
                } else {
                    let at = word * per_word;
                    let _ = writeln!(
                        out,
                        "        if first + {at}u < params[{n}] {{\n            {store}\n        }}"
                    );
                }
            }
        }
        out.push_str("    }\n");
        out
    }

    /// Outputs that are gathered into words.
    fn packed(&self) -> impl Iterator<Item = &ArrayBinding> {
        self.arrays
            .iter()
            .filter(|b| b.mode == BindingMode::ReadWrite && b.dtype.size() < 4)
    }

    /// One invocation a lane of a leaf: accumulates its elements one after the other.
    fn main_reduce(&self) -> Result<String, BackendError> {
        let reduction = self
            .options
            .reduce
            .ok_or_else(|| BackendError::Internal("not a reduction".to_string()))?;
        let partial = self.partial(reduction)?;
        let mapped = self.mapped_dtype();
        let ty = self.register(partial)?;
        let (leaf, lanes) = (Reduction::LEAF, Reduction::LANES);
        let n = ParamsLayout::N;
        let widened = match reduction {
            Reduction::Sum => self.cast(mapped, partial, "mapped")?,
            Reduction::Min | Reduction::Max => "mapped".to_string(),
        };
        let (op, dtype) = match reduction {
            Reduction::Sum => (Opcode::Add, partial),
            Reduction::Min => (Opcode::Min, mapped),
            Reduction::Max => (Opcode::Max, mapped),
        };
        let step = self.operation(op, dtype, &["acc", "next"], &[None, None])?;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "    let first = (thread / {lanes}u) * {leaf}u + thread % {lanes}u;"
        );
        let _ = writeln!(out, "    if first < params[{n}] {{");
        let _ = writeln!(out, "        element(first);");
        let _ = writeln!(out, "        var acc: {ty} = {widened};");
        let _ = writeln!(
            out,
            "        for (var k = {lanes}u; k < {leaf}u; k = k + {lanes}u) {{"
        );
        let _ = writeln!(out, "            if first + k >= params[{n}] {{");
        let _ = writeln!(out, "                break;\n            }}");
        let _ = writeln!(out, "            element(first + k);");
        let _ = writeln!(out, "            let next: {ty} = {widened};");
        let _ = writeln!(out, "            acc = {step};\n        }}");
        let _ = writeln!(out, "        partials[thread] = acc;\n    }}");
        Ok(out)
    }

    /// The dtype of the one output of a reduced kernel.
    fn mapped_dtype(&self) -> DType {
        self.kernel
            .arrays
            .iter()
            .find(|a| a.mode == ArrayMode::Out)
            .map_or(DType::F32, |a| a.dtype)
    }

    /// Puts the parts in order and describes them.
    fn assemble(&self, helpers: &str, element: &str, main: &str) -> Result<Shader, BackendError> {
        let mut out = String::new();
        let name: String = self
            .kernel
            .name
            .chars()
            .map(|c| match c {
                // What ends a line in WGSL would end the comment.
                '\u{2028}' | '\u{2029}' => ' ',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();
        let _ = writeln!(out, "// {name}");
        for binding in &self.arrays {
            let (k, at) = (binding.array, binding.binding);
            let access = match binding.mode {
                BindingMode::Read => "read",
                BindingMode::ReadWrite => "read_write",
            };
            let ty = self.memory(binding.dtype)?;
            let _ = writeln!(
                out,
                "@group(0) @binding({at}) var<storage, {access}> a{k}: array<{ty}>;"
            );
        }
        let mut next = self.arrays.len() as u32;
        let partials = match self.options.reduce {
            Some(reduction) => {
                let dtype = self.partial(reduction)?;
                let ty = self.register(dtype)?;
                let _ = writeln!(
                    out,
                    "@group(0) @binding({next}) var<storage, read_write> partials: array<{ty}>;"
                );
                next += 1;
                Some((next - 1, dtype))
            }
            None => None,
        };
        let params_binding = next;
        next += 1;
        let _ = writeln!(
            out,
            "@group(0) @binding({params_binding}) var<storage, read> params: array<u32, {}>;",
            self.params.words
        );
        let status_binding = self.uses_status.get().then_some(next);
        if let Some(at) = status_binding {
            let _ = writeln!(
                out,
                "@group(0) @binding({at}) var<storage, read_write> status: array<atomic<u32>, 2>;"
            );
            next += 1;
        }
        if self.uses_zero.get() {
            out.push_str("var<private> zero: u32;\n");
        }
        if self.uses_zero_wide.get() {
            out.push_str("var<private> zero_wide: u64;\n");
        }
        match self.plan.budget {
            Some(Budget::Element(_)) => out.push_str("var<private> iterations: u32;\n"),
            Some(Budget::Workgroup(_)) => out.push_str("var<workgroup> iterations: atomic<u32>;\n"),
            None => {}
        }
        if self.options.reduce.is_some() {
            let ty = self.register(self.mapped_dtype())?;
            let _ = writeln!(out, "var<private> mapped: {ty};");
        } else {
            for binding in self.packed() {
                let words = self.plan.elements * binding.dtype.size() as u32 / 4;
                let k = binding.array;
                let _ = writeln!(out, "var<private> packed{k}: array<u32, {words}>;");
            }
        }
        for text in [helpers, element, main] {
            if !text.is_empty() {
                out.push('\n');
                out.push_str(text);
            }
        }
        Ok(Shader {
            source: out,
            workgroup: self.plan.workgroup,
            elements_per_invocation: self.plan.elements,
            arrays: self.arrays.clone(),
            partials,
            params_binding,
            params: self.params,
            status_binding,
            bindings: next,
            uses_f64: self.uses_f64.get(),
            uses_i64: self.uses_i64.get(),
            needs_patch: self.plan.arithmetic == Arithmetic::Patched,
            traps: self.kernel.traps.clone(),
        })
    }

    /// Notes that the text computes with a dtype; refuses it when the device does not.
    fn require(&self, dtype: DType) -> Result<(), BackendError> {
        let (has, used, what) = match dtype {
            DType::F64 => (self.options.features.f64, &self.uses_f64, "f64"),
            DType::I64 | DType::U64 => {
                (self.options.features.i64, &self.uses_i64, "64-bit integers")
            }
            _ => return Ok(()),
        };
        used.set(true);
        if has {
            Ok(())
        } else {
            Err(BackendError::Unsupported(format!(
                "kernel {} needs {what}, which the device does not have",
                self.kernel.name
            )))
        }
    }

    /// The WGSL type of values of a dtype.
    fn register(&self, dtype: DType) -> Result<&'static str, BackendError> {
        self.require(dtype)?;
        Ok(names::register(dtype))
    }

    /// The WGSL type of an element (or word of elements) in memory.
    fn memory(&self, dtype: DType) -> Result<&'static str, BackendError> {
        if dtype.size() < 4 {
            Ok("u32")
        } else {
            self.register(dtype)
        }
    }

    /// Name of a helper function, which will be part of the text.
    fn helper(&self, helper: Helper) -> Result<String, BackendError> {
        self.helpers.borrow_mut().insert(helper);
        helper.require(self)?;
        Ok(helper.to_string())
    }

    /// The zero that no optimiser knows, 32 bits wide.
    fn zero(&self) -> &'static str {
        self.uses_zero.set(true);
        "zero"
    }

    /// The zero that no optimiser knows, 64 bits wide.
    fn zero_wide(&self) -> Result<&'static str, BackendError> {
        self.require(DType::U64)?;
        self.uses_zero_wide.set(true);
        Ok("zero_wide")
    }

    /// Is this kind of arithmetic printed?
    fn is(&self, arithmetic: Arithmetic) -> bool {
        self.plan.arithmetic == arithmetic
    }
}
