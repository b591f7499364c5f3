//! The form in which paths are compared.

use std::borrow::Cow;

use super::path_forms::escaped;

/// Returns the one spelling of a path, in which paths are compared: that of [`unreserved`], with capital digits in the escapes
/// that remain (RFC 3986, 6.2.2.1). Backends read all spellings as one path, so all need the same route.
#[must_use]
pub fn normalized(path: &str) -> Cow<'_, str> {
    spelled(path, str::to_ascii_uppercase)
}

/// Returns a path whose escapes of letters, digits, `-`, `.`, `_` and `~` are decoded (RFC 3986, 6.2.2.2). Other escapes are those
/// that were sent, so each part is as long as in the [`normalized`] path.
#[must_use]
pub fn unreserved(path: &str) -> Cow<'_, str> {
    spelled(path, str::to_owned)
}

/// Returns a path without the escapes that no path needs; `kept` spells the others.
fn spelled(path: &str, kept: fn(&str) -> String) -> Cow<'_, str> {
    let Some((before, _)) = path.split_once('%') else { return Cow::Borrowed(path) };
    let mut written = String::with_capacity(path.len());
    written.push_str(before);
    let mut rest = path.get(before.len()..).unwrap_or_default();
    while let Some(next) = rest.chars().next() {
        let escape = rest.get(..3).unwrap_or_default();
        let octet = escaped(rest.as_bytes());
        let len = match octet.map(char::from) {
            Some(decoded) if decoded.is_ascii_alphanumeric() || matches!(decoded, '-' | '.' | '_' | '~') => {
                written.push(decoded);
                escape.len()
            }
            Some(_) => {
                written.push_str(&kept(escape));
                escape.len()
            }
            None => {
                written.push(next);
                next.len_utf8()
            }
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    Cow::Owned(written)
}

/// Returns a target, which may have a query, with the one spelling of its path.
#[must_use]
pub fn normalized_target(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    format!("{}{query}", normalized(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_one_spelling() {
        for (path, expected) in [
            ("/a", "/a"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/caf%C3%A9", "/caf%C3%A9"),
            ("/%61%2D%2e%5f%7E%7e", "/a-._~~"),
            ("/a%2fb%2Fc", "/a%2Fb%2Fc"),
            ("/%2541%25c3", "/%2541%25c3"),
            ("/%", "/%"),
            ("/%f", "/%f"),
            ("/%+f%fg", "/%+f%fg"),
            ("/é%c3", "/é%C3"),
        ] {
            assert_eq!(normalized(path), expected, "{path}");
            assert!(unreserved(path).eq_ignore_ascii_case(expected), "{path}");
        }
        assert_eq!(unreserved("/%61%c3%A9%2f"), "/a%c3%A9%2f");
        assert_eq!(normalized_target("/%c3%61?b=%c3"), "/%C3a?b=%c3");
        for octet in 0..=u8::MAX {
            let lower = format!("/a%{octet:02x}b");
            let upper = format!("/a%{octet:02X}b");
            assert_eq!(normalized(&lower), normalized(&upper), "{lower}");
            assert_eq!(normalized(&normalized(&lower)), normalized(&lower), "{lower}");
        }
    }
}
