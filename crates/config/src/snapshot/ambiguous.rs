//! Paths that backends may read differently than the gateway, and their refusal.

use std::sync::Arc;

use super::route::Route;

/// The forms of paths that no route accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefusedPaths {
    /// Slashes as `%2F`, and backslashes, also as `%5C`.
    pub encoded_slashes: bool,
    /// Semicolons, as `;` or `%3B`.
    pub semicolons: bool,
}

/// The reason why a path is refused although a route matches it.
#[derive(Debug, Clone)]
pub enum PathRefusal<'a> {
    /// No route accepts the form of the path.
    Form(&'static str),
    /// A backend may read the path as another one, whose route asks more of requests.
    OtherReading {
        /// The other path: in lowercase, with escapes for octets that are not printed.
        form: String,
        /// The route of the other path; `None` if it has none, or its method or fields are refused.
        route: Option<&'a Arc<Route>>,
    },
}

impl PathRefusal<'_> {
    /// Returns the message for the client, which does not learn the names of routes.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Form(message) => message,
            Self::OtherReading { .. } => {
                "servers may read this path as another one, to which other rules apply: send it without needless \
                 escapes, slashes, semicolons, capitals and blanks"
            }
        }
    }
}

impl RefusedPaths {
    /// Returns the message of the refusal of a path, as it was sent; `None` if it is accepted.
    #[must_use]
    pub fn refusal(self, path: &str) -> Option<&'static str> {
        if self == Self::default() {
            return None;
        }
        if self.encoded_slashes && (path.contains('\\') || has_escape(path, [b"2f", b"5c"])) {
            return Some("encoded slashes and backslashes in a path are not accepted here");
        }
        if self.semicolons && (path.contains(';') || has_escape(path, [b"3b", b"3b"])) {
            return Some("semicolons in a path are not accepted here");
        }
        None
    }
}

/// Whether a path has one of these octets in the form `%2f`, in any case.
fn has_escape(path: &str, digits: [&[u8]; 2]) -> bool {
    path.as_bytes().split(|octet| *octet == b'%').skip(1).any(|after| {
        let found = after.get(..2);
        digits.iter().any(|digits| found.is_some_and(|found| found.eq_ignore_ascii_case(digits)))
    })
}

/// Returns the path with each run of slashes as one; `None` if it has none.
#[must_use]
pub fn merged(path: &str) -> Option<String> {
    if !path.contains("//") {
        return None;
    }
    let mut merged = String::with_capacity(path.len());
    for char in path.chars() {
        if !(char == '/' && merged.ends_with('/')) {
            merged.push(char);
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_configured_is_refused() {
        let none = RefusedPaths::default();
        let all = RefusedPaths { encoded_slashes: true, semicolons: true };
        for path in ["/%2fa", "/a%2Fb", "/a%5Cb", "/a%5cb", "/a\\b", "/a;x", "/..;/a", "/a%3bx", "/a%3Bx"] {
            assert!(all.refusal(path).is_some() && none.refusal(path).is_none(), "{path}");
        }
        for path in ["/", "//a", "/a/b/", "/a%20b", "/a%2", "/2f", "/%252f"] {
            assert_eq!(all.refusal(path), None, "{path}");
        }
        let slashes = RefusedPaths { encoded_slashes: true, ..none };
        assert!(slashes.refusal("//a;b").is_none() && slashes.refusal("/a%2fb").is_some());
    }

    #[test]
    fn each_run_of_slashes_becomes_one() {
        assert_eq!(merged("/a/b/"), None);
        for (path, expected) in [("//", "/"), ("///a//b///", "/a/b/"), ("/a//%2f//b", "/a/%2f/b")] {
            assert_eq!(merged(path).as_deref(), Some(expected));
        }
    }
}
