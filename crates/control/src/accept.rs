//! Media types in `Accept` (RFC 9110, 12.5.1).

use http::{HeaderMap, header};

/// Whether `Accept` names this media type itself, with a weight other than 0.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    weight(headers, media_type).is_some_and(|weight| weight > 0.0)
}

/// Returns the weight of a media type that `Accept` names itself.
pub(crate) fn weight(headers: &HeaderMap, media_type: &str) -> Option<f32> {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(media_type) {
            return None;
        }
        let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(given.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0)))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_media_type_has_the_weight_that_the_client_gives_it() {
        let weight_in = |accept: &'static str, media_type: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            weight(&headers, media_type)
        };
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(weight_in(prometheus, "application/openmetrics-text"), Some(0.6));
        assert_eq!(weight_in(prometheus, "text/plain"), Some(0.5));
        assert_eq!(weight_in("*/*", "text/plain"), None);
        assert_eq!(weight_in("Text/Plain", "text/plain"), Some(1.0));
        assert_eq!(weight_in("text/plain;q=x", "text/plain"), Some(0.0));
        assert_eq!(weight(&HeaderMap::new(), "text/plain"), None);
    }
}
