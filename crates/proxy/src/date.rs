//! The header `Date` of responses that have none, formatted once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use access::Timestamp;
use bytes::Bytes;

/// The last formatted second.
#[derive(Debug, Default)]
pub(crate) struct DateCache(RefCell<(u64, Bytes)>);

impl DateCache {
    /// Formats a time as RFC 9110, 5.6.7.
    pub(crate) fn at(&self, now: Timestamp) -> Bytes {
        let seconds = now.unix_seconds();
        let mut last = self.0.borrow_mut();
        if last.0 != seconds || last.1.is_empty() {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            *last = (seconds, Bytes::from(text));
        }
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_formatted_as_http_has_it() {
        let dates = DateCache::default();
        assert_eq!(dates.at(Timestamp(784_111_777_999_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(dates.at(Timestamp(784_111_778_000_000)), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(DateCache::default().at(Timestamp(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
