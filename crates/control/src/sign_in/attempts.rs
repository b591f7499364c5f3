//! Limits on sign-in attempts: per address and account (existing or not), per IP address, and per known browser. Attempts
//! for one account from everywhere are delayed, and not refused, so that nobody can lock the owner out. Sign-ups have a
//! limit per address and account of their own.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use access::network::address::network;
use access::{Refusal, Secret, TokenId};
use cluster::windows::{WindowCheck, WindowVerdict, Windows};
use sha2::{Digest, Sha256};

use crate::message::problem::Problem;
use crate::process::passwords::HashPermit;
use crate::process::state::App;
use crate::sign_in::address::Address;

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Attempts per window of one address, or of one known browser, for one account. They count before the password is
/// verified: otherwise, concurrent attempts would pass uncounted.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Attempts per IP address and window. Several people may share one address.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Attempts per account and window, from all addresses together, without a delay.
const UNDELAYED: u32 = 10;
/// The delay of each further attempt.
const DELAY_STEP: Duration = Duration::from_millis(200);
/// The maximum delay. It is shorter than the time of calls at a shutdown.
const DELAY_MAX: Duration = Duration::from_secs(4);
/// The number of attempts that are counted for the delay, which is at its maximum long before.
const COUNTED_MAX: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

/// The account that an attempt is for: a hash of its e-mail address and of its stored password, so that neither counters
/// nor Redis store addresses. A new password is a new hash, so that it lifts each limit of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountHash(String);

impl AccountHash {
    /// The account of an e-mail address as a client writes it. Case and surrounding spaces make no difference, and the
    /// text does not have to be a valid address. `phc` is `None` for an account that does not exist or has no password.
    pub(crate) fn from_email(email: &str, phc: Option<&Secret>) -> Self {
        let mut hash = Sha256::new();
        hash.update(email.trim().to_lowercase().as_bytes());
        hash.update([0]);
        hash.update(phc.map_or("", Secret::expose).as_bytes());
        let hex = hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self(hex)
    }
}

/// An attempt to guess the password of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PasswordAttempt<'a> {
    pub(crate) address: Address,
    pub(crate) account: &'a AccountHash,
    /// The browser, if the user of the account has signed in with it before.
    pub(crate) browser: Option<TokenId>,
}

/// Counts an attempt to guess a password, waits for its delay, and takes a permit to verify the password. Without a permit,
/// the attempt is not counted. A waiting attempt holds no permit, and may be cancelled.
///
/// # Errors
/// `rate_limited`; `overloaded`.
pub(crate) async fn seat<'a>(app: &'a App, attempt: PasswordAttempt<'_>) -> Result<HashPermit<'a>, Problem> {
    // Strangers do not take the seats of known browsers.
    let take = || if attempt.browser.is_some() { app.passwords.seat() } else { app.passwords.seat_of_stranger() };
    let seat = take()?;
    let delay = take_password(&app.windows, attempt).await?;
    if delay.is_zero() {
        return Ok(seat);
    }
    drop(seat);
    tokio::time::sleep(delay).await;
    take()
}

/// Counts an attempt that guesses no password, even if it succeeds later: by key, by link, or to create `new_account`.
///
/// Attempts to create an account do not count with those to guess its password. Otherwise, guesses would use up the limit of
/// sign-ups for free addresses only: the hash of an account with a password is another one.
///
/// # Errors
/// `rate_limited`; a refused attempt is not counted.
pub(crate) async fn take(
    windows: &Windows,
    address: Address,
    new_account: Option<&AccountHash>,
) -> Result<(), Problem> {
    count(windows, address, new_account.map(|account| ("sign_up_account", account))).await
}

/// Counts an attempt of an address, and of an address for the account in the window with this name.
async fn count(
    windows: &Windows,
    address: Address,
    account: Option<(&'static str, &AccountHash)>,
) -> Result<(), Problem> {
    let network = network(address.0).to_string();
    let by_address = WindowCheck { name: "sign_in_address", key: &network, limit: PER_ADDRESS, window: WINDOW };
    let verdict = match account {
        Some((name, AccountHash(hash))) => {
            let pair = format!("{hash} {network}");
            let by_account = WindowCheck { name, key: &pair, limit: PER_ACCOUNT, window: WINDOW };
            windows.take(&[by_address, by_account]).await
        }
        None => windows.take(&[by_address]).await,
    };
    check(&verdict)
}

/// Counts an attempt to guess a password, and returns the time to wait before the password is verified.
///
/// # Errors
/// `rate_limited`; a refused attempt is not counted.
async fn take_password(windows: &Windows, attempt: PasswordAttempt<'_>) -> Result<Duration, Problem> {
    let PasswordAttempt { address, account, browser } = attempt;
    let AccountHash(hash) = account;
    if let Some(browser) = browser {
        // Attempts of others do not count for a known browser.
        let key = format!("{hash} {browser}");
        let own = WindowCheck { name: "sign_in_browser", key: &key, limit: PER_ACCOUNT, window: WINDOW };
        return check(&windows.take(&[own]).await).map(|()| Duration::ZERO);
    }
    count(windows, address, Some(("sign_in_account", account))).await?;
    let everywhere = WindowCheck { name: "sign_in_everywhere", key: hash, limit: COUNTED_MAX, window: WINDOW };
    let verdict = windows.take(&[everywhere]).await;
    let counted = if verdict.allowed { verdict.limit.saturating_sub(verdict.remaining) } else { verdict.limit };
    Ok(DELAY_STEP.saturating_mul(counted.saturating_sub(UNDELAYED)).min(DELAY_MAX))
}

fn check(verdict: &WindowVerdict) -> Result<(), Problem> {
    if verdict.allowed {
        return Ok(());
    }
    // All limits and all accounts share one message, so that it reveals nothing.
    let refused = Problem::new(Refusal::RateLimited, "too many attempts to sign in; wait and try again");
    Err(refused.of_limit(verdict))
}

#[cfg(test)]
mod tests;
