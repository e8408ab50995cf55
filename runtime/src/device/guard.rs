//! Every failure of wgpu becomes an error: errors in scopes, panics, a lost device, a timeout.

use super::Shared;
use crate::{Result, RuntimeError};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// How long a submission may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Why the device cannot be used any more, if so.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    /// Watches a device. Once it is lost, wgpu's calls return without a word, so the loss is kept here.
    pub(super) fn watch(device: &wgpu::Device) -> Health {
        let health = Health::default();
        let lost = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.poison(format!("{reason:?} {message}").trim().to_string());
        });
        // The default handler panics. What escapes the scopes (another thread's polling, say) is kept
        // for the next call.
        let late = health.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            late.poison(error.to_string());
        }));
        health
    }

    fn poison(&self, why: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.get_or_insert(why);
    }

    fn check(&self, name: &str) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(why) => Err(
                RuntimeError::device(format!("device {name} is lost: {why}"))
                    .help("start the program again, or use target cpu or parallel"),
            ),
        }
    }
}

thread_local! {
    /// Guards around what this thread runs.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// Silences the reports of panics that a guard turns into errors; all others go where they went.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // While a thread ends its flags may be gone, and no guard runs.
            if GUARDS.try_with(Cell::get).unwrap_or(0) == 0 {
                previous(info);
            }
        }));
    });
}

/// Counts a guard for as long as it lives.
struct Guarded;

impl Guarded {
    fn new() -> Guarded {
        GUARDS.with(|n| n.set(n.get() + 1));
        Guarded
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        GUARDS.with(|n| n.set(n.get() - 1));
    }
}

/// Runs something that may panic inside of wgpu or a driver.
pub(super) fn no_panic<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    // The hook cannot be changed in the middle of a panic (a buffer dropped while unwinding).
    if !std::thread::panicking() {
        install_hook();
    }
    let _guard = Guarded::new();
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => Err(RuntimeError::device(format!(
            "{what} failed: {}",
            panic_text(&*payload)
        ))),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("the driver gave up")
}

impl Shared {
    /// Runs calls of wgpu; whatever goes wrong in them comes back as an error.
    pub(super) fn guarded<T>(&self, what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.health.check(&self.name)?;
        let scoped = || {
            let filters = [
                wgpu::ErrorFilter::OutOfMemory,
                wgpu::ErrorFilter::Validation,
                wgpu::ErrorFilter::Internal,
            ];
            let mut scopes: Vec<_> = filters
                .into_iter()
                .map(|filter| self.device.push_error_scope(filter))
                .collect();
            let result = no_panic(what, run);
            let mut error = None;
            while let Some(scope) = scopes.pop() {
                if let Some(e) = pollster::block_on(scope.pop()) {
                    error.get_or_insert(e);
                }
            }
            match error {
                None => result,
                Some(e) => Err(self.describe_error(what, &e)),
            }
        };
        let result = no_panic(what, scoped);
        self.health.check(&self.name)?;
        result
    }

    fn describe_error(&self, what: &str, error: &wgpu::Error) -> RuntimeError {
        match error {
            wgpu::Error::OutOfMemory { .. } => RuntimeError::limit(format!(
                "{what} needs more memory than device {} has free",
                self.name
            ))
            .help("use smaller arrays, or target cpu or parallel"),
            wgpu::Error::Validation { description, .. }
            | wgpu::Error::Internal { description, .. } => RuntimeError::device(format!(
                "{what} failed on device {}: {}",
                self.name,
                description.split_whitespace().collect::<Vec<_>>().join(" ")
            )),
        }
    }

    /// Waits until a submission is done, or (`None`) all of them.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let done = self.device.poll(wgpu::PollType::Wait {
            submission_index: submission,
            timeout: Some(TIMEOUT),
        });
        match done {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => {
                let why = format!("a kernel ran for more than {} seconds", TIMEOUT.as_secs());
                self.health.poison(why);
                self.health.check(&self.name)
            }
            Err(e) => Err(RuntimeError::device(format!(
                "waiting for device {} failed: {e}",
                self.name
            ))),
        }
    }
}
