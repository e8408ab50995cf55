//! Arguments: all numbers of f32 or every so many of them, and samples of random, hard and edge numbers.

use super::table::{Domain, Function};
use std::f64::consts::{FRAC_PI_2, LN_2};

/// Numbers of a chunk.
pub const CHUNK: usize = 1 << 15;

/// What a function is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inputs {
    /// Every so many numbers of f32.
    Every(u64),
    /// So many numbers or pairs, the edges and hard ones among them.
    Sample(u64),
}

impl Inputs {
    /// How many chunks that makes.
    pub fn chunks(self) -> u64 {
        self.count().div_ceil(CHUNK as u64)
    }

    /// How many numbers.
    pub fn count(self) -> u64 {
        match self {
            Inputs::Every(stride) => (1u64 << 32).div_ceil(stride),
            Inputs::Sample(count) => count,
        }
    }

    /// In words.
    pub fn describe(self) -> String {
        match self {
            Inputs::Every(1) => "all 2^32".into(),
            Inputs::Every(stride) => format!("one in {stride}"),
            Inputs::Sample(count) => count.to_string(),
        }
    }
}

/// Pseudo-random numbers: SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below n.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// In 0 .. 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub fn sign(&mut self) -> f64 {
        if self.next() & 1 == 0 { 1.0 } else { -1.0 }
    }
}

/// Rounds to the dtype, and moves a number by so many ulp.
fn moved(x: f64, by: i64, double: bool) -> f64 {
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    match double {
        true => f64::from_bits(x.to_bits().wrapping_add_signed(by)),
        false => f32::from_bits((x as f32).to_bits().wrapping_add_signed(by as i32)).into(),
    }
}

/// Numbers where something happens in one function or another, and their neighbours; then the hard ones.
fn edges(double: bool) -> Vec<f64> {
    let (least, top, digits) = if double {
        (-1074, 1024, 53)
    } else {
        (-149, 128, 24)
    };
    let mut list = vec![
        0.0,
        1.0,
        2.0,
        3.0,
        4.0,
        5.0,
        8.0,
        10.0,
        0.5,
        1.5,
        2.5,
        3.5,
        0.25,
        0.75,
        100.0,
        1000.0,
        1e-3,
        1e-8,
        1e-20,
        1e10,
        1e15,
        1e22,
        1e30,
        65536.0,
        std::f64::consts::PI,
        FRAC_PI_2,
        FRAC_PI_2 / 2.0,
        1e5,
        102943.7,
        1e9,
        LN_2,
        LN_2 / 2.0,
        0.41421356237309503,
        2.414213562373095,
        1.4616321449683623,
        18.0,
        40.0,
        20.0,
        22.0,
        35.04,
        171.624,
        34.0,
        170.0,
        9.19,
        26.55,
        14.2,
        38.5,
        13.2,
        37.7,
    ];
    let (t, l) = (f64::from(top), f64::from(least));
    for scale in [1.0, LN_2, LN_2 / 10f64.ln() * LN_2.recip() * LN_2] {
        list.extend([t, l, l - 1.0, l + f64::from(digits), t - 1.0, t + 1.0].map(|e| e * scale));
    }
    for e in [
        l,
        l + 1.0,
        l + f64::from(digits) - 1.0,
        l + f64::from(digits),
        t - 1.0,
    ] {
        list.push(e.exp2());
    }
    for e in [digits - 1, digits, digits + 1, digits / 2] {
        list.push(f64::from(e).exp2());
        list.push(f64::from(-e).exp2());
    }
    list.push(if double { f64::MAX } else { f32::MAX.into() });
    let mut all = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0];
    for x in list {
        for by in [-2, -1, 0, 1, 2] {
            let x = moved(x, by, double);
            all.extend([x, -x]);
        }
    }
    all
}

/// Arguments that are hard for one function or another, as published; see the file.
fn hard() -> impl Iterator<Item = f64> {
    let lines = include_str!("../hard.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.split(' ').skip(1));
    words
        .filter_map(|word| u64::from_str_radix(word, 16).ok())
        .map(f64::from_bits)
}

/// What a sample starts with.
pub fn fixed(function: &Function, double: bool) -> Vec<(f64, f64)> {
    let edges = edges(double);
    if function.arguments == 1 {
        let hard = hard().flat_map(|x| [x, -x]);
        return edges.into_iter().chain(hard).map(|x| (x, x)).collect();
    }
    let few: Vec<f64> = edges.into_iter().step_by(3).collect();
    let pairs = few.iter().flat_map(|x| few.iter().map(|y| (*x, *y)));
    pairs.chain(hard().zip(hard().skip(7))).collect()
}

/// One argument: random bits, random sizes, ranges, and neighbours of multiples of pi/2, of integers and of 1.
fn any(rng: &mut Rng, double: bool, domain: Domain) -> f64 {
    let digits = if double { 53 } else { 24 };
    let bits = |rng: &mut Rng| match double {
        true => f64::from_bits(rng.next()),
        false => f32::from_bits(rng.next() as u32).into(),
    };
    let few = |rng: &mut Rng| rng.below(7) as i64 - 3;
    let size = if double { 750.0 } else { 110.0 };
    let x = match rng.below(16) {
        0..4 => return bits(rng),
        4..6 => rng.sign() * rng.between(-60.0, 60.0).exp2(),
        6..8 => rng.between(-1.0, 1.0),
        8..10 => rng.between(-40.0, 40.0),
        10 | 11 => rng.between(-size, size),
        12 => {
            let k = rng.between(0.0, f64::from(digits) - 1.0).exp2().floor();
            let by = few(rng);
            moved(rng.sign() * k * FRAC_PI_2, by, double)
        }
        13 => {
            let k = rng.between(0.0, 12.0).exp2().floor() / 2.0;
            let by = few(rng);
            moved(rng.sign() * k, by, double)
        }
        14 => 1.0 + rng.sign() * rng.between(-f64::from(digits), 0.0).exp2(),
        _ => rng.sign() * rng.between(-4.0, 4.0).exp2(),
    };
    match domain {
        Domain::All | Domain::Near | Domain::Power => x,
        Domain::Positive | Domain::From0 => x.abs(),
        Domain::Below0 => -x.abs(),
        Domain::Unit if x.abs() > 1.0 => 1.0 / x,
        Domain::Unit => x,
        Domain::Probability if x.abs() > 1.0 => 1.0 / x.abs(),
        Domain::Probability => x.abs(),
        Domain::Above1 if x.abs() < 1.0 => 1.0 + x.abs(),
        Domain::Above1 => x.abs(),
    }
}

fn pair(rng: &mut Rng, double: bool, domain: Domain) -> (f64, f64) {
    let x = any(rng, double, Domain::All);
    let kind = rng.below(16);
    match domain {
        Domain::Power if kind < 12 => {
            // y so that the logarithm of the power is somewhere in range, or close to its ends.
            let (most, least) = if double {
                (1024.0, -1075.0)
            } else {
                (128.0, -150.0)
            };
            let log = match x.abs().log2() {
                log if log != 0.0 && log.is_finite() => log,
                _ => return (x, any(rng, double, Domain::All)),
            };
            let target = match kind {
                0 => most * rng.between(0.9999, 1.0001),
                1 => least * rng.between(0.95, 1.0001),
                2 => rng.between(-1.0, 1.0),
                _ => rng.between(least, most),
            };
            let y = target / log;
            match kind {
                11 => (x, y.round()),
                _ => (x.abs(), y),
            }
        }
        Domain::Near if kind < 10 => (x, x * rng.sign() * rng.between(-3.0, 3.0).exp2()),
        Domain::Near if kind < 13 => (x, x + rng.between(-40.0, 40.0)),
        _ => (x, any(rng, double, Domain::All)),
    }
}

/// The arguments of a chunk, as f64, each a number of the dtype; those that the domain leaves out are left out.
pub fn fill(
    function: &Function,
    double: bool,
    inputs: Inputs,
    chunk: u64,
    x: &mut Vec<f64>,
    y: &mut Vec<f64>,
) {
    x.clear();
    y.clear();
    let first = chunk * CHUNK as u64;
    let count = (inputs.count() - first).min(CHUNK as u64);
    match inputs {
        Inputs::Every(stride) => {
            for n in first..first + count {
                let bits = n * stride + chunk % stride;
                x.push(f32::from_bits(bits.min(u32::MAX.into()) as u32).into());
            }
            y.clone_from(x);
        }
        Inputs::Sample(_) => {
            let mut push = |(a, b): (f64, f64)| {
                let round = |v: f64| if double { v } else { f64::from(v as f32) };
                x.push(round(a));
                y.push(round(b));
            };
            let mut left = count as usize;
            // As many of the fixed ones as a chunk has room for; a second chunk has the others.
            let fixed = if chunk < 4 {
                fixed(function, double)
            } else {
                Vec::new()
            };
            for item in fixed.into_iter().skip(chunk as usize * CHUNK).take(left) {
                push(item);
                left -= 1;
            }
            let mut rng = Rng::new(chunk.wrapping_mul(0x2545_f491_4f6c_dd1d));
            for _ in 0..left {
                push(match function.arguments {
                    1 => (any(&mut rng, double, function.domain), 0.0),
                    _ => pair(&mut rng, double, function.domain),
                });
            }
        }
    }
    if !x.iter().all(|x| function.domain.has(*x)) {
        let pairs = x.iter().zip(&*y).map(|(x, y)| (*x, *y));
        (*x, *y) = pairs.filter(|(x, _)| function.domain.has(*x)).unzip();
    }
}
