//! Compiles `routes[].auth`.

use std::sync::Arc;

use access::credentials::jwt::Requirement;
use settings::error::{Code, Problem};
use settings::field::Either;
use settings::input::Input;
use settings::section::SettingsReader;

use super::claims::{CLAIMS_MAX, check_count};
use super::{AuthEntries, Verifier};
use crate::schema::traffic::{AlternativeInput, AuthInput, AuthMethodInput, AuthType, EntryType, KeyPlaceWord};
use crate::snapshot::{Auth, JwtRule, KeyPlaces};

/// Returns the authentication of a route. After a problem, the result is not used.
pub(in crate::compile) fn of_route(reader: &SettingsReader<'_>, auth: &AuthInput, entries: &AuthEntries) -> Auth {
    if !auth.location.has("any") {
        return method(reader, &auth.method, entries).unwrap_or(Auth::Key);
    }
    for key in ["type", "use", "require", "from"].into_iter().filter(|key| auth.location.has(key)) {
        let message = format!("`{}` has `{key}` and `any`", auth.location.path);
        reader.report(Problem::new(Code::BadValue, auth.location.at, message).expected("one of them"));
    }
    let mut alternatives: Vec<Auth> = Vec::new();
    for AlternativeInput { method: input, .. } in &auth.any.list {
        // An alternative with a problem decides about nothing.
        let Some(next) = method(reader, input, entries) else { continue };
        if alternatives.iter().any(|earlier| decides_for(earlier, &next)) {
            let message = format!("`{}` is never used: an alternative before it decides", input.location.path);
            let expected = "alternatives with different credentials, `none` or `forward` as the last one";
            reader.report(Problem::new(Code::BadValue, input.location.at, message).expected(expected));
        }
        alternatives.push(next);
    }
    Auth::Any(alternatives.into())
}

/// Whether clients of a route may have an access token with claims, also if its entry is invalid.
pub(in crate::compile) fn may_have_claims(auth: &AuthInput) -> bool {
    let alternatives = auth.any.list.iter().map(|alternative| &alternative.method);
    alternatives.chain([&auth.method]).any(|method| matches!(method.r#type.value, AuthType::Jwt))
}

/// Returns the places in which a route accepts keys; `None` if these are headers only. With alternatives, headers are among
/// them, because they contain the credentials of other alternatives.
pub(in crate::compile) fn key_places(auth: &AuthInput) -> Option<Box<KeyPlaces>> {
    let has_alternatives = auth.location.has("any");
    let alternatives = auth.any.list.iter().map(|alternative| &alternative.method);
    let methods = alternatives.chain((!has_alternatives).then_some(&auth.method));
    let mut places = KeyPlaces { header: has_alternatives, query: None, protocol: false };
    let mut is_given = false;
    for place in methods.flat_map(|method| &method.from) {
        is_given = true;
        match place {
            Either::Single(word) => match word.value {
                KeyPlaceWord::Header => places.header = true,
                KeyPlaceWord::Protocol => places.protocol = true,
            },
            Either::Nested(of) => places.query = of.query.as_ref().map(|query| query.value.as_str().into()),
        }
    }
    let is_usual = places.header && places.query.is_none() && !places.protocol;
    (is_given && !is_usual).then(|| Box::new(places))
}

/// Whether an alternative decides about each request about which `next` would decide.
fn decides_for(earlier: &Auth, next: &Auth) -> bool {
    match (earlier, next) {
        (Auth::None | Auth::Forward(_), _) | (Auth::Key, Auth::Key) | (Auth::Basic(_), Auth::Basic(_)) => true,
        (Auth::Jwt(earlier), Auth::Jwt(next)) => {
            let issuer = &earlier.entry.terms.issuer;
            issuer.is_none() || *issuer == next.entry.terms.issuer
        }
        // Any value may be a key in Redis.
        (Auth::Redis(_), Auth::Redis(_) | Auth::Listed(_)) => true,
        (Auth::Listed(earlier), Auth::Listed(next)) => Arc::ptr_eq(earlier, next),
        _ => false,
    }
}

/// Returns the authentication with one credential; `None` if no entry verifies it, which has been reported.
fn method(reader: &SettingsReader<'_>, auth: &AuthMethodInput, entries: &AuthEntries) -> Option<Auth> {
    if !auth.location.has("type") {
        auth.location.missing(reader, &["type"]);
    }
    let of_type = auth.r#type.value;
    let others: &[&str] = match of_type {
        AuthType::None => &["use", "require", "from"],
        AuthType::Key => &["require"],
        AuthType::Basic | AuthType::Forward => &["require", "from"],
        AuthType::Jwt => &["from"],
    };
    for key in others.iter().filter(|key| auth.location.has(key)) {
        let message = format!("`{}` has the type `{}`, so `{key}` has no effect", auth.location.path, of_type.as_str());
        reader.report(Problem::new(Code::BadValue, auth.location.at, message).expected(format!("no `{key}`")));
    }
    let of_entry = match of_type {
        AuthType::None => return Some(Auth::None),
        // Keys of users need no entry.
        AuthType::Key if !auth.location.has("type") || !auth.location.has("use") => return Some(Auth::Key),
        AuthType::Key => EntryType::Key,
        AuthType::Jwt => EntryType::Jwt,
        AuthType::Basic => EntryType::Basic,
        AuthType::Forward => EntryType::Forward,
    };
    Some(match entries.find(reader, auth, of_entry)? {
        Verifier::Jwt(entry) => {
            check_count(reader, auth.require.get(CLAIMS_MAX).map(|(_, value)| value.value_origin()));
            let requirement = |(claim, value): &(String, Input<String>)| Requirement {
                claim: claim.as_str().into(),
                value: value.value.as_str().into(),
            };
            Auth::Jwt(JwtRule { entry, require: auth.require.iter().map(requirement).collect() })
        }
        Verifier::Key(entry) => Auth::Listed(entry),
        Verifier::Redis(entry) => Auth::Redis(entry),
        Verifier::Basic(entry) => Auth::Basic(entry),
        Verifier::Forward(entry) => Auth::Forward(entry),
    })
}
