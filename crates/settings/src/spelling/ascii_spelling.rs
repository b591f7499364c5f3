//! The ASCII spelling of hosts, paths and URLs: requests and certificates have no other characters.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The octets that a path has in encoded form only.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ');

/// A text in ASCII, and the rule by which it was written.
#[derive(Debug, PartialEq, Eq)]
pub struct AsciiSpelling {
    /// The host, path or URL in ASCII.
    pub text: String,
    /// A description of the rule.
    pub rule: &'static str,
}

/// Returns the ASCII spelling of a host, a path or a URL with other characters; `None` if it has none.
pub fn ascii_spelling(text: &str) -> Option<AsciiSpelling> {
    if text.is_ascii() {
        return None;
    }
    if text.starts_with('/') {
        return Some(AsciiSpelling { text: encoded(text), rule: "other characters are percent-encoded" });
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(AsciiSpelling { text: authority(text)?, rule: "other characters are written in Punycode" });
    };
    let (before, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let rule = "other characters are written in Punycode in the host, and percent-encoded in the path";
    Some(AsciiSpelling { text: format!("{scheme}://{}{}", authority(before)?, encoded(path)), rule })
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ENCODED).to_string()
}

/// Returns a host in Punycode, which may be `*.` and a domain, and may have a port.
fn authority(text: &str) -> Option<String> {
    let (wildcard, host) = if text.starts_with("*.") { text.split_at(2) } else { ("", text) };
    let (host, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
    let host = idna::domain_to_ascii(host).ok()?;
    Some(format!("{wildcard}{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_in_punycode_and_paths_are_encoded() {
        for (text, spelling) in [
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("*.Bücher.example", Some("*.xn--bcher-kva.example")),
            ("bücher.example:8080", Some("xn--bcher-kva.example:8080")),
            ("例え.jp", Some("xn--r8jz45g.jp")),
            ("/café/{id}", Some("/caf%C3%A9/{id}")),
            ("/a é%20", Some("/a%20%C3%A9%20")),
            ("https://bücher.example:1/é", Some("https://xn--bcher-kva.example:1/%C3%A9")),
            ("api.example", None),
        ] {
            assert_eq!(ascii_spelling(text).map(|spelling| spelling.text).as_deref(), spelling, "{text}");
        }
    }
}
