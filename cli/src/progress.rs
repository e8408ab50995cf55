//! A progress bar on stderr, for work of more than a second, when stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use kjit::Engine;
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Work shorter than this shows nothing.
const DELAY: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_millis(100);

/// A progress bar that watches an engine from a thread of its own.
pub struct Progress {
    watcher: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts watching; shows nothing unless stderr is a terminal and a second passes.
    pub fn start(engine: &Engine) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { watcher: None };
        }
        let counter = engine.progress();
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            if stopped.recv_timeout(DELAY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new(0);
            if let Ok(style) =
                ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {percent}% of this call")
            {
                bar.set_style(style);
            }
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let (done, total) = counter.get();
                bar.set_length(total);
                bar.set_position(done);
            }
            bar.finish_and_clear();
        });
        Progress {
            watcher: Some((stop, thread)),
        }
    }

    /// Stops and clears the bar.
    pub fn finish(self) {
        if let Some((stop, thread)) = self.watcher {
            drop(stop);
            // The watcher only draws; if it died, the work is none the worse.
            let _ = thread.join();
        }
    }
}
