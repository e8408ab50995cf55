//! Prints a kernel as WGSL: resources, helpers, `element` (one element), `main` (who computes which).
//!
//! The body is flat SSA: one `let` a value, so that no expression nests. Constants are `let`s too, which
//! keeps WGSL's compile-time evaluation (an error for `x / 0`, long shifts, overflow) away from them.

mod body;
mod cast;
mod helpers;
mod names;
mod ops;
mod reduce;

pub use reduce::{print_leaves, print_tree};

use crate::raise::{Arithmetic, Budget, Plan, width};
use crate::shader::{ArrayBinding, BindingMode, OperandParams, ParamsLayout, Shader};
use crate::{PartialBinding, ReduceParams, WgslOptions};
use helpers::Helper;
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayMode, DType, Function, Imm, Part, Role};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Prints the kernel as the plan says.
pub fn print(
    kernel: &Function,
    options: &WgslOptions,
    plan: &Plan,
) -> Result<Shader, BackendError> {
    let printer = Printer::new(kernel, options, plan, Kind::Elementwise);
    let element = printer.element()?;
    let main = printer.main_body();
    // Helpers first: only now is it known what `main` has to prepare.
    let helpers = printer.helper_text()?;
    let main = printer.main(&main);
    printer.assemble(&[&helpers, &element, &main], Partials::default())
}

/// What becomes of a kernel's arrays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They are bound.
    Elementwise,
    /// Inputs are bound, outputs are variables `mapped0`, `mapped1`, ..: the kernel maps what is reduced.
    Map,
    /// Inputs are parameters `x0`, `x1`, .. of a function, outputs variables `r0`, `r1`, ..
    Combine,
}

/// What printing needs to know and collects on the way.
struct Printer<'a> {
    kernel: &'a Function,
    options: &'a WgslOptions,
    plan: &'a Plan,
    kind: Kind,
    arrays: Vec<ArrayBinding>,
    /// Bindings of arrays.
    bound: u32,
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

/// Buffers and variables of a reduction's shader.
#[derive(Default)]
struct Partials {
    /// Dtypes of the buffers that are read and written.
    sources: Vec<DType>,
    stored: Vec<DType>,
    /// Declarations.
    variables: String,
}

/// The words of a status buffer.
const STATUS_TRAP: usize = 0;
const STATUS_LOOP: usize = 1;

impl<'a> Printer<'a> {
    fn new(
        kernel: &'a Function,
        options: &'a WgslOptions,
        plan: &'a Plan,
        kind: Kind,
    ) -> Printer<'a> {
        let mut params = ParamsLayout {
            words: ParamsLayout::OPERANDS,
            ..ParamsLayout::default()
        };
        let mut arrays: Vec<ArrayBinding> = Vec::new();
        let mut bound = 0;
        let mut strided = false;
        let used = used(kernel);
        for (array, param) in kernel.arrays.iter().enumerate() {
            let is_output = matches!(param.mode, ArrayMode::Out | ArrayMode::InOut);
            let unbound = match kind {
                Kind::Elementwise => false,
                Kind::Map => is_output,
                Kind::Combine => true,
            };
            let is_iota = matches!(param.role, Role::Iota(_));
            let plain_index = param.mode == ArrayMode::Index && !is_iota;
            if unbound || plain_index || param.part == Part::Im || !used[array] {
                continue;
            }
            let is_strided = param.access == Access::Strided;
            strided |= is_strided;
            let mode = match is_output {
                false => BindingMode::Read,
                true => BindingMode::ReadWrite,
            };
            let shared = arrays.iter().find(|b| b.array == leader(kernel, array));
            let binding = match shared {
                _ if param.mode == ArrayMode::Index => None,
                Some(first) => first.binding,
                None => {
                    bound += 1;
                    Some(bound - 1)
                }
            };
            arrays.push(ArrayBinding {
                array,
                binding,
                dtype: match param.part {
                    Part::Whole => param.dtype,
                    _ => param.dtype.complex_of_part().unwrap_or(param.dtype),
                },
                mode: shared.map_or(mode, |first| first.mode),
                params: OperandParams {
                    offset: params.take(1),
                    strides: is_strided.then(|| params.take(options.rank)),
                    core: (!param.core.is_empty()).then(|| params.take(param.core.len())),
                },
            });
        }
        params.shape = strided.then(|| params.take(options.rank));
        if !kernel.dims.is_empty() {
            params.dims = Some(params.take(kernel.dims.len()));
        }
        if kind != Kind::Elementwise {
            params.reduce = Some(params.take(ReduceParams::WORDS));
        }
        Printer {
            kernel,
            options,
            plan,
            kind,
            arrays,
            bound,
            params,
            helpers: RefCell::default(),
            uses_f64: Cell::new(false),
            uses_i64: Cell::new(false),
            uses_zero: Cell::new(false),
            uses_zero_wide: Cell::new(false),
            uses_status: Cell::new(false),
        }
    }

    /// What is known of an array parameter (for the second part of a pair: of the first).
    fn binding(&self, array: usize) -> Option<&ArrayBinding> {
        let first = first_part(self.kernel, array);
        self.arrays.iter().find(|b| b.array == first)
    }

    /// The variable that an output is, in a reduction.
    fn output_variable(&self, array: usize) -> String {
        let is_output =
            |a: &&kjit_ir::ArrayParam| a.mode != ArrayMode::In && a.mode != ArrayMode::Index;
        let p = self.kernel.arrays[..array].iter().filter(is_output).count();
        match self.kind {
            Kind::Combine => format!("r{p}"),
            _ => format!("mapped{p}"),
        }
    }

    /// Text of `element`: computes element `i` of the launch (in a reduction: of output `m`).
    fn element(&self) -> Result<String, BackendError> {
        let mut body = body::Body::new(self);
        body.prologue()?;
        body.block(self.kernel.entry, &body::Exits::default())?;
        let output = match self.kind {
            Kind::Map => ", m: u32",
            _ => "",
        };
        Ok(format!(
            "fn element(i: u32{output}) {{\n{}}}\n",
            body.finish()
        ))
    }

    /// What `main` does with the number of its invocation: from invocations to elements.
    fn main_body(&self) -> String {
        let workgroup = self.plan.workgroup;
        let thread =
            format!("    let thread = (group.y * groups.x + group.x) * {workgroup}u + local;\n");
        if self.plan.elements > 1 {
            thread + &self.main_packed()
        } else {
            let n = ParamsLayout::N;
            format!("{thread}    if thread < params[{n}] {{\n        element(thread);\n    }}\n")
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
        self.arrays.iter().filter(|b| {
            self.kind == Kind::Elementwise
                && width::is_packed(self.kernel, &self.kernel.arrays[b.array])
        })
    }

    /// Puts the parts in order and describes them.
    fn assemble(&self, functions: &[&str], partials: Partials) -> Result<Shader, BackendError> {
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
        let mut declared = 0;
        for binding in &self.arrays {
            // Parameters that share a binding come after its first one.
            let (k, Some(at)) = (binding.array, binding.binding) else {
                continue;
            };
            if at < declared {
                continue;
            }
            declared = at + 1;
            let access = match binding.mode {
                BindingMode::Read => "read",
                BindingMode::ReadWrite => "read_write",
            };
            let ty = self.memory(k)?;
            let _ = writeln!(
                out,
                "@group(0) @binding({at}) var<storage, {access}> a{k}: array<{ty}>;"
            );
        }
        let mut next = self.bound;
        let mut bind = |name: &str, access: &str, dtypes: &[DType]| {
            let mut bindings = Vec::new();
            for (n, dtype) in dtypes.iter().enumerate() {
                let ty = self.register(dtype.part().unwrap_or(*dtype))?;
                let _ = writeln!(
                    out,
                    "@group(0) @binding({next}) var<storage, {access}> {name}{n}: array<{ty}>;"
                );
                bindings.push(PartialBinding {
                    binding: next,
                    dtype: *dtype,
                });
                next += 1;
            }
            Ok::<_, BackendError>(bindings)
        };
        let sources = bind("source", "read", &partials.sources)?;
        let stored = bind("partial", "read_write", &partials.stored)?;
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
            Some(Budget::Element(_) | Budget::Invocation(_)) => {
                out.push_str("var<private> iterations: u32;\n");
            }
            Some(Budget::Workgroup(_)) => out.push_str("var<workgroup> iterations: atomic<u32>;\n"),
            None => {}
        }
        for binding in self.packed() {
            let words = self.plan.elements * binding.dtype.size() as u32 / 4;
            let k = binding.array;
            let _ = writeln!(out, "var<private> packed{k}: array<u32, {words}>;");
        }
        out.push_str(&partials.variables);
        for text in functions {
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
            partials: stored,
            sources,
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

    /// The WGSL type of an element (or word of elements) of an array in memory.
    fn memory(&self, array: usize) -> Result<&'static str, BackendError> {
        let param = &self.kernel.arrays[array];
        if width::is_atomic(self.kernel, param) {
            Ok("atomic<u32>")
        } else if param.dtype.size() < 4 {
            Ok("u32")
        } else {
            self.register(param.dtype)
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

impl ParamsLayout {
    /// Room for some words; where it is.
    fn take(&mut self, words: usize) -> usize {
        self.words += words;
        self.words - words
    }
}

/// For each array, does the kernel touch it (or the other part of its argument)?
fn used(kernel: &Function) -> Vec<bool> {
    let mut used = vec![false; kernel.arrays.len()];
    crate::raise::visit(kernel, &mut |inst, _| {
        if let Imm::Array(array) = kernel.inst(inst).imm {
            used[first_part(kernel, array.index())] = true;
            used[leader(kernel, array.index())] = true;
        }
    });
    used
}

/// The array itself, or for the second part of a complex argument the first.
fn first_part(kernel: &Function, array: usize) -> usize {
    match kernel.arrays[array].part {
        Part::Im => array - 1,
        Part::Whole | Part::Re => array,
    }
}

/// The first array parameter that stands for the same argument: the one that is bound.
fn leader(kernel: &Function, array: usize) -> usize {
    let first = first_part(kernel, array);
    match kernel.arrays[first].role {
        Role::Alias(of) => leader(kernel, of.index()),
        _ => first,
    }
}
