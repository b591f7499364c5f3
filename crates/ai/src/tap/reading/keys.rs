//! Searches the keys of a chunk without a scan of its JSON.

use std::sync::LazyLock;

use memchr::memmem::Finder;

pub(super) static QUOTED_TIER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"service_tier\""));
pub(super) static QUOTED_USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
pub(super) static QUOTED_ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
pub(super) static QUOTED_FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
/// The start of each escape that can represent an ASCII letter.
pub(super) static ESCAPED_LETTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));

/// Whether `key` precedes a value that begins with `first`.
pub(super) fn leads_to(key: &Finder<'_>, first: u8, json: &[u8]) -> bool {
    values(key, json).any(|value| value.first() == Some(&first))
}

/// Returns the bytes from each value that `key` precedes.
pub(super) fn values<'a>(key: &'a Finder<'_>, json: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    key.find_iter(json).filter_map(|at| {
        let rest = json.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(rest.strip_prefix(b":")?.trim_ascii_start())
    })
}
