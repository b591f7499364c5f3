//! Counts per client address, which all workers share: a table of fixed size, without locks.
//!
//! An address is counted in one bucket of the table; a random number chooses the bucket, so clients cannot. Addresses with
//! the same bucket share its bound. Few buckets can be full at a time, because the sum of all counts is bounded too.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use access::network::address;

/// The number of buckets: with 16 full ones, one address in 512 shares one of them. The table has 128 KiB.
const BUCKETS: usize = 8_192;
const BUCKET_BITS: u32 = BUCKETS.ilog2();

/// Counts of the requests of one bucket.
#[derive(Debug, Default)]
pub(super) struct AddressCounts {
    /// Requests in flight of clients that are not identified.
    pub(super) anonymous: AtomicU32,
    /// Requests that wait for the identification of their clients.
    pub(super) unidentified: AtomicU32,
    /// Passwords that wait for their verification.
    pub(super) passwords: AtomicU32,
    /// Requests that wait for a fetch of the keys of an issuer.
    pub(super) key_fetches: AtomicU32,
}

/// The table of counts.
#[derive(Debug)]
pub(super) struct AddressTable {
    buckets: Box<[AddressCounts]>,
    seed: u64,
}

/// The position of an address in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressBucket(pub(super) usize);

/// The bound of requests of clients that are not identified that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressBound {
    /// The bound of one address.
    Address(u32),
    /// The bound of all addresses together.
    All,
}

impl AddressTable {
    pub(super) fn new() -> Self {
        let buckets = std::iter::repeat_with(AddressCounts::default).take(BUCKETS).collect();
        Self { buckets, seed: RandomState::new().hash_one(BUCKETS) }
    }

    /// Returns the bucket of an address, by the mixing step of SplitMix64.
    pub(super) fn bucket(&self, address: IpAddr) -> AddressBucket {
        let number = match address::network(address) {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(0),
        };
        let mixed = number ^ self.seed;
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        AddressBucket(usize::try_from(mixed >> (u64::BITS - BUCKET_BITS)).unwrap_or(0))
    }

    /// Returns the counts of a bucket.
    pub(super) fn counts(&self, bucket: AddressBucket) -> Option<&AddressCounts> {
        self.buckets.get(bucket.0)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let counts = |counts: &AddressCounts| {
            let all = [&counts.anonymous, &counts.unidentified, &counts.passwords, &counts.key_fetches];
            all.map(|count| count.load(Ordering::Relaxed))
        };
        self.buckets.iter().all(|bucket| counts(bucket) == [0; 4])
    }
}

/// Raises a count, unless it has reached `max`.
pub(super) fn raise(count: &AtomicU32, max: u32) -> bool {
    if count.fetch_add(1, Ordering::Relaxed) < max {
        return true;
    }
    lower(count);
    false
}

/// Lowers a count that was raised.
pub(super) fn lower(count: &AtomicU32) {
    count.fetch_sub(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_spread_over_the_table_and_a_network_has_one_bucket() {
        let table = AddressTable::new();
        let of = |text: String| table.bucket(text.parse().unwrap()).0;
        let spread = |addresses: Vec<String>| addresses.into_iter().map(of).collect::<HashSet<_>>().len();
        assert!(spread((0..=255).map(|last| format!("203.0.113.{last}")).collect()) > 200);
        assert!(spread((0..=255).map(|last| format!("2001:db8:1:{last:x}::1")).collect()) > 200);
        assert!(spread((0..=255).map(|middle| format!("2001:{middle:x}:1:2::1")).collect()) > 200);
        assert_eq!(of("2001:db8:1:2:3:4:5:6".to_owned()), of("2001:db8:1:2::9".to_owned()));
        assert_eq!(of("::ffff:203.0.113.9".to_owned()), of("203.0.113.9".to_owned()));
    }
}
