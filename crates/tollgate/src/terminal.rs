//! Passwords and confirmations from a terminal, passwords from stdin, and the output on stdout.

use std::io::{self, BufRead, IsTerminal, Read, Stdin, Write};
use std::sync::OnceLock;

use access::Secret;
use access::credentials::password::Password;
use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::signals::Signals;

/// Maximum number of attempts to type a password.
const TRIES_MAX: usize = 3;
/// Maximum length of a line; the longest password has 512 bytes.
const LINE_BYTES_MAX: u64 = 1_024;

/// Whether an operator can answer questions on a terminal.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The first failure to write to stdout.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes to stdout. After a failure the command continues, as its work may be half done; [`written`] reports the failure.
pub(crate) fn say(text: &str) {
    if let Err(error) = write(text) {
        let _ = UNWRITTEN.set(error);
    }
}

/// Writes to stdout. A closed pipe is not an error: its reader needs no more.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Fails if the output of a command was not written: it may contain a secret that is shown only once.
pub(crate) fn written() -> anyhow::Result<()> {
    match UNWRITTEN.get() {
        Some(error) => bail!("the output of this command is lost, as stdout cannot be written: {error}"),
        None => Ok(()),
    }
}

/// Asks for a password twice, without showing it; `None` if the first line is empty.
pub(crate) async fn ask_password(prompt: &str, own: &[&str]) -> anyhow::Result<Option<Password>> {
    let mut signals = Signals::listen()?;
    let quiet = EchoGuard::begin()?;
    let typed = async {
        for _ in 0..TRIES_MAX {
            let first = ask_unseen(prompt).await?;
            if first.is_empty() {
                return Ok(None);
            }
            let chosen = match Password::parse(first.clone(), own) {
                Ok(chosen) => chosen,
                Err(error) => {
                    show(&format!("{error}\n"));
                    continue;
                }
            };
            if ask_unseen("Again: ").await? == first {
                return Ok(Some(chosen));
            }
            show("the passwords do not match\n");
        }
        bail!("no valid password after {TRIES_MAX} attempts: nothing was changed")
    };
    let done = tokio::select! {
        biased;
        _ = signals.next() => Err(anyhow::anyhow!("interrupted: nothing was changed")),
        done = typed => done,
    };
    drop(quiet);
    done
}

/// Asks once for an existing password, without showing it.
pub(crate) async fn ask_once(prompt: &str) -> anyhow::Result<Secret> {
    let mut signals = Signals::listen()?;
    let quiet = EchoGuard::begin()?;
    let done = tokio::select! {
        biased;
        _ = signals.next() => Err(anyhow::anyhow!("interrupted: nothing was changed")),
        typed = ask_unseen(prompt) => typed,
    };
    drop(quiet);
    done
}

/// Asks a question; returns whether the answer is `yes`.
pub(crate) async fn agrees(question: &str) -> anyhow::Result<bool> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        biased;
        _ = signals.next() => Err(anyhow::anyhow!("interrupted: nothing was changed")),
        line = ask(question) => Ok(line?.expose().trim() == "yes"),
    }
}

/// Reads a new password from stdin, which must be one line.
pub(crate) fn read_password(own: &[&str]) -> anyhow::Result<Password> {
    Password::parse(read_line_of_stdin()?, own).context("the password on stdin is invalid")
}

/// Reads the password on stdin, which must be one line.
pub(crate) fn read_line_of_stdin() -> anyhow::Result<Secret> {
    if io::stdin().is_terminal() {
        bail!("--password-stdin would show the password on the terminal: leave it out to type the password unseen");
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(LINE_BYTES_MAX).read_to_string(&mut text);
    let text = Secret::new(text);
    read.context("the password on stdin cannot be read; it must be UTF-8")?;
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        bail!("stdin must contain only one line, the password");
    }
    Ok(Secret::new(line.to_owned()))
}

/// Reads one line in a separate thread, which is abandoned if a signal arrives first.
async fn ask(prompt: &str) -> anyhow::Result<Secret> {
    show(prompt);
    let (sender, line) = oneshot::channel();
    std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        let mut text = String::new();
        let read = io::stdin().lock().take(LINE_BYTES_MAX).read_line(&mut text);
        let text = Secret::new(text);
        // An error means that the future was dropped.
        let _ = sender.send(read.map(|_| Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned())));
    })?;
    line.await.context("the terminal was closed")?.context("the terminal cannot be read")
}

/// Asks while the terminal shows neither the typed text nor the end of the line.
async fn ask_unseen(prompt: &str) -> anyhow::Result<Secret> {
    let line = ask(prompt).await?;
    show("\n");
    Ok(line)
}

fn show(text: &str) {
    use std::io::Write;
    let mut terminal = io::stderr().lock();
    // A missing terminal is ignored.
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}

/// A terminal that does not show typed text, until this value is dropped.
struct EchoGuard {
    stdin: Stdin,
    before: Termios,
}

impl EchoGuard {
    fn begin() -> anyhow::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).context("the terminal does not report its settings")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).context("the terminal cannot hide typed text")?;
        Ok(Self { stdin, before })
    }
}

impl Drop for EchoGuard {
    fn drop(&mut self) {
        // Errors of a closed terminal are ignored.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}
