//! Reads `tests/conformance/answers.txt`; its format is told in `tests/conformance/generate.py`.

use crate::support::repo;
use kjit::DType;
use std::collections::HashMap;

/// Everything that was recorded.
pub struct Answers {
    /// What made them: `numpy 2.4.6`.
    pub versions: Vec<String>,
    pub inputs: HashMap<String, Values>,
    pub cases: Vec<Case>,
    pub reasons: Vec<Reason>,
}

/// Elements in C order.
#[derive(Clone, Debug)]
pub struct Values {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// One call, for each of some layouts.
pub struct Case {
    pub method: String,
    pub op: String,
    pub dtype: DType,
    pub layouts: Vec<String>,
    pub args: Vec<String>,
    keys: HashMap<String, String>,
    pub tolerance: Tolerance,
    /// `None`: NumPy refuses.
    pub answer: Option<Vec<Values>>,
    /// The line, for messages.
    pub line: usize,
}

/// How an answer is compared.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance {
    /// The same bits; any NaN for a NaN.
    Exact,
    /// The same but for the signs of zeros.
    Zeros,
    /// Units in the last place.
    Ulp(u64),
    /// Distance.
    Bound(f64),
}

/// Why cells of the table have no case.
pub struct Reason {
    pub method: String,
    pub dtypes: Vec<String>,
    pub layouts: Vec<String>,
    pub why: String,
}

impl Case {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }
}

/// Reads the file.
pub fn read() -> Answers {
    let path = repo("tests/conformance/answers.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut answers = Answers {
        versions: vec![],
        inputs: HashMap::new(),
        cases: vec![],
        reasons: vec![],
    };
    let mut named: HashMap<&str, &str> = HashMap::new();
    let list = |text: &str| -> Vec<String> { text.split(',').map(str::to_string).collect() };
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["numpy" | "scipy" | "python", _] => answers.versions.push(line.to_string()),
            ["in", name, dtype, shape, data] => {
                let values = values(dtype, shape, data);
                answers.inputs.insert(name.to_string(), values);
            }
            ["answer", name, answer] => {
                named.insert(name, answer);
            }
            ["none", method, dtypes, layouts, ..] => answers.reasons.push(Reason {
                method: method.to_string(),
                dtypes: list(dtypes),
                layouts: list(layouts),
                why: words[4..].join(" "),
            }),
            ["case", method, op, dtype, layouts, ref rest @ ..] => {
                let keys: HashMap<String, String> = rest
                    .iter()
                    .map(|word| word.split_once('=').expect("KEY=VALUE"))
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect();
                let answer = keys["answer"].as_str();
                answers.cases.push(Case {
                    method: method.to_string(),
                    op: op.to_string(),
                    dtype: DType::from_name(dtype).expect("a dtype"),
                    layouts: list(layouts),
                    args: keys["args"].split('|').map(str::to_string).collect(),
                    tolerance: tolerance(&keys["tol"]),
                    answer: outputs(named.get(answer).copied().unwrap_or(answer)),
                    keys,
                    line: number + 1,
                });
            }
            _ => panic!("answers.txt:{}: unknown line", number + 1),
        }
    }
    answers
}

fn tolerance(text: &str) -> Tolerance {
    match text.split_once(':') {
        None if text == "exact" => Tolerance::Exact,
        None if text == "zeros" => Tolerance::Zeros,
        Some(("ulp", n)) => Tolerance::Ulp(n.parse().expect("a number")),
        Some(("bound", b)) => Tolerance::Bound(b.parse().expect("a number")),
        _ => panic!("answers.txt: unknown tolerance {text}"),
    }
}

fn outputs(text: &str) -> Option<Vec<Values>> {
    if text == "error" {
        return None;
    }
    let output = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        values(parts[0], parts[1], parts[2])
    };
    Some(text.split(';').map(output).collect())
}

/// Extents written as `2,19`, or `-` for none.
pub fn shape(text: &str) -> Vec<usize> {
    match text {
        "-" => vec![],
        _ => text
            .split(',')
            .map(|n| n.parse().expect("an extent"))
            .collect(),
    }
}

fn values(dtype: &str, shape_text: &str, data: &str) -> Values {
    let dtype = DType::from_name(dtype).expect("a dtype");
    let shape = shape(shape_text);
    let size = shape.iter().product();
    let bytes = match data.strip_prefix("mix:") {
        Some(seed) => mix(size, seed.parse().expect("a seed"), dtype),
        None => (0..data.len() / 2)
            .map(|i| u8::from_str_radix(&data[2 * i..2 * i + 2], 16).expect("hex digits"))
            .collect(),
    };
    assert_eq!(bytes.len(), size * dtype.size());
    Values {
        dtype,
        shape,
        bytes,
    }
}

/// Numbers in [0, 1) with 24 bits, as in `generate.py`.
fn mix(n: usize, seed: u64, dtype: DType) -> Vec<u8> {
    let number = |i: u64| {
        let mut k = (i + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        k ^= k >> 29;
        k = k.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (k >> 40) as f64 / (1u64 << 24) as f64
    };
    (0..n as u64)
        .flat_map(|i| match dtype {
            DType::F16 => half_bits(number(i)).to_le_bytes().to_vec(),
            DType::F32 => (number(i) as f32).to_le_bytes().to_vec(),
            DType::F64 => number(i).to_le_bytes().to_vec(),
            _ => panic!("{dtype} has no such numbers"),
        })
        .collect()
}

/// The bits of a number in [0, 1), which has at most 24 of them, rounded to binary16.
fn half_bits(x: f64) -> u16 {
    if x == 0.0 {
        return 0;
    }
    // Eleven bits from the highest one on, or the multiples of the smallest subnormal.
    let exponent = (x.log2().floor() as i32).max(-14);
    let unit = f64::powi(2.0, exponent - 10);
    let digits = (x / unit).round_ties_even() as u16;
    // The leading one of a normal number, and a carry out of the digits, add to the exponent.
    ((exponent + 14) as u16) * 1024 + digits
}
