//! Whether a response is stored, and how long it may be used without asking its upstream (RFC 9111, 3 and 4.2).

use std::time::Duration;

use access::Timestamp;
use http1::{Fields, KnownName};

use super::directives::{CacheControl, SECONDS_MAX, delta_seconds};
use super::targeted::targeted;
use crate::client::head::text;

/// Maximum difference between the clocks of two nodes, and by which a clock is corrected backwards.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// The facts of an exchange that decide about its response.
pub(crate) struct ExchangeFacts<'a> {
    pub(crate) status: u16,
    pub(crate) fields: Fields<'a>,
    pub(crate) requested_at: Timestamp,
    pub(crate) received_at: Timestamp,
    /// The lifetime of responses that have none, if the route has one and the request allows its use.
    pub(crate) ttl: Option<Duration>,
    /// Whether the request has a credential that is not part of the key (RFC 9111, 3.5).
    pub(crate) has_foreign_credential: bool,
}

/// How long a stored response may be used. All times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    received_at: Timestamp,
    initial_age: u64,
    lifetime: u64,
    stale_while_revalidate: u64,
    /// How long the response may be used after its lifetime if the upstream fails.
    stale_if_error: u64,
    /// Whether each use needs the upstream's consent.
    is_always_validated: bool,
    /// Whether the response was fresh when the upstream sent it.
    was_sent_fresh: bool,
}

/// Returns the freshness of a response that is stored; `None` if it must not be, or if storing it has no use.
pub(crate) fn judge(facts: &ExchangeFacts<'_>) -> Option<Freshness> {
    let fields = facts.fields;
    let targeted = targeted(fields.named(b"cdn-cache-control"));
    let control = targeted.unwrap_or_else(|| CacheControl::from_values(fields.all(KnownName::CacheControl)));
    // `must-understand` replaces `no-store` for caches that know the rules of the status (RFC 9111, 5.2.2.3).
    let forbids = if control.must_understand { !is_understood(facts.status) } else { control.no_store };
    if forbids || control.is_private || fields.get(KnownName::SetCookie).is_some() {
        return None;
    }
    let varies_by_all = |value: &[u8]| value.split(|octet| *octet == b',').any(|name| name.trim_ascii() == b"*");
    if fields.all(KnownName::Vary).any(varies_by_all) || matches!(facts.status, 0..=199 | 206 | 304 | 600..) {
        return None;
    }
    let is_allowed = control.is_public || control.must_revalidate || control.s_maxage.is_some();
    if facts.has_foreign_credential && !is_allowed {
        return None;
    }
    let own = control.s_maxage.or(control.max_age);
    let explicit = if targeted.is_some() { own } else { own.or_else(|| expires(fields, facts.received_at)) };
    let is_usual = matches!(facts.status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501);
    let ttl = if is_usual && !control.no_cache { facts.ttl } else { None };
    let implicit = ttl.map(|ttl| ttl.as_secs().max(1));
    let lifetime = explicit.or(implicit).unwrap_or(0);
    let has_validator = fields.get(KnownName::Etag).is_some() || fields.named(b"last-modified").next().is_some();
    let has_purpose = lifetime > 0 && !control.no_cache || has_validator && (explicit.is_some() || control.no_cache);
    if !has_purpose {
        return None;
    }
    let must_revalidate = control.must_revalidate || control.s_maxage.is_some() || control.no_cache;
    Some(Freshness {
        received_at: facts.received_at,
        initial_age: initial_age(facts),
        lifetime,
        stale_while_revalidate: if must_revalidate { 0 } else { control.stale_while_revalidate },
        stale_if_error: if must_revalidate { 0 } else { control.stale_if_error.unwrap_or(0) },
        is_always_validated: control.no_cache,
        was_sent_fresh: !control.no_cache && lifetime > reported_age(fields),
    })
}

/// Whether the cache knows the rules of a status.
const fn is_understood(status: u16) -> bool {
    matches!(status, 200..=204 | 300..=303 | 307 | 308 | 400 | 401 | 403..=405 | 408..=410 | 414 | 500..=504)
}

impl Freshness {
    /// The number of [`Self::parts`].
    pub(super) const PARTS: usize = 6;

    /// Returns the numbers of which [`Self::of_parts`] makes an equal value on another node.
    pub(super) fn parts(&self) -> [u64; Self::PARTS] {
        let Self { received_at, initial_age, lifetime, stale_while_revalidate, stale_if_error, .. } = *self;
        let is_always_validated = u64::from(self.is_always_validated);
        [received_at.0, initial_age, lifetime, stale_while_revalidate, stale_if_error, is_always_validated]
    }

    /// Returns the freshness of a response that was fresh when it was received, as others are not shared between nodes.
    pub(super) const fn of_parts(parts: [u64; Self::PARTS]) -> Self {
        let [received_at, initial_age, lifetime, stale_while_revalidate, stale_if_error, is_always_validated] = parts;
        Self {
            received_at: Timestamp(received_at),
            initial_age,
            lifetime,
            stale_while_revalidate,
            stale_if_error,
            is_always_validated: is_always_validated != 0,
            was_sent_fresh: is_always_validated == 0,
        }
    }

    /// Returns when the response was received.
    pub(crate) const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// Returns for how long after its receipt the response is fresh; `None` if it never is.
    pub(super) fn usable_for(&self) -> Option<Duration> {
        self.fresh_for(self.received_at).map(Duration::from_secs)
    }

    /// Returns the freshness of the response if its lifetime ends at `at` at the latest.
    pub(super) fn until(self, at: Timestamp) -> Self {
        Self { lifetime: self.lifetime.min(self.age(at)), was_sent_fresh: false, ..self }
    }

    /// Returns the freshness of a response that another one with these fields has confirmed.
    pub(crate) fn confirmed_by(self, fields: Fields<'_>) -> Self {
        let reported_age = reported_age(fields);
        let was_sent_fresh = self.was_sent_fresh && self.lifetime > reported_age;
        Self { initial_age: self.initial_age.max(reported_age), was_sent_fresh, ..self }
    }

    /// Returns the age of the response, at most [`SECONDS_MAX`].
    pub(crate) fn age(&self, now: Timestamp) -> u64 {
        let since = now.0.saturating_sub(self.received_at.0) / 1_000_000;
        self.initial_age.saturating_add(since).min(SECONDS_MAX)
    }

    /// Whether the response was fresh when the upstream sent it: one that was not needs the upstream's consent, however late it
    /// has arrived.
    pub(crate) const fn was_sent_fresh(&self) -> bool {
        self.was_sent_fresh
    }

    /// Returns how long the response remains fresh; `None` if it needs the upstream's consent.
    pub(crate) fn fresh_for(&self, now: Timestamp) -> Option<u64> {
        if self.is_always_validated || self.is_of_later_clock(now) {
            return None;
        }
        self.lifetime.checked_sub(self.age(now)).filter(|left| *left > 0)
    }

    /// Whether the response was received by a clock that was ahead: its age is unknown until that time.
    fn is_of_later_clock(&self, now: Timestamp) -> bool {
        self.received_at > now.after(CLOCKS_DIFFER)
    }

    /// Whether the response may be used while another request revalidates it.
    pub(crate) fn allows_stale(&self, now: Timestamp) -> bool {
        self.is_within(now, self.stale_while_revalidate)
    }

    /// Whether the response may be used because the upstream has failed.
    pub(crate) fn allows_stale_on_error(&self, now: Timestamp) -> bool {
        self.is_within(now, self.stale_if_error)
    }

    fn is_within(&self, now: Timestamp, beyond: u64) -> bool {
        let is_usable = !self.is_always_validated && !self.is_of_later_clock(now);
        beyond > 0 && is_usable && self.age(now) < self.lifetime.saturating_add(beyond)
    }
}

/// Returns the lifetime by `Expires`. A date that is invalid has passed (RFC 9111, 5.3).
fn expires(fields: Fields<'_>, received_at: Timestamp) -> Option<u64> {
    let mut values = fields.named(b"expires");
    let value = values.next()?;
    if values.next().is_some() {
        return Some(0);
    }
    let date = fields.get(KnownName::Date).and_then(seconds_of_date).unwrap_or_else(|| received_at.unix_seconds());
    Some(seconds_of_date(value).map_or(0, |at| at.saturating_sub(date)))
}

/// Returns the age at the time of receipt (RFC 9111, 4.2.3).
fn initial_age(facts: &ExchangeFacts<'_>) -> u64 {
    let received = facts.received_at.unix_seconds();
    let date = facts.fields.get(KnownName::Date).and_then(seconds_of_date);
    let apparent = date.map_or(0, |date| received.saturating_sub(date));
    let delay = facts.received_at.0.saturating_sub(facts.requested_at.0) / 1_000_000;
    apparent.max(reported_age(facts.fields).saturating_add(delay))
}

/// Returns the age that caches before the gateway report: the first number of the first field (RFC 9111, 5.1). An invalid one
/// is ignored.
fn reported_age(fields: Fields<'_>) -> u64 {
    let first = fields.named(b"age").next().and_then(|value| value.split(|octet| *octet == b',').next());
    let number = first.map(<[u8]>::trim_ascii).filter(|number| number.iter().all(u8::is_ascii_digit));
    number.and_then(delta_seconds).unwrap_or(0)
}

/// Returns a date of HTTP in seconds since the Unix epoch.
pub(super) fn seconds_of_date(value: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(text(value)?).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests;
