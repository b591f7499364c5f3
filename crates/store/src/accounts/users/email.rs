//! E-mail addresses of users. Only the syntax is checked, not whether mail arrives.

use std::fmt;

use access::text;
use thiserror::Error;

/// Maximum length of an address that mail can reach (RFC 5321, 4.5.3.1.3).
const EMAIL_LEN_MAX: usize = 254;

/// Maximum length of the part before the `@` (RFC 5321, 4.5.3.1.1).
const LOCAL_LEN_MAX: usize = 64;
/// Maximum length of a label of a domain (RFC 1035, 2.3.4).
const LABEL_LEN_MAX: usize = 63;
/// Characters that only occur in quoted names and in domain literals (RFC 5322, 3.2.3), which Tollgate does not accept.
const SPECIALS: [char; 12] = ['(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '"'];

/// An e-mail address in lowercase, without surrounding spaces. `Debug` omits it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "an e-mail address is a name of at most {LOCAL_LEN_MAX} bytes, one @ and a domain, without spaces and invisible \
     characters, at most {EMAIL_LEN_MAX} bytes"
)]
pub struct NotAnEmail;

impl Email {
    /// Parses an address. Only the syntax is checked, not whether mail arrives.
    ///
    /// # Errors
    /// [`NotAnEmail`] if the syntax is invalid.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        let whole = text.split_once('@').is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
        if whole && text.len() <= EMAIL_LEN_MAX { Ok(Self(text.to_lowercase())) } else { Err(NotAnEmail) }
    }

    /// Parses an address to search for. Accounts of earlier versions may have an address that [`parse`](Self::parse)
    /// refuses.
    ///
    /// # Errors
    /// [`NotAnEmail`] if no version accepted the text as an address.
    pub fn sought(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        let whole = text.len() <= EMAIL_LEN_MAX && text.contains('@') && !text.contains(char::is_control);
        if whole { Ok(Self(text.to_lowercase())) } else { Err(NotAnEmail) }
    }

    /// Returns the address, for responses to its owner and for commands.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Wraps an address that was read from the store. The column of a service user contains its id, which has no `@`.
    pub(crate) fn stored(text: String) -> Option<Self> {
        text.contains('@').then_some(Self(text))
    }
}

/// Whether the text consists of atoms separated by single dots.
fn is_local_part(text: &str) -> bool {
    let is_fit = |c: char| !c.is_whitespace() && !SPECIALS.contains(&c);
    (1..=LOCAL_LEN_MAX).contains(&text.len())
        && text.split('.').all(|atom| !atom.is_empty())
        && text.chars().all(is_fit)
        && is_visible(text)
}

/// Whether the text consists of labels of letters, digits and inner hyphens, separated by single dots. A host in a
/// private network may have one label.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.split('.').all(is_label) && is_visible(text)
}

/// Whether all characters are visible. Joiners are refused too: two addresses that look the same must be equal.
fn is_visible(text: &str) -> bool {
    text::is_plain(text) && !text.contains(['\u{200c}', '\u{200d}'])
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_at_a_name_and_a_domain_of_labels() {
        let long = |local: usize, label: usize| format!("{}@{}.example", "a".repeat(local), "b".repeat(label));
        for text in [
            "a@b",
            "Ada@Example.COM ",
            "ada.lovelace+tag@mail.example.co.uk",
            "o'brien_{}!#$%&*/=?^`|~-@x-y.example",
            "ada@xn--bcher-kva.example",
            "ädä@bücher.example",
            &long(64, 63),
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text.trim().to_lowercase(), "{text}");
        }
        let too_long = format!("{}@{}", "a".repeat(64), vec!["b".repeat(63); 3].join("."));
        assert_eq!(too_long.len(), 256);
        for text in [
            "",
            "@",
            "ada",
            "a@@b",
            "a@b@c",
            "@b",
            "a@",
            "a b@c",
            "a@b c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@b_c",
            "a@[127.0.0.1]",
            "\"a\"@b",
            "Ada <a@b>",
            "a,b@c",
            "a\0@b",
            "a\u{200b}@b",
            "a\u{202e}@b",
            "a@b\u{200d}c",
            "ع\u{200d}ع@b",
            &long(65, 63),
            &long(64, 64),
            &too_long,
        ] {
            assert_eq!(Email::parse(text), Err(NotAnEmail), "{text:?}");
        }
    }

    #[test]
    fn an_account_of_an_earlier_version_is_still_found() {
        assert_eq!(Email::sought(" A@@B").unwrap().as_str(), "a@@b");
        assert!(Email::sought("ada").is_err() && Email::sought("a\0@b").is_err());
    }
}
