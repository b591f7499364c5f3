//! Clients with access tokens of other issuers, and the worker's cache of tokens that it has verified.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::Timestamp;
use access::credentials::jwt::{ClaimError, JwtError, TokenDigest, VerifiedToken};
use config::snapshot::JwtEntry;
use http1::{Field, Fields, HeadEdits, InvalidPart};
use rustc_hash::FxHashMap;

use crate::client::head::is_one_of;

/// Maximum number of tokens that a worker caches.
const TOKENS_MAX: usize = 20_000;
/// Maximum length of the cached tokens together, in bytes. A cached token needs a few times its length.
const TOKEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Maximum number of refused tokens that a worker remembers, and the time for which it does. A token that is sent again
/// and again costs one verification in this time.
const REFUSED_MAX: usize = 2_000;
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// A client whose access token is valid.
pub(crate) struct TokenClient {
    pub(crate) verified: VerifiedToken,
    /// The name of its plan, which exists.
    pub(crate) plan: Option<Arc<str>>,
    entry: Arc<JwtEntry>,
    /// The headers of claims.
    fields: HeadEdits,
}

impl TokenClient {
    /// Creates a client of `entry`, which has verified the token. Claims that cannot be values of headers are left out: the
    /// token is valid without them.
    pub(crate) fn new(entry: &Arc<JwtEntry>, verified: VerifiedToken) -> Self {
        let mut fields = HeadEdits::for_forwarding();
        for configured in &entry.claims_to_headers {
            let appended = verified.claims.field_value(&configured.claim).and_then(|value| {
                let Some(value) = value else { return Ok(()) };
                let appended = fields.append_named(configured.header.as_bytes(), value.as_bytes());
                appended.map_err(|_| ClaimError::Unsafe)
            });
            if let Err(error) = appended {
                tracing::debug!(auth = %entry.name, claim = %configured.claim, %error, "a claim becomes no header");
            }
        }
        Self { verified, plan: None, entry: entry.clone(), fields }
    }

    /// Returns the headers of claims, which identify the client to the upstream.
    pub(crate) fn identity_fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.added()
    }

    /// Edits a request that is forwarded: received headers that only claims may set are replaced by those of the claims.
    pub(crate) fn edit(&self, edits: &mut HeadEdits, received: Fields<'_>) -> Result<(), InvalidPart> {
        if !self.entry.claims_to_headers.is_empty() {
            let names = || self.entry.claims_to_headers.iter().map(|set| &set.header);
            edits.remove_fields(received, |field| is_one_of(field.name, names()));
            edits.append_all(&self.fields)?;
        }
        Ok(())
    }
}

/// A token as the cache identifies it: the address of the entry that verified it, which the snapshot keeps alive, the
/// generation of the published keys, and its hash. A token of an earlier generation is verified again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    entry: usize,
    generation: u64,
    digest: TokenDigest,
}

impl TokenKey {
    pub(crate) fn new(entry: &Arc<JwtEntry>, generation: u64, token: &[u8]) -> Self {
        Self { entry: Arc::as_ptr(entry).addr(), generation, digest: TokenDigest::from_token(token) }
    }
}

/// The tokens that a worker has verified with one snapshot. If half of a bound is reached, valid tokens that were not
/// used since the last time are forgotten.
#[derive(Default)]
pub(crate) struct TokenCache {
    valid: RefCell<Generations>,
    /// Refused tokens, with the time until which the result is used.
    refused: RefCell<FxHashMap<TokenKey, (JwtError, Timestamp)>>,
}

#[derive(Default)]
struct Generations {
    young: FxHashMap<TokenKey, CachedToken>,
    young_bytes: usize,
    old: FxHashMap<TokenKey, CachedToken>,
}

#[derive(Clone)]
struct CachedToken {
    client: Rc<TokenClient>,
    len: usize,
}

impl TokenCache {
    /// Returns the client of a token that is valid at `now`.
    pub(crate) fn get(&self, key: &TokenKey, now: Timestamp) -> Option<Rc<TokenClient>> {
        let mut cached = self.valid.borrow_mut();
        let is_valid = |token: &CachedToken| token.client.verified.expires_at > now;
        match cached.young.get(key) {
            Some(token) if is_valid(token) => Some(token.client.clone()),
            Some(_) => {
                cached.young.remove(key);
                None
            }
            None => {
                let token = cached.old.remove(key).filter(is_valid)?;
                cached.insert(*key, token.clone());
                Some(token.client)
            }
        }
    }

    /// Caches the client of a token with this length.
    pub(crate) fn insert(&self, key: TokenKey, client: Rc<TokenClient>, len: usize) {
        self.valid.borrow_mut().insert(key, CachedToken { client, len });
    }

    /// Returns the reason why a token was refused shortly before `now`.
    pub(crate) fn refusal(&self, key: &TokenKey, now: Timestamp) -> Option<JwtError> {
        let refused = self.refused.borrow();
        refused.get(key).filter(|(_, until)| now < *until).map(|(error, _)| *error)
    }

    /// Remembers that a token is refused, unless it becomes valid by itself.
    pub(crate) fn refuse(&self, key: TokenKey, error: JwtError, now: Timestamp) {
        if error == JwtError::NotYet {
            return;
        }
        let mut refused = self.refused.borrow_mut();
        if refused.len() >= REFUSED_MAX {
            refused.clear();
        }
        refused.insert(key, (error, now.after(REFUSED_FOR)));
    }
}

impl Generations {
    fn insert(&mut self, key: TokenKey, token: CachedToken) {
        if self.young.len() >= TOKENS_MAX / 2 || self.young_bytes + token.len > TOKEN_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        // The bytes of an expired token that was removed still count, so the generation only ends earlier.
        self.young_bytes += token.len;
        self.young.insert(key, token);
    }
}

#[cfg(test)]
mod tests;
