//! Bounds over all workers: connections, connections per address, requests in flight, and each subject's share of
//! requests in flight and of buffered body bytes.

mod share;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::Subject;

pub(crate) use self::share::CallBound;
use self::share::Shares;

/// The part of the permits for responses that are read on after their clients have disconnected: one in ten. Clients
/// that disconnect early must not use all permits.
const READ_ON_PART: u32 = 10;
/// The part of the permits for tunnels, which may last long: one in two. The other permits remain for requests.
const TUNNELS_PART: u32 = 2;

/// The bounds of the process, which its workers share.
#[derive(Debug)]
pub struct Capacity {
    connections: AtomicU32,
    connections_max: u32,
    addresses: Mutex<HashMap<IpAddr, u32>>,
    per_address_max: u32,
    in_flight: AtomicU32,
    in_flight_max: u32,
    read_on: AtomicU32,
    tunnels: AtomicU32,
    shares: Shares,
}

/// The permit of a connection. Dropping it releases the connection's place.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    capacity: Arc<Capacity>,
    /// The address for which the connection counts; `None` before a trusted proxy has named it.
    address: Option<IpAddr>,
}

/// The permit of a tunnel. Dropping it releases the tunnel's place.
#[derive(Debug)]
pub(crate) struct TunnelPermit(Arc<Capacity>);

/// The permit of a request. Dropping it releases the request's place.
#[derive(Debug)]
pub(crate) struct RequestPermit(Arc<Capacity>);

/// The permit of a request whose response is read after its client disconnected. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct DetachedPermit(Arc<Capacity>);

/// The permit of a subject's request in flight. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct KeyPermit {
    capacity: Arc<Capacity>,
    subject: Subject,
}

/// The permit for bytes of a subject's body in memory. Dropping it releases the bytes.
#[derive(Debug)]
pub(crate) struct MemoryPermit {
    capacity: Arc<Capacity>,
    subject: Subject,
    bytes: u64,
    /// All bytes of the request: those of a compressed body and those of its decompressed form.
    of_request: Arc<AtomicU64>,
}

/// The reason why a body may not use more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryExceeded {
    /// The body needs more memory than any key may ever use.
    Ever {
        /// The maximum number of bytes that a key may use.
        bytes_max: u64,
    },
    /// The share of the key is used up.
    Now {
        /// The number of bytes that other requests of the key use.
        others_of_key: u64,
        /// The number of bytes that the key may use now, including those of this body.
        may_hold: u64,
    },
}

/// A bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CapacityExceeded;

impl Capacity {
    /// Returns the configured bounds: connections, requests in flight, and buffered bytes.
    #[must_use]
    pub fn new(connections: config::snapshot::Connections, in_flight_max: u32, buffered_bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicU32::new(0),
            connections_max: connections.max,
            addresses: Mutex::default(),
            per_address_max: connections.per_address,
            in_flight: AtomicU32::new(0),
            in_flight_max,
            read_on: AtomicU32::new(0),
            tunnels: AtomicU32::new(0),
            shares: Shares::new(buffered_bytes_max, connections.in_flight_per_key),
        })
    }

    /// Returns the number of open client connections.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns the number of requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the number of body bytes in memory.
    #[must_use]
    pub fn buffered_bytes(&self) -> u64 {
        self.shares.bytes()
    }

    /// Counts a connection, in total and for its address. Returns an error if one of the bounds is reached.
    pub(crate) fn connect(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, CapacityExceeded> {
        let mut permit = self.connect_proxied()?;
        permit.count(address)?;
        Ok(permit)
    }

    /// Counts a connection of a trusted proxy in total. The address of its client is not known yet.
    pub(crate) fn connect_proxied(self: &Arc<Self>) -> Result<ConnectionPermit, CapacityExceeded> {
        raise(&self.connections, self.connections_max)?;
        Ok(ConnectionPermit { capacity: self.clone(), address: None })
    }

    /// Counts a request in flight. Returns an error if the bound is reached.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<RequestPermit, CapacityExceeded> {
        raise(&self.in_flight, self.in_flight_max)?;
        Ok(RequestPermit(self.clone()))
    }

    /// Counts a request whose response is read after its client disconnected. Returns an error if their
    /// part of the permits is used.
    pub(crate) fn read_on(self: &Arc<Self>) -> Result<DetachedPermit, CapacityExceeded> {
        raise(&self.read_on, part(self.in_flight_max, READ_ON_PART))?;
        Ok(DetachedPermit(self.clone()))
    }

    /// Counts a tunnel. Returns an error if the tunnels' part of the permits is used.
    pub(crate) fn tunnel(self: &Arc<Self>) -> Result<TunnelPermit, CapacityExceeded> {
        raise(&self.tunnels, part(self.in_flight_max, TUNNELS_PART))?;
        Ok(TunnelPermit(self.clone()))
    }

    /// Counts a request in flight of a subject and, for a key, of its user. Returns the bound that is reached as an
    /// error.
    pub(crate) fn call(self: &Arc<Self>, subject: &Subject) -> Result<KeyPermit, CallBound> {
        self.shares.enter(subject)?;
        Ok(KeyPermit { capacity: self.clone(), subject: subject.clone() })
    }

    /// Returns a permit for no bytes yet, which counts for the subject.
    pub(crate) fn hold(self: &Arc<Self>, subject: &Subject) -> MemoryPermit {
        MemoryPermit { capacity: self.clone(), subject: subject.clone(), bytes: 0, of_request: Arc::default() }
    }

    /// Returns the size of the largest body that one key may ever use.
    pub(crate) fn body_bytes_max(&self) -> u64 {
        self.shares.body_bytes_max()
    }
}

/// Returns one in `parts` of the permits, and at least one.
fn part(permits: u32, parts: u32) -> u32 {
    (permits / parts).max(1)
}

fn raise(count: &AtomicU32, max: u32) -> Result<(), CapacityExceeded> {
    if count.fetch_add(1, Ordering::Relaxed) >= max {
        count.fetch_sub(1, Ordering::Relaxed);
        return Err(CapacityExceeded);
    }
    Ok(())
}

impl MemoryPermit {
    /// Returns a further permit of the same request, for no bytes yet.
    pub(crate) fn another(&self) -> Self {
        Self {
            subject: self.subject.clone(),
            capacity: self.capacity.clone(),
            bytes: 0,
            of_request: self.of_request.clone(),
        }
    }

    /// Adds `more` bytes to the permit.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), MemoryExceeded> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let of_request = self.of_request.load(Ordering::Relaxed);
        match self.capacity.shares.grow(&self.subject, more) {
            Ok(()) => {
                self.bytes += more;
                self.of_request.fetch_add(more, Ordering::Relaxed);
                Ok(())
            }
            Err(share) => {
                let bytes_max = self.capacity.body_bytes_max();
                Err(if of_request.saturating_add(more) > bytes_max {
                    MemoryExceeded::Ever { bytes_max }
                } else {
                    let others_of_key = share.holds.saturating_sub(of_request);
                    MemoryExceeded::Now { others_of_key, may_hold: share.may_hold }
                })
            }
        }
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.of_request.fetch_sub(self.bytes, Ordering::Relaxed);
            self.capacity.shares.shrink(&self.subject, self.bytes);
        }
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        self.capacity.shares.leave(&self.subject);
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for DetachedPermit {
    fn drop(&mut self) {
        self.0.read_on.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for TunnelPermit {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionPermit {
    /// Counts the connection for `address`, for which it does not count yet. Returns an error if the bound is reached.
    pub(crate) fn count(&mut self, address: IpAddr) -> Result<(), CapacityExceeded> {
        let mut addresses = self.capacity.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.to_canonical();
        let count = addresses.entry(address).or_insert(0);
        if *count >= self.capacity.per_address_max {
            return Err(CapacityExceeded);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.capacity.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut addresses = self.capacity.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use config::snapshot::Connections;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    #[test]
    fn connections_are_bounded_in_all_and_by_address() {
        let capacity = Capacity::new(Connections { max: 3, per_address: 2, in_flight_per_key: 1 }, 10_000, 0);
        let permits = [capacity.connect(HERE), capacity.connect(HERE)];
        assert!(capacity.connect(HERE).is_err());
        let other = capacity.connect(THERE);
        assert!(capacity.connect(THERE).is_err());
        drop((permits, other));
        assert_eq!(capacity.connections(), 0);
        assert!(capacity.addresses.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_read_on_has_a_part_of_the_places() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 10_000, 0);
        let places: Vec<DetachedPermit> = std::iter::from_fn(|| capacity.read_on().ok()).collect();
        assert_eq!(places.len(), 1_000);
        drop(places);
        assert!(capacity.read_on().is_ok());
    }

    #[test]
    fn tunnels_have_a_part_of_the_places() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 10_000, 0);
        let places: Vec<TunnelPermit> = std::iter::from_fn(|| capacity.tunnel().ok()).collect();
        assert_eq!(places.len(), 5_000);
        drop(places);
        assert!(capacity.tunnel().is_ok());
    }

    #[test]
    fn requests_in_flight_are_bounded_and_one_of_few_may_be_a_tunnel() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 1, 0);
        let permit = capacity.enter().unwrap();
        assert!(capacity.enter().is_err());
        assert!(capacity.tunnel().is_ok() && capacity.read_on().is_ok());
        drop(permit);
        assert_eq!(capacity.in_flight(), 0);
        assert!(capacity.enter().is_ok());
    }

    #[test]
    fn buffered_bytes_are_bounded_and_given_back() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 10_000, 40);
        let caller = access::Subject::Key(access::Caller {
            user: access::UserNo(1),
            key: access::KeyNo(1),
            plan: access::PlanId::NIL,
        });
        let (mut one, mut two) = (capacity.hold(&caller), capacity.hold(&caller));
        assert!(one.grow(6).is_ok());
        assert_eq!(two.grow(5), Err(MemoryExceeded::Now { others_of_key: 6, may_hold: 10 }));
        assert!(two.another().grow(4).is_ok());
        assert!(two.grow(4).is_ok());
        drop(one);
        assert_eq!((capacity.buffered_bytes(), capacity.body_bytes_max()), (4, 10));
    }

    #[test]
    fn a_request_that_no_key_may_ever_hold_is_told_apart_from_a_share_that_is_used_up() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 10_000, 40);
        let of = |user, key| {
            access::Subject::Key(access::Caller {
                user: access::UserNo(user),
                key: access::KeyNo(key),
                plan: access::PlanId::NIL,
            })
        };
        let mut packed = capacity.hold(&of(1, 1));
        let mut inflated = packed.another();
        packed.grow(6).unwrap();
        assert_eq!(inflated.grow(5), Err(MemoryExceeded::Ever { bytes_max: 10 }), "6 and 5 are one request's");
        inflated.grow(3).unwrap();
        let mut other = capacity.hold(&of(2, 2));
        other.grow(5).unwrap();
        assert_eq!(
            inflated.grow(1),
            Err(MemoryExceeded::Now { others_of_key: 0, may_hold: 8 }),
            "another user holds the rest"
        );
        assert_eq!(inflated.grow(2), Err(MemoryExceeded::Ever { bytes_max: 10 }));
        drop(packed);
        inflated.grow(1).unwrap();
    }

    #[test]
    fn calls_of_a_key_are_bounded_until_they_end() {
        let capacity = Capacity::new(Connections { max: 1, per_address: 1, in_flight_per_key: 1 }, 10_000, 0);
        let caller = access::Subject::Key(access::Caller {
            user: access::UserNo(1),
            key: access::KeyNo(1),
            plan: access::PlanId::NIL,
        });
        let call = capacity.call(&caller).unwrap();
        assert_eq!(capacity.call(&caller).err(), Some(CallBound::Key(1)));
        drop(call);
        assert!(capacity.call(&caller).is_ok());
    }
}
