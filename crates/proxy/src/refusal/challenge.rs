//! Challenges: what a response with the status 401 asks for (RFC 9110, 11.6.1).

use http::HeaderValue;

/// Whether one of these challenges has the authentication scheme of `value`.
pub(crate) fn has_scheme_of<'a>(mut challenges: impl Iterator<Item = &'a HeaderValue>, value: &HeaderValue) -> bool {
    challenges.any(|challenge| scheme(challenge).eq_ignore_ascii_case(scheme(value)))
}

fn scheme(challenge: &HeaderValue) -> &[u8] {
    challenge.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default()
}
