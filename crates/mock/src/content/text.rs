//! The text of a response, and its pieces: each event carries one.

use std::borrow::Cow;

/// Text with a piece per word, or one repeated word. Repeated text is never in memory as a whole while it is streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResponseText {
    Words(Cow<'static, str>),
    Repeated { word: &'static str, times: u32 },
}

/// A position in a [`ResponseText`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TextCursor(usize);

impl ResponseText {
    /// The next piece; `None` at the end.
    pub(crate) fn next(&self, at: &mut TextCursor) -> Option<&str> {
        match self {
            Self::Words(text) => {
                let rest = text.get(at.0..).filter(|rest| !rest.is_empty())?;
                let word = rest.find(' ').unwrap_or(rest.len());
                let spaces = rest.bytes().skip(word).take_while(|byte| *byte == b' ').count();
                at.0 += word + spaces;
                rest.get(..word + spaces)
            }
            Self::Repeated { word, times } => (at.0 < usize::try_from(*times).unwrap_or(usize::MAX)).then(|| {
                at.0 += 1;
                *word
            }),
        }
    }

    /// The number of pieces.
    pub(crate) fn pieces(&self) -> u64 {
        if let Self::Repeated { times, .. } = self {
            return u64::from(*times);
        }
        let mut at = TextCursor::default();
        std::iter::from_fn(|| self.next(&mut at).map(|_| 1)).sum()
    }

    /// The text as one string.
    pub(crate) fn whole(&self) -> Cow<'_, str> {
        match self {
            Self::Words(text) => Cow::Borrowed(text),
            Self::Repeated { word, times } => Cow::Owned(word.repeat(usize::try_from(*times).unwrap_or(0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let check = |text: ResponseText, pieces: &[&str]| {
            let mut at = TextCursor::default();
            let found: Vec<String> = std::iter::from_fn(|| text.next(&mut at).map(str::to_owned)).collect();
            assert_eq!(found, pieces);
            assert_eq!(found.concat(), text.whole());
            assert_eq!(text.pieces(), pieces.len() as u64);
        };
        check(ResponseText::Words("".into()), &[]);
        check(ResponseText::Words("one".into()), &["one"]);
        check(ResponseText::Words("  é  two\nlines ".into()), &["  ", "é  ", "two\nlines "]);
        check(ResponseText::Repeated { word: "tick ", times: 2 }, &["tick ", "tick "]);
        check(ResponseText::Repeated { word: "tick ", times: 0 }, &[]);
    }
}
