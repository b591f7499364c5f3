//! Paths that backends read differently than the gateway: some merge slashes, decode `%2F`, or ignore what follows `;`.

/// The forms of paths that a route refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefusedPaths {
    /// Two slashes in a row.
    pub repeated_slashes: bool,
    /// Slashes as `%2F`, and backslashes, also as `%5C`.
    pub encoded_slashes: bool,
    /// Semicolons, as `;` or `%3B`.
    pub semicolons: bool,
}

impl RefusedPaths {
    /// Returns the message of the refusal of a path, as it was sent; `None` if it is accepted.
    #[must_use]
    pub fn refusal(self, path: &str) -> Option<&'static str> {
        if self == Self::default() {
            return None;
        }
        if self.repeated_slashes && path.contains("//") {
            return Some("repeated slashes in a path are not accepted here");
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
        let (none, all) =
            (RefusedPaths::default(), RefusedPaths { repeated_slashes: true, encoded_slashes: true, semicolons: true });
        for path in
            ["//a", "/a//", "/%2fa", "/a%2Fb", "/a%5Cb", "/a%5cb", "/a\\b", "/a;x", "/..;/a", "/a%3bx", "/a%3Bx"]
        {
            assert!(all.refusal(path).is_some() && none.refusal(path).is_none(), "{path}");
        }
        for path in ["/", "/a/b/", "/a%20b", "/a%2", "/2f", "/%252f"] {
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
