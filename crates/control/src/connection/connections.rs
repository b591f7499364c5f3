//! Connections of a listener: a maximum in total and per IP address. Idle connections are closed to make room.
//!
//! A connection is idle from its accept until its first request, and between requests. Idle connections are ordered by
//! a sequence number, not by a clock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connection permits of a listener.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPermits {
    connections_max: usize,
    per_address_max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Signals that a connection ended or became idle.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// The next sequence number, for a connection or for the start of an idle time.
    next: u64,
    entries: HashMap<u64, ConnectionEntry>,
}

/// One connection of the listener.
#[derive(Debug)]
struct ConnectionEntry {
    address: IpAddr,
    /// Whether the connection counts towards the limit of its address.
    shares: bool,
    /// The sequence number at which it became idle; `None` while a request is served.
    idle_since: Option<u64>,
    close: Arc<Notify>,
}

/// The permit of one connection; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    id: u64,
    close: Arc<Notify>,
    serving: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

/// A request that is served on a connection. When it is dropped, the connection becomes idle.
#[derive(Debug)]
pub(crate) struct Serving {
    id: u64,
    serving: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

/// The reason why no permit is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoConnectionPermit {
    /// Every connection of this address is serving a request.
    Address,
    /// Every connection of the listener is serving a request. [`ConnectionPermits::changed`] waits for a change.
    Listener,
}

impl ConnectionPermits {
    /// Permits at most `connections_max` connections, and at most `per_address_max` per address.
    pub(crate) fn new(connections_max: usize, per_address_max: usize) -> Self {
        Self { connections_max, per_address_max, shared: Arc::default() }
    }

    /// Takes a permit for a connection from `address`. A trusted proxy does not count towards the limit of its address
    /// (`shares` is false). If the address is at its limit, its longest idle connection is closed. If the listener is
    /// full, the longest idle connection of the same address is closed, or of any address if this one has no idle
    /// connection.
    ///
    /// # Errors
    /// [`NoConnectionPermit`] if no connection that could be closed is idle.
    pub(crate) fn take(&self, address: IpAddr, shares: bool) -> Result<ConnectionPermit, NoConnectionPermit> {
        let mut table = self.shared.table();
        let of_address = |entry: &ConnectionEntry| entry.address == address && entry.shares == shares;
        let share = table.entries.values().filter(|entry| of_address(entry)).count();
        if shares && share >= self.per_address_max {
            table.close_longest_idle(of_address).ok_or(NoConnectionPermit::Address)?;
        }
        if table.entries.len() >= self.connections_max {
            let closed = table.close_longest_idle(of_address).or_else(|| table.close_longest_idle(|_| true));
            closed.ok_or(NoConnectionPermit::Listener)?;
        }
        let id = table.number();
        let idle_since = Some(table.number());
        let close = Arc::new(Notify::new());
        table.entries.insert(id, ConnectionEntry { address, shares, idle_since, close: close.clone() });
        Ok(ConnectionPermit { id, close, serving: Arc::default(), shared: self.shared.clone() })
    }

    /// Waits until a connection ends or becomes idle. May be cancelled at any point.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

impl ConnectionPermit {
    /// Marks the connection as serving a request.
    pub(crate) fn serving(&self) -> Serving {
        self.shared.set_idle(self.id, false);
        self.serving.store(true, Ordering::Relaxed);
        Serving { id: self.id, serving: self.serving.clone(), shared: self.shared.clone() }
    }

    /// Whether a request is being served. A request may begin at the moment at which its connection is asked to close.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// Waits until this connection must close to make room for another one. May be cancelled at any point.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.shared.table().entries.remove(&self.id);
        self.shared.changed.notify_one();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.serving.store(false, Ordering::Relaxed);
        self.shared.set_idle(self.id, true);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a connection as idle or busy. A connection that was closed to make room has no entry and is ignored.
    fn set_idle(&self, id: u64, is_idle: bool) {
        let mut table = self.table();
        let since = is_idle.then(|| table.number());
        if let Some(entry) = table.entries.get_mut(&id) {
            entry.idle_since = since;
        }
    }
}

impl Table {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Asks the longest idle of these connections to close, and frees its permit at once. It serves no request, so it
    /// ends as soon as its task runs.
    fn close_longest_idle(&mut self, of: impl Fn(&ConnectionEntry) -> bool) -> Option<()> {
        let idle = self.entries.iter().filter(|(_, entry)| of(entry));
        let (_, id) = idle.filter_map(|(id, entry)| entry.idle_since.map(|since| (since, *id))).min()?;
        self.entries.remove(&id)?.close.notify_one();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const ADA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2));

    /// Whether the connection was asked to close.
    async fn is_closed(seat: &ConnectionPermit) -> bool {
        timeout(Duration::ZERO, seat.closed()).await.is_ok()
    }

    #[tokio::test]
    async fn the_longest_idle_connection_of_a_full_address_makes_room() {
        let seats = ConnectionPermits::new(10, 2);
        let other = seats.take(BOB, true).unwrap();
        let first = seats.take(ADA, true).unwrap();
        let second = seats.take(ADA, true).unwrap();
        // The first connection was idle for longer until it served a request.
        drop(first.serving());
        let third = seats.take(ADA, true).unwrap();
        assert_eq!(
            [is_closed(&first).await, is_closed(&second).await, is_closed(&third).await, is_closed(&other).await],
            [false, true, false, false]
        );
    }

    #[tokio::test]
    async fn a_connection_that_serves_a_call_is_not_closed() {
        let seats = ConnectionPermits::new(2, 1);
        let first = seats.take(ADA, true).unwrap();
        let serving = first.serving();
        assert_eq!(seats.take(ADA, true).unwrap_err(), NoConnectionPermit::Address);
        // A trusted proxy has no limit per address. It takes no permit of connections that serve a request.
        let proxy = seats.take(ADA, false).unwrap();
        let proxied = proxy.serving();
        assert_eq!(seats.take(BOB, true).unwrap_err(), NoConnectionPermit::Listener);
        drop(serving);
        timeout(Duration::from_secs(20), seats.changed()).await.unwrap();
        let _second = seats.take(BOB, true).unwrap();
        assert_eq!([is_closed(&first).await, is_closed(&proxy).await], [true, false]);
        drop(proxied);
    }

    #[tokio::test]
    async fn a_full_listener_closes_an_idle_connection_of_the_same_address_first() {
        let seats = ConnectionPermits::new(2, 2);
        let other = seats.take(BOB, true).unwrap();
        let own = seats.take(ADA, true).unwrap();
        let next = seats.take(ADA, true).unwrap();
        assert_eq!([is_closed(&other).await, is_closed(&own).await], [false, true]);
        drop((own, other, next));
        assert!(seats.shared.table().entries.is_empty(), "connections that ended leave no entry");
    }

    #[test]
    fn a_connection_that_was_closed_for_another_leaves_no_trace() {
        let seats = ConnectionPermits::new(1, 1);
        let first = seats.take(ADA, true).unwrap();
        let second = seats.take(ADA, true).unwrap();
        drop(first.serving());
        drop(first);
        assert_eq!(seats.shared.table().entries.len(), 1);
        drop(second);
        assert!(seats.shared.table().entries.is_empty());
    }
}
