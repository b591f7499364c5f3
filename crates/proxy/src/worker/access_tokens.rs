//! The access tokens of service accounts, which all workers share.
//!
//! One request gets a token for all that need it. It is renewed before it expires, and meanwhile the others use it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::credentials::jwt::TokenDigest;
use access::credentials::service_account::GrantedToken;
use access::{Secret, ServiceAccountError};
use rustc_hash::FxHashMap;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, timeout, timeout_at};

use crate::upstream::short_call::ShortCallError;

/// Maximum number of service accounts whose tokens are kept; those of users are among them.
const ACCOUNTS_MAX: usize = 4_096;
/// Maximum time for one exchange, and of one that renews a valid token.
const EXCHANGE_WITHIN: Duration = Duration::from_secs(10);
const RENEWAL_WITHIN: Duration = Duration::from_secs(3);
/// Maximum time for which a request waits for the exchange of another one.
const WAIT_MAX: Duration = Duration::from_secs(11);
/// Time before its end at which a token is renewed, unless its time is short.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// Time before its end from which a token is not sent.
const UNSENT_BEFORE: Duration = Duration::from_secs(10);
/// Longest time for which a token is used.
const VALID_MAX: Duration = Duration::from_secs(12 * 3_600);
/// The time after a failed exchange in which no other one begins, and after one that renews a valid token.
const FAILED_FOR: Duration = Duration::from_secs(2);
const UNRENEWED_FOR: Duration = Duration::from_secs(30);
/// The age from which a token that the provider refuses is replaced.
const REPLACED_FROM: Duration = Duration::from_secs(60);

/// The access tokens of service accounts by the hash of their keys.
#[derive(Debug, Default)]
pub struct AccessTokens(Mutex<FxHashMap<TokenDigest, Arc<Account>>>);

/// The token of one service account.
#[derive(Debug, Default)]
struct Account(Mutex<AccountState>);

#[derive(Debug, Default)]
struct AccountState {
    token: Option<AccessToken>,
    /// The last failure, and the time until which no exchange begins.
    failed: Option<(Arc<TokenError>, Instant)>,
    /// The exchange in progress. Its sender is dropped at its end, also if its request is cancelled.
    exchange: Option<watch::Receiver<()>>,
}

#[derive(Debug, Clone)]
struct AccessToken {
    text: Arc<Secret>,
    granted_at: Instant,
    renewed_from: Instant,
    sent_until: Instant,
}

/// The reason why there is no access token.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    #[error("the credential is not a service account: expected {0}")]
    Account(ServiceAccountError),
    #[error("a user's service account has another `token_uri` than Google's and the operator's")]
    Endpoint,
    #[error("no assertion could be signed")]
    Unsigned(#[source] JoinError),
    #[error("the endpoint for tokens did not respond in time")]
    Late,
    #[error("the endpoint for tokens sent no whole response")]
    Call(#[source] ShortCallError),
    #[error(
        "the endpoint for tokens responded with {status} ({code}): check that the key and its service account exist, and the clock of this machine"
    )]
    Refused { status: u16, code: Box<str> },
    #[error("the response of the endpoint for tokens has no valid `access_token`")]
    Response,
}

impl TokenError {
    /// Whether the service account itself gets no token, at any time.
    pub(crate) fn is_of_account(&self) -> bool {
        match self {
            Self::Account(_) | Self::Endpoint => true,
            Self::Refused { status, .. } => matches!(status, 400 | 401 | 403),
            Self::Unsigned(_) | Self::Late | Self::Call(_) | Self::Response => false,
        }
    }
}

/// What a request that needs a token does.
enum Step {
    Send(Arc<Secret>),
    Exchange(Exchange),
    /// It waits for the exchange of another request.
    Wait(watch::Receiver<()>),
    Fail(Arc<TokenError>),
}

/// The exchange of an assertion for a token.
struct Exchange {
    begun: Instant,
    /// The token that is still valid.
    valid: Option<Arc<Secret>>,
    /// Ends the waiting of other requests when it is dropped.
    _ends: watch::Sender<()>,
}

impl AccessTokens {
    /// Returns the token of a service account: the stored one, otherwise that of `exchange`, of which one runs for each
    /// account. The future may be cancelled at any point.
    pub(crate) async fn get<F>(
        &self,
        digest: TokenDigest,
        exchange: impl Fn() -> F,
    ) -> Result<Arc<Secret>, Arc<TokenError>>
    where
        F: Future<Output = Result<GrantedToken, TokenError>>,
    {
        let account = self.account(digest);
        let until = Instant::now() + WAIT_MAX;
        loop {
            match account.step(Instant::now()) {
                Step::Send(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(mut ended) => {
                    // The sender sends nothing: the end of the exchange is an error here.
                    if timeout_at(until, ended.changed()).await.is_err() {
                        return Err(Arc::new(TokenError::Late));
                    }
                }
                Step::Exchange(begun) => {
                    let within = if begun.valid.is_some() { RENEWAL_WITHIN } else { EXCHANGE_WITHIN };
                    let granted = timeout(within, exchange()).await.unwrap_or(Err(TokenError::Late));
                    return account.settle(begun, granted, Instant::now());
                }
            }
        }
    }

    /// Notes that the provider refuses a token: the next request gets another one, unless this one is new.
    pub(crate) fn refused(&self, digest: TokenDigest, token: &Arc<Secret>, now: Instant) {
        let account = self.account(digest);
        let mut state = account.lock();
        let is_replaced = |held: &AccessToken| {
            Arc::ptr_eq(&held.text, token) && now.saturating_duration_since(held.granted_at) >= REPLACED_FROM
        };
        if state.token.as_ref().is_some_and(is_replaced) {
            state.token = None;
        }
    }

    fn account(&self, digest: TokenDigest) -> Arc<Account> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&digest) {
            return account.clone();
        }
        if accounts.len() >= ACCOUNTS_MAX {
            let now = Instant::now();
            let is_used = |account: &Arc<Account>| Arc::strong_count(account) > 1;
            accounts.retain(|_, account| is_used(account) || account.has_token(now));
            if accounts.len() >= ACCOUNTS_MAX {
                accounts.retain(|_, account| is_used(account));
            }
        }
        accounts.entry(digest).or_default().clone()
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, AccountState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_token(&self, now: Instant) -> bool {
        self.lock().token.as_ref().is_some_and(|token| now < token.sent_until)
    }

    fn step(&self, now: Instant) -> Step {
        let mut state = self.lock();
        let valid = state.token.as_ref().filter(|token| now < token.sent_until);
        let is_fresh = valid.is_some_and(|token| now < token.renewed_from);
        let valid = valid.map(|token| token.text.clone());
        let failed = state.failed.as_ref().filter(|(_, until)| now < *until).map(|(error, _)| error.clone());
        // A dropped sender means that the request with the exchange was cancelled.
        let running = state.exchange.as_ref().filter(|exchange| exchange.has_changed().is_ok());
        match (valid, failed, running) {
            (Some(token), failed, running) if is_fresh || failed.is_some() || running.is_some() => Step::Send(token),
            (None, Some(error), _) => Step::Fail(error),
            (None, None, Some(exchange)) => Step::Wait(exchange.clone()),
            (valid, ..) => {
                let (ends, ended) = watch::channel(());
                state.exchange = Some(ended);
                Step::Exchange(Exchange { begun: now, valid, _ends: ends })
            }
        }
    }

    /// Stores the result of an exchange. Returns the token that is sent: one that could not be renewed is sent until its end.
    fn settle(
        &self,
        exchange: Exchange,
        granted: Result<GrantedToken, TokenError>,
        now: Instant,
    ) -> Result<Arc<Secret>, Arc<TokenError>> {
        let mut state = self.lock();
        state.exchange = None;
        let Exchange { begun, valid, .. } = exchange;
        match granted {
            Ok(GrantedToken { text, valid }) => {
                let text = Arc::new(text);
                let valid = valid.min(VALID_MAX);
                let token = AccessToken {
                    text: text.clone(),
                    granted_at: begun,
                    renewed_from: begun + valid.saturating_sub(RENEWED_BEFORE.min(valid / 4)),
                    sent_until: begun + valid.saturating_sub(UNSENT_BEFORE.min(valid / 8)),
                };
                (state.token, state.failed) = (Some(token), None);
                Ok(text)
            }
            Err(error) => {
                let error = Arc::new(error);
                let time = if valid.is_some() { UNRENEWED_FOR } else { FAILED_FOR };
                state.failed = Some((error.clone(), now + time));
                valid.ok_or(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
