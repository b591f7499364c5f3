//! The header `Date` of responses that have none, formatted once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use access::Timestamp;
use http::HeaderValue;

/// The field line of the last formatted second.
#[derive(Debug, Default)]
pub(crate) struct DateCache(RefCell<(u64, Vec<u8>)>);

impl DateCache {
    /// Writes the field line of a time (RFC 9110, 5.6.7).
    pub(crate) fn write(&self, out: &mut Vec<u8>, now: Timestamp) {
        let seconds = now.unix_seconds();
        let (formatted, line) = &mut *self.0.borrow_mut();
        if *formatted != seconds || line.is_empty() {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            *formatted = seconds;
            *line = format!("date: {date}\r\n").into_bytes();
        }
        out.extend_from_slice(line);
    }

    /// Returns the field's value.
    pub(crate) fn value(&self, now: Timestamp) -> Option<HeaderValue> {
        let mut line = Vec::new();
        self.write(&mut line, now);
        HeaderValue::from_bytes(line.strip_prefix(b"date: ")?.strip_suffix(b"\r\n")?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_formatted_as_http_has_it() {
        let at = |dates: &DateCache, micros| {
            let mut out = Vec::new();
            dates.write(&mut out, Timestamp(micros));
            String::from_utf8(out).unwrap()
        };
        let dates = DateCache::default();
        assert_eq!(at(&dates, 784_111_777_999_999), "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(at(&dates, 784_111_778_000_000), "date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
        assert_eq!(
            at(&dates, 784_111_777_000_000),
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "the clock has gone back"
        );
        assert_eq!(at(&DateCache::default(), 0), "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    }
}
