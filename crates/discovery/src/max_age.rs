//! The time for which a response may be cached (RFC 9111, 5.2).

use std::time::Duration;

use http::{HeaderMap, header};

/// Returns the first valid `max-age` of `Cache-Control`.
pub(crate) fn max_age(fields: &HeaderMap) -> Option<Duration> {
    let values = fields.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    directives.find_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        // Recipients should accept a quoted number (RFC 9111, 5.2).
        let digits = value.trim_matches('"');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_max_age = name.eq_ignore_ascii_case("max-age") && is_number;
        is_max_age.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn max_age_is_read_from_all_fields() {
        let check = |values: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&fields).map(|age| age.as_secs())
        };
        for (values, expected) in [
            (&[] as &[_], None),
            (&["max-age=300"], Some(300)),
            (&["public, MAX-AGE=300, must-revalidate"], Some(300)),
            (&["public", "max-age=\"60\""], Some(60)),
            (&["s-maxage=300"], None),
            (&["max-age=-1"], None),
            (&["max-age="], None),
            (&["max-age=1.5"], None),
            (&["max-age=99999999999999999999999"], Some(u64::MAX)),
            (&["no-store"], None),
        ] {
            assert_eq!(check(values), expected, "{values:?}");
        }
    }
}
