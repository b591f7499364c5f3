//! Compiles `routes[].auth`.

use access::jwt::Requirement;

use super::{AuthEntries, CLAIMS_MAX, Verifier, check_count};
use crate::error::{Code, Problem};
use crate::input::Input;
use crate::schema::traffic::{AuthInput, AuthType, EntryType};
use crate::section::Reader;
use crate::snapshot::{Auth, JwtRule};

/// Returns the authentication of a route. After a problem, the result is not used.
pub(in crate::compile) fn of_route(reader: &Reader<'_>, auth: &AuthInput, entries: &AuthEntries) -> Auth {
    if !auth.location.has("type") {
        auth.location.missing(reader, &["type"]);
    }
    let of_type = auth.r#type.value;
    let others: &[&str] = match of_type {
        AuthType::None => &["use", "require"],
        AuthType::Key | AuthType::Basic => &["require"],
        AuthType::Jwt => &[],
    };
    for key in others.iter().filter(|key| auth.location.has(key)) {
        let message =
            format!("`{}` has the type `{}`, so `{key}` has no effect", auth.location.path, of_type.as_str());
        reader.report(Problem::new(Code::BadValue, auth.location.at, message).expected(format!("no `{key}`")));
    }
    let of_entry = match of_type {
        AuthType::None => return Auth::None,
        // Keys of users need no entry.
        AuthType::Key if !auth.location.has("type") || !auth.location.has("use") => return Auth::Key,
        AuthType::Key => EntryType::Key,
        AuthType::Jwt => EntryType::Jwt,
        AuthType::Basic => EntryType::Basic,
    };
    match entries.find(reader, auth, of_entry) {
        Some(Verifier::Jwt(entry)) => {
            check_count(reader, auth.require.get(CLAIMS_MAX).map(|(_, value)| value.at()));
            let requirement = |(claim, value): &(String, Input<String>)| Requirement {
                claim: claim.as_str().into(),
                value: value.value.as_str().into(),
            };
            Auth::Jwt(JwtRule { entry, require: auth.require.iter().map(requirement).collect() })
        }
        Some(Verifier::Key(entry)) => Auth::Listed(entry),
        Some(Verifier::Basic(entry)) => Auth::Basic(entry),
        None => Auth::Key,
    }
}
