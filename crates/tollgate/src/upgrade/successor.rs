//! The start of another binary with the listening sockets of this process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::net::UnixDatagram;
use tokio::process::Child;
use tokio::time::timeout;

use super::UpgradeFault;
use super::store::{StoreHandover, TAKEN_WITHIN};
use crate::inherited::{FAULT, GO, MESSAGE_BYTES_MAX, READY, REPORT, STORE};
use crate::lock::Lock;
use crate::slot::Slot;

/// The first descriptor of the protocol of `sd_listen_fds(3)`.
const FIRST_FD: i32 = 3;

/// What a server passes to its successor.
#[derive(Debug)]
pub(crate) struct Handover {
    /// The executable of this process, as it was found at its start.
    pub(crate) program: PathBuf,
    /// The listening sockets, with the names of their listeners.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// The data folder of both processes.
    pub(crate) data: PathBuf,
    /// The slot of this process.
    pub(crate) slot: Slot,
    /// Maximum time until the successor is ready.
    pub(crate) within: Duration,
    /// The store that the successor gets before it serves; `None` if several processes count against budgets.
    pub(crate) store: Option<StoreHandover>,
    /// Whether this process has replaced another one.
    pub(crate) is_successor: bool,
}

/// A process that is not ready yet. It is killed when this value is dropped.
struct StartingProcess(Option<Child>);

impl Drop for StartingProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Fails only if the process has ended.
            let _ = child.start_kill();
        }
    }
}

impl Handover {
    /// Starts `binary`, or the executable of this process, and returns the id of the process once it accepts connections. A
    /// process that fails before has ended when this returns. Dropping the future kills the process.
    ///
    /// # Errors
    /// The reason why this process continues.
    pub(crate) async fn start(&self, binary: Option<&Path>) -> Result<u32, UpgradeFault> {
        if std::process::id() == 1 {
            return Err(UpgradeFault::FirstProcess);
        }
        let next = self.slot.other();
        if Lock::take_slot(&self.data, next).is_err() {
            return Err(UpgradeFault::Draining { folder: next.folder(&self.data) });
        }
        let program = binary.unwrap_or(&self.program);
        let failed = |source| UpgradeFault::Spawn { program: program.to_owned(), source };
        let (ours, theirs) = StdDatagram::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let report = UnixDatagram::from_std(ours).map_err(failed)?;
        let child = self.spawn(program, theirs).map_err(failed)?;
        let mut starting = StartingProcess(Some(child));
        let result = match timeout(self.within, starting.settled(&report, self.store.as_ref())).await {
            Ok(result) => result,
            Err(_) => Err(UpgradeFault::TimedOut { within: self.within }),
        };
        match result {
            Ok(pid) => {
                // The process outlives this one.
                drop(starting.0.take());
                Ok(pid)
            }
            Err(fault) => {
                if let Some(mut child) = starting.0.take() {
                    // Its lock is free afterwards, for the next attempt. An error means that it has ended.
                    let _ = child.kill().await;
                }
                Err(fault)
            }
        }
    }

    /// Starts the process with the sockets, from descriptor 3 on, and the socket for its report after them.
    fn spawn(&self, program: &Path, report: StdDatagram) -> io::Result<Child> {
        let report = (format!("{REPORT}{}", self.slot.other().word()), OwnedFd::from(report));
        let mut names = Vec::new();
        let mut mappings = Vec::new();
        for (child_fd, (name, socket)) in (FIRST_FD..).zip(self.sockets.iter().chain([&report])) {
            names.push(name.as_str());
            mappings.push(FdMapping { parent_fd: socket.try_clone()?, child_fd });
        }
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1));
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        // The id is not known before the process exists.
        command.env_remove("LISTEN_PID");
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        tokio::process::Command::from(command).spawn()
    }
}

/// A message of the starting process.
enum Message {
    /// It has checked the configuration, and waits for the store.
    Prepared,
    /// It can serve from now on.
    Ready,
}

impl StartingProcess {
    /// Waits until the process is ready or has failed. On SQLite, it gets the store meanwhile, and serves only when this process
    /// no longer does. Returns its id.
    async fn settled(&mut self, report: &UnixDatagram, store: Option<&StoreHandover>) -> Result<u32, UpgradeFault> {
        let pid = self.0.as_ref().and_then(Child::id).ok_or_else(|| ended("unknown"))?;
        let Some(store) = store else {
            return match self.message(report).await? {
                Message::Ready => Ok(pid),
                Message::Prepared => Err(ended("an unknown message")),
            };
        };
        let Message::Prepared = self.message(report).await? else { return Err(ended("an unknown message")) };
        let given = store.give().await?;
        let gone = |error: io::Error| ended(&error.to_string());
        report.send(GO).await.map_err(gone)?;
        match timeout(TAKEN_WITHIN, self.message(report)).await {
            Ok(message) => match message? {
                Message::Ready => report.send(GO).await.map_err(gone)?,
                Message::Prepared => return Err(ended("an unknown message")),
            },
            Err(_) => return Err(UpgradeFault::TimedOut { within: TAKEN_WITHIN }),
        };
        given.keep();
        Ok(pid)
    }

    /// Waits for a message of the process.
    async fn message(&mut self, report: &UnixDatagram) -> Result<Message, UpgradeFault> {
        let Some(child) = &mut self.0 else { return Err(ended("unknown")) };
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        let received = tokio::select! {
            biased;
            received = report.recv(&mut message) => received,
            status = child.wait() => match report.try_recv(&mut message) {
                // The process has reported its fault and ended meanwhile.
                Ok(received) => Ok(received),
                Err(_) => return Err(ended(&status.map_or_else(|error| error.to_string(), |status| status.to_string()))),
            },
        };
        let message = received.ok().and_then(|length| message.get(..length)).unwrap_or_default();
        match message.strip_prefix(FAULT) {
            Some(reason) => Err(UpgradeFault::Refused { reason: String::from_utf8_lossy(reason).into_owned() }),
            None if message == READY => Ok(Message::Ready),
            None if message == STORE => Ok(Message::Prepared),
            None => Err(ended("an unknown message")),
        }
    }
}

fn ended(status: &str) -> UpgradeFault {
    UpgradeFault::Ended { status: status.to_owned() }
}
