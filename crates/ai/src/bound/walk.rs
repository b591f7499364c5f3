//! Reads a body token by token: keys, strings, other words, and the start and end of objects and lists.
//!
//! The body was parsed before, so it is JSON. For other input the tokens are arbitrary, but never more than its bytes.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr_iter, memchr3_iter};

/// The reader of a body's tokens; see the module.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    body: &'a [u8],
    at: usize,
}

/// One token and its position in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// An object or a list begins.
    Open {
        /// Whether it is a list.
        list: bool,
        at: usize,
    },
    /// An object or a list ends.
    Close,
    /// The key of an object.
    Key(Text<'a>),
    /// A string that is a value.
    String(Text<'a>, Range<usize>),
    /// A number, `true`, `false` or `null`.
    Word(&'a str, Range<usize>),
}

/// The inside of a string, escapes unresolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
}

impl<'a> Walk<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Skips to the end of the object or list that was opened last.
    pub(crate) fn pass_over(&mut self, list: bool) {
        let (open, close) = if list { (b'[', b']') } else { (b'{', b'}') };
        let rest = self.body.get(self.at..).unwrap_or_default();
        let mut depth = 1_u64;
        let mut in_text = false;
        // Brackets of the other kind are balanced in themselves.
        for at in memchr3_iter(b'"', open, close, rest) {
            match rest.get(at) {
                Some(b'"') => in_text = !in_text || is_escaped(rest, at),
                _ if in_text => {}
                Some(byte) if *byte == open => depth = depth.saturating_add(1),
                _ => depth -= 1,
            }
            if depth == 0 {
                self.at += at + 1;
                return;
            }
        }
        self.at = self.body.len();
    }

    /// Reads a string after its opening quote, from quote to quote, as most escapes do not escape a quote.
    fn string(&mut self) -> Text<'a> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let end = memchr_iter(b'"', rest).find(|at| !is_escaped(rest, *at));
        self.at += end.map_or(rest.len(), |end| end + 1);
        Text { raw: end.and_then(|end| rest.get(..end)).unwrap_or(rest) }
    }

    fn space(&mut self) {
        let rest = self.body.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    }
}

/// Whether an odd number of backslashes precedes `at`.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.last() == Some(&b'\\') && before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

impl<'a> Iterator for Walk<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.space();
            let at = self.at;
            let byte = *self.body.get(at)?;
            self.at += 1;
            return Some(match byte {
                b',' | b':' => continue,
                b'{' | b'[' => Token::Open { list: byte == b'[', at },
                b'}' | b']' => Token::Close,
                b'"' => {
                    let text = self.string();
                    let end = self.at;
                    self.space();
                    if self.body.get(self.at) == Some(&b':') { Token::Key(text) } else { Token::String(text, at..end) }
                }
                _ => {
                    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                    let rest = self.body.get(at..).unwrap_or_default();
                    let len = rest.iter().position(ends).unwrap_or(rest.len()).max(1);
                    self.at = at + len;
                    let word = rest.get(..len).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default();
                    Token::Word(word, at..at + len)
                }
            });
        }
    }
}

impl<'a> Text<'a> {
    /// Returns the text with escapes resolved.
    pub(crate) fn resolved(self) -> Cow<'a, str> {
        if self.raw.contains(&b'\\') {
            let quoted = [b"\"", self.raw, b"\""].concat();
            return serde_json::from_slice::<String>(&quoted).unwrap_or_default().into();
        }
        std::str::from_utf8(self.raw).unwrap_or_default().into()
    }

    /// Whether the text begins with `start`; a start with escapes does not match.
    pub(crate) fn begins_with(self, start: &[u8]) -> bool {
        self.raw.get(..start.len()).is_some_and(|raw| raw.eq_ignore_ascii_case(start))
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.raw.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(json: &str) -> String {
        Walk::new(json.as_bytes())
            .map(|token| match token {
                Token::Open { list, .. } => if list { "[" } else { "{" }.to_owned(),
                Token::Close => ")".to_owned(),
                Token::Key(key) => format!("{}:", key.resolved()),
                Token::String(text, at) => {
                    assert!(json[at.clone()].starts_with('"') && !json[at].is_empty());
                    format!("'{}'", text.resolved())
                }
                Token::Word(word, at) => {
                    assert_eq!(&json[at], word);
                    word.to_owned()
                }
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn keys_and_strings_are_distinguished_in_any_layout() {
        assert_eq!(
            tokens(r#"{"a" : "b:", "c":["d",{"\u0065":-1.5e3}], "f":null}"#),
            "{ a: 'b:' c: [ 'd' { e: -1.5e3 ) ) f: null )"
        );
        assert_eq!(tokens("{\"a\\\"\\\\\":\"\\n\"}"), "{ a\"\\: '\n' )");
        assert_eq!(tokens(" [ ] "), "[ )");
    }

    #[test]
    fn invalid_json_has_finitely_many_tokens() {
        for (json, expected) in
            [("", ""), ("{\"a", "{ 'a'"), ("}:]x", ") ) x"), ("{\"a\\", "{ ''"), ("tru\"e", "tru\"e")]
        {
            assert_eq!(tokens(json), expected, "{json}");
        }
    }

    #[test]
    fn skipping_leads_behind_the_end() {
        let mut walk = Walk::new(br#"{"a":{"b":"}","c":[{}]},"d":1}"#);
        walk.by_ref().nth(2);
        walk.pass_over(false);
        assert!(matches!(walk.next(), Some(Token::Key(key)) if key.resolved() == "d"));
        let mut open = Walk::new(b"{\"a\":[");
        open.by_ref().nth(2);
        open.pass_over(true);
        assert_eq!(open.next(), None);
    }
}
