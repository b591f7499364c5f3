//! Credentials that each provider accepts. The mock has no keys: it accepts every credential that does not begin with
//! `wrong`.

use ai::{Dialect, EndpointCall};
use http::HeaderMap;

use crate::error::MockError;

/// The beginning of every credential that the mock refuses.
const WRONG: &[u8] = b"wrong";
/// The headers that carry a credential in the providers' clients.
const HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Refuses a credential in a header that this API's clients do not use, and a wrong credential. A request without a
/// credential is accepted.
pub(crate) fn check(called: &EndpointCall<'_>, dialect: Dialect, headers: &HeaderMap) -> Result<(), MockError> {
    let foreign: &[&'static str] = match dialect {
        // Azure's clients send `api-key`, to paths that only Azure has.
        Dialect::OpenAi if called.is_verbatim() => &["x-api-key", "x-goog-api-key", "api-key"],
        Dialect::OpenAi => &["x-api-key", "x-goog-api-key"],
        Dialect::Anthropic => &["x-goog-api-key", "api-key"],
        Dialect::Google => &["authorization", "x-api-key", "api-key"],
    };
    // One iteration over the headers is cheaper than several look-ups.
    match headers.keys().find_map(|found| foreign.iter().find(|name| found.as_str() == **name)) {
        Some(name) => Err(MockError::Credential(name)),
        None if is_wrong(headers) => Err(MockError::WrongCredential),
        None => Ok(()),
    }
}

/// Whether a credential begins with [`WRONG`].
pub(crate) fn is_wrong(headers: &HeaderMap) -> bool {
    let credentials = headers.iter().filter(|(found, _)| HEADERS.iter().any(|name| found.as_str() == *name));
    credentials.map(|(_, value)| value.as_bytes()).any(|text| {
        let text = text.strip_prefix(b"Bearer ").unwrap_or(text);
        text.starts_with(WRONG)
    })
}
