//! A small harness for ratios: contenders take short turns in one process, and the fast quartiles of their
//! times are compared, so that noise that slows everybody down cancels out.
#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::time::{Duration, Instant};

/// One way to do the work.
pub struct Contender<'a> {
    pub name: &'static str,
    pub run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, run: impl FnMut() + 'a) -> Contender<'a> {
        Contender {
            name,
            run: Box::new(run),
        }
    }
}

/// Time for one comparison.
const BUDGET: Duration = Duration::from_millis(800);
/// Rounds of one comparison, at least and at most.
const ROUNDS: [usize; 2] = [11, 301];
/// A contender's turn lasts about this long: shorter than a time slice, so that most turns are not
/// interrupted.
const TURN: Duration = Duration::from_micros(250);

/// Is this comparison asked for? Words on the command line must all occur in its title.
pub fn wanted(title: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"));
    words.all(|word| title.contains(&word))
}

/// Times the contenders in turns and prints one line each: the fast quartile of the times per element, and
/// its ratio to that of the first. Ratios of contenders come back.
pub fn compare(title: &str, elements: usize, contenders: &mut [Contender]) -> Vec<f64> {
    let fast = times(contenders, 0.25);
    for (contender, seconds) in contenders.iter().zip(&fast) {
        let per_element = seconds * 1e9 / elements.max(1) as f64;
        let ratio = seconds / fast[0];
        println!(
            "{title:<26} {:<14} {per_element:>10.4} ns/element {ratio:>8.3} x",
            contender.name
        );
    }
    fast.iter().map(|seconds| seconds / fast[0]).collect()
}

/// Times the contenders in turns: of each the fast tenth's seconds.
pub fn fast_times(contenders: &mut [Contender]) -> Vec<f64> {
    times(contenders, 0.1)
}

/// Times the contenders in turns: of each that quantile of its seconds.
fn times(contenders: &mut [Contender], part: f64) -> Vec<f64> {
    let mut round = Duration::ZERO;
    let repeats: Vec<usize> = contenders
        .iter_mut()
        .map(|c| {
            (c.run)();
            let once = (0..3).map(|_| time(|| (c.run)())).min().unwrap_or_default();
            let once = once.max(Duration::from_nanos(50));
            let repeats = (TURN.as_secs_f64() / once.as_secs_f64()) as usize;
            round += once * repeats.max(1) as u32;
            repeats.max(1)
        })
        .collect();
    let rounds = (BUDGET.as_secs_f64() / round.as_secs_f64()) as usize;
    let rounds = rounds.clamp(ROUNDS[0], ROUNDS[1]);
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (n, contender) in contenders.iter_mut().enumerate() {
            let turn = time(|| (0..repeats[n]).for_each(|_| (contender.run)()));
            times[n].push(turn.as_secs_f64() / repeats[n] as f64);
        }
    }
    times.into_iter().map(|t| quantile(t, part)).collect()
}

fn time(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The value below which a part of the values lies.
pub fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

/// The geometric mean of some ratios.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.ln()).sum::<f64>() / values.len().max(1) as f64).exp()
}
