//! How a subcommand fails: one message on stderr and an exit code.

use kjit::{Diagnostic, RuntimeError, Source};
use std::any::Any;
use std::cell::RefCell;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

/// Why the command stops.
#[derive(Debug)]
pub enum Failure {
    /// One rendered message, exit code 1.
    Message(String),
    /// Everything has been said already, exit code 1.
    Said,
    /// Wrong usage, exit code 2.
    Usage(String),
    /// Whoever read our output went away: not an error.
    BrokenPipe,
}

/// What subcommands return.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// An error in the user's data or environment.
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(format!("error: {}", text.into()))
    }

    /// An error with its cure.
    pub fn with_help(text: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure::Message(format!("error: {}\n  help: {}", text.into(), help.into()))
    }

    /// Mistakes in the source.
    pub fn diagnostics(list: &[Diagnostic], source: &Source) -> Failure {
        Failure::Message(render(list, source))
    }

    /// An error at run time, shown at its place in the source when it has one.
    pub fn runtime(error: &RuntimeError, source: Option<&Source>) -> Failure {
        Failure::Message(kjit::render_error(error, source, color()))
    }

    /// A panic: always a bug of ours.
    pub fn bug(payload: &(dyn Any + Send)) -> Failure {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown panic");
        let place = PANIC_PLACE.with(|p| p.borrow().clone());
        Failure::Message(format!(
            "error: internal error: {text}{place}\n  help: this is a bug in kjit; please report it with the input that caused it"
        ))
    }

    /// Prints the message and gives the exit code.
    pub fn report(self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        match self {
            Failure::Message(text) => {
                // Nothing sensible can be done when stderr is closed as well.
                let _ = writeln!(stderr, "{}", text.trim_end());
                ExitCode::from(1)
            }
            Failure::Said => ExitCode::from(1),
            Failure::Usage(text) => {
                let _ = writeln!(stderr, "error: {text}");
                ExitCode::from(2)
            }
            Failure::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        if error.kind() == ErrorKind::BrokenPipe {
            Failure::BrokenPipe
        } else {
            Failure::message(format!("cannot write the output: {error}"))
        }
    }
}

/// Renders diagnostics for this terminal.
pub fn render(list: &[Diagnostic], source: &Source) -> String {
    kjit::render_diagnostics(list, source, color())
}

/// Should messages be coloured?
pub fn color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Reads a source file.
pub fn read_source(path: &str) -> Result<Source, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::with_help(
            format!("cannot read {path}: {}", kjit::io_reason(&error)),
            "name an existing .k file",
        )
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(path, text)),
        Err(error) => Err(Failure::with_help(
            format!(
                "{path} is not UTF-8 text: byte {} is wrong",
                error.utf8_error().valid_up_to()
            ),
            "save the file as UTF-8",
        )),
    }
}

thread_local! {
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are reported once, as internal errors, by [`Failure::bug`]; the default hook would add a
/// second message and a hint about backtraces.
pub fn quiet_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|l| format!(" ({}:{})", l.file(), l.line()))
            .unwrap_or_default();
        PANIC_PLACE.with(|p| *p.borrow_mut() = place);
    }));
}
