//! A small harness for ratios: contenders take turns in one process, and the ratio of each round is what
//! counts, so that noise that slows everybody down cancels out.

use std::time::{Duration, Instant};

/// One way to do the work.
pub struct Contender<'a> {
    pub name: &'static str,
    pub run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, run: impl FnMut() + 'a) -> Contender<'a> {
        Contender { name, run: Box::new(run) }
    }
}

/// Rounds of one comparison.
const ROUNDS: usize = 31;
/// A contender's turn lasts about this long.
const TURN: Duration = Duration::from_millis(2);

/// Times the contenders in turns and prints one line each: time per element and the median ratio to the
/// first.
pub fn compare(title: &str, elements: usize, contenders: &mut [Contender]) -> Vec<f64> {
    let repeats: Vec<usize> = contenders
        .iter_mut()
        .map(|c| {
            (c.run)();
            let start = Instant::now();
            (c.run)();
            let once = start.elapsed().max(Duration::from_nanos(50));
            ((TURN.as_secs_f64() / once.as_secs_f64()) as usize).clamp(1, 1_000_000)
        })
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for (n, contender) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..repeats[n] {
                (contender.run)();
            }
            times[n].push(start.elapsed().as_secs_f64() / repeats[n] as f64);
        }
    }
    let ratios: Vec<f64> = (0..contenders.len())
        .map(|n| median((0..ROUNDS).map(|r| times[n][r] / times[0][r]).collect()))
        .collect();
    for (n, contender) in contenders.iter().enumerate() {
        let per_element = median(times[n].clone()) * 1e9 / elements.max(1) as f64;
        println!("{title:<26} {:<14} {per_element:>10.4} ns/element {:>8.3} x", contender.name, ratios[n]);
    }
    ratios
}

/// The median of some numbers.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The geometric mean of some ratios.
#[allow(dead_code, reason = "not every benchmark has a summary")]
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.ln()).sum::<f64>() / values.len().max(1) as f64).exp()
}
