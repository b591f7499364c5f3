//! Which credentials a provider takes. The mock has no keys: every credential is right, except one that begins with `wrong`.

use ai::{Called, Dialect};
use http::HeaderMap;

use crate::error::MockError;

/// What a credential begins with that the mock refuses.
const WRONG: &[u8] = b"wrong";
/// Where providers' clients put a credential.
const HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Refuses a credential in a header that the clients of this API do not use, and one whose name says that it is wrong. A request
/// without a credential is fine.
pub(crate) fn check(called: &Called<'_>, dialect: Dialect, headers: &HeaderMap) -> Result<(), MockError> {
    let foreign: &[&'static str] = match dialect {
        // Azure's clients come with `api-key`, at paths of their own.
        Dialect::OpenAi if called.is_verbatim() => &["x-api-key", "x-goog-api-key", "api-key"],
        Dialect::OpenAi => &["x-api-key", "x-goog-api-key"],
        Dialect::Anthropic => &["x-goog-api-key", "api-key"],
        Dialect::Google => &["authorization", "x-api-key", "api-key"],
    };
    // One pass is cheaper than as many look-ups.
    match headers.keys().find_map(|found| foreign.iter().find(|name| found.as_str() == **name)) {
        Some(name) => Err(MockError::Credential(name)),
        None if is_wrong(headers) => Err(MockError::WrongCredential),
        None => Ok(()),
    }
}

/// Whether a credential's own name says that it is wrong.
pub(crate) fn is_wrong(headers: &HeaderMap) -> bool {
    let credentials = headers.iter().filter(|(found, _)| HEADERS.iter().any(|name| found.as_str() == *name));
    credentials.map(|(_, value)| value.as_bytes()).any(|text| {
        let text = text.strip_prefix(b"Bearer ").unwrap_or(text);
        text.starts_with(WRONG)
    })
}
