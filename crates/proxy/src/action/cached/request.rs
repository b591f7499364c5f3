//! A request to a cached route: its key, and the stored responses that it accepts.

use std::sync::Arc;

use access::{KeyId, Subject, Timestamp, UserId};
use config::snapshot::trusted_headers::selects_response;
use config::snapshot::{Auth, CacheRules, ForwardedFields, HeaderPart, normalized};
use http1::{AnnouncedContent, Fields, KnownName};

use crate::account::RequestAccount;
use crate::action::forward::ForwardedRoute;
use crate::body::IncomingBody;
use crate::client::head::{Head, is_one_of, is_same_name};
use crate::transform::KEPT_OF_PROXIES;
use crate::transform::header_rules::RouteHeaders;
use crate::worker::response_cache::CacheControl;
use crate::worker::response_cache::freshness::Freshness;
use crate::worker::response_cache::memory::{CacheKey, RouteMemory};
use crate::worker::response_cache::stored::StoredResponse;

/// Longer keys are not stored.
const KEY_BYTES_MAX: usize = 16 * 1024;
/// The fields about a request that the gateway writes on every route. `tracestate` is forwarded only beside a valid trace.
const ALWAYS_WRITTEN: [&str; 5] = ["x-forwarded-for", "x-request-id", "x-correlation-id", "traceparent", "tracestate"];

/// A request that a stored response may answer.
pub(super) struct CachedRequest {
    pub(super) memory: Arc<RouteMemory>,
    pub(super) rules: Arc<CacheRules>,
    pub(super) key: CacheKey,
    control: CacheControl,
}

/// Returns the request, if a stored response may answer it.
pub(super) fn cached_request(
    to: &ForwardedRoute<'_>,
    account: &RequestAccount,
    body: &IncomingBody,
) -> Option<CachedRequest> {
    let policy = account.policy();
    let rules = policy.cache.clone()?;
    let head = &account.request.head;
    let is_plain = matches!(head.method_bytes(), b"GET" | b"HEAD")
        && matches!(head.announced(), AnnouncedContent::Nothing | AnnouncedContent::Length(0))
        && matches!(body, IncomingBody::Empty(_) | IncomingBody::Whole)
        && head.upgrade().is_none()
        // Conditions on the current state are for the upstream.
        && head.fields().named(b"if-match").next().is_none()
        && head.fields().named(b"if-unmodified-since").next().is_none();
    if !is_plain {
        return None;
    }
    let mut control = CacheControl::from_values(head.fields().all(KnownName::CacheControl));
    if head.get(KnownName::CacheControl).is_none() {
        let mut pragma = head.fields().named(b"pragma");
        control.no_cache = pragma.any(|value| value.eq_ignore_ascii_case(b"no-cache"));
    }
    if control.no_store && !control.only_if_cached {
        return None;
    }
    let key = key(to, account, &rules)?;
    let memory = account.request.worker().shared.responses.route_memory(&rules);
    Some(CachedRequest { memory, rules, key, control })
}

impl CachedRequest {
    /// Returns the bytes of the largest content that is stored.
    pub(super) fn entry_bytes_max(&self) -> u64 {
        self.rules.entry_bytes_max.min(self.memory.entry_bytes_max())
    }

    /// Whether the client accepts the stored response without the upstream's consent.
    pub(super) fn accepts(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        let freshness = stored.freshness();
        self.accepts_age(freshness, now) && freshness.fresh_for(now).is_some_and(|left| left > self.control.min_fresh)
    }

    /// Whether the client wants no response of the upstream (RFC 9111, 5.2.1.7).
    pub(super) const fn is_only_of_cache(&self) -> bool {
        self.control.only_if_cached
    }

    /// Whether the client may get a response that another request has caused.
    pub(super) const fn may_wait(&self) -> bool {
        !self.control.no_cache
    }

    /// Whether the client gets a response that another request has caused, for which it has waited since `since`. The time that
    /// the upstream needed may be longer than the lifetime: an own request would need it too. One that was sent stale is for one
    /// request only.
    pub(super) fn accepts_arrived(&self, response: &StoredResponse, since: Timestamp, now: Timestamp) -> bool {
        let freshness = response.freshness();
        let was_awaited = freshness.was_sent_fresh() && freshness.received_at() >= since;
        was_awaited && self.control.min_fresh == 0 && self.accepts_age(freshness, now)
            || self.accepts(response, now)
            || self.accepts_stale(response, now)
    }

    fn accepts_age(&self, freshness: Freshness, now: Timestamp) -> bool {
        !self.control.no_cache && self.control.max_age.is_none_or(|age| freshness.age(now) <= age)
    }

    /// Whether the client gets the stale response while it is revalidated: the response allows it, and the client has not
    /// asked for a fresh one.
    pub(super) fn accepts_stale(&self, stored: &StoredResponse, now: Timestamp) -> bool {
        let freshness = stored.freshness();
        freshness.fresh_for(now).is_none()
            && freshness.allows_stale(now)
            && !self.control.no_cache
            && self.control.max_age.is_none()
            && self.control.min_fresh == 0
    }
}

/// Whether the client wants the whole response: a range is not stored, and a response to HEAD has no content.
pub(super) fn is_whole(head: &Head) -> bool {
    head.method_bytes() == b"GET" && head.get(KnownName::Range).is_none()
}

/// Whether a response varies by a field that the gateway writes itself, whose value the key does not have: clients that send the
/// same fields may get different responses.
pub(super) fn varies_by_own_field(account: &RequestAccount, rules: &CacheRules, fields: Fields<'_>) -> bool {
    let templates = account.policy().request_headers.iter();
    let templates = templates.flat_map(|rules| rules.replaced_by_values.iter().chain(&rules.appended_values));
    let of_client = |part: &HeaderPart| match part {
        HeaderPart::Literal(_) | HeaderPart::Credential(_) | HeaderPart::Parameter(_) => false,
        HeaderPart::Claim(_) => rules.shared,
        HeaderPart::Latency | HeaderPart::RequestId | HeaderPart::ClientAddress | HeaderPart::Header(_) => true,
    };
    let written: Vec<&str> =
        templates.filter(|template| template.parts.iter().any(of_client)).map(|template| &*template.name).collect();
    let traffic = &account.request.snapshot.traffic;
    let options = [("forwarded", traffic.forwarded == ForwardedFields::AppendBoth), ("via", traffic.via)];
    let names = fields.all(KnownName::Vary).flat_map(|value| value.split(|octet| *octet == b','));
    names.map(<[u8]>::trim_ascii).any(|name| {
        let is_of_identity =
            || is_one_of(name, &*traffic.claim_headers) || name.eq_ignore_ascii_case(b"x-ssl-client-s-dn");
        is_one_of(name, ALWAYS_WRITTEN)
            || is_one_of(name, options.iter().filter(|(_, is_written)| *is_written).map(|(name, _)| name))
            || is_one_of(name, &written)
            || rules.shared && is_of_identity() && !is_one_of(name, &rules.vary)
    })
}

/// Returns the URL that was requested, with the one spelling of its path.
pub(super) fn url(account: &RequestAccount) -> Vec<u8> {
    let mut url = requested_origin(account);
    let head = &account.request.head;
    url.extend_from_slice(normalized(head.path()).as_bytes());
    if let Some(query) = head.query() {
        url.push(b'?');
        url.extend_from_slice(query.as_bytes());
    }
    url
}

/// Returns the scheme and the host that were requested, without the default port.
pub(super) fn requested_origin(account: &RequestAccount) -> Vec<u8> {
    let request = &account.request;
    let scheme = request.origin(request.is_peer_trusted()).scheme;
    let host = request.head.host().to_ascii_lowercase();
    let default_port: &[u8] = if scheme == "https" { b":443" } else { b":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    [scheme.as_bytes(), b"://", host].concat()
}

/// Returns the key of a request; `None` if it is too long. No part contains the octet 0, which separates them.
fn key(to: &ForwardedRoute<'_>, account: &RequestAccount, rules: &CacheRules) -> Option<CacheKey> {
    let request = &account.request;
    let mut key = url(account);
    let mut add = |part: &[u8]| {
        key.push(0);
        key.extend_from_slice(part);
    };
    add(b"");
    let token = account.identity.token.as_deref().map(|token| token.identity_fields());
    let service = account.identity.service.as_deref().map(|service| service.identity_fields());
    // The upstream gets these in place of received ones.
    for field in token.into_iter().flatten().chain(service.into_iter().flatten()) {
        if !rules.shared || is_one_of(field.name, &rules.vary) {
            add(field.name);
            add(field.value);
        }
    }
    let mut names: Vec<&str> = rules.vary.iter().map(|name| &**name).collect();
    if !rules.shared {
        if !matches!(account.policy().auth, Auth::None) {
            let ids = account.identity.caller_ids.map(|ids| (ids.user, ids.key));
            add_subject(&account.identity.subject, ids, &mut add);
        }
        add(request.at.peer.certificate_subject().unwrap_or_default());
        // Upstreams trust these headers, so their values identify clients.
        names.extend(request.snapshot.traffic.claim_headers.iter().map(|name| &**name));
        names.extend(account.policy().allow_headers.iter().map(|name| &**name));
    }
    // No name is empty, so this ends the fields: a received one is not taken for one of the gateway.
    add(b"");
    for name in names {
        // Upstreams behind CGI read names with underscores as the same.
        let fields = || request.head.fields().iter().filter(|field| is_same_name(field.name, name.as_bytes()));
        // The number distinguishes values from those of the next name. Each request of the route has the same names.
        add(fields().count().to_string().as_bytes());
        fields().for_each(|field| add(field.value));
    }
    add_written(to, account, rules, &mut add);
    // Those of a trusted proxy are forwarded, and name the client or another target to the upstream. Addresses are left out, as
    // in X-Forwarded-For: no client would share an entry with another one.
    if !rules.shared && request.is_peer_trusted() {
        for field in request.head.fields().iter().filter(|field| selects_response(field.name)) {
            add(&field.name.to_ascii_lowercase());
            add(field.value);
        }
    }
    // A response may contain the URL that a trusted proxy reports.
    if request.is_peer_trusted() && request.snapshot.traffic.forwarded != ForwardedFields::Replace {
        for name in KEPT_OF_PROXIES {
            for value in request.head.fields().all(name) {
                add(name.as_str().as_bytes());
                add(value);
            }
        }
    }
    (key.len() <= KEY_BYTES_MAX).then(|| key.into())
}

/// Adds what the client determines in the headers of `vary` that the route writes, for any of its upstreams.
fn add_written(to: &ForwardedRoute<'_>, account: &RequestAccount, rules: &CacheRules, add: &mut impl FnMut(&[u8])) {
    let trust = account.trust_rule();
    for headers in to.request_headers() {
        let request = &account.request;
        let identity = &account.identity;
        let trust = Some(&trust);
        let written = RouteHeaders { rules: headers, request, identity, credentials: None, trust };
        for part in written.parts_of_client(&rules.vary) {
            add(if part.is_some() { b"1" } else { b"0" });
            add(part.as_deref().unwrap_or_default());
        }
    }
}

/// Adds the subject. `ids` are the public ids of the user and the key: numbers of another store may be equal.
fn add_subject(subject: &Subject, ids: Option<(UserId, KeyId)>, add: &mut impl FnMut(&[u8])) {
    add(subject.kind().as_str().as_bytes());
    match subject {
        Subject::Key(caller) => add(format!("{:?}", (caller.user, caller.key, caller.plan, ids)).as_bytes()),
        Subject::Token { issuer, sub } => {
            add(issuer.as_str().as_bytes());
            add(sub.as_str().as_bytes());
        }
        Subject::Basic { issuer, name } => {
            add(issuer.as_str().as_bytes());
            add(name.as_str().as_bytes());
        }
        Subject::Certificate { subject } => add(subject.as_str().as_bytes()),
        Subject::Anonymous { address } => add(format!("{address:?}").as_bytes()),
    }
}
