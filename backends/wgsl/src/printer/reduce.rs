//! Prints reductions: the kernel that combines as a function, and around it the shapes of the tree.
//!
//! An accumulator is one variable for each output of the kernel that combines (two for a pair, or for a
//! value and its index). In memory `bool` is a word, narrow integers and the bits of `f16` too.

use super::body::{self, Body};
use super::{Kind, Partials, Printer, names};
use crate::WgslOptions;
use crate::raise::Plan;
use crate::shader::{ReduceParams, Shader};
use kjit_ir::target::BackendError;
use kjit_ir::{ArrayMode, ArrayParam, DType, Function, Part};
use std::fmt::Write;

/// Prints the first pass: elements to leaves, leaves to subtrees.
pub fn print_leaves(
    map: &Function,
    map_plan: &Plan,
    combine: &Function,
    combine_plan: &Plan,
    options: &WgslOptions,
) -> Result<Shader, BackendError> {
    let printer = Printer::new(map, options, map_plan, Kind::Map);
    let tree = Tree::new(combine, combine_plan, options)?;
    let mapped: Vec<DType> = outputs(map).map(|a| a.dtype).collect();
    if mapped.len() != tree.parts.len() {
        return Err(BackendError::Internal(format!(
            "kernel {} of {} outputs is reduced with {} of {}",
            map.name,
            mapped.len(),
            combine.name,
            tree.parts.len()
        )));
    }
    let element = printer.element()?;
    let function = tree.function()?;
    let mut variables = tree.variables()?;
    let mut converted = Vec::new();
    for (p, (from, to)) in mapped.iter().zip(&tree.parts).enumerate() {
        let ty = printer.register(*from)?;
        let _ = writeln!(variables, "var<private> mapped{p}: {ty};");
        converted.push(printer.cast(*from, to.dtype, &format!("mapped{p}"))?);
    }
    let main = leaves_main(&tree, &converted, reduce_params(&printer))?;
    finish(
        &printer,
        &tree,
        &[&function, &element],
        &main,
        variables,
        Vec::new(),
    )
}

/// Prints the other passes: partial results to subtrees.
pub fn print_tree(
    combine: &Function,
    plan: &Plan,
    options: &WgslOptions,
) -> Result<Shader, BackendError> {
    let tree = Tree::new(combine, plan, options)?;
    let function = tree.function()?;
    let variables = tree.variables()?;
    let main = tree_main(&tree, reduce_params(&tree.printer))?;
    let sources = tree.buffers();
    finish(
        &tree.printer,
        &tree,
        &[&function],
        &main,
        variables,
        sources,
    )
}

/// Joins what two printers noted, and puts everything in order.
fn finish(
    printer: &Printer<'_>,
    tree: &Tree<'_>,
    functions: &[&str],
    main: &str,
    variables: String,
    sources: Vec<DType>,
) -> Result<Shader, BackendError> {
    // Helpers print themselves by the plan of a printer: the stricter one serves both.
    let helper_printer = match tree.printer.plan.arithmetic {
        crate::raise::Arithmetic::Fast => printer,
        _ => &tree.printer,
    };
    if !std::ptr::eq(printer, &tree.printer) {
        let all = &*tree.printer.helpers.borrow() | &*printer.helpers.borrow();
        *helper_printer.helpers.borrow_mut() = all;
    }
    let helpers = helper_printer.helper_text()?;
    for (mine, other) in [
        (&printer.uses_f64, &tree.printer.uses_f64),
        (&printer.uses_i64, &tree.printer.uses_i64),
        (&printer.uses_zero, &tree.printer.uses_zero),
        (&printer.uses_zero_wide, &tree.printer.uses_zero_wide),
        (&printer.uses_status, &tree.printer.uses_status),
    ] {
        mine.set(mine.get() | other.get());
    }
    let main = printer.main(main);
    let counted = if printer.plan.budget.is_none() && tree.printer.plan.budget.is_some() {
        "var<private> iterations: u32;\n"
    } else {
        ""
    };
    let partials = Partials {
        sources,
        stored: tree.buffers(),
        variables: format!("{counted}{variables}"),
    };
    let mut texts = vec![helpers.as_str()];
    texts.extend_from_slice(functions);
    texts.push(&main);
    let mut shader = printer.assemble(&texts, partials)?;
    shader.needs_patch |= tree.printer.is(crate::raise::Arithmetic::Patched);
    // Traps are counted by kernel; a kernel that combines has none.
    Ok(shader)
}

fn outputs(kernel: &Function) -> impl Iterator<Item = &ArrayParam> {
    kernel
        .arrays
        .iter()
        .filter(|a| matches!(a.mode, ArrayMode::Out | ArrayMode::InOut))
}

/// The dtype of an accumulator in memory.
fn carrier(dtype: DType) -> DType {
    match dtype {
        DType::Bool => DType::U32,
        other => names::register_dtype(other),
    }
}

fn reduce_params(printer: &Printer<'_>) -> usize {
    printer.params.reduce.unwrap_or_default()
}

/// One variable of an accumulator.
struct Accumulator {
    dtype: DType,
    part: Part,
    /// Number of the buffer it is stored to.
    buffer: usize,
}

/// The kernel that combines.
struct Tree<'a> {
    printer: Printer<'a>,
    parts: Vec<Accumulator>,
}

impl<'a> Tree<'a> {
    fn new(
        combine: &'a Function,
        plan: &'a Plan,
        options: &'a WgslOptions,
    ) -> Result<Tree<'a>, BackendError> {
        let mut parts: Vec<Accumulator> = Vec::new();
        let mut buffers = 0;
        for output in outputs(combine) {
            buffers += (output.part != Part::Im) as usize;
            parts.push(Accumulator {
                dtype: output.dtype,
                part: output.part,
                buffer: buffers - 1,
            });
        }
        let inputs = combine.arrays.iter().filter(|a| a.mode == ArrayMode::In);
        let wanted = parts.iter().chain(&parts).map(|p| p.dtype);
        let sorted = combine.arrays.is_sorted_by_key(|a| a.mode != ArrayMode::In);
        if parts.is_empty() || !sorted || !inputs.map(|a| a.dtype).eq(wanted) {
            return Err(BackendError::Internal(format!(
                "kernel {} does not combine two values of what it gives",
                combine.name
            )));
        }
        if !combine.traps.is_empty() {
            return Err(BackendError::Unsupported(format!(
                "a reduction with {}, which has run-time checks",
                combine.name
            )));
        }
        Ok(Tree {
            printer: Printer::new(combine, options, plan, Kind::Combine),
            parts,
        })
    }

    /// Text of `combine`, which leaves its results in `r0`, `r1`, ..
    fn function(&self) -> Result<String, BackendError> {
        let mut body = Body::new(&self.printer);
        body.prologue()?;
        body.block(self.printer.kernel.entry, &body::Exits::default())?;
        let mut parameters = Vec::new();
        for k in 0..2 * self.parts.len() {
            let dtype = self.parts[k % self.parts.len()].dtype;
            parameters.push(format!("x{k}: {}", self.printer.register(dtype)?));
        }
        let parameters = parameters.join(", ");
        Ok(format!(
            "fn combine({parameters}) {{\n{}}}\n",
            body.finish()
        ))
    }

    /// Declarations of results, and of the workgroup's accumulators.
    fn variables(&self) -> Result<String, BackendError> {
        let mut out = String::new();
        for (p, part) in self.parts.iter().enumerate() {
            let ty = self.printer.register(part.dtype)?;
            let word = self.printer.register(carrier(part.dtype))?;
            let _ = writeln!(out, "var<private> r{p}: {ty};");
            let n = ReduceParams::WORKGROUP;
            let _ = writeln!(out, "var<workgroup> w{p}: array<{word}, {n}>;");
        }
        Ok(out)
    }

    /// Dtypes of the buffers of partial results.
    fn buffers(&self) -> Vec<DType> {
        let first_parts = self.parts.iter().filter(|p| p.part != Part::Im);
        first_parts
            .map(|p| match p.part {
                Part::Whole => carrier(p.dtype),
                _ => p.dtype.complex_of_part().unwrap_or(p.dtype),
            })
            .collect()
    }

    /// Text for every variable of an accumulator.
    fn each(&self, text: impl Fn(usize, &Accumulator) -> String) -> Vec<String> {
        self.parts
            .iter()
            .enumerate()
            .map(|(p, a)| text(p, a))
            .collect()
    }

    /// Statement that combines two accumulators.
    fn call(&self, left: &[String], right: &[String]) -> String {
        let arguments: Vec<&str> = left.iter().chain(right).map(String::as_str).collect();
        format!("combine({});", arguments.join(", "))
    }

    /// An accumulator in workgroup memory.
    fn shared(&self, at: &str) -> Vec<String> {
        self.each(|p, a| from_memory(a.dtype, &format!("w{p}[{at}]")))
    }

    /// Stores variables to workgroup memory.
    fn share(&self, at: &str, variable: &str, indent: &str) -> String {
        self.each(|p, a| {
            let value = to_memory(a.dtype, &format!("{variable}{p}"));
            format!("{indent}w{p}[{at}] = {value};\n")
        })
        .concat()
    }

    /// Stores an accumulator of workgroup memory as a partial result.
    fn store(&self, to: &str, at: &str, indent: &str) -> String {
        self.each(|p, a| {
            let to = body::part(a.part, to);
            format!("{indent}partial{}[{to}] = w{p}[{at}];\n", a.buffer)
        })
        .concat()
    }
}

fn from_memory(dtype: DType, text: &str) -> String {
    match dtype {
        DType::Bool => format!("({text} != 0u)"),
        _ => text.to_string(),
    }
}

fn to_memory(dtype: DType, text: &str) -> String {
    match dtype {
        DType::Bool => format!("select(0u, 1u, {text})"),
        _ => text.to_string(),
    }
}

/// The names of the parameters.
fn parameters(at: usize) -> String {
    let word = |name: &str, n: usize| format!("    let {name} = params[{}];\n", at + n);
    [
        word("count", ReduceParams::COUNT),
        word("outputs", ReduceParams::OUTPUTS),
        word("across", ReduceParams::GROUP),
        word("blocks", ReduceParams::BLOCKS),
        format!(
            "    let outer = params[{}] != 0u;\n",
            at + ReduceParams::OUTER
        ),
        "    let number = group.y * groups.x + group.x;\n".to_string(),
    ]
    .concat()
}

fn leaves_main(tree: &Tree<'_>, mapped: &[String], at: usize) -> Result<String, BackendError> {
    let (leaf, lanes, units) = (ReduceParams::LEAF, ReduceParams::LANES, ReduceParams::UNITS);
    let (leaves, first) = (at + ReduceParams::LEAVES, at + ReduceParams::FIRST);
    let mut declared = String::new();
    for (p, part) in tree.parts.iter().enumerate() {
        let ty = tree.printer.register(part.dtype)?;
        let _ = writeln!(declared, "        var acc{p}: {ty} = {};", mapped[p]);
    }
    let assign = tree
        .each(|p, _| format!("            acc{p} = r{p};\n"))
        .concat();
    let step = tree.call(&tree.each(|p, _| format!("acc{p}")), mapped);
    let mut out = parameters(at);
    let _ = write!(
        out,
        "    let leaves = params[{leaves}];
    let lane = select(local % {lanes}u, local / {units}u, outer);
    let slot = select(local / {lanes}u, local % {units}u, outer);
    let unit = number * {units}u + slot;
    let m = select(unit / (across * blocks), unit % outputs, outer);
    let leaf = select(unit % (across * blocks), unit / outputs, outer);
    var present = 0u;
    if m < outputs && leaf < leaves {{
        present = min(count - leaf * {leaf}u, {leaf}u);
    }}
    let start = leaf * {leaf}u + lane;
    let at = slot * {lanes}u + lane;
    if lane < present {{
        element(start, m);
{declared}        for (var k = {lanes}u; lane + k < present; k = k + {lanes}u) {{
            element(start + k, m);
            {step}
{assign}        }}
{}    }}
    workgroupBarrier();
",
        tree.share("at", "acc", "        ")
    );
    let mut width = lanes / 2;
    while width > 0 {
        let other = tree.shared(&format!("at + {width}u"));
        let _ = write!(
            out,
            "    if lane < {width}u && lane + {width}u < present {{
        {}
{}    }}
    workgroupBarrier();
",
            tree.call(&tree.shared("at"), &other),
            tree.share("at", "r", "        ")
        );
        width /= 2;
    }
    let mut step = 1;
    while step < units {
        let other = tree.shared(&format!("at + {}u", step * lanes));
        let _ = write!(
            out,
            "    if lane == 0u && {step}u < across && slot % {}u == 0u && leaf + {step}u < leaves && present > 0u {{
        {}
{}    }}
    workgroupBarrier();
",
            2 * step,
            tree.call(&tree.shared("at"), &other),
            tree.share("at", "r", "        ")
        );
        step *= 2;
    }
    let _ = write!(
        out,
        "    if lane == 0u && slot % across == 0u && present > 0u {{
        let to = params[{first}] + select(m * blocks + leaf / across, leaf * outputs + m, outer);
{}    }}
",
        tree.store("to", "at", "        ")
    );
    Ok(out)
}

fn tree_main(tree: &Tree<'_>, at: usize) -> Result<String, BackendError> {
    let own = ReduceParams::PARTIALS;
    let workgroup = ReduceParams::WORKGROUP;
    let mut declared = String::new();
    for (p, part) in tree.parts.iter().enumerate() {
        let ty = tree.printer.register(carrier(part.dtype))?;
        let _ = writeln!(declared, "    var own{p}: array<{ty}, {own}>;");
    }
    let own_at = |at: &str| tree.each(|p, a| from_memory(a.dtype, &format!("own{p}[{at}]")));
    let load = tree.each(|p, a| {
        let from = body::part(a.part, "from_");
        format!("        own{p}[j] = source{}[{from}];\n", a.buffer)
    });
    let keep = tree.each(|p, a| {
        let value = to_memory(a.dtype, &format!("r{p}"));
        format!("            own{p}[j] = {value};\n")
    });
    let publish = tree.each(|p, _| format!("        w{p}[at] = own{p}[0];\n"));
    let mut out = parameters(at);
    let _ = write!(
        out,
        "    let units = {workgroup}u / across;
    let thread = select(local % across, local / units, outer);
    let slot = select(local / across, local % units, outer);
    let unit = number * units + slot;
    let m = select(unit / blocks, unit % outputs, outer);
    let block = select(unit % blocks, unit / outputs, outer);
    let start = (block * across + thread) * {own}u;
    var present = 0u;
    if m < outputs && block < blocks && start < count {{
        present = min(count - start, {own}u);
    }}
{declared}    for (var j = 0u; j < present; j = j + 1u) {{
        let from_ = select(m * count + start + j, (start + j) * outputs + m, outer);
{}    }}
    for (var s = 1u; s < {own}u; s = s * 2u) {{
        for (var j = 0u; j + s < present; j = j + 2u * s) {{
            {}
{}        }}
    }}
    let at = slot * across + thread;
    if present > 0u {{
{}    }}
    workgroupBarrier();
    for (var s = 1u; s < across; s = s * 2u) {{
        if present > 0u && thread % (2u * s) == 0u && start + s * {own}u < count {{
            {}
{}        }}
        workgroupBarrier();
    }}
    if present > 0u && thread == 0u {{
        let to = params[{}] + select(m * blocks + block, block * outputs + m, outer);
{}    }}
",
        load.concat(),
        tree.call(&own_at("j"), &own_at("j + s")),
        keep.concat(),
        publish.concat(),
        tree.call(&tree.shared("at"), &tree.shared("at + s")),
        tree.share("at", "r", "            "),
        at + ReduceParams::FIRST,
        tree.store("to", "at", "        ")
    );
    Ok(out)
}
