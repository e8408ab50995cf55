//! Random well-typed programs: one ufunc with branches, loops, local arrays and mixed dtypes.

use crate::rng::Rng;
use kjit::DType;
use std::fmt::Write;

/// A program with one ufunc, `f`.
#[derive(Clone, Debug)]
pub struct RandomProgram {
    /// Source text.
    pub text: String,
    /// Dtypes of its inputs.
    pub inputs: Vec<DType>,
    /// Dtypes of its outputs.
    pub outputs: Vec<DType>,
}

const DTYPES: [DType; 11] = [
    DType::Bool,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F32,
    DType::F64,
];

/// A random program that the front end must accept.
pub fn random_program(rng: &mut Rng) -> RandomProgram {
    // A few dtypes a program: mixing all of them leaves nothing that can be combined without casts.
    let palette: Vec<DType> = (0..1 + rng.below(3)).map(|_| *rng.pick(&DTYPES)).collect();
    let dtypes = |rng: &mut Rng, n: usize| (0..n).map(|_| *rng.pick(&palette)).collect::<Vec<_>>();
    let count = 1 + rng.below(3);
    let inputs = dtypes(rng, count);
    let count = 1 + rng.below(2);
    let outputs = dtypes(rng, count);
    let mut writer = Writer {
        text: String::new(),
        palette,
        vars: inputs
            .iter()
            .enumerate()
            .map(|(n, d)| Var::new(format!("a{n}"), *d, false))
            .collect(),
        arrays: Vec::new(),
        outputs: outputs.clone(),
        names: 0,
        depth: 1,
        loops: 0,
        statements: 4 + rng.below(12),
    };
    let params: Vec<String> = inputs
        .iter()
        .enumerate()
        .map(|(n, d)| format!("a{n}: {d}"))
        .collect();
    let results = match outputs.as_slice() {
        [one] => one.to_string(),
        many => {
            let list: Vec<String> = many
                .iter()
                .enumerate()
                .map(|(n, d)| format!("r{n}: {d}"))
                .collect();
            format!("({})", list.join(", "))
        }
    };
    writer.text = format!("ufunc f({}) -> {results} {{\n", params.join(", "));
    writer.block(rng);
    let result = writer.results(rng);
    writer.line(&result);
    writer.text.push_str("}\n");
    RandomProgram {
        text: writer.text,
        inputs,
        outputs,
    }
}

#[derive(Clone)]
struct Var {
    name: String,
    dtype: DType,
    mutable: bool,
}

impl Var {
    fn new(name: String, dtype: DType, mutable: bool) -> Var {
        Var {
            name,
            dtype,
            mutable,
        }
    }
}

struct Writer {
    text: String,
    palette: Vec<DType>,
    vars: Vec<Var>,
    /// Local arrays: name, dtype, length.
    arrays: Vec<(String, DType, usize)>,
    outputs: Vec<DType>,
    names: usize,
    depth: usize,
    loops: usize,
    /// Statements left to write.
    statements: usize,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let indent = "    ".repeat(self.depth);
        let _ = writeln!(self.text, "{indent}{text}");
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// A few statements in a scope of their own.
    fn block(&mut self, rng: &mut Rng) {
        for _ in 0..1 + rng.below(4) {
            if self.statements == 0 {
                return;
            }
            self.statements -= 1;
            self.statement(rng);
        }
    }

    fn scoped(&mut self, rng: &mut Rng) {
        let (vars, arrays) = (self.vars.len(), self.arrays.len());
        self.depth += 1;
        self.block(rng);
        self.depth -= 1;
        self.vars.truncate(vars);
        self.arrays.truncate(arrays);
    }

    fn statement(&mut self, rng: &mut Rng) {
        let mutable: Vec<Var> = self.vars.iter().filter(|v| v.mutable).cloned().collect();
        match rng.below(13) {
            0..=2 => {
                let dtype = *rng.pick(&self.palette);
                let value = self.expr(rng, dtype, 3);
                let name = self.fresh();
                let mutable = !rng.one_in(3);
                let word = if mutable { "mut " } else { "" };
                self.line(&format!("let {word}{name}: {dtype} = {value};"));
                self.vars.push(Var::new(name, dtype, mutable));
            }
            3..=5 if !mutable.is_empty() => {
                let var = rng.pick(&mutable).clone();
                let value = self.expr(rng, var.dtype, 3);
                let op = if var.dtype == DType::Bool {
                    "="
                } else {
                    *rng.pick(&["=", "+=", "-=", "*="])
                };
                self.line(&format!("{} {op} {value};", var.name));
            }
            6 | 7 if self.depth < 5 => {
                let condition = self.expr(rng, DType::Bool, 2);
                self.line(&format!("if {condition} {{"));
                self.scoped(rng);
                if rng.one_in(2) {
                    self.line("} else {");
                    self.scoped(rng);
                }
                self.line("}");
            }
            8 | 9 if self.loops < 2 && self.depth < 5 => self.bounded_loop(rng),
            10 if self.loops > 0 => {
                let condition = self.expr(rng, DType::Bool, 2);
                let exit = *rng.pick(&["break", "continue"]);
                self.line(&format!("if {condition} {{ {exit}; }}"));
            }
            11 if self.depth > 1 || rng.one_in(3) => {
                let condition = self.expr(rng, DType::Bool, 2);
                let result = self.results(rng);
                self.line(&format!("if {condition} {{ return {result}; }}"));
            }
            _ if !self.arrays.is_empty() && rng.one_in(2) => {
                let (name, dtype, len) = rng.pick(&self.arrays.clone()).clone();
                let index = self.index(rng, len);
                let value = self.expr(rng, dtype, 2);
                self.line(&format!("{name}[{index}] = {value};"));
            }
            _ => {
                let dtype = *rng.pick(&self.palette);
                let len = 1 + rng.below(5);
                let value = self.expr(rng, dtype, 1);
                let name = self.fresh();
                self.line(&format!(
                    "let mut {name}: [{dtype}; {len}] = [{value}; {len}];"
                ));
                self.arrays.push((name, dtype, len));
            }
        }
    }

    /// A loop whose counter ends it whatever its body does: `continue` must not skip the counting.
    fn bounded_loop(&mut self, rng: &mut Rng) {
        let name = self.fresh();
        let bound = match self.vars.iter().find(|v| v.dtype == DType::I32) {
            Some(v) if rng.one_in(2) => format!("min(max({}, 0), {})", v.name, 1 + rng.below(9)),
            _ => (1 + rng.below(9)).to_string(),
        };
        let vars = self.vars.len();
        if rng.one_in(2) {
            self.line(&format!("for {name} in 0i32..{bound} {{"));
            self.vars.push(Var::new(name, DType::I32, false));
        } else {
            self.line(&format!("let mut {name}: i32 = 0;"));
            let condition = self.expr(rng, DType::Bool, 1);
            self.line(&format!(
                "while {name} < {bound} && ({name} < 1 || {condition}) {{"
            ));
            self.depth += 1;
            self.line(&format!("{name} += 1;"));
            self.depth -= 1;
            self.vars.push(Var::new(name, DType::I32, false));
        }
        self.loops += 1;
        self.scoped(rng);
        self.loops -= 1;
        self.line("}");
        self.vars.truncate(vars);
    }

    fn results(&mut self, rng: &mut Rng) -> String {
        let outputs = self.outputs.clone();
        let list: Vec<String> = outputs.iter().map(|d| self.expr(rng, *d, 2)).collect();
        if list.len() == 1 {
            list.concat()
        } else {
            format!("({})", list.join(", "))
        }
    }

    /// An index that is in bounds.
    fn index(&mut self, rng: &mut Rng, len: usize) -> String {
        if rng.one_in(2) {
            return rng.below(len).to_string();
        }
        let value = self.expr(rng, DType::U32, 1);
        format!("({value}) % {len}u32")
    }

    /// An expression of a dtype.
    fn expr(&mut self, rng: &mut Rng, dtype: DType, depth: usize) -> String {
        let known: Vec<Var> = self
            .vars
            .iter()
            .filter(|v| v.dtype == dtype)
            .cloned()
            .collect();
        if depth == 0 || rng.one_in(4) {
            return if known.is_empty() || rng.one_in(4) {
                literal(rng, dtype)
            } else {
                rng.pick(&known).name.clone()
            };
        }
        let mut sub = |rng: &mut Rng, d: DType| self.expr(rng, d, depth - 1);
        match rng.below(10) {
            0 => {
                let condition = sub(rng, DType::Bool);
                let (a, b) = (sub(rng, dtype), sub(rng, dtype));
                return format!("(if {condition} {{ {a} }} else {{ {b} }})");
            }
            1 if dtype != DType::Bool => {
                let from = *rng.pick(&DTYPES);
                let value = sub(rng, from);
                return format!("(({value}) as {dtype})");
            }
            2 if !self.arrays.is_empty() => {
                let (name, array_dtype, len) = rng.pick(&self.arrays.clone()).clone();
                if array_dtype == dtype {
                    let index = self.index(rng, len);
                    return format!("{name}[{index}]");
                }
            }
            _ => {}
        }
        let mut sub = |rng: &mut Rng, d: DType| self.expr(rng, d, depth - 1);
        if dtype == DType::Bool {
            let operand = *rng.pick(&DTYPES);
            return match rng.below(6) {
                0 => format!("(!{})", sub(rng, dtype)),
                1 => format!("({} && {})", sub(rng, dtype), sub(rng, dtype)),
                2 => format!("({} || {})", sub(rng, dtype), sub(rng, dtype)),
                3 => format!("({} ^ {})", sub(rng, dtype), sub(rng, dtype)),
                _ => {
                    let ops: &[&str] = if operand == DType::Bool {
                        &["==", "!="]
                    } else {
                        &["==", "!=", "<", "<=", ">", ">="]
                    };
                    format!(
                        "({} {} {})",
                        sub(rng, operand),
                        rng.pick(ops),
                        sub(rng, operand)
                    )
                }
            };
        }
        if dtype.is_float() {
            return match rng.below(9) {
                0..=3 => format!(
                    "({} {} {})",
                    sub(rng, dtype),
                    rng.pick(&["+", "-", "*", "/"]),
                    sub(rng, dtype)
                ),
                4 => format!("(-{})", sub(rng, dtype)),
                5 => {
                    let f = rng.pick(&["abs", "sqrt", "floor", "ceil", "trunc", "round"]);
                    format!("{f}({})", sub(rng, dtype))
                }
                6 => {
                    let f = rng.pick(&["min", "max", "fmin", "fmax"]);
                    format!("{f}({}, {})", sub(rng, dtype), sub(rng, dtype))
                }
                7 => format!("({} % {})", sub(rng, dtype), sub(rng, dtype)),
                _ => {
                    let f = rng.pick(&["exp", "log", "sin", "cos"]);
                    format!("{f}({})", sub(rng, dtype))
                }
            };
        }
        match rng.below(8) {
            0..=2 => format!(
                "({} {} {})",
                sub(rng, dtype),
                rng.pick(&["+", "-", "*"]),
                sub(rng, dtype)
            ),
            3 => format!(
                "({} {} {})",
                sub(rng, dtype),
                rng.pick(&["/", "%"]),
                sub(rng, dtype)
            ),
            4 => format!(
                "({} {} {})",
                sub(rng, dtype),
                rng.pick(&["&", "|", "^"]),
                sub(rng, dtype)
            ),
            5 => format!(
                "({} {} {})",
                sub(rng, dtype),
                rng.pick(&["<<", ">>"]),
                sub(rng, dtype)
            ),
            6 => format!(
                "{}({}, {})",
                rng.pick(&["min", "max"]),
                sub(rng, dtype),
                sub(rng, dtype)
            ),
            _ if dtype.is_signed_int() => {
                let (a, b) = (sub(rng, dtype), sub(rng, dtype));
                format!("(-{a} + abs({b}))")
            }
            _ => format!("(!{})", sub(rng, dtype)),
        }
    }
}

/// A literal with a suffix, so that its dtype never depends on the context.
fn literal(rng: &mut Rng, dtype: DType) -> String {
    if dtype == DType::Bool {
        return rng.one_in(2).to_string();
    }
    if dtype.is_float() {
        let values = [
            "0.0", "1.0", "2.0", "0.5", "3.25", "1e-3", "100.0", "1e30", "1e-40", "7.75",
        ];
        return format!("{}{dtype}", rng.pick(&values));
    }
    let bits = dtype.bits() - u32::from(dtype.is_signed_int());
    let max = if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    };
    let value = match rng.below(4) {
        0 => max - rng.bits() % 2,
        1 => rng.bits() & max,
        _ => rng.bits() % 10,
    };
    format!("{value}{dtype}")
}
