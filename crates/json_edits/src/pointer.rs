//! JSON Pointers (RFC 6901).

use std::fmt;

/// Longest pointer, in bytes.
const LEN_MAX: usize = 1_024;
/// Maximum number of steps of a pointer.
const STEPS_MAX: usize = 32;

/// A pointer to a value within a JSON text, which is not the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    steps: Box<[Box<str>]>,
}

impl Pointer {
    /// Parses a pointer: `/a/b`, in which `~1` is a slash and `~0` a tilde.
    ///
    /// # Errors
    /// Returns a description of valid pointers.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let expected =
            "a JSON Pointer of at most 1,024 bytes and 32 names: /a/b, with ~1 for a slash and ~0 for a tilde";
        if text.len() > LEN_MAX {
            return Err(expected);
        }
        let rest = text.strip_prefix('/').ok_or(expected)?;
        let steps: Vec<Box<str>> = rest.split('/').map(step).collect::<Option<_>>().ok_or(expected)?;
        if steps.len() > STEPS_MAX {
            return Err(expected);
        }
        Ok(Self { text: text.into(), steps: steps.into() })
    }

    /// Returns the names of members and the positions of elements, from the outside.
    pub(crate) fn steps(&self) -> &[Box<str>] {
        &self.steps
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns a step without its escapes; `None` if one is invalid.
fn step(text: &str) -> Option<Box<str>> {
    let mut pieces = text.split('~');
    let mut step = pieces.next()?.to_owned();
    for piece in pieces {
        match piece.split_at_checked(1)? {
            ("0", rest) => step.extend(["~", rest]),
            ("1", rest) => step.extend(["/", rest]),
            _ => return None,
        }
    }
    Some(step.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_have_steps() {
        for (text, expected) in [
            ("/a/b", &["a", "b"][..]),
            ("/", &[""]),
            ("/a//", &["a", "", ""]),
            ("/~1~0~01/m~1n", &["/~~1", "m/n"]),
            ("/0/-", &["0", "-"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.steps().iter().map(|step| &**step).collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
        let long = format!("/{}", "a".repeat(LEN_MAX));
        for text in ["", "a", "a/b", "/~", "/~2", "/a~", "/\u{e9}~\u{e9}", &long, &"/a".repeat(STEPS_MAX + 1)] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
    }
}
