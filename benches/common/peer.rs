//! A NumPy process that takes turns with this one: see `benches/ufunc_peer.py`.
#![allow(dead_code, reason = "no benchmark uses all of it")]

use crate::common::quantile;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A turn lasts about this long.
const TURN: Duration = Duration::from_micros(1500);
/// Time for one comparison, and the turns each side has at least and at most.
const BUDGET: Duration = Duration::from_millis(600);
const ROUNDS: [usize; 2] = [9, 101];

/// The other process.
pub struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it says it is: `numpy 2.4.6`.
    pub version: String,
    /// How long its turns last.
    pub turn: Duration,
}

impl Peer {
    /// Starts Python.
    pub fn start() -> Peer {
        let python = std::env::var("KJIT_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ufunc_peer.py");
        Peer::of(Command::new(python).arg(script))
    }

    /// Starts what serves in the same way.
    pub fn of(command: &mut Command) -> Peer {
        let mut process = command
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python");
        let requests = process.stdin.take().expect("its input");
        let mut answers = BufReader::new(process.stdout.take().expect("its output"));
        let version = read_line(&mut answers);
        Peer {
            process,
            requests,
            answers,
            version,
            turn: TURN,
        }
    }

    /// Time of one run of a statement.
    pub fn turn(&mut self, setup: &str, statement: &str) -> f64 {
        self.ask(setup, statement).parse().expect("a time")
    }

    /// Stops the process, so that threads of its that spin take no core from ours, or lets it go on.
    pub fn pause(&self, pause: bool) {
        let signal = if pause { "-STOP" } else { "-CONT" };
        let status = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status();
        assert!(status.is_ok_and(|s| s.success()), "kill {signal}");
    }

    /// The answer to a request.
    pub fn ask(&mut self, setup: &str, statement: &str) -> String {
        let turn = self.turn.as_secs_f64();
        writeln!(self.requests, "{turn}\t{setup}\t{statement}").expect("a request");
        read_line(&mut self.answers)
    }

    /// Compares a statement with `run` in turns; prints and gives NumPy's time over that of `run`.
    pub fn versus(
        &mut self,
        title: &str,
        setup: &str,
        statement: &str,
        mut run: impl FnMut(),
    ) -> f64 {
        run();
        let once = (0..3).map(|_| time(&mut run, 1)).fold(f64::MAX, f64::min);
        let repeats = ((TURN.as_secs_f64() / once.max(2e-8)) as usize).max(1);
        let first = Instant::now();
        self.turn(setup, statement);
        let round = once * repeats as f64 + first.elapsed().as_secs_f64().min(0.1);
        let rounds = (BUDGET.as_secs_f64() / round) as usize;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds.clamp(ROUNDS[0], ROUNDS[1]) {
            ours.push(time(&mut run, repeats));
            theirs.push(self.turn(setup, statement));
        }
        let (ours, theirs) = (quantile(ours, 0.5), quantile(theirs, 0.5));
        let ratio = theirs / ours;
        println!(
            "{title:<40} kjit {:>12.3} us   numpy {:>12.3} us   {ratio:>6.2}{}",
            ours * 1e6,
            theirs * 1e6,
            if ratio < 0.9 { "  <" } else { "" }
        );
        ratio
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input, but not before it has finished a statement: no reason to wait.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("an answer of the peer");
    line.trim().to_string()
}

/// Time of one of `repeats` runs.
fn time(run: &mut impl FnMut(), repeats: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        run();
    }
    start.elapsed().as_secs_f64() / repeats as f64
}
