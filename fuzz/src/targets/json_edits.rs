//! Edits of JSON texts by JSON Pointers.

use json_edits::{Edits, Pointer, check};
use serde_json::Value;
use serde_json::value::RawValue;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "{", "}", "[", "]", ":", ",", "\"", "\"a\"", "\"b\"", "\\u0061", "\\", "1", "-", "0", ".", "e", "true", "null",
    " ", "\n", "-/a", "=/a/b 1", ">/a /b", "/0", "/-", "~0", "~1", "{\"a\":", "[[", "é", "\u{1}",
];

/// The first lines are edits: `-POINTER`, `>POINTER POINTER` and `=POINTER JSON`. After an empty line, the rest is the text. An
/// edited text is JSON, its set value is at its place, and without an edit the text does not change.
pub fn json_edits(bytes: &[u8]) {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (lines, text) = at.map_or((&b""[..], bytes), |at| (&bytes[..at], &bytes[at + 2..]));
    let Ok(checked) = check(text) else {
        assert!(Edits::default().apply(text).is_err());
        return;
    };
    assert!(serde_json::from_str::<&RawValue>(checked).is_ok(), "{checked}");
    let unchanged = Edits::default().apply(text).unwrap();
    assert_eq!(unchanged, checked.trim_ascii().as_bytes());
    let mut edits = Edits::default();
    for line in std::str::from_utf8(lines).unwrap_or_default().lines() {
        let Some((kind, rest)) = line.split_at_checked(1) else { continue };
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let Ok(pointer) = Pointer::parse(first) else { continue };
        match (kind, Pointer::parse(second), check(second.as_bytes())) {
            ("-", ..) => edits.remove.push(pointer),
            (">", Ok(to), _) => edits.rename.push((pointer, to)),
            ("=", _, Ok(json)) => edits.set.push((pointer, json.into())),
            _ => {}
        }
    }
    let Ok(edited) = edits.apply(text) else { return };
    assert!(check(&edited).is_ok(), "{}", String::from_utf8_lossy(&edited));
    let Ok(parsed) = serde_json::from_slice::<Value>(&edited) else { return };
    if let Some((pointer, json)) = edits.set.last()
        && !pointer.to_string().contains("/-")
        && let Ok(expected) = serde_json::from_str::<Value>(json)
    {
        assert_eq!(parsed.pointer(&pointer.to_string()), Some(&expected));
    }
}
