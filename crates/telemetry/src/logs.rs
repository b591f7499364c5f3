//! Log lines on stderr: text for people, or one flat JSON object per line for machines.
//!
//! Logging never blocks on stderr: lines pass through a bounded buffer to a writer thread. A line that finds the buffer
//! full is dropped and counted. The thread writes lines in batches, at most 10 ms after they were logged; a line at
//! `warn` or `error` is written at once, with all lines before it. A panic is a line at `error`.

pub mod events;
mod json;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, stderr};
use std::panic::PanicHookInfo;

use thiserror::Error;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use json::JsonLines;
pub use queue::{DroppedLines, LogWriter, write_stderr};

const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object per line: `timestamp` (RFC 3339, UTC), `level`, `target`, `message` and the event's fields.
    Json,
    /// Text for people, coloured on a terminal.
    Text,
}

/// The options of [`init`].
#[derive(Debug, Clone, Copy)]
pub struct LogOptions<'a> {
    /// The format; `None` selects text on a terminal and JSON elsewhere.
    pub format: Option<LineFormat>,
    /// The default level: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'a str,
    /// Pairs of a module (`proxy`, `proxy::forward`) and its level.
    pub modules: &'a [(String, &'a str)],
}

/// An invalid log option, or a second initialization.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogError {
    /// The default level is invalid.
    #[error("log level `{level}` is invalid: use error, warn, info, debug or trace")]
    Level {
        /// The level as the operator wrote it.
        level: String,
    },
    /// The level of a module is invalid.
    #[error("log level `{level}` of module `{module}` is invalid: use error, warn, info, debug or trace")]
    ModuleLevel {
        /// The module that the level belongs to.
        module: String,
        /// The level as the operator wrote it.
        level: String,
    },
    /// The path of a module is invalid.
    #[error("log module `{module}` is invalid: use a path such as `proxy` or `proxy::forward`")]
    Module {
        /// The path as the operator wrote it.
        module: String,
    },
    /// The process already has a log subscriber.
    #[error("the log is already initialized in this process")]
    AlreadyInitialized,
    /// The system refused the thread that writes the lines.
    #[error("the thread that writes the log cannot be started: {reason}")]
    Thread {
        /// The system's description of the error.
        reason: String,
    },
}

/// Sends every log line and panic of the process to stderr until the returned value is dropped.
///
/// # Errors
/// Returns a [`LogError`] that names the invalid word; nothing is initialized in that case.
pub fn init(options: LogOptions<'_>) -> Result<LogWriter, LogError> {
    let filter = filter(options)?;
    let terminal = stderr().is_terminal();
    let format = options.format.unwrap_or(if terminal { LineFormat::Text } else { LineFormat::Json });
    let (writer, lines) = queue::start(stderr()).map_err(|error| LogError::Thread { reason: error.to_string() })?;
    match format {
        LineFormat::Json => json(filter, writer).try_init(),
        LineFormat::Text => text(filter, writer, terminal).try_init(),
    }
    .map_err(|_| LogError::AlreadyInitialized)?;
    // The default hook writes to stderr directly, and would block a worker while stderr is full.
    std::panic::set_hook(Box::new(log_panic));
    Ok(lines)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let captured = matches!(backtrace.status(), BacktraceStatus::Captured);
    let thread = std::thread::current();
    tracing::error!(thread = thread.name(), backtrace = captured.then(|| display(&backtrace)), "{panic}");
}

fn json<W>(filter: Targets, writer: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Registry::default().with(JsonLines(writer).with_filter(filter))
}

fn text<W>(filter: Targets, writer: W, colours: bool) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Registry::default().with(fmt::layer().with_ansi(colours).with_writer(writer).with_filter(filter))
}

fn filter(options: LogOptions<'_>) -> Result<Targets, LogError> {
    let default = level(options.level).ok_or_else(|| LogError::Level { level: options.level.to_owned() })?;
    let mut targets = Targets::new().with_default(default);
    for (module, word) in options.modules {
        if !is_module(module) {
            return Err(LogError::Module { module: module.clone() });
        }
        let of_module =
            level(word).ok_or_else(|| LogError::ModuleLevel { module: module.clone(), level: (*word).to_owned() })?;
        targets = targets.with_target(module.clone(), of_module);
    }
    Ok(targets)
}

fn level(word: &str) -> Option<LevelFilter> {
    LEVELS.into_iter().find(|(name, _)| *name == word).map(|(_, level)| level)
}

fn is_module(path: &str) -> bool {
    path.split("::").all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
