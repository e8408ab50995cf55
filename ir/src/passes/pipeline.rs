//! The pipelines: which passes run in which order, verified and timed.

use super::{carry_elements, const_fold, contract, cse, dce, if_convert, inline, licm, simplify};
use crate::analysis::tree::compact;
use crate::{DType, FuncRef, Function, Module};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A pass and its name.
pub type Pass = (&'static str, fn(&mut Function) -> bool);

/// Every pass that changes a function in place and keeps its form, for tests to try one by one.
pub const ALL: &[Pass] = &[
    ("lower_returns", super::lower_returns),
    ("const_fold", const_fold),
    ("simplify", simplify),
    ("cse", cse),
    ("licm", licm),
    ("if_convert", if_convert),
    ("dce", dce),
    ("contract", contract),
    ("carry_elements", carry_elements),
];

/// What every scalar-form kernel goes through after inlining.
const OPTIMIZE: &[Pass] = &[
    // Constants first: what they decide need not be looked at any more.
    ("const_fold", const_fold),
    ("simplify", simplify),
    ("cse", cse),
    // Selects are open to algebra again.
    ("if_convert", if_convert),
    ("simplify", simplify),
    ("const_fold", const_fold),
    ("licm", licm),
    ("cse", cse),
    // Counts uses, so after cse.
    ("contract", contract),
    ("dce", dce),
];

/// What tidies up behind `vectorize`, which makes masks and splats freely.
const VECTOR_FORM: &[Pass] = &[
    ("simplify", simplify),
    ("cse", cse),
    ("licm", licm),
    ("cse", cse),
    ("dce", dce),
];

/// The function `root` of a module with all calls inlined, optimised, in scalar form.
pub fn optimize(module: &Module, root: FuncRef) -> Function {
    let mut times = Times::start();
    let mut func = inline(module, root);
    times.lap("inline");
    check("inline", &func);
    run(&mut func, OPTIMIZE, &mut times);
    let func = compact(&func);
    times.lap("compact");
    times.print(&func.name);
    func
}

/// What a gufunc kernel goes through whose loops have been promoted: only now is it known what its loops are.
const GUFUNC: &[Pass] = &[
    ("const_fold", const_fold),
    ("simplify", simplify),
    ("cse", cse),
    ("contract", contract),
    ("dce", dce),
];

/// A kernel that `promote_loops` gives, with elements of outputs in registers.
pub fn optimize_gufunc(func: Function) -> Function {
    let mut func = func;
    if !run_passes(&mut func, &[("carry_elements", carry_elements)]) {
        return func;
    }
    run_passes(&mut func, GUFUNC);
    compact(&func)
}

/// What tidies up behind `lower_complex` and `lower_half`.
const LOWERED: &[Pass] = &[
    ("simplify", simplify),
    ("const_fold", const_fold),
    ("licm", licm),
    ("cse", cse),
    ("contract", contract),
    ("dce", dce),
];

/// Lowers the dtypes that backends do not compute with, f16 and complex, to those that they do; of the
/// function in scalar form that [`optimize`] gives. Without such dtypes nothing is done.
pub fn lower_numbers(func: Function) -> Function {
    let plain = |dtype: DType| dtype.is_native();
    if func.values.iter().all(|v| plain(v.ty.dtype))
        && func.arrays.iter().all(|a| plain(a.dtype))
        && func.locals.iter().all(|l| plain(l.dtype))
    {
        return func;
    }
    let mut func = func;
    let mut times = Times::start();
    // Parts first: a cast from f16 to complex is one to f32.
    let passes: [Pass; 2] = [
        ("lower_complex", super::lower_complex),
        ("lower_half", super::lower_half),
    ];
    run(&mut func, &passes, &mut times);
    run(&mut func, LOWERED, &mut times);
    let func = compact(&func);
    times.lap("compact");
    times.print(&func.name);
    func
}

/// Runs passes on a function one after another; true if one of them changed it.
pub fn run_passes(func: &mut Function, passes: &[Pass]) -> bool {
    let mut times = Times::start();
    let changed = run(func, passes, &mut times);
    times.print(&func.name);
    changed
}

/// Tidies up a function in vector form; a part of [`super::vectorize`].
pub fn clean_up_vector_form(func: &mut Function) {
    let mut times = Times::start();
    check("vectorize", func);
    run(func, VECTOR_FORM, &mut times);
    times.print(&func.name);
}

fn run(func: &mut Function, passes: &[Pass], times: &mut Times) -> bool {
    let mut changed = false;
    for (name, pass) in passes {
        changed |= pass(func);
        times.lap(name);
        check(name, func);
    }
    changed
}

/// In debug builds, verifies what a pass produced.
fn check(pass: &str, func: &Function) {
    if cfg!(debug_assertions) {
        // A recursive call stays a call; only the module could tell whether it fits.
        if func.insts.iter().any(|i| i.op == crate::Opcode::Call) {
            return;
        }
        if let Err(errors) = crate::verify::verify(func, None) {
            panic!("bug in kjit: pass {pass} produced a wrong function: {errors}\n{func}");
        }
    }
}

/// Time spent in each pass, when `KJIT_TIME=1` asks for it.
struct Times {
    last: Option<Instant>,
    laps: Vec<(&'static str, Duration)>,
}

impl Times {
    fn start() -> Times {
        static WANTED: OnceLock<bool> = OnceLock::new();
        let wanted =
            *WANTED.get_or_init(|| std::env::var_os("KJIT_TIME").is_some_and(|v| v == "1"));
        Times {
            last: wanted.then(Instant::now),
            laps: Vec::new(),
        }
    }

    fn lap(&mut self, name: &'static str) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            self.laps.push((name, now - *last));
            *last = now;
        }
    }

    #[expect(clippy::print_stderr, reason = "the table that KJIT_TIME=1 asks for")]
    fn print(&self, function: &str) {
        if self.last.is_none() {
            return;
        }
        eprintln!("passes on {function}:");
        for (name, time) in &self.laps {
            eprintln!("  {name:<14} {:>9.1} us", time.as_secs_f64() * 1e6);
        }
        let total: Duration = self.laps.iter().map(|(_, t)| *t).sum();
        eprintln!("  {:<14} {:>9.1} us", "total", total.as_secs_f64() * 1e6);
    }
}
