//! The content coding that a client prefers among those of a route (RFC 9110, 12.5.3).

use config::snapshot::ContentCoding;

/// A weight in thousandths.
type Weight = u16;

/// Returns the first of `offered` with the highest weight in the values of `Accept-Encoding`; `None` if the client accepts
/// none of them, or prefers content without a coding.
pub(super) fn preferred(offered: &[ContentCoding], values: &[&[u8]]) -> Option<ContentCoding> {
    let identity = weight(values, b"identity").unwrap_or(0);
    let mut best: Option<(ContentCoding, Weight)> = None;
    for coding in offered {
        let of_coding = weight(values, coding.as_str().as_bytes());
        let weight = of_coding.or_else(|| weight(values, b"*")).unwrap_or(0);
        if weight > 0 && weight >= identity && best.is_none_or(|(_, highest)| weight > highest) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Returns the weight of the coding `name`; `None` if it is not listed.
fn weight(values: &[&[u8]], name: &[u8]) -> Option<Weight> {
    let mut items = values.iter().flat_map(|value| value.split(|octet| *octet == b','));
    items.find_map(|item| {
        let mut parts = item.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
        let listed = parts.next()?;
        let is_gzip = name == b"gzip" && listed.eq_ignore_ascii_case(b"x-gzip");
        if !listed.eq_ignore_ascii_case(name) && !is_gzip {
            return None;
        }
        let quality = parts.find_map(|part| {
            let (key, value) = part.split_at_checked(2)?;
            key.eq_ignore_ascii_case(b"q=").then_some(value)
        });
        // An invalid weight excludes the coding: content without a coding is correct for every client.
        Some(quality.map_or(1000, |text| thousandths(text).unwrap_or(0)))
    })
}

/// Returns a weight (RFC 9110, 12.4.2): 0 to 1 with at most three decimals.
fn thousandths(text: &[u8]) -> Option<Weight> {
    let (whole, decimals) = match text.split_first()? {
        (b'0', rest) => (0, rest),
        (b'1', rest) => (1000, rest),
        _ => return None,
    };
    let decimals = match decimals.split_first() {
        None => &[][..],
        Some((b'.', digits)) if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        Some(_) => return None,
    };
    let places = [100, 10, 1];
    let sum = decimals.iter().zip(places).map(|(digit, place)| Weight::from(digit - b'0') * place).sum::<Weight>();
    Some(whole + sum).filter(|weight| *weight <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_weight_wins_and_then_the_order_of_the_route() {
        use ContentCoding::{Brotli, Gzip, Zstd};
        let all = &[Zstd, Brotli, Gzip][..];
        for (offered, values, expected) in [
            (all, &["gzip, deflate, br, zstd"][..], Some(Zstd)),
            (all, &["gzip, deflate, br"], Some(Brotli)),
            (all, &["gzip", "br"], Some(Brotli)),
            (&[Gzip, Brotli], &["br, gzip"], Some(Gzip)),
            (all, &["GZIP"], Some(Gzip)),
            (all, &["x-gzip"], Some(Gzip)),
            (all, &["zstd;q=0.1, gzip;q=0.9"], Some(Gzip)),
            (all, &["zstd;q=0.5, br ; Q=0.5"], Some(Zstd)),
            (all, &["*"], Some(Zstd)),
            (all, &["zstd;q=0, *;q=0.5"], Some(Brotli)),
            (all, &["identity;q=1, gzip;q=0.5"], None),
            (all, &["gzip;q=0.5"], Some(Gzip)),
            (all, &["*;q=0"], None),
            (all, &["zstd;q=0,br;q=0.000,gzip;q=0"], None),
            (all, &["gzip;q=1.5"], None),
            (all, &["gzip;q=0.1234"], None),
            (all, &["gzip;q="], None),
            (all, &["gzip;q=1.000"], Some(Gzip)),
            (all, &["deflate"], None),
            (all, &[""], None),
            (all, &[], None),
        ] {
            let octets: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(preferred(offered, &octets), expected, "{values:?}");
        }
    }
}
