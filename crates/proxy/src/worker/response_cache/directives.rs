//! The directives of `Cache-Control` (RFC 9111, 5.2), of requests and of responses.

/// The maximum of a lifetime and of an age, to which longer ones are shortened (RFC 9111, 1.2.2).
pub(super) const SECONDS_MAX: u64 = 1 << 31;

/// The directives of one message. Of a directive that is repeated, the more cautious value applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CacheControl {
    pub(crate) no_store: bool,
    /// Also `no-cache` with names of fields: a response without these fields would be another one.
    pub(crate) no_cache: bool,
    pub(super) is_private: bool,
    pub(super) is_public: bool,
    /// `must-revalidate`, or `proxy-revalidate`, which is the same for a shared cache.
    pub(super) must_revalidate: bool,
    pub(super) must_understand: bool,
    pub(crate) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: Option<u64>,
    pub(crate) min_fresh: u64,
    pub(crate) only_if_cached: bool,
}

impl CacheControl {
    /// Reads the values of all fields of this name.
    pub(crate) fn from_values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut directives = Self::default();
        for value in values {
            let mut rest = value;
            while !rest.is_empty() {
                let (item, after) = split_item(rest);
                directives.add(item);
                rest = after;
            }
        }
        directives
    }

    fn add(&mut self, item: &[u8]) {
        let mut parts = item.trim_ascii().splitn(2, |octet| *octet == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let argument = parts.next();
        // A lifetime that is no number is over (RFC 9111, 4.2.1).
        let seconds = || argument.and_then(delta_seconds).unwrap_or(0);
        let least = |known: Option<u64>| Some(known.map_or_else(seconds, |known| known.min(seconds())));
        match name.as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.is_private = true,
            b"public" => self.is_public = true,
            b"must-revalidate" | b"proxy-revalidate" => self.must_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"max-age" => self.max_age = least(self.max_age),
            b"s-maxage" => self.s_maxage = least(self.s_maxage),
            b"stale-while-revalidate" => self.stale_while_revalidate = seconds(),
            b"stale-if-error" => self.stale_if_error = least(self.stale_if_error),
            b"only-if-cached" => self.only_if_cached = true,
            b"min-fresh" => self.min_fresh = seconds(),
            _ => {}
        }
    }
}

/// Returns the first item of a list, and the rest after its comma. Commas within quotes belong to an item.
fn split_item(list: &[u8]) -> (&[u8], &[u8]) {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, octet) in list.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                let (item, rest) = list.split_at_checked(at).unwrap_or((list, b""));
                return (item, rest.strip_prefix(b",").unwrap_or_default());
            }
            _ => {}
        }
    }
    (list, b"")
}

/// Returns a number of seconds, also in quotes; at most [`SECONDS_MAX`].
pub(super) fn delta_seconds(text: &[u8]) -> Option<u64> {
    let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number
        .then(|| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX).min(SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_in_any_case_and_the_more_cautious_one_applies() {
        let none = CacheControl::default();
        for (values, expected) in [
            (&["max-age=5"][..], CacheControl { max_age: Some(5), ..none }),
            (&["Max-Age=\"5\" , PUBLIC"], CacheControl { max_age: Some(5), is_public: true, ..none }),
            (&["max-age=5", "max-age=3"], CacheControl { max_age: Some(3), ..none }),
            (&["max-age=-5"], CacheControl { max_age: Some(0), ..none }),
            (&["max-age=5.5"], CacheControl { max_age: Some(0), ..none }),
            (&["max-age"], CacheControl { max_age: Some(0), ..none }),
            (&["max-age=99999999999999999999"], CacheControl { max_age: Some(1 << 31), ..none }),
            (&["s-maxage=0, max-age=9"], CacheControl { s_maxage: Some(0), max_age: Some(9), ..none }),
            (&["no-cache=\"a, no-store\""], CacheControl { no_cache: true, ..none }),
            (&["private=\"set-cookie\""], CacheControl { is_private: true, ..none }),
            (&["x=\"a\\\", no-store\", no-store"], CacheControl { no_store: true, ..none }),
            (&["proxy-revalidate, ,"], CacheControl { must_revalidate: true, ..none }),
            (&["xno-store, no-storex"], none),
            (&["Only-If-Cached"], CacheControl { only_if_cached: true, ..none }),
            (
                &["stale-while-revalidate=7, stale-if-error=9"],
                CacheControl { stale_while_revalidate: 7, stale_if_error: Some(9), ..none },
            ),
        ] {
            assert_eq!(CacheControl::from_values(values.iter().map(|value| value.as_bytes())), expected, "{values:?}");
        }
    }
}
