//! The file `.env`.

use settings::variables::env_file::{Entry, parse};

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "A", "B_2", "export ", "=", "\"", "'", "\\n", "\\\"", "\\\\", "\\$", "\\", "#", " #", "\n", "\r\n", "\r", "\t",
    " ", "\0", "$A", "${A}", "\u{feff}", "é", "\u{2028}",
];

/// A text that no name and no value contains: error messages must not repeat it.
const SECRET: &str = "S3CRET";

/// The text is parsed, or refused with a place inside it. Writing the parsed variables in quotes and parsing them gives
/// the same; one more line gives one more variable.
pub fn env_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let entries = match parse(text) {
        Ok(entries) => entries,
        Err(broken) => {
            let lines = text.split('\n').count();
            for place in [Some(broken.place), broken.first].into_iter().flatten() {
                assert!(place.line > 0 && place.line as usize <= lines, "{place:?} is outside of {lines} lines");
                assert!(place.column > 0 && place.column as usize <= text.chars().count() + 1, "{place:?}");
            }
            assert!(!format!("{broken:?}").contains(SECRET));
            return;
        }
    };
    assert!(!format!("{entries:?}").contains(SECRET) || entries.iter().any(|entry| entry.name.contains(SECRET)));
    let pairs = |entries: &[Entry]| -> Vec<(String, String)> {
        entries.iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect()
    };
    for Entry { name, value, line } in &entries {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !name.is_empty());
        assert!(!value.contains('\0') && *line as usize <= text.split('\n').count());
    }
    let again: String =
        entries.iter().map(|entry| format!("export {} = {} # c\r\n", entry.name, quoted(&entry.value))).collect();
    assert_eq!(pairs(&parse(&again).unwrap()), pairs(&entries), "{again:?}");
    let fresh = "a".repeat(entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default() + 1);
    let longer = parse(&format!("{}\n{fresh}=1", text.strip_prefix('\u{feff}').unwrap_or(text))).unwrap();
    assert_eq!(longer.len(), entries.len() + 1);
}

/// The value in double quotes.
fn quoted(value: &str) -> String {
    let escaped = value.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
