//! Damage within one event or body. It edits the bytes, so it works in every format.

use hyper::body::Bytes;

use super::BodyDamage;

/// The ends of the names of counts: OpenAI's and Anthropic's, Google's, and that of a duration.
const COUNTS: [&str; 4] = ["_tokens\":", "TokenCount\":", "\"totalTokens\":", "\"seconds\":"];
const MORE: u64 = 1_000;

/// The bytes with the damage; unchanged if the damage does not apply.
pub(crate) fn damaged(damage: BodyDamage, bytes: &Bytes) -> Bytes {
    match damage {
        BodyDamage::Count(value) => counts(bytes, |_, _| value.to_owned()),
        BodyDamage::Duplicates => counts(bytes, |name, digits| format!("{},{name}{digits}", plus(digits))),
        BodyDamage::Deep(depth) => {
            let depth = usize::try_from(depth).unwrap_or_default();
            inserted(bytes, first(bytes, b"{"), &format!("\"deep\":{}{},", "[".repeat(depth), "]".repeat(depth)))
        }
        BodyDamage::NotUtf8 => {
            let mut damaged = bytes.to_vec();
            let at = text_at(bytes).min(damaged.len());
            damaged.splice(at..at, [0xFF, 0xC0, 0x80]);
            Bytes::from(damaged)
        }
        BodyDamage::BrokenJson => broken(bytes),
        _ => bytes.clone(),
    }
}

/// The bytes with each count raised by [`MORE`].
pub(crate) fn raised(bytes: &Bytes) -> Bytes {
    counts(bytes, |_, digits| plus(digits))
}

/// The event with `\r\n` in place of `\n`.
pub(crate) fn with_crlf(event: &Bytes) -> Bytes {
    let ends = event.iter().flat_map(|byte| if *byte == b'\n' { b"\r\n" } else { std::slice::from_ref(byte) });
    ends.copied().collect()
}

/// The offset after the quote that opens the last string value, or the end.
pub(crate) fn text_at(bytes: &[u8]) -> usize {
    bytes.windows(3).rposition(|window| window == b"\":\"").map_or(bytes.len(), |at| at + 3)
}

/// The bytes with a text that is longer by `more` bytes.
pub(crate) fn lengthened(bytes: &Bytes, more: usize) -> Bytes {
    inserted(bytes, text_at(bytes), &"x".repeat(more))
}

/// The bytes without the second half of the last line. The event still ends with an empty line.
fn broken(bytes: &Bytes) -> Bytes {
    let line = bytes.trim_ascii_end();
    let (line, end) = bytes.split_at(line.len());
    if line.ends_with(b"[DONE]") {
        return bytes.clone();
    }
    let start = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let half = start + (line.len() - start) / 2;
    [line.get(..half).unwrap_or_default(), end].concat().into()
}

fn plus(digits: &str) -> String {
    digits.parse::<u64>().unwrap_or_default().saturating_add(MORE).to_string()
}

/// The bytes with `text` inserted at offset `at`.
fn inserted(bytes: &Bytes, at: usize, text: &str) -> Bytes {
    let (head, tail) = bytes.split_at(at.min(bytes.len()));
    [head, text.as_bytes(), tail].concat().into()
}

/// The offset after the first `sought`, or the end.
fn first(bytes: &[u8], sought: &[u8]) -> usize {
    memchr::memmem::find(bytes, sought).map_or(bytes.len(), |at| at + sought.len())
}

/// Replaces every count by `value` of its name (quoted, with the colon) and its digits.
fn counts(bytes: &Bytes, value: impl Fn(&str, &str) -> String) -> Bytes {
    let Ok(mut rest) = std::str::from_utf8(bytes) else { return bytes.clone() };
    let mut out = String::with_capacity(rest.len());
    while let Some(end) = COUNTS.iter().filter_map(|name| Some(rest.find(name)? + name.len())).min() {
        let (head, tail) = rest.split_at(end);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(digits);
        // The opening quote of the name is the second quote from its end.
        let name = head.rmatch_indices('"').nth(1).and_then(|(at, _)| head.get(at..)).unwrap_or_default();
        out.push_str(head);
        if !digits.is_empty() {
            out.push_str(&value(name, digits));
        }
        rest = tail;
    }
    out.push_str(rest);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "event: e\ndata: {\"type\":\"e\",\"text\":\"hi\",\"usage\":{\"input_tokens\":7,\"details\":{\"cached_tokens\":null}}}\n\n";

    fn check(damage: &str, expected: &[u8]) {
        let damaged = damaged(BodyDamage::from_name(damage).unwrap(), &Bytes::from_static(EVENT.as_bytes()));
        assert_eq!(String::from_utf8_lossy(&damaged), String::from_utf8_lossy(expected), "{damage}");
    }

    #[test]
    fn each_damage_changes_its_part_of_the_body() {
        let with = |from: &str, to: &str| EVENT.replace(from, to).into_bytes();
        check("usage-negative", &with(":7", ":-5"));
        check("usage-huge", &with(":7", ":10000000000000000000"));
        check("usage-nan", &with(":7", ":NaN"));
        check("usage-text", &with(":7", ":\"12\""));
        check("duplicate-keys", &with(":7", ":1007,\"input_tokens\":7"));
        check("deep-3", &with("{\"type\"", "{\"deep\":[[[]]],\"type\""));
        let mut not_utf8 = with("\"hi", "\"");
        let at = text_at(EVENT.as_bytes());
        not_utf8.splice(at..at, b"\xFF\xC0\x80hi".iter().copied());
        check("invalid-utf8", &not_utf8);
        check("broken-json", b"event: e\ndata: {\"type\":\"e\",\"text\":\"hi\",\"usage\":{\"input\n\n");
        check("unfinished", EVENT.as_bytes());
    }

    #[test]
    fn google_counts_and_durations_are_counted() {
        let body =
            Bytes::from_static(b"{\"totalTokenCount\": 1,\"promptTokenCount\":2,\"seconds\":3,\"totalTokens\":4}");
        let raised = raised(&body);
        assert_eq!(raised, "{\"totalTokenCount\": 1,\"promptTokenCount\":1002,\"seconds\":1003,\"totalTokens\":1004}");
    }
}
