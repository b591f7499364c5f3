//! The check of a JSON text (RFC 8259), and its values as ranges of the text.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json_error::{DEPTH_MAX, JsonError};
use crate::room::Room;

/// Number of names up to which they are compared one by one.
const FEW_NAMES: usize = 16;

/// Checks a whole text, and returns it as UTF-8.
///
/// # Errors
/// The first [`JsonError`].
pub fn check(text: &[u8]) -> Result<&str, JsonError> {
    check_in(text, &mut Room::unbounded())
}

/// Checks a whole text within bounded memory, and returns it as UTF-8.
pub(crate) fn check_in<'a>(text: &'a [u8], room: &mut Room<'_>) -> Result<&'a str, JsonError> {
    let text = std::str::from_utf8(text).map_err(|error| JsonError::Utf8 { at: error.valid_up_to() })?;
    let mut scanner = Scanner::new(text);
    scanner.space();
    scanner.value(0, room)?;
    scanner.space();
    if scanner.at == text.len() { Ok(text) } else { Err(JsonError::Syntax { at: scanner.at }) }
}

/// Whether this byte of a string is neither its end nor the beginning of an escape, nor refused.
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// A position in a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    names: Names<'a>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, names: Names::default() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn wrong<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax { at: self.at })
    }

    /// Passes the whitespace that is next.
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes this byte, if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { self.wrong() }
    }

    /// Passes a value, and returns its text. `depth` is the number of objects and lists around it.
    pub(crate) fn value(&mut self, depth: usize, room: &mut Room<'_>) -> Result<&'a str, JsonError> {
        let begins = self.at;
        match self.peek() {
            Some(b'{') => self.object(depth + 1, room)?,
            Some(b'[') => self.list(depth + 1, room)?,
            Some(b'"') => _ = self.string()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(_) | None => self.number()?,
        }
        Ok(self.text.get(begins..self.at).unwrap_or_default())
    }

    fn object(&mut self, depth: usize, room: &mut Room<'_>) -> Result<(), JsonError> {
        self.check_depth(depth)?;
        self.expect(b'{')?;
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        let outer = self.names.begin();
        let mut held = 0;
        loop {
            let at = self.at;
            let name = unescaped(self.string()?);
            let bytes = self.names.bytes_of_next();
            room.take(bytes)?;
            held += bytes;
            if !self.names.add(name) {
                return Err(JsonError::RepeatedName { at });
            }
            self.colon()?;
            self.value(depth, room)?;
            self.space();
            if self.take(b'}') {
                self.names.end(outer);
                room.give_back(held);
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    /// Passes the colon after a name, with the whitespace around it.
    pub(crate) fn colon(&mut self) -> Result<(), JsonError> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

    fn list(&mut self, depth: usize, room: &mut Room<'_>) -> Result<(), JsonError> {
        self.check_depth(depth)?;
        self.expect(b'[')?;
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth, room)?;
            self.space();
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    const fn check_depth(&self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX { Err(JsonError::Depth { at: self.at }) } else { Ok(()) }
    }

    /// Passes a string, and returns its text with the quotes.
    pub(crate) fn string(&mut self) -> Result<&'a str, JsonError> {
        let begins = self.at;
        self.expect(b'"')?;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.text.get(begins..self.at).unwrap_or_default());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) | None => return self.wrong(),
            }
        }
    }

    /// Passes a value of a text that was checked, and returns it: only strings and brackets matter.
    pub(crate) fn checked_value(&mut self) -> Result<&'a str, JsonError> {
        let begins = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => _ = self.string()?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'}' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r') | None if depth == 0 => break,
                Some(_) => {
                    self.at += 1;
                    continue;
                }
                None => return self.wrong(),
            }
            // A string, an object or a list has ended.
            if depth == 0 {
                break;
            }
        }
        Ok(self.text.get(begins..self.at).unwrap_or_default())
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return self.wrong();
                    }
                    self.at += 1;
                }
            }
            Some(_) | None => return self.wrong(),
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        self.wrong()
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    /// Passes at least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let begins = self.at;
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == begins { self.wrong() } else { Ok(()) }
    }
}

/// The names of the objects around a position so far, those of the innermost object last.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    /// The number of names in `few` that are of outer objects.
    outer: usize,
    /// The names of the innermost object, if they are many.
    many: HashSet<Cow<'a, str>>,
}

/// The names of outer objects, while those of an inner one are read.
struct OuterNames<'a> {
    outer: usize,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Begins an object inside the current one.
    fn begin(&mut self) -> OuterNames<'a> {
        let many = std::mem::take(&mut self.many);
        OuterNames { outer: std::mem::replace(&mut self.outer, self.few.len()), many }
    }

    /// Ends the object that began with `outer`.
    fn end(&mut self, outer: OuterNames<'a>) {
        self.few.truncate(self.outer);
        (self.outer, self.many) = (outer.outer, outer.many);
    }

    /// Returns the bytes that the next name needs: a set doubles when it is full. Few names need none.
    fn bytes_of_next(&self) -> usize {
        let are_few = self.many.is_empty() && self.few.len() < self.outer + FEW_NAMES;
        if are_few { 0 } else { 2 * size_of::<Cow<'_, str>>() }
    }

    /// Adds a name. Returns false if the object has it already.
    fn add(&mut self, name: Cow<'a, str>) -> bool {
        let few = self.few.get(self.outer..).unwrap_or_default();
        if self.many.is_empty() && few.len() < FEW_NAMES {
            let is_new = !few.contains(&name);
            self.few.push(name);
            return is_new;
        }
        self.many.extend(self.few.drain(self.outer..));
        self.many.insert(name)
    }
}

/// Returns the text that a valid string with its quotes encodes. A surrogate without its other half is U+FFFD.
pub(crate) fn unescaped(string: &str) -> Cow<'_, str> {
    let inner = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        let escaped = if char == '\\' { chars.next() } else { None };
        match escaped {
            None => units.extend(char.encode_utf16(&mut [0; 2]).iter()),
            Some('u') => {
                let digits = chars.by_ref().take(4).filter_map(|digit| digit.to_digit(16));
                let unit = digits.fold(0, |unit: u32, digit| unit << 4 | digit);
                units.push(u16::try_from(unit).unwrap_or(0xfffd));
            }
            Some(letter) => units.push(match letter {
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                // A quote, a slash or a backslash.
                other => u16::try_from(u32::from(other)).unwrap_or(0xfffd),
            }),
        }
    }
    Cow::Owned(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_are_no_json_are_refused_with_the_place() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":1,}", 7),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            ("1e+", 3),
            ("+1", 0),
            (".5", 0),
            ("nul", 0),
            ("NaN", 0),
            ("\"a\nb\"", 2),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("\"a", 2),
            ("1 2", 2),
            ("{a:1}", 1),
            ("\u{feff}1", 0),
            ("'a'", 0),
        ] {
            assert_eq!(check(text.as_bytes()), Err(JsonError::Syntax { at }), "{text}");
        }
        assert_eq!(check(b"\"\xff\""), Err(JsonError::Utf8 { at: 1 }));
        for text in
            ["1e400", "-0.0", " [1, 2e-7] ", "{\"\": {}, \"a\": []}", "\"\\ud800\"", "123456789012345678901234567890"]
        {
            assert_eq!(check(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn names_are_compared_without_their_escapes() {
        for (text, at) in [
            (r#"{"a":1,"a":2}"#, 7),
            (r#"{"a":1,"\u0061":2}"#, 7),
            (r#"[{"x":{"\n":1,"\u000A":2}}]"#, 14),
            (r#"{"😀":1,"\ud83d\ude00":2}"#, 10),
        ] {
            assert_eq!(check(text.as_bytes()), Err(JsonError::RepeatedName { at }), "{text}");
        }
        let many: Vec<String> = (0..100).map(|number| format!("\"k{number}\":{number}")).collect();
        let text = format!("{{{}}}", many.join(","));
        assert!(check(text.as_bytes()).is_ok());
        for repeated in [0, 15, 16, 99] {
            let text = format!("{{{},\"k{repeated}\":0}}", many.join(","));
            assert!(matches!(check(text.as_bytes()), Err(JsonError::RepeatedName { .. })), "{repeated}");
        }
        assert!(check(br#"[{"a":1},{"a":1}]"#).is_ok());
    }

    #[test]
    fn the_nesting_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(check(nested(DEPTH_MAX + 1).as_bytes()), Err(JsonError::Depth { at: DEPTH_MAX }));
        assert_eq!(check("[{\"a\":".repeat(100_000).as_bytes()), Err(JsonError::Depth { at: 6 * DEPTH_MAX / 2 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn checked_values_end_where_they_end_for_the_check(text in "[\\[\\]{}:,\"a\\\\u0-9.eE+ tfn-]{0,24}") {
            let own = |text: &str| {
                let mut scanner = Scanner::new(text);
                scanner.value(0, &mut Room::unbounded()).map(str::to_owned)
            };
            if let Ok(value) = own(&text) {
                let whole = format!("{value},");
                prop_assert_eq!(Scanner::new(&whole).checked_value(), Ok(&*value));
            }
        }

        #[test]
        fn the_grammar_is_that_of_another_parser(text in "[\\[\\]{}:,\"a\\\\u0-9.eE+ tfn-]{0,24}") {
            let is_json = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok();
            let own = check(text.as_bytes());
            prop_assert_eq!(own.is_ok() || matches!(own, Err(JsonError::RepeatedName { .. })), is_json, "{}", text);
        }

        #[test]
        fn strings_are_decoded_as_by_another_parser(text in "\\PC{0,12}") {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescaped(&written), text);
        }
    }
}
