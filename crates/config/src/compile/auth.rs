//! Compiles `auth`; `of_route` compiles `routes[].auth`.

mod basic;
mod claims;
mod forward;
mod of_route;
mod redis;
mod subject_issuer;

use std::collections::BTreeSet;
use std::sync::Arc;

use access::credentials::issuer::{IssuerPlace, IssuerSource, IssuerTls, IssuerUrl, IssuerUrlError, UrlScheme};
use access::credentials::jwt::{Algorithm, JwtKey, KeySet, TokenTerms};
use access::credentials::key_list::{KeyList, ListedKey};
use access::{Plan, SubjectText};
use tls::{UpstreamTls, UpstreamTlsSettings};

use super::{UsedNames, link_local, upstream_tls};
use crate::schema::traffic::{AUTH_KEYS, AuthEntryInput, AuthMethodInput, EntryType, auth_keys_of_other_types};
use crate::snapshot::{
    BasicEntry, ClaimHeader, Issuer, JwtEntry, JwtKeys, KeyEntry, RedisKeyEntry, ServiceEntry, TokenPlan,
};
use claims::{CLAIMS_MAX, check_count};
pub(super) use of_route::{key_places, may_have_claims, of_route};
use settings::error::{Code, Problem};
use settings::field::{Either, Entries};
use settings::input::Input;
use settings::section::SettingsReader;

/// The entries of `auth`. An invalid one has been reported; its name exists.
pub(super) struct AuthEntries {
    list: Vec<NamedEntry>,
    /// The sources of published keys, each once.
    pub(super) issuers: Vec<Issuer>,
}

struct NamedEntry {
    name: String,
    of_type: Option<EntryType>,
    /// `None` if the entry is invalid.
    verifier: Option<Verifier>,
}

/// The part of an entry that verifies credentials.
#[derive(Clone)]
enum Verifier {
    Jwt(Arc<JwtEntry>),
    Key(Arc<KeyEntry>),
    Basic(Arc<BasicEntry>),
    Forward(Arc<ServiceEntry>),
    Redis(Arc<RedisKeyEntry>),
}

impl Verifier {
    /// Whether the subjects of the entry have a plan.
    fn has_plan(&self) -> bool {
        match self {
            Self::Jwt(entry) => entry.plan.is_some(),
            Self::Key(entry) => entry.plan.is_some(),
            Self::Basic(entry) => entry.plan.is_some(),
            Self::Forward(entry) => entry.plan.is_some(),
            // The value of a key may name a plan.
            Self::Redis(_) => true,
        }
    }
}

impl NamedEntry {
    fn jwt(&self) -> Option<&JwtEntry> {
        if let Some(Verifier::Jwt(entry)) = &self.verifier { Some(entry) } else { None }
    }
}

impl AuthEntries {
    /// Whether the subjects of an entry have a plan.
    pub(super) fn has_plans(&self) -> bool {
        self.list.iter().filter_map(|entry| entry.verifier.as_ref()).any(Verifier::has_plan)
    }

    fn services(&self) -> impl Iterator<Item = &ServiceEntry> {
        self.list.iter().filter_map(|entry| match &entry.verifier {
            Some(Verifier::Forward(service)) => Some(&**service),
            Some(Verifier::Jwt(_) | Verifier::Key(_) | Verifier::Basic(_) | Verifier::Redis(_)) | None => None,
        })
    }

    /// Returns the TLS of all services.
    pub(super) fn service_tls(&self) -> impl Iterator<Item = Arc<UpstreamTls>> {
        self.services().filter_map(|entry| entry.tls.clone())
    }

    /// Returns the headers that only the gateway sets, of all entries: those of claims, and those of services.
    pub(super) fn claim_headers(&self) -> Arc<[Box<str>]> {
        let entries = self.list.iter().filter_map(NamedEntry::jwt);
        let headers = entries.flat_map(|entry| &entry.claims_to_headers).map(|set| set.header.clone());
        let of_services = self.services().flat_map(|entry| entry.headers_to_upstream.iter().cloned());
        headers.chain(of_services).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The parts of the file that entries refer to.
pub(super) struct AuthParts<'a> {
    pub(super) plans: &'a [Plan],
    /// Whether the file has a Redis.
    pub(super) has_redis: bool,
}

pub(super) fn entries(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<AuthEntryInput>,
    AuthParts { plans, has_redis }: AuthParts<'_>,
) -> AuthEntries {
    let mut taken = UsedNames::default();
    let mut list = Vec::new();
    let mut issuers = Vec::new();
    for entry in &mut entries.list {
        entry.algorithms.dedup();
        let plan = plan(reader, entry, plans);
        let of_type = entry.r#type.as_ref().map(|of_type| of_type.value);
        if let Some(of_type) = of_type {
            refuse_other_keys(reader, entry, of_type);
        }
        let verifier = match of_type {
            None => None,
            Some(EntryType::Jwt) => {
                let jwt = jwt(reader, entry, &mut issuers);
                jwt.map(|jwt| Verifier::Jwt(Arc::new(JwtEntry { plan, ..jwt })))
            }
            Some(EntryType::Key) if entry.location.has("redis") => {
                let plan = named_plan(reader, entry, plan);
                let keys = redis::keys(reader, entry, has_redis);
                keys.map(|keys| Verifier::Redis(Arc::new(RedisKeyEntry { plan, ..keys })))
            }
            Some(EntryType::Key) => {
                let plan = named_plan(reader, entry, plan);
                listed_keys(reader, entry).map(|entry| Verifier::Key(Arc::new(KeyEntry { plan, ..entry })))
            }
            Some(EntryType::Forward) => {
                let plan = named_plan(reader, entry, plan);
                forward::forward(reader, entry).map(|entry| Verifier::Forward(Arc::new(ServiceEntry { plan, ..entry })))
            }
            Some(EntryType::Basic) => {
                let plan = named_plan(reader, entry, plan);
                basic::basic(reader, entry).map(|entry| Verifier::Basic(Arc::new(BasicEntry { plan, ..entry })))
            }
        };
        let Some(name) = entry.name.as_ref().filter(|name| taken.take(reader, name, "entry of `auth`")) else {
            continue;
        };
        list.push(NamedEntry { name: name.value.clone(), of_type, verifier });
    }
    subject_issuer::check(reader, entries);
    AuthEntries { list, issuers }
}

/// Returns the entry with the type `jwt`; `None` if it is invalid.
fn jwt(reader: &SettingsReader<'_>, entry: &AuthEntryInput, issuers: &mut Vec<Issuer>) -> Option<JwtEntry> {
    let keys = keys(reader, entry);
    if let Some(EntryKeys::Configured(_)) = &keys
        && let Some(tls) = &entry.tls
    {
        upstream_tls::report_unused(reader, tls, "the key is part of the configuration");
    }
    if !entry.location.has("algorithms") {
        entry.location.missing(reader, &["algorithms"]);
    }
    let headers = claims_to_headers(reader, entry);
    let keys = keys?;
    let name = entry.name.as_ref()?;
    for algorithm in entry.algorithms.list.iter().filter(|algorithm| !keys.support(algorithm.value)) {
        let message = format!("the key of `{}` does not support this algorithm", entry.location.path);
        let kinds = "`HS…` with `secret`, `RS…` and `PS…` with an RSA key, `ES256` with P-256, `ES384` with P-384, `EdDSA` with Ed25519";
        reader.report(Problem::new(Code::BadValue, algorithm.value_origin(), message).expected(kinds));
    }
    let issuer = entry.issuer.as_ref().map(|issuer| issuer.value.as_str());
    let terms = TokenTerms {
        algorithms: entry.algorithms.list.iter().map(|algorithm| algorithm.value).collect(),
        issuer: issuer.map(Box::from),
        audiences: entry.audience.list.iter().map(|audience| audience.value.as_str().into()).collect(),
        leeway: entry.leeway.value,
        subject_issuer: SubjectText::parse(issuer.unwrap_or(&name.value))?,
    };
    let keys = keys.with_position(issuers);
    let place = entry.location.at.place();
    Some(JwtEntry { name: name.value.as_str().into(), terms, keys, claims_to_headers: headers, plan: None, place })
}

/// Reports keys that have no effect on this type of entry.
fn refuse_other_keys(reader: &SettingsReader<'_>, entry: &AuthEntryInput, of_type: EntryType) {
    for key in auth_keys_of_other_types(of_type).into_iter().filter(|key| entry.location.has(key)) {
        let message =
            format!("`{}` has the type `{}`, so `{key}` has no effect", entry.location.path, of_type.as_str());
        reader.report(Problem::new(Code::BadValue, entry.location.at, message).expected(format!("no `{key}`")));
    }
}

/// Returns the keys of an entry with the type `key`.
fn listed_keys(reader: &SettingsReader<'_>, entry: &AuthEntryInput) -> Option<KeyEntry> {
    if !entry.keys.is_given {
        entry.location.missing(reader, &["keys", "redis"]);
    }
    let mut taken = UsedNames::default();
    let mut keys: Vec<ListedKey> = Vec::new();
    for key in &entry.keys.list {
        let hash = match (key.location.has("sha256"), key.location.has("value")) {
            (true, true) => {
                let message = format!("`{}` has `sha256` and `value`", key.location.path);
                reader.report(Problem::new(Code::BadValue, key.location.at, message).expected("one of them"));
                None
            }
            (false, false) => {
                key.location.missing(reader, &["sha256", "value"]);
                None
            }
            (true, false) => key.sha256.as_ref(),
            (false, true) => key.value.as_ref(),
        };
        let name = key.name.as_ref().filter(|name| taken.take(reader, name, "key of this entry"));
        let Some(hash) = hash else { continue };
        let Some(name) = name else { continue };
        if keys.iter().any(|known| known.hash == hash.value) {
            let message = format!("`{}` is the key of an earlier entry", key.location.path);
            reader.report(Problem::new(Code::Duplicate, key.location.at, message).expected("another key"));
        }
        keys.push(ListedKey { name: SubjectText::parse(&name.value)?, hash: hash.value });
    }
    let name = SubjectText::parse(&entry.name.as_ref()?.value)?;
    Some(KeyEntry { name, keys: KeyList::new(keys), place: entry.location.at.place(), plan: None })
}

/// Returns the plan of the subjects of an entry.
fn plan(reader: &SettingsReader<'_>, entry: &AuthEntryInput, plans: &[Plan]) -> Option<TokenPlan> {
    match entry.plan.as_ref()? {
        Either::Single(name) if plans.iter().any(|plan| plan.name == name.value) => {
            Some(TokenPlan::Named(name.value.as_str().into()))
        }
        Either::Single(name) => {
            reader.unknown_name(name, "plan", plans.iter().map(|plan| plan.name.as_str()));
            None
        }
        Either::Nested(by) => by.claim.as_ref().map(|claim| TokenPlan::Claim(claim.value.as_str().into())),
    }
}

/// Returns the name of the plan of an entry whose subjects have no claims.
fn named_plan(reader: &SettingsReader<'_>, entry: &AuthEntryInput, plan: Option<TokenPlan>) -> Option<Arc<str>> {
    match plan? {
        TokenPlan::Named(name) => Some(name),
        TokenPlan::Claim(_) => {
            let message = format!("`{}` has no tokens, so no claim names a plan", entry.location.path);
            reader.report(Problem::new(Code::BadValue, entry.location.at, message).expected("the name of a plan"));
            None
        }
    }
}

/// The keys of one entry.
enum EntryKeys {
    Configured(KeySet),
    Published(Issuer),
}

impl EntryKeys {
    /// Whether the keys may support the algorithm. A published key never is a secret.
    fn support(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Configured(keys) => keys.supports(algorithm),
            Self::Published(_) => !algorithm.is_hmac(),
        }
    }

    /// Adds the source to `issuers`, unless another entry has the same.
    fn with_position(self, issuers: &mut Vec<Issuer>) -> JwtKeys {
        match self {
            Self::Configured(keys) => JwtKeys::Configured(keys),
            Self::Published(issuer) => {
                let source = issuer.source.clone();
                let position = issuers.iter().position(|known| known.source == source).unwrap_or_else(|| {
                    issuers.push(issuer);
                    issuers.len() - 1
                });
                JwtKeys::Published { source, position }
            }
        }
    }
}

/// Returns the keys of an entry, which has a key, a URL of keys, or an issuer that publishes them.
fn keys(reader: &SettingsReader<'_>, entry: &AuthEntryInput) -> Option<EntryKeys> {
    let location = &entry.location;
    let given: Vec<&str> = AUTH_KEYS.into_iter().filter(|key| location.has(key)).collect();
    if location.has("weak_secret") && !location.has("secret") {
        location.missing(reader, &["secret"]);
    }
    match given.as_slice() {
        [] if location.has("issuer") => {
            let issuer = entry.issuer.as_ref()?;
            match IssuerUrl::parse(&issuer.value).ok().filter(|url| url.metadata().is_some()) {
                Some(url) => source(reader, entry, IssuerPlace::Issuer(url)),
                None => {
                    let message = format!("`{}` has no key, and its `issuer` is not a URL", location.path);
                    let expected = "`secret`, `public_key` or `jwks`, or an `issuer` whose metadata names its keys";
                    reader.report(Problem::new(Code::BadValue, issuer.value_origin(), message).expected(expected));
                    None
                }
            }
        }
        [] => {
            location.missing(reader, &AUTH_KEYS);
            None
        }
        ["secret"] => {
            let secret = entry.secret.as_ref()?;
            let algorithms = entry.algorithms.list.iter().map(|algorithm| algorithm.value);
            let needed = algorithms.map(Algorithm::secret_len_min).max().unwrap_or(0);
            if secret.value.expose().len() < needed && !entry.weak_secret.value {
                let name = location.name("secret");
                let expected = format!("at least {needed} bytes, as `algorithms` requires, or `weak_secret: true`");
                reader.bad(secret.value_origin()?, &name, expected);
            }
            JwtKey::secret(&secret.value).ok().map(KeySet::of_key).map(EntryKeys::Configured)
        }
        ["public_key"] => entry.public_key.as_ref().map(|key| EntryKeys::Configured(KeySet::of_key(key.value.clone()))),
        ["jwks"] => {
            let url = entry.jwks.as_ref()?;
            source(reader, entry, IssuerPlace::Keys(url.value.clone()))
        }
        [first, second, ..] => {
            let message = format!("`{}` has `{first}` and `{second}`", location.path);
            reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
            None
        }
        [_] => None,
    }
}

/// Returns the source of published keys, unless its host is a link-local address.
fn source(reader: &SettingsReader<'_>, entry: &AuthEntryInput, place: IssuerPlace) -> Option<EntryKeys> {
    let (at, key) = match &place {
        IssuerPlace::Keys(_) => (entry.jwks.as_ref().and_then(Input::value_origin), "jwks"),
        IssuerPlace::Issuer(_) => (entry.issuer.as_ref().and_then(Input::value_origin), "issuer"),
    };
    let tls = entry.tls.as_ref().and_then(|tls| upstream_tls::load(reader, tls));
    let allow_link_local = link_local::is_allowed(reader, &entry.location, &entry.allow_link_local);
    let source = IssuerSource { place, allow_link_local, tls: tls.as_deref().map(issuer_tls) };
    if source.url().scheme() != UrlScheme::Https
        && let Some(tls) = entry.tls.as_ref()
    {
        upstream_tls::report_unused(reader, tls, &format!("`{key}` is not an `https` URL"));
    }
    if source.url().is_link_local() && !source.allow_link_local {
        reader.bad(at.unwrap_or(entry.location.at), &entry.location.name(key), IssuerUrlError::LinkLocal);
        return None;
    }
    Some(EntryKeys::Published(Issuer { source, tls }))
}

/// Returns the settings with which the keys of a source are fetched.
fn issuer_tls(tls: &UpstreamTls) -> IssuerTls {
    let UpstreamTlsSettings { ca, identity, server_name } = tls.settings().clone();
    IssuerTls { ca, identity: identity.map(|files| (files.certificate, files.key)), server_name }
}

/// Returns the headers of claims. Two that servers could read as one are reported.
fn claims_to_headers(reader: &SettingsReader<'_>, entry: &AuthEntryInput) -> Box<[ClaimHeader]> {
    let mut headers: Vec<ClaimHeader> = Vec::new();
    check_count(reader, entry.claims_to_headers.get(CLAIMS_MAX).map(|(_, header)| header.value_origin()));
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    for (claim, header) in &entry.claims_to_headers {
        if headers.iter().any(|known| plain(&known.header) == plain(&header.value)) {
            let message = format!("`{}` has this header twice", entry.location.name("claims_to_headers"));
            reader.report(Problem::new(Code::Duplicate, header.value_origin(), message).expected("another name"));
        }
        headers.push(ClaimHeader { claim: claim.as_str().into(), header: header.value.as_str().into() });
    }
    headers.into()
}

impl AuthEntries {
    /// Returns the entry that a route uses: the named one, or the only one of the type.
    fn find(&self, reader: &SettingsReader<'_>, auth: &AuthMethodInput, of_type: EntryType) -> Option<Verifier> {
        if let Some(name) = &auth.r#use {
            let Some(entry) = self.list.iter().find(|entry| entry.name == name.value) else {
                let names = self.list.iter().map(|entry| entry.name.as_str());
                reader.unknown_name(name, "entry of `auth`", names);
                return None;
            };
            if entry.of_type.is_some_and(|other| other != of_type) {
                let message = format!("`{}` uses an entry of another type", auth.location.path);
                let expected = format!("an entry of `auth` with the type `{}`", of_type.as_str());
                reader.report(Problem::new(Code::UnknownName, auth.location.at, message).expected(expected));
            }
            return entry.verifier.clone();
        }
        let mut found = self.list.iter().filter(|entry| entry.of_type == Some(of_type));
        match (found.next(), found.next()) {
            (Some(entry), None) => entry.verifier.clone(),
            (first, _) => {
                let count = if first.is_none() { "no entry" } else { "several entries" };
                let message = format!(
                    "`{}` needs an entry, and `auth` has {count} of the type `{}`",
                    auth.location.path,
                    of_type.as_str()
                );
                let expected = if first.is_none() { "an entry of `auth`" } else { "`use` with the name of an entry" };
                reader.report(Problem::new(Code::UnknownName, auth.location.at, message).expected(expected));
                None
            }
        }
    }
}
