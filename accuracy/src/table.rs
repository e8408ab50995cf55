//! `functions.txt`: what is measured, and what errors are allowed. The tests of the workspace read it through this module, too.

/// The table.
const TEXT: &str = include_str!("../functions.txt");

/// Where a function's arguments are drawn from, random bits aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// Any number.
    All,
    /// Above zero.
    Positive,
    /// From -1 to 1.
    Unit,
    /// From 0 to 1.
    Probability,
    /// From 1 on.
    Above1,
    /// Zeros, positive numbers and NaN, and no others at all.
    From0,
    /// Negative numbers, and no others at all.
    Below0,
    /// Two arguments whose power is finite.
    Power,
    /// Two arguments of like size.
    Near,
}

impl Domain {
    /// Is a function asked about this first argument?
    pub fn has(self, x: f64) -> bool {
        match self {
            Domain::From0 => x >= 0.0 || x.is_nan(),
            Domain::Below0 => x < 0.0,
            _ => true,
        }
    }
}

/// A function that is measured, or its part for some arguments.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name in the language.
    pub name: &'static str,
    /// One or two.
    pub arguments: usize,
    /// Where arguments come from.
    pub domain: Domain,
    /// Largest errors in ulp: f32, f64, fast f32, fast f64.
    pub bounds: [f64; 4],
    /// Are these ulp of the largest of the result and the terms whose sum it is?
    pub sum: bool,
}

impl Function {
    /// The largest error allowed, in ulp.
    pub fn bound(&self, double: bool, fast: bool) -> f64 {
        self.bounds[usize::from(double) + 2 * usize::from(fast)]
    }
}

fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
}

/// The functions with a bound.
///
/// # Panics
/// When the table has a mistake.
pub fn functions() -> Vec<Function> {
    let function = |words: Vec<&'static str>| {
        let sum = words.last() == Some(&"sum");
        let words = &words[..words.len() - usize::from(sum)];
        let [name, arguments, domain, bounds @ ..] = words else {
            assert!(words.len() == 2, "functions.txt: {words:?}");
            return None;
        };
        let bad = || -> ! { panic!("functions.txt: {words:?}") };
        let domain = match *domain {
            "all" => Domain::All,
            "positive" => Domain::Positive,
            "unit" => Domain::Unit,
            "probability" => Domain::Probability,
            "above1" => Domain::Above1,
            "from0" => Domain::From0,
            "below0" => Domain::Below0,
            "power" => Domain::Power,
            "near" => Domain::Near,
            _ => bad(),
        };
        // An infinite bound would be none.
        let bounds = bounds.iter().filter_map(|b| b.parse().ok());
        let bounds: Vec<f64> = bounds.filter(|b: &f64| b.is_finite()).collect();
        Some(Function {
            name,
            arguments: arguments.parse().unwrap_or_else(|_| bad()),
            domain,
            bounds: bounds.try_into().unwrap_or_else(|_| bad()),
            sum,
        })
    };
    lines().filter_map(function).collect()
}

/// Every function of floats, and how its results are judged: `bound`, `exact` or `formula`.
pub fn names() -> Vec<(&'static str, &'static str)> {
    let pair = |words: Vec<&'static str>| match words[..] {
        [name, kind] => (name, kind),
        _ => (words[0], "bound"),
    };
    lines().map(pair).collect()
}
