//! Bounds over all workers: connections, connections per address, requests in flight, and the shares of requests in
//! flight and of buffered body bytes that each subject and each address has.

mod address;
mod body_work;
mod share;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::Subject;
use access::network::address::network;

pub(crate) use self::address::AddressBound;
use self::address::{AddressBucket, AddressTable, lower, raise};
pub(crate) use self::body_work::BodyWorkPermit;
use self::body_work::BodyWorks;
pub(crate) use self::share::CallBound;
use self::share::Shares;
use crate::metrics::failure_log::{FailureLog, RefusalLog};

/// The part of the permits for responses that are read on after their clients have disconnected: one in ten. Clients
/// that disconnect early must not use all permits.
const READ_ON_PART: u32 = 10;
/// The part of the permits for tunnels, which may last long: one in two. The other permits remain for requests.
const TUNNELS_PART: u32 = 2;
/// The part of the permits for requests that wait for the identification of their clients: one in four. With those of
/// unidentified clients, a quarter remains for requests whose client is known.
const UNIDENTIFIED_PART: u32 = 4;
/// The number of passwords of one address that wait for their verification. Each takes up to a second, and a request
/// waits for 5 seconds.
const PASSWORDS_PER_ADDRESS: u32 = 4;
/// The part of the permits for requests that wait for a fetch of the keys of an issuer: one in eight, half of those that
/// wait for an identification. A fetch may take 5 seconds, and all other identifications must be possible meanwhile.
const KEY_FETCHES_PART: u32 = 8;
/// The number of requests of one address that wait for a fetch of the keys of an issuer. Clients choose the names of keys
/// in tokens, and at most 256 requests wait for one issuer.
const KEY_FETCHES_PER_ADDRESS: u32 = 16;
/// One unidentified request in [`Capacity::in_flight`], whose lower half counts all requests.
const ANONYMOUS: u64 = 1 << 32;

/// The bounds of the process, which its workers share.
#[derive(Debug)]
pub struct Capacity {
    connections: AtomicU32,
    connections_max: u32,
    addresses: Mutex<HashMap<IpAddr, u32>>,
    per_address_max: u32,
    /// Connections beyond one of these bounds, for the log.
    pub(crate) refused_connections: FailureLog,
    /// The usage events that the spool did not take at once.
    pub(crate) unrecorded_events: FailureLog,
    /// The lines of refused requests.
    pub(crate) refusal_log: RefusalLog,
    /// All requests in flight in the lower half, and those of unidentified clients in the upper half.
    in_flight: AtomicU64,
    in_flight_max: u32,
    anonymous_max: u32,
    anonymous_per_address_max: u32,
    unidentified: AtomicU32,
    unidentified_max: u32,
    unidentified_per_address_max: u32,
    key_fetches: AtomicU32,
    by_address: AddressTable,
    read_on: AtomicU32,
    tunnels: AtomicU32,
    shares: Shares,
    body_works: Arc<BodyWorks>,
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
pub(crate) struct RequestPermit {
    capacity: Arc<Capacity>,
    /// The address for which the request counts; `None` unless its client is unidentified.
    anonymous: Option<AddressBucket>,
}

/// The permit of a request that waits for the identification of its client. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct UnidentifiedPermit {
    capacity: Arc<Capacity>,
    bucket: AddressBucket,
}

/// The permit of a password that waits for its verification. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct PasswordPermit {
    capacity: Arc<Capacity>,
    bucket: AddressBucket,
}

/// The permit of a request that waits for the keys of an issuer. Dropping it releases the place.
#[derive(Debug)]
pub(crate) struct KeyFetchPermit {
    capacity: Arc<Capacity>,
    bucket: AddressBucket,
}

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
    /// All bytes of the request: those of the body as it was received, and those of its other forms.
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
        let unidentified_max = part(in_flight_max, UNIDENTIFIED_PART);
        Arc::new(Self {
            connections: AtomicU32::new(0),
            connections_max: connections.max,
            addresses: Mutex::default(),
            per_address_max: connections.per_address,
            refused_connections: FailureLog::default(),
            unrecorded_events: FailureLog::default(),
            refusal_log: RefusalLog::default(),
            in_flight: AtomicU64::new(0),
            in_flight_max,
            anonymous_max: connections.in_flight_anonymous,
            anonymous_per_address_max: connections.in_flight_per_address,
            unidentified: AtomicU32::new(0),
            unidentified_max,
            unidentified_per_address_max: connections.in_flight_per_address.min(unidentified_max),
            key_fetches: AtomicU32::new(0),
            by_address: AddressTable::new(),
            read_on: AtomicU32::new(0),
            tunnels: AtomicU32::new(0),
            shares: Shares::new(buffered_bytes_max, connections.in_flight_per_key),
            body_works: BodyWorks::new(),
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
        all(self.in_flight.load(Ordering::Relaxed))
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
        count(&self.connections, self.connections_max)?;
        Ok(ConnectionPermit { capacity: self.clone(), address: None })
    }

    /// Counts a request in flight. Returns an error if the bound is reached.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<RequestPermit, CapacityExceeded> {
        if all(self.in_flight.fetch_add(1, Ordering::Relaxed)) >= self.in_flight_max {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(CapacityExceeded);
        }
        Ok(RequestPermit { capacity: self.clone(), anonymous: None })
    }

    /// Counts a request that waits for the identification of its client. Returns the bound that is reached as an error.
    pub(crate) fn identify(self: &Arc<Self>, address: IpAddr) -> Result<UnidentifiedPermit, AddressBound> {
        let bucket = self.by_address.bucket(address);
        let counts = self.by_address.counts(bucket).ok_or(AddressBound::All)?;
        if !raise(&counts.unidentified, self.unidentified_per_address_max) {
            return Err(AddressBound::Address(self.unidentified_per_address_max));
        }
        if !raise(&self.unidentified, self.unidentified_max) {
            lower(&counts.unidentified);
            return Err(AddressBound::All);
        }
        Ok(UnidentifiedPermit { capacity: self.clone(), bucket })
    }

    /// Counts a password of the address that waits for its verification. Returns an error if the address has too many.
    pub(crate) fn check_password(self: &Arc<Self>, address: IpAddr) -> Result<PasswordPermit, CapacityExceeded> {
        let bucket = self.by_address.bucket(address);
        let counts = self.by_address.counts(bucket).ok_or(CapacityExceeded)?;
        count(&counts.passwords, PASSWORDS_PER_ADDRESS)?;
        Ok(PasswordPermit { capacity: self.clone(), bucket })
    }

    /// Counts a request of the address that waits for a fetch of the keys of an issuer. Returns an error if the address has
    /// too many, or all addresses together.
    pub(crate) fn await_keys(self: &Arc<Self>, address: IpAddr) -> Result<KeyFetchPermit, CapacityExceeded> {
        let bucket = self.by_address.bucket(address);
        let counts = self.by_address.counts(bucket).ok_or(CapacityExceeded)?;
        count(&counts.key_fetches, KEY_FETCHES_PER_ADDRESS)?;
        if !raise(&self.key_fetches, part(self.in_flight_max, KEY_FETCHES_PART)) {
            lower(&counts.key_fetches);
            return Err(CapacityExceeded);
        }
        Ok(KeyFetchPermit { capacity: self.clone(), bucket })
    }

    /// Counts a request whose response is read after its client disconnected. Returns an error if their
    /// part of the permits is used.
    pub(crate) fn read_on(self: &Arc<Self>) -> Result<DetachedPermit, CapacityExceeded> {
        count(&self.read_on, part(self.in_flight_max, READ_ON_PART))?;
        Ok(DetachedPermit(self.clone()))
    }

    /// Counts a tunnel. Returns an error if the tunnels' part of the permits is used.
    pub(crate) fn tunnel(self: &Arc<Self>) -> Result<TunnelPermit, CapacityExceeded> {
        count(&self.tunnels, part(self.in_flight_max, TUNNELS_PART))?;
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

    /// Waits until the subject may have a large body worked on. The future may be cancelled at any point.
    pub(crate) async fn work_on_body(&self, subject: &Subject, address: IpAddr) -> Option<BodyWorkPermit> {
        self.body_works.permit(subject, address).await
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

fn count(count: &AtomicU32, max: u32) -> Result<(), CapacityExceeded> {
    if raise(count, max) { Ok(()) } else { Err(CapacityExceeded) }
}

/// Returns the number of all requests in a value of [`Capacity::in_flight`].
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn all(in_flight: u64) -> u32 {
    in_flight as u32
}

/// Returns the number of requests of unidentified clients in a value of [`Capacity::in_flight`].
const fn anonymous(in_flight: u64) -> u32 {
    (in_flight >> 32) as u32
}

impl RequestPermit {
    /// Counts the request among those of unidentified clients, in all and of their address. Returns the bound that is
    /// reached as an error.
    pub(crate) fn count_anonymous(&mut self, address: IpAddr) -> Result<(), AddressBound> {
        let Self { capacity, .. } = self;
        let bucket = capacity.by_address.bucket(address);
        let counts = capacity.by_address.counts(bucket).ok_or(AddressBound::All)?;
        if !raise(&counts.anonymous, capacity.anonymous_per_address_max) {
            return Err(AddressBound::Address(capacity.anonymous_per_address_max));
        }
        if anonymous(capacity.in_flight.fetch_add(ANONYMOUS, Ordering::Relaxed)) >= capacity.anonymous_max {
            capacity.in_flight.fetch_sub(ANONYMOUS, Ordering::Relaxed);
            lower(&counts.anonymous);
            return Err(AddressBound::All);
        }
        self.anonymous = Some(bucket);
        Ok(())
    }
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
        let Self { capacity, anonymous } = self;
        let counted = anonymous.take().and_then(|bucket| capacity.by_address.counts(bucket));
        let ended = match counted {
            Some(counts) => {
                lower(&counts.anonymous);
                ANONYMOUS + 1
            }
            None => 1,
        };
        capacity.in_flight.fetch_sub(ended, Ordering::Relaxed);
    }
}

impl Drop for UnidentifiedPermit {
    fn drop(&mut self) {
        lower(&self.capacity.unidentified);
        self.capacity.by_address.counts(self.bucket).into_iter().for_each(|counts| lower(&counts.unidentified));
    }
}

impl Drop for PasswordPermit {
    fn drop(&mut self) {
        self.capacity.by_address.counts(self.bucket).into_iter().for_each(|counts| lower(&counts.passwords));
    }
}

impl Drop for KeyFetchPermit {
    fn drop(&mut self) {
        lower(&self.capacity.key_fetches);
        self.capacity.by_address.counts(self.bucket).into_iter().for_each(|counts| lower(&counts.key_fetches));
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
        let address = network(address);
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
pub(crate) mod tests;
