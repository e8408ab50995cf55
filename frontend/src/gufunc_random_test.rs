//! Random gufuncs: proofs about indices and about complete outputs are right.

use super::gufunc_tests::{UNWRITTEN, is_watched, run};
use super::*;
use kjit_ir::passes::optimize;
use kjit_ir::verify::verify;
use kjit_ir::{Block, Function, Imm, Opcode, Trap, TrapKind};

/// Numbers without a pattern.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn pick<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

/// An integer expression over the dimensions and what else is in scope.
fn expression(random: &mut Random, names: &[String], depth: usize) -> String {
    let atom = |random: &mut Random| match random.below(5) {
        0 => random.below(4).to_string(),
        1 => random.pick(&["n", "m"]).to_string(),
        _ => names[random.below(names.len())].clone(),
    };
    if depth == 0 {
        return atom(random);
    }
    let a = expression(random, names, depth - 1);
    let b = atom(random);
    match random.below(14) {
        0..=2 => format!("({a} + {b})"),
        3..=6 => format!("({a} - {b})"),
        7 => format!("({a} * {b})"),
        8 => format!("({a} / {})", 1 + random.below(3)),
        9 => format!("({a} % {b})"),
        10 => format!("min({a}, {b})"),
        11 => format!("max({a}, {b})"),
        12 => format!("(if {a} < {b} {{ {a} }} else {{ {b} }})"),
        _ => a,
    }
}

/// Statements that read `x` and write `y`.
fn statements(random: &mut Random, names: &mut Vec<String>, depth: usize, out: &mut String) {
    for _ in 0..1 + random.below(2) {
        let scope = names.len();
        let (a, b) = (expression(random, names, 1), expression(random, names, 1));
        match random.below(if depth == 0 { 3 } else { 8 }) {
            0..=1 => {
                let complexity = random.below(3);
                let (i, j) = (
                    expression(random, names, complexity),
                    expression(random, names, 1),
                );
                let at = if random.below(2) == 0 {
                    names[random.below(names.len())].clone()
                } else {
                    expression(random, names, 1)
                };
                out.push_str(&format!("y[{at}] = x[{i}] + z[{j}, {b}];\n"));
            }
            2 => {
                let name = format!("k{}", names.len());
                out.push_str(&format!("let {name} = {a};\n"));
                names.push(name);
                continue;
            }
            3..=5 => {
                let name = format!("i{}", names.len());
                let from = if random.below(3) == 0 {
                    b
                } else {
                    random.below(2).to_string()
                };
                let to = if random.below(2) == 0 {
                    a
                } else {
                    random.pick(&["n", "m", "n - 1"]).into()
                };
                out.push_str(&format!("for {name} in {from}..{to} {{\n"));
                names.push(name);
                statements(random, names, depth - 1, out);
                out.push_str("}\n");
            }
            6 => {
                let leave = random.pick(&["return;", "y[0] = 1.0;"]);
                let op = random.pick(&["<", "<=", ">", ">=", "==", "!="]);
                out.push_str(&format!("if {a} {op} {b} {{ {leave} }}\n"));
                continue;
            }
            _ => {
                let join = random.pick(&["&&", "||"]);
                let (c, d) = (expression(random, names, 0), expression(random, names, 0));
                out.push_str(&format!("if {a} < {b} {join} {c} >= {d} {{\n"));
                statements(random, names, depth - 1, out);
                out.push_str("} else {\n");
                statements(random, names, depth - 1, out);
                out.push_str("}\n");
            }
        }
        names.truncate(scope);
    }
}

/// The kernel with a check before every access that has none, and no other: a check that fails is a
/// proof that is wrong.
fn with_proofs_checked(kernel: &Function) -> Function {
    let mut checked = kernel.clone();
    checked.traps.clear();
    for n in 0..kernel.blocks.len() {
        let block = Block::new(n);
        let old = std::mem::take(&mut checked.block_mut(block).insts);
        // An access in an arm that a check leads to is alone there.
        let guarded = kernel.insts.iter().any(|inst| {
            inst.op == Opcode::If
                && inst.blocks.contains(&block)
                && kernel
                    .insts
                    .iter()
                    .any(|g| g.op == Opcode::Guard && g.args[0] == inst.args[0])
        });
        let mut builder = FunctionBuilder::at_end(checked, block);
        for inst in old {
            let data = builder.func.inst(inst).clone();
            if data.op == Opcode::Guard {
                continue;
            }
            if let (Opcode::CoreLoad | Opcode::CoreStore, Imm::Array(array), false) =
                (data.op, data.imm, guarded)
            {
                let core = builder.func.arrays[array.index()].core.clone();
                for (axis, dim) in core.iter().enumerate() {
                    let (at, extent) = (data.args[axis], builder.extent(*dim));
                    let zero = builder.int(DType::I64, 0);
                    let low = builder.binary(Opcode::Ge, at, zero);
                    let high = builder.binary(Opcode::Lt, at, extent);
                    let ok = builder.binary(Opcode::And, low, high);
                    let trap = builder.trap(Trap {
                        kind: TrapKind::LoopLimit,
                        loc: data.loc,
                    });
                    builder.guard(ok, trap);
                }
            }
            builder.func.block_mut(block).insts.push(inst);
        }
        checked = builder.func;
    }
    checked
}

#[test]
fn proofs_are_right() {
    let extents = [
        "n",
        "m",
        "n + 1",
        "n - 1",
        "n * m",
        "n / 2",
        "2 * m",
        "n - m + 1",
        "3",
    ];
    let (mut proven, mut complete, mut programs) = (0, 0, 0);
    for seed in 0..150 {
        let mut random = Random(seed);
        let extent = random.pick(&extents);
        let mut body = String::new();
        if random.below(2) == 0 {
            body.push_str(&format!("for o in 0..{extent} {{ y[o] = 0.0; }}\n"));
        }
        let mut names = vec!["k".to_string()];
        statements(&mut random, &mut names, 3, &mut body);
        if !body.contains("y[") {
            continue;
        }
        let text = format!(
            "gufunc f(x: [f64; n], z: [f64; m, n], k: i64) -> (y: [f64; {extent}]) {{\n{body}}}"
        );
        let source = Source::new("test.k", text.as_str());
        // Wrong for another reason (nothing after a `return`, a literal out of range): no case.
        let Ok(checked) = check(&source) else {
            continue;
        };
        let (module, root) = checked.kernel("f", &[], false, false).expect("no mistakes");
        programs += 1;
        let kernel = optimize(&module, root);
        let raw = with_proofs_checked(&module[root]);
        if let Err(errors) = verify(&raw, None) {
            panic!("{errors:?}\n{raw}");
        }
        let raw = optimize(
            &Module {
                functions: vec![raw],
            },
            FuncRef::new(0),
        );
        proven += raw.traps.len();
        let watched = is_watched(&kernel);
        complete += usize::from(!watched);
        for [n, m] in [
            [0, 0],
            [1, 0],
            [0, 1],
            [1, 1],
            [2, 1],
            [1, 2],
            [2, 3],
            [3, 2],
            [4, 4],
            [5, 1],
        ] {
            let (i, j) = (n as i64, m as i64);
            let size = match extent {
                "n" => i,
                "m" => j,
                "n + 1" => i + 1,
                "n - 1" => i - 1,
                "n * m" => i * j,
                "n / 2" => i / 2,
                "2 * m" => 2 * j,
                "n - m + 1" => i - j + 1,
                _ => 3,
            };
            let Ok(size) = usize::try_from(size) else {
                continue;
            };
            let dims = &checked.signatures()[0]
                .core
                .as_ref()
                .expect("a gufunc")
                .dims;
            let extents: Vec<usize> = dims
                .iter()
                .map(|d| match d.name.as_str() {
                    "n" => n,
                    "m" => m,
                    _ => size,
                })
                .collect();
            for k in [-1.0, 0.0, 2.0] {
                let (x, z) = (vec![1.0; n], vec![1.0; m * n]);
                let inputs: [&[f64]; 3] = [&x, &z, &[k]];
                let about = || format!("seed {seed}, n {n}, m {m}, k {k}\n{text}\n{kernel}");
                assert_eq!(run(&raw, 1, &extents, &inputs).trap, 0, "{}", about());
                let answer = run(&kernel, 1, &extents, &inputs);
                if !watched && answer.trap == 0 {
                    let written = answer.outputs[0].iter().all(|y| y.to_bits() != UNWRITTEN);
                    assert!(written, "{}", about());
                }
            }
        }
    }
    assert!(programs > 75, "{programs} programs");
    assert!(proven > 75, "{proven} proofs");
    assert!(complete > 15, "{complete} complete outputs");
}
