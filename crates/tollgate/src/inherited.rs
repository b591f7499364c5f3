//! Listening sockets that another process has opened: systemd, or the predecessor in an upgrade in place.
//!
//! Both pass them by the protocol of `sd_listen_fds(3)`: descriptors from 3 on, whose number is in `LISTEN_FDS` and whose names
//! are in `LISTEN_FDNAMES`. A predecessor cannot know `LISTEN_PID` before the process exists, and leaves it out. It adds a
//! datagram socket on which the successor reports that it is ready, or why it is not. On SQLite, the successor also waits there
//! for the store, and until the predecessor no longer serves.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use tls::{BoundListener, ListenAddress};
use tokio::time::timeout;

use crate::lock::Lock;
use crate::slot::Slot;

/// The name of the socket of the admin API.
pub(crate) const CONTROL: &str = "control";
/// The start of the name of the socket to the predecessor; the slot of this process follows.
pub(crate) const REPORT: &str = "upgrade-";
/// The message of a successor that is ready.
pub(crate) const READY: &[u8] = b"READY";
/// The message of a successor that needs the store to continue.
pub(crate) const STORE: &[u8] = b"STORE";
/// The response of the predecessor to both messages on SQLite.
pub(crate) const GO: &[u8] = b"GO";
/// Interval at which a successor that waits checks whether its predecessor runs.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The start of the message of a successor that cannot start; the reason follows.
pub(crate) const FAULT: &[u8] = b"FAULT ";
/// Maximum size of a message to the predecessor in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4_096;
/// Maximum number of descriptors that are taken.
const SOCKETS_MAX: usize = 4_096;

/// Returns the name of the socket of a listener of the proxy, by its position in the configuration.
pub(crate) fn proxy_name(position: usize) -> String {
    format!("proxy-{position}")
}

/// The sockets that this process has inherited and does not use yet.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets {
    listeners: Vec<NamedListener>,
    /// The connection to the predecessor; `None` if this process upgrades no other.
    pub(crate) predecessor: Option<Arc<Predecessor>>,
}

/// The inherited sockets of a process, and whether it serves.
#[derive(Debug)]
pub(crate) struct HeldSockets {
    pub(crate) inherited: InheritedSockets,
    /// Whether the predecessor knows that this process serves.
    pub(crate) is_ready: bool,
}

#[derive(Debug)]
struct NamedListener {
    name: String,
    address: ListenAddress,
    socket: BoundListener,
}

/// The process that this one replaces.
#[derive(Debug)]
pub(crate) struct Predecessor {
    /// The slot of this process.
    pub(crate) slot: Slot,
    socket: UnixDatagram,
}

impl InheritedSockets {
    /// Takes the sockets that the environment names. It must be called before the process has other threads, and once.
    ///
    /// # Errors
    /// A descriptor is neither a listening socket of TCP or of the Unix domain nor the connection to a predecessor.
    pub(crate) fn of_environment() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut found = ListenFd::from_env();
        let mut this = Self::default();
        for number in 0..found.len().min(SOCKETS_MAX) {
            let name = names.next().unwrap_or_default();
            if let Some(slot) = name.strip_prefix(REPORT).and_then(Slot::of_word) {
                let socket = found.take_unix_datagram(number)?;
                this.predecessor = socket.map(|socket| Arc::new(Predecessor { slot, socket }));
            } else if let Some(socket) = listener(&mut found, number)? {
                let address = socket.address()?;
                this.listeners.push(NamedListener { name: name.to_owned(), address, socket });
            }
        }
        Ok(this)
    }

    /// Takes the sockets of a listener with this address: those of the same address, and for port 0 those of the same name.
    pub(crate) fn take(&mut self, name: &str, address: &ListenAddress) -> Vec<BoundListener> {
        let is_one = |listener: &NamedListener| {
            let is_chosen = match (address.tcp(), listener.address.tcp()) {
                (Some(address), Some(own)) => address.port() == 0 && own.ip() == address.ip() && listener.name == name,
                (Some(_) | None, _) => false,
            };
            listener.address == *address || is_chosen
        };
        let (taken, kept) = std::mem::take(&mut self.listeners).into_iter().partition(is_one);
        self.listeners = kept;
        let taken: Vec<NamedListener> = taken;
        taken.into_iter().map(|listener| listener.socket).collect()
    }

    /// Returns the addresses of sockets that no listener of the configuration has taken, each once.
    pub(crate) fn unused(&self) -> Vec<ListenAddress> {
        let mut unused: Vec<ListenAddress> = self.listeners.iter().map(|listener| listener.address.clone()).collect();
        unused.sort_unstable();
        unused.dedup();
        unused
    }

    /// Closes the sockets that no listener has taken.
    pub(crate) fn close_unused(&mut self) {
        self.listeners.clear();
    }
}

/// Takes a listening socket of TCP or of the Unix domain.
fn listener(found: &mut ListenFd, number: usize) -> io::Result<Option<BoundListener>> {
    match found.take_tcp_listener(number) {
        Ok(socket) => Ok(socket.map(BoundListener::Tcp)),
        // A descriptor of another kind remains.
        Err(error) => match found.take_unix_listener(number) {
            Ok(socket) => Ok(socket.map(BoundListener::Unix)),
            Err(_) => Err(error),
        },
    }
}

impl Predecessor {
    /// Reports that this process accepts connections, so that the predecessor drains.
    ///
    /// # Errors
    /// The predecessor has ended.
    pub(crate) fn report_ready(&self) -> io::Result<()> {
        self.socket.send(READY).map(|_| ())
    }

    /// Waits for the store. Returns the lock of the predecessor's slot if the predecessor has ended without giving it.
    ///
    /// # Errors
    /// The socket fails.
    pub(crate) async fn request_store(&self, data: &Path) -> io::Result<Option<Lock>> {
        self.exchange(STORE, data).await
    }

    /// Reports that this process can serve, and waits until the predecessor no longer admits requests, or has ended.
    ///
    /// # Errors
    /// The socket fails.
    pub(crate) async fn take_over(&self, data: &Path) -> io::Result<()> {
        self.exchange(READY, data).await.map(drop)
    }

    async fn exchange(&self, message: &[u8], data: &Path) -> io::Result<Option<Lock>> {
        let socket = self.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixDatagram::from_std(socket)?;
        // A predecessor that has ended is detected below.
        let _ = socket.send(message).await;
        loop {
            let mut received = [0; GO.len()];
            match timeout(LOOK_EVERY, socket.recv(&mut received)).await {
                Ok(Ok(length)) if received.get(..length) == Some(GO) => return Ok(None),
                Ok(Err(_)) => tokio::time::sleep(LOOK_EVERY).await,
                Ok(Ok(_)) | Err(_) => {}
            }
            if let Ok(lock) = Lock::take_slot(data, self.slot.other()) {
                return Ok(Some(lock));
            }
        }
    }

    /// Reports why this process cannot start, so that the predecessor continues.
    pub(crate) fn report_fault(&self, reason: &str) {
        let mut message = FAULT.to_vec();
        message.extend_from_slice(reason.as_bytes());
        message.truncate(MESSAGE_BYTES_MAX);
        // A predecessor that has ended reads nothing.
        let _ = self.socket.send(&message);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn inherited(names: &[&str]) -> (InheritedSockets, Vec<ListenAddress>) {
        let listeners: Vec<NamedListener> = names
            .iter()
            .map(|name| {
                let socket = BoundListener::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
                NamedListener { name: (*name).to_owned(), address: socket.address().unwrap(), socket }
            })
            .collect();
        let addresses = listeners.iter().map(|listener| listener.address.clone()).collect();
        (InheritedSockets { listeners, predecessor: None }, addresses)
    }

    #[test]
    fn sockets_belong_to_listeners_of_their_address_or_of_their_name() {
        let (mut sockets, addresses) = inherited(&["proxy-0", "control", "web.socket"]);
        let any: ListenAddress = "127.0.0.1:0".parse().unwrap();
        assert_eq!(sockets.take("proxy-1", &any).len(), 0);
        assert_eq!(sockets.take(&proxy_name(0), &any)[0].address().unwrap(), addresses[0]);
        assert_eq!(sockets.take(&proxy_name(7), &addresses[2]).len(), 1, "systemd's names are free");
        assert_eq!(sockets.unused(), [addresses[1].clone()]);
        assert_eq!(sockets.take(CONTROL, &"[::1]:0".parse().unwrap()).len(), 0);
        sockets.close_unused();
        assert!(sockets.unused().is_empty());
    }

    #[test]
    fn a_long_reason_is_cut() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let predecessor = Predecessor { slot: Slot::Next, socket: ours };
        predecessor.report_ready().unwrap();
        predecessor.report_fault(&"x".repeat(2 * MESSAGE_BYTES_MAX));
        let mut message = [0; 2 * MESSAGE_BYTES_MAX];
        assert_eq!(theirs.recv(&mut message).unwrap(), READY.len());
        assert_eq!(theirs.recv(&mut message).unwrap(), MESSAGE_BYTES_MAX);
        assert!(message.starts_with(FAULT));
    }
}
