//! Limits on sign-in attempts, per account (existing or not) and per IP address.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use access::Refusal;
use access::address::network;
use cluster::windows::{WindowCheck, Windows};
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::problem::Problem;

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Attempts per account and window. With a higher limit, passwords could be guessed from many addresses at once. With
/// this limit, anyone who knows the e-mail address can block its owner's password sign-in for as long as the attempts
/// continue.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Attempts per IP address and window. Several people may share one address.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// The account that an attempt is for: a hash of its e-mail address, so that neither counters nor Redis store
/// addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountHash(String);

impl AccountHash {
    /// The account of an e-mail address as a client writes it. Case and surrounding spaces make no difference, and the
    /// text does not have to be a valid address.
    pub(crate) fn of(email: &str) -> Self {
        let hash = Sha256::digest(email.trim().to_lowercase().as_bytes());
        let hex = hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self(hex)
    }
}

/// Counts one attempt, even if it succeeds later. `account` is `None` if the attempt guesses no password.
///
/// # Errors
/// `rate_limited`; a refused attempt is not counted.
pub(crate) async fn take(windows: &Windows, address: Address, account: Option<&AccountHash>) -> Result<(), Problem> {
    let network = network(address.0).to_string();
    let by_address = WindowCheck { name: "sign_in_address", key: &network, limit: PER_ADDRESS, window: WINDOW };
    let verdict = match account {
        Some(AccountHash(hash)) => {
            let by_account = WindowCheck { name: "sign_in_account", key: hash, limit: PER_ACCOUNT, window: WINDOW };
            windows.take(&[by_address, by_account]).await
        }
        None => windows.take(&[by_address]).await,
    };
    if verdict.allowed {
        return Ok(());
    }
    // Both limits and all accounts share one message, so that it reveals nothing.
    let refused = Problem::new(Refusal::RateLimited, "too many attempts to sign in; wait and try again");
    Err(refused.retry_after(verdict.retry_after))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use access::{Clock, Timestamp};
    use axum::response::IntoResponse;
    use http::header::RETRY_AFTER;

    use super::*;

    fn windows() -> (Windows, Clock) {
        let clock = Clock::manual(Timestamp(1_795_176_000_000_000));
        (Windows::here(clock.clone()), clock)
    }

    fn address(n: u8) -> Address {
        Address(Ipv4Addr::new(203, 0, 113, n).into())
    }

    #[tokio::test]
    async fn an_account_may_be_tried_ten_times_from_wherever() {
        let (windows, clock) = windows();
        let ada = AccountHash::of(" Ada@Example.COM");
        for n in 0..10 {
            take(&windows, address(n), Some(&AccountHash::of("ada@example.com"))).await.unwrap();
        }
        // A full window may refuse a second time, for at most a tenth of it.
        for seconds_max in [900, 90] {
            let refused = take(&windows, address(99), Some(&ada)).await.unwrap_err().into_response();
            assert_eq!(refused.status().as_u16(), 429);
            let seconds: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!((1..=seconds_max).contains(&seconds), "{seconds}");
            take(&windows, address(99), Some(&AccountHash::of("bob@example.com"))).await.unwrap();
            clock.advance(Duration::from_secs(seconds));
        }
        take(&windows, address(99), Some(&ada)).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_may_try_thirty_times_whomever() {
        let (windows, _) = windows();
        for n in 0..30 {
            take(&windows, address(1), (n % 2 == 0).then(|| AccountHash::of(&n.to_string())).as_ref()).await.unwrap();
        }
        assert!(take(&windows, address(1), None).await.is_err());
        assert!(take(&windows, address(1), Some(&AccountHash::of("new"))).await.is_err());
        take(&windows, address(2), None).await.unwrap();
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_address() {
        let (windows, _) = windows();
        let at = |n: u16| Address(std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 2, n, 0, 0, 1).into());
        for n in 0..30 {
            take(&windows, at(n), None).await.unwrap();
        }
        assert!(take(&windows, at(31), None).await.is_err());
    }
}
