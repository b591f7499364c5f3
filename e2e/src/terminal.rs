//! A command on a pseudo-terminal: its screen output and keyboard input.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::commands;
use crate::setup::Folder;
use crate::wait::eventually_within;

/// Timeout for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running command with its pseudo-terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// The command's side of the terminal, open beyond the end of the command.
    line: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `tollgate` with these arguments.
    #[must_use]
    pub fn run(folder: &Folder, words: &[&str]) -> Self {
        match Self::try_run(folder, words) {
            Ok(terminal) => terminal,
            Err(error) => panic!("no terminal for {words:?}: {error}"),
        }
    }

    fn try_run(folder: &Folder, words: &[&str]) -> std::io::Result<Self> {
        let own_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&own_side)?;
        unlockpt(&own_side)?;
        let name = ptsname(&own_side, Vec::new())?;
        let line = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?);
        let mut command = commands::tollgate(folder);
        command.args(words).stdin(line.try_clone()?).stdout(line.try_clone()?).stderr(line.try_clone()?);
        let child = command.spawn()?;
        let keyboard = File::from(own_side);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut screen = keyboard.try_clone()?;
        let seen = shown.clone();
        // The thread ends when the terminal closes.
        std::thread::spawn(move || {
            let mut bytes = [0; 1_024];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..read]);
            }
        });
        Ok(Self { child, keyboard, line, shown })
    }

    /// Returns the screen output so far.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until `text` has appeared at least `times` times.
    pub async fn sees(&self, text: &str, times: usize) {
        eventually_within(PATIENCE, &format!("{text:?} is shown"), async || {
            (self.shown().matches(text).count() >= times).then_some(())
        })
        .await;
    }

    /// Types one line and a newline.
    pub fn types(&mut self, line: &str) {
        if let Err(error) = self.keyboard.write_all(format!("{line}\n").as_bytes()) {
            panic!("cannot type {line:?} into the terminal: {error}");
        }
    }

    /// Sends SIGINT to the command.
    pub fn interrupts(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
    }

    /// Returns whether the terminal shows typed characters.
    #[must_use]
    pub fn echoes(&self) -> bool {
        match tcgetattr(&self.line) {
            Ok(modes) => modes.local_modes.contains(LocalModes::ECHO),
            Err(error) => panic!("no modes: {error}"),
        }
    }

    /// Waits until the command ends; returns its exit code.
    pub async fn ends(&mut self) -> Option<i32> {
        eventually_within(PATIENCE, "the command ends", async || self.child.try_wait().ok().flatten()).await.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
