//! Messages to the service manager by the protocol of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The variable with the address of the service manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The variable with the time in microseconds after which the service manager takes a silent process for hung.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// The variable with the process that must not be silent. A successor inherits that of its predecessor.
const WATCHED: &str = "WATCHDOG_PID";
/// Signs of life in the time after which a process is taken for hung: one of them may be late.
const SIGNS: u32 = 3;

/// A shorter time is not watched: the interval of the signs would be zero.
const SHORTEST: Duration = Duration::from_millis(1);

/// The signs of life that the service manager expects (`WatchdogSec=` of the unit).
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// `None` if the service manager expects no signs.
    signs: Option<Interval>,
}

impl Watchdog {
    /// Reads what the service manager expects of this process, which may have replaced an earlier one.
    pub(crate) fn from_environment(is_successor: bool) -> Self {
        let watched = std::env::var(WATCHED).ok();
        let is_watched = is_successor || watched.is_none_or(|pid| pid == std::process::id().to_string());
        let within = std::env::var(WATCHDOG).ok().as_deref().and_then(hung_after);
        let signs = within.filter(|within| is_watched && *within >= SHORTEST).map(|within| {
            let mut signs = interval(within / SIGNS);
            signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
            signs
        });
        Self { signs }
    }

    /// Waits for the next sign, and gives it if the threads of jobs and of the admin API respond too. May be cancelled.
    pub(crate) async fn sign(&mut self) {
        let Some(signs) = &mut self.signs else { return std::future::pending().await };
        signs.tick().await;
        let mut thread = JoinSet::new();
        thread.spawn(std::future::ready(()));
        if matches!(thread.join_next().await, Some(Ok(()))) {
            notify("WATCHDOG=1\n");
        }
    }
}

/// Returns the time of the variable; `None` for no time.
fn hung_after(microseconds: &str) -> Option<Duration> {
    match microseconds.parse() {
        Ok(0) | Err(_) => None,
        Ok(microseconds) => Some(Duration::from_micros(microseconds)),
    }
}

/// Reports that this process serves.
pub(crate) fn ready() {
    notify("READY=1\nSTATUS=serving\n");
}

/// Reports that another process of the service is its main process now.
pub(crate) fn replaced_by(pid: u32) {
    notify(&format!("MAINPID={pid}\nREADY=1\nSTATUS=upgraded; process {} drains\n", std::process::id()));
}

/// Sends a message; without a service manager, nothing happens.
fn notify(message: &str) {
    let Some(address) = std::env::var_os(SOCKET).filter(|address| !address.is_empty()) else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        #[cfg(target_os = "linux")]
        if let Some(name) = address.to_str().and_then(|address| address.strip_prefix('@')) {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return socket.send_to_addr(message.as_bytes(), &address);
        }
        socket.send_to(message.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_positive_time_is_watched() {
        assert_eq!(hung_after("30000000"), Some(Duration::from_secs(30)));
        for none in ["", "0", "-1", "30s"] {
            assert_eq!(hung_after(none), None, "{none}");
        }
    }
}
