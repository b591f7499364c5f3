//! The fields of a request that may contain a credential. The proxy and explanations read them in the same way.

use http1::KnownName;

/// Headers that may contain a key, besides `Authorization: Bearer`.
pub const KEY_HEADERS: [KnownName; 3] = [KnownName::XApiKey, KnownName::ApiKey, KnownName::XGoogApiKey];

/// Returns the token of a value of `Authorization` with the scheme `Bearer` (RFC 6750, 2.1).
#[must_use]
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    of_scheme(value, b"bearer")
}

/// Returns the rest of a value of `Authorization` with this scheme, which is compared in any case (RFC 9110, 11.1).
#[must_use]
pub fn of_scheme<'a>(value: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(expected.len())?;
    (scheme.eq_ignore_ascii_case(expected) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_a_scheme_in_any_case_and_a_rest() {
        for (value, expected) in [
            ("Bearer k", Some("k")),
            ("bearer   k ", Some("k")),
            (" BEARER k l", Some("k l")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer\tk", None),
            ("Bearerk", None),
            ("Basic k", None),
            ("", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), expected.map(str::as_bytes), "{value:?}");
        }
        assert_eq!(of_scheme(b"bAsIc eDp5", b"basic"), Some(&b"eDp5"[..]));
        assert_eq!(of_scheme(b"Basic \xff", b"basic"), Some(&b"\xff"[..]));
    }
}
