//! Keys in the query or in `Sec-WebSocket-Protocol`, where browsers and Google's clients send them. A request continues
//! with a head that does not contain them, so that neither upstreams nor logs get them.

use std::rc::Rc;

use config::snapshot::KeyPlaces;

use super::head::Head;
use super::moved_keys::MovedKeys;

/// Returns the head with its keys in these places moved to [`MovedKeys`]; `None` if it is invalid without them.
pub(crate) fn moved(head: &Rc<Head>, places: &KeyPlaces) -> Option<Rc<Head>> {
    let mut moved = MovedKeys { ignores_headers: !places.header, ..MovedKeys::default() };
    let mut bytes = None;
    if let Some(query) = head.query()
        && let Some(without) = places.in_query(query)
    {
        moved.keys.extend(without.keys);
        // The question mark belongs to the query.
        let rest = if without.rest.is_empty() { String::new() } else { format!("?{}", without.rest) };
        bytes = Some(replaced(head.bytes(), query.as_bytes(), 1, rest.as_bytes())?);
    }
    let mut offered = 0;
    let mut protocols = Vec::new();
    for value in head.fields().named(PROTOCOL) {
        let without = std::str::from_utf8(value).ok().and_then(|value| places.in_protocols(value));
        offered += without.as_ref().map_or(1, |without| usize::from(!without.rest.is_empty()));
        protocols.extend(without.map(|without| (value, without)));
    }
    if offered == 0 {
        moved.only_protocol = protocols.first().map(|(value, _)| {
            let first =
                value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).find(|protocol| !protocol.is_empty());
            first.unwrap_or_default().into()
        });
    }
    let has_protocols = !protocols.is_empty();
    let is_same = bytes.is_none() && !has_protocols && !moved.ignores_headers;
    moved.keys.extend(protocols.iter_mut().flat_map(|(_, without)| std::mem::take(&mut without.keys)));
    if is_same {
        return Some(Rc::clone(head));
    }
    let without_query = bytes.unwrap_or_else(|| head.bytes().to_vec());
    let bytes = if has_protocols { without_protocols(&without_query, places)? } else { without_query };
    let written = Head::written(bytes)?;
    Some(Rc::new(written.with_keys(moved)))
}

const PROTOCOL: &[u8] = b"sec-websocket-protocol";

/// Returns the bytes with `part`, which points into them, and the `before` bytes before it replaced by `by`.
fn replaced(bytes: &[u8], part: &[u8], before: usize, by: &[u8]) -> Option<Vec<u8>> {
    let at = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    Some([bytes.get(..at.checked_sub(before)?)?, by, bytes.get(at + part.len()..)?].concat())
}

/// Returns the bytes of a head in which no line of `Sec-WebSocket-Protocol` has a key. A line without further protocols is
/// removed.
fn without_protocols(bytes: &[u8], places: &KeyPlaces) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|octet| *octet == b'\n') {
        let (name, value) = match line.iter().position(|octet| *octet == b':') {
            Some(colon) => line.split_at(colon),
            None => (line, &[][..]),
        };
        let found = if name.eq_ignore_ascii_case(PROTOCOL) {
            places.in_protocols(std::str::from_utf8(value.get(1..)?).ok()?.trim())
        } else {
            None
        };
        match found {
            None => out.extend_from_slice(line),
            Some(without) if without.rest.is_empty() => {}
            Some(without) => out.extend([name, b": ", without.rest.as_bytes(), b"\r\n"].concat()),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::head;

    fn places() -> KeyPlaces {
        KeyPlaces { header: true, query: Some("key".into()), protocol: true }
    }

    fn check(line: &str, fields: &[(&str, &str)], keys: &[&str]) -> Rc<Head> {
        let moved = moved(&Rc::new(head(line, fields)), &places()).unwrap();
        let found = moved.keys().into_iter().flat_map(MovedKeys::iter);
        let found: Vec<_> = found.map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        assert_eq!(found, keys, "{line} {fields:?}");
        moved
    }

    #[test]
    fn a_key_in_the_query_is_a_credential_that_the_head_does_not_contain() {
        let moved = check("GET /a?x=1&key=secret&y", &[("host", "h"), ("x-other", "o")], &["secret"]);
        assert_eq!((moved.path(), moved.query()), ("/a", Some("x=1&y")));
        assert!(!String::from_utf8_lossy(moved.bytes()).contains("secret"));
        let moved = check("GET /a?key=secret", &[("host", "h")], &["secret"]);
        assert_eq!((moved.path(), moved.query()), ("/a", None));
        check("GET /a?key=one&key=two", &[("host", "h"), ("x-api-key", "three")], &["one", "two"]);
        check("GET /a?x=1", &[("host", "h"), ("x-api-key", "three")], &[]);
        let moved = check("GET /a?key=one&key", &[("host", "h")], &["one"]);
        assert_eq!(moved.query(), None, "an empty value is no key");
    }

    #[test]
    fn a_key_among_the_protocols_is_a_credential_that_the_head_does_not_contain() {
        let protocols = |moved: &Head| {
            let values = moved.fields().named(PROTOCOL);
            values.map(|value| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>()
        };
        let field = |value| ("Sec-WebSocket-Protocol", value);
        let moved = check("GET /a", &[("host", "h"), field("chat, tollgate.key.secret, v2")], &["secret"]);
        assert_eq!(
            (protocols(&moved), moved.keys().and_then(MovedKeys::only_protocol)),
            (vec!["chat, v2".to_owned()], None)
        );
        let moved = check("GET /a", &[("host", "h"), field("tollgate.key.secret"), field("v2")], &["secret"]);
        assert_eq!((protocols(&moved), moved.keys().and_then(MovedKeys::only_protocol)), (vec!["v2".to_owned()], None));
        let moved = check("GET /a", &[field("tollgate.key.secret"), ("host", "h")], &["secret"]);
        assert_eq!(protocols(&moved), Vec::<String>::new());
        assert_eq!(moved.keys().and_then(MovedKeys::only_protocol), Some(&b"tollgate.key.secret"[..]));
        assert!(!String::from_utf8_lossy(moved.bytes()).contains("secret"));
    }

    #[test]
    fn a_route_may_ignore_keys_in_headers() {
        let places = KeyPlaces { header: false, ..places() };
        let head = Rc::new(head("GET /a?key=one", &[("host", "h"), ("x-api-key", "two")]));
        let moved = moved(&head, &places).unwrap();
        let keys = moved.keys().unwrap();
        assert!(keys.ignores_headers() && keys.iter().eq([b"one"]));
    }
}
