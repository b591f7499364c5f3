//! Parses the text of a `.env`: `NAME=value` lines, with quotes, comments, `export` and values over several lines.
//!
//! dotenvy (0.15.7) is not used: its errors repeat the line, which holds a secret, without the line's number, and it
//! replaces `$` in values. This parser replaces nothing: a password may contain a `$`.

use std::collections::HashMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::place::Place;

/// One variable of the file. Its value may be a credential, so `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of the variable: letters, digits and `_`, not beginning with a digit.
    pub name: String,
    /// The value of the variable, without quotes.
    pub value: String,
    /// The number of the variable's first line, from 1.
    pub line: u32,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("line", &self.line).finish_non_exhaustive()
    }
}

/// The position and reason of a syntax error. It repeats no part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvSyntaxError {
    /// The invalid character or duplicate name.
    pub place: Place,
    /// The position of the first occurrence of a duplicate name.
    pub first: Option<Place>,
    /// A short description of the error.
    pub message: &'static str,
    /// A description of valid input.
    pub expected: &'static str,
}

const LINE: &str = "NAME=value, or a comment after #";
const QUOTED: &str = "a line end or a comment after the closing quote";

/// Parses a whole file; the entries are in the order of the file.
///
/// # Errors
/// Returns [`EnvSyntaxError`] for the first invalid line or duplicate name.
pub fn parse(text: &str) -> Result<Vec<Entry>, EnvSyntaxError> {
    let mut reading = EnvFileReader::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut entries = Vec::new();
    let mut taken: HashMap<String, Place> = HashMap::new();
    while reading.rest.peek().is_some() {
        let Some((name, at)) = reading.name()? else {
            continue;
        };
        let value = reading.value()?;
        if let Some(first) = taken.insert(name.clone(), at) {
            let message = "a name occurs twice";
            let expected = "one line for each name";
            return Err(EnvSyntaxError { place: at, first: Some(first), message, expected });
        }
        entries.push(Entry { name, value, line: at.line });
    }
    Ok(entries)
}

struct EnvFileReader<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
}

impl<'a> EnvFileReader<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), line: 1, column: 1 }
    }

    fn here(&self) -> Place {
        Place { line: self.line, column: self.column, width: 1 }
    }

    fn broken<T>(&self, message: &'static str, expected: &'static str) -> Result<T, EnvSyntaxError> {
        Err(EnvSyntaxError { place: self.here(), first: None, message, expected })
    }

    /// Returns the next character; any line end is returned as `
    /// `.
    fn next(&mut self) -> Option<char> {
        let mut c = self.rest.next()?;
        if c == '\r' && self.rest.peek() == Some(&'\n') {
            self.rest.next();
            c = '\n';
        }
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(c)
    }

    fn at_line_end(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        matches!((ahead.next(), ahead.next()), (None | Some('\n'), _) | (Some('\r'), Some('\n')))
    }

    fn skip_blanks(&mut self) -> bool {
        let mut skipped = false;
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {
            self.column = self.column.saturating_add(1);
            skipped = true;
        }
        skipped
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            self.column = self.column.saturating_add(1);
            word.push(c);
        }
        word
    }

    /// Reads a name and its `=`; `None` for a line without a name.
    fn name(&mut self) -> Result<Option<(String, Place)>, EnvSyntaxError> {
        self.skip_blanks();
        if self.at_line_end() || self.rest.peek() == Some(&'#') {
            self.skip_line();
            return Ok(None);
        }
        let mut at = self.here();
        let mut name = self.word();
        let blank = self.skip_blanks();
        if name == "export" && blank && self.rest.peek() != Some(&'=') {
            at = self.here();
            name = self.word();
            self.skip_blanks();
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(EnvSyntaxError {
                place: at,
                first: None,
                message: "no variable can have this name",
                expected: LINE,
            });
        }
        if self.rest.peek() != Some(&'=') {
            return self.broken("a name without a value", LINE);
        }
        self.next();
        at.width = u32::try_from(name.len()).unwrap_or(u32::MAX);
        Ok(Some((name, at)))
    }

    /// Reads a value, and the rest of its line.
    fn value(&mut self) -> Result<String, EnvSyntaxError> {
        let blank = self.skip_blanks();
        match self.rest.peek() {
            Some('"') => self.double_quoted(),
            Some('\'') => self.single_quoted(),
            _ => self.plain(blank),
        }
    }

    /// Reads up to the line's end, or to a `#` after a blank; blanks around the value are removed.
    fn plain(&mut self, mut blank: bool) -> Result<String, EnvSyntaxError> {
        let mut value = String::new();
        while !self.at_line_end() {
            match self.rest.peek() {
                Some('#') if blank => break,
                Some('\0') => return self.broken("a value holds the character NUL", "text"),
                _ => {}
            }
            if let Some(c) = self.next() {
                blank = matches!(c, ' ' | '\t');
                value.push(c);
            }
        }
        self.skip_line();
        value.truncate(value.trim_end_matches([' ', '\t']).len());
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<String, EnvSyntaxError> {
        self.quoted('\'', |_| Ok(None))
    }

    fn double_quoted(&mut self) -> Result<String, EnvSyntaxError> {
        self.quoted('"', |reading| {
            if reading.rest.peek() != Some(&'\\') {
                return Ok(None);
            }
            let at = reading.here();
            reading.next();
            let escaped = match reading.next() {
                Some(c @ ('"' | '\\' | '$' | '`' | '\'')) => c,
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                _ => {
                    let message = "an unknown escape sequence in double quotes";
                    let expected =
                        r#"one of \" \\ \$ \n \r \t, or the value in single quotes, where a backslash is itself"#;
                    return Err(EnvSyntaxError { place: at, first: None, message, expected });
                }
            };
            Ok(Some(escaped))
        })
    }

    /// Reads the text between quotes; `escape` reads escape sequences.
    fn quoted(
        &mut self,
        quote: char,
        escape: impl Fn(&mut Self) -> Result<Option<char>, EnvSyntaxError>,
    ) -> Result<String, EnvSyntaxError> {
        let open = self.here();
        self.next();
        let mut value = String::new();
        loop {
            if let Some(escaped) = escape(self)? {
                value.push(escaped);
                continue;
            }
            match self.rest.peek() {
                Some('\0') => return self.broken("a value holds the character NUL", "text"),
                Some(c) if *c == quote => {
                    self.next();
                    break;
                }
                Some(_) => value.extend(self.next()),
                None => {
                    let message = "a quote is not closed";
                    return Err(EnvSyntaxError {
                        place: open,
                        first: None,
                        message,
                        expected: "the same quote at its end",
                    });
                }
            }
        }
        self.skip_blanks();
        if !self.at_line_end() && self.rest.peek() != Some(&'#') {
            return self.broken("text follows a closing quote", QUOTED);
        }
        self.skip_line();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, u32)]) {
        let entries = parse(text).unwrap_or_else(|broken| panic!("{text:?}: {broken:?}"));
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.value.as_str(), e.line)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    fn check_broken(text: &str, line: u32, column: u32, message: &str) {
        let broken = parse(text).unwrap_err();
        let place = (broken.place.line, broken.place.column);
        assert_eq!((place, broken.message), ((line, column), message), "{text:?}");
        assert!(!format!("{broken:?}").contains("S3CRET"), "{broken:?}");
    }

    #[test]
    fn lines_are_names_and_values() {
        check("", &[]);
        check("\u{feff}A=1", &[("A", "1", 1)]);
        check("# c\n\n  \t\nA=1\n#B=2\n", &[("A", "1", 4)]);
        check("A=\nB= \nC=\"\"\nD=''", &[("A", "", 1), ("B", "", 2), ("C", "", 3), ("D", "", 4)]);
        check("export A=1\n\texport\tB_2 = two words \n", &[("A", "1", 1), ("B_2", "two words", 2)]);
        check("export=1\nexporter = 2", &[("export", "1", 1), ("exporter", "2", 2)]);
        check("a=b=c\n_=é$X${Y}`z`\"'\\", &[("a", "b=c", 1), ("_", "é$X${Y}`z`\"'\\", 2)]);
    }

    #[test]
    fn a_comment_stands_behind_a_blank() {
        check("A=1#2 # c\nB= # c\nC=#d", &[("A", "1#2", 1), ("B", "", 2), ("C", "#d", 3)]);
        check("A='1 # 2' # c\nB=\"#\"# c", &[("A", "1 # 2", 1), ("B", "#", 2)]);
    }

    #[test]
    fn quotes_keep_blanks_and_line_ends() {
        check("A=' x '\nB=\"\ty\t\"", &[("A", " x ", 1), ("B", "\ty\t", 2)]);
        check("A='1\n\n2'\nB=\"3\n#4\"\nC=5", &[("A", "1\n\n2", 1), ("B", "3\n#4", 4), ("C", "5", 6)]);
        check(r#"A='a\n"$B'"#, &[("A", r#"a\n"$B"#, 1)]);
        check(r#"A="a\n\t\r\\\"\$B$C\`'""#, &[("A", "a\n\t\r\\\"$B$C`'", 1)]);
    }

    #[test]
    fn lines_may_end_as_on_windows() {
        check("A=1 \r\n\r\n# c\r\nB='2\r\n3'\r\nC=\"4\"\r\n", &[("A", "1", 1), ("B", "2\n3", 4), ("C", "4", 6)]);
        check("A=1\r2", &[("A", "1\r2", 1)]);
    }

    #[test]
    fn a_broken_line_says_where_and_not_what() {
        check_broken("A=1\nS3CRET", 2, 7, "a name without a value");
        check_broken("A=1\nexport A", 2, 9, "a name without a value");
        check_broken("S3CRET-A=1", 1, 7, "a name without a value");
        check_broken("\n  1A=S3CRET", 2, 3, "no variable can have this name");
        check_broken("=S3CRET", 1, 1, "no variable can have this name");
        check_broken("A: S3CRET", 1, 2, "a name without a value");
        check_broken("A=1\nB='S3CRET\nC=2\n", 2, 3, "a quote is not closed");
        check_broken("A=\"S3CRET", 1, 3, "a quote is not closed");
        check_broken("A='S3'CRET", 1, 7, "text follows a closing quote");
        check_broken("A=\"x\\S3CRET\"", 1, 5, "an unknown escape sequence in double quotes");
        check_broken("A=\"x\\", 1, 5, "an unknown escape sequence in double quotes");
        check_broken("A=S3\0", 1, 5, "a value holds the character NUL");
        check_broken("A='S3\0'", 1, 6, "a value holds the character NUL");
        check_broken("A=1\nB=2\nexport A=3", 3, 8, "a name occurs twice");
        assert_eq!(parse("A=1\nA=2").unwrap_err().first, Some(Place { line: 1, column: 1, width: 1 }));
        assert!(!format!("{:?}", parse("A=S3CRET")).contains("S3CRET"));
    }
}
