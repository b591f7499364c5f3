//! Compiles `auth` and `routes[].auth`.

use std::collections::BTreeSet;
use std::sync::Arc;

use access::SubjectText;
use access::jwt::{Algorithm, Key, Requirement, Terms};

use super::UsedNames;
use crate::error::{At, Code, Problem};
use crate::input::Input;
use crate::schema::field::Entries;
use crate::schema::traffic::{AuthEntryInput, AuthInput, AuthType};
use crate::section::Reader;
use crate::snapshot::{Auth, ClaimHeader, JwtEntry, JwtRule};

/// Maximum number of claims in one `claims_to_headers` or `require`.
const CLAIMS_MAX: usize = 16;

/// The entries of `auth`. An invalid one has been reported; its name exists.
pub(super) struct AuthEntries(Vec<NamedEntry>);

struct NamedEntry {
    name: String,
    jwt: Option<Arc<JwtEntry>>,
    is_jwt: bool,
}

impl AuthEntries {
    /// Returns the headers that claims become, of all entries.
    pub(super) fn claim_headers(&self) -> Arc<[Box<str>]> {
        let entries = self.0.iter().filter_map(|entry| entry.jwt.as_deref());
        let headers = entries.flat_map(|entry| &entry.claims_to_headers).map(|set| set.header.clone());
        headers.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

pub(super) fn entries(reader: &Reader<'_>, entries: &mut Entries<AuthEntryInput>) -> AuthEntries {
    let mut taken = UsedNames::default();
    let mut compiled = Vec::new();
    for entry in &mut entries.list {
        entry.algorithms.dedup();
        let jwt = entry.r#type.is_some().then(|| jwt(reader, entry)).flatten();
        let Some(name) = entry.name.as_ref().filter(|name| taken.take(reader, name, "entry of `auth`")) else {
            continue;
        };
        compiled.push(NamedEntry { name: name.value.clone(), jwt: jwt.map(Arc::new), is_jwt: entry.r#type.is_some() });
    }
    AuthEntries(compiled)
}

/// Returns the entry with the type `jwt`; `None` if it is invalid.
fn jwt(reader: &Reader<'_>, entry: &AuthEntryInput) -> Option<JwtEntry> {
    let key = key(reader, entry);
    if !entry.location.has("algorithms") {
        entry.location.missing(reader, &["algorithms"]);
    }
    let headers = claims_to_headers(reader, entry);
    let (key, name) = (key?, entry.name.as_ref()?);
    for algorithm in entry.algorithms.list.iter().filter(|algorithm| !key.supports(algorithm.value)) {
        let message = format!("the key of `{}` does not support this algorithm", entry.location.path);
        let kinds = "`HS…` with `secret`, `RS…` and `PS…` with an RSA key, `ES256` with P-256, `ES384` with P-384, `EdDSA` with Ed25519";
        reader.report(Problem::new(Code::BadValue, algorithm.at(), message).expected(kinds));
    }
    let issuer = entry.issuer.as_ref().map(|issuer| issuer.value.as_str());
    let terms = Terms {
        algorithms: entry.algorithms.list.iter().map(|algorithm| algorithm.value).collect(),
        issuer: issuer.map(Box::from),
        audiences: entry.audience.list.iter().map(|audience| audience.value.as_str().into()).collect(),
        leeway: entry.leeway.value,
        subject_issuer: SubjectText::parse(issuer.unwrap_or(&name.value))?,
    };
    let place = entry.location.at.place();
    Some(JwtEntry { name: name.value.as_str().into(), terms, key, claims_to_headers: headers, place })
}

/// Returns the configured key. An entry has exactly one.
fn key(reader: &Reader<'_>, entry: &AuthEntryInput) -> Option<Key> {
    let location = &entry.location;
    match (location.has("secret"), location.has("public_key")) {
        (true, true) => {
            let message = format!("`{}` has `secret` and `public_key`", location.path);
            reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
            None
        }
        (false, false) => {
            // Keys from `jwks` have been reported as a later version's.
            if !location.has("jwks") {
                location.missing(reader, &["secret", "public_key"]);
            }
            None
        }
        (true, false) => {
            let secret = entry.secret.as_ref()?;
            let algorithms = entry.algorithms.list.iter().map(|algorithm| algorithm.value);
            let needed = algorithms.map(Algorithm::secret_len_min).max().unwrap_or(0);
            if secret.value.expose().len() < needed {
                let name = location.name("secret");
                reader.bad(secret.at()?, &name, format!("at least {needed} bytes, as `algorithms` requires"));
            }
            Key::secret(&secret.value).ok()
        }
        (false, true) => entry.public_key.as_ref().map(|key| key.value.clone()),
    }
}

/// Returns the headers of claims. Two that servers could read as one are reported.
/// Reports the first entry beyond [`CLAIMS_MAX`].
fn check_count(reader: &Reader<'_>, beyond: Option<Option<At>>) {
    if let Some(at) = beyond {
        let problem = Problem::new(Code::BadValue, at, "there are too many claims");
        reader.report(problem.expected(format!("at most {CLAIMS_MAX}")));
    }
}

fn claims_to_headers(reader: &Reader<'_>, entry: &AuthEntryInput) -> Box<[ClaimHeader]> {
    let mut headers: Vec<ClaimHeader> = Vec::new();
    check_count(reader, entry.claims_to_headers.get(CLAIMS_MAX).map(|(_, header)| header.at()));
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    for (claim, header) in &entry.claims_to_headers {
        if headers.iter().any(|known| plain(&known.header) == plain(&header.value)) {
            let message = format!("`{}` has this header twice", entry.location.name("claims_to_headers"));
            reader.report(Problem::new(Code::Duplicate, header.at(), message).expected("another name"));
        }
        headers.push(ClaimHeader { claim: claim.as_str().into(), header: header.value.as_str().into() });
    }
    headers.into()
}

/// Returns the authentication of a route. After a problem, the result is not used.
pub(super) fn of_route(reader: &Reader<'_>, auth: &AuthInput, entries: &AuthEntries) -> Auth {
    if !auth.location.has("type") {
        auth.location.missing(reader, &["type"]);
    }
    let of_type = auth.r#type.value;
    match of_type {
        AuthType::Key | AuthType::None => {
            for key in ["use", "require"].into_iter().filter(|key| auth.location.has(key)) {
                let message =
                    format!("`{}` has the type `{}`, so `{key}` has no effect", auth.location.path, of_type.as_str());
                reader.report(Problem::new(Code::BadValue, auth.location.at, message).expected(format!("no `{key}`")));
            }
            if of_type == AuthType::None { Auth::None } else { Auth::Key }
        }
        AuthType::Jwt => entries.find(reader, auth).map_or(Auth::Key, |entry| {
            check_count(reader, auth.require.get(CLAIMS_MAX).map(|(_, value)| value.at()));
            let requirement = |(claim, value): &(String, Input<String>)| Requirement {
                claim: claim.as_str().into(),
                value: value.value.as_str().into(),
            };
            Auth::Jwt(JwtRule { entry, require: auth.require.iter().map(requirement).collect() })
        }),
    }
}

impl AuthEntries {
    /// Returns the entry that a route uses: the named one, or the only one of the type.
    fn find(&self, reader: &Reader<'_>, auth: &AuthInput) -> Option<Arc<JwtEntry>> {
        let of_type = || self.0.iter().filter(|entry| entry.is_jwt);
        if let Some(name) = &auth.r#use {
            let Some(entry) = self.0.iter().find(|entry| entry.name == name.value) else {
                let names = self.0.iter().map(|entry| entry.name.as_str());
                reader.unknown_name(name, "entry of `auth`", names);
                return None;
            };
            return entry.jwt.clone();
        }
        let mut found = of_type();
        match (found.next(), found.next()) {
            (Some(entry), None) => entry.jwt.clone(),
            (first, _) => {
                let count = if first.is_none() { "no entry" } else { "several entries" };
                let message =
                    format!("`{}` needs an entry, and `auth` has {count} of the type `jwt`", auth.location.path);
                let expected = if first.is_none() { "an entry of `auth`" } else { "`use` with the name of an entry" };
                reader.report(Problem::new(Code::UnknownName, auth.location.at, message).expected(expected));
                None
            }
        }
    }
}
