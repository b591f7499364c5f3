//! The forms in which backends may read a path: they decode reserved escapes, perhaps twice, ignore case, cut what follows `;`
//! and blanks at the ends of segments, merge slashes, and resolve the dot segments that appear.

/// What the capital letter `i` with a dot has in lower case, behind its `i`.
const DOT_ABOVE: char = '\u{307}';

/// The steps that backends may take with a path. Those that `paths` keeps are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathSteps {
    /// Runs of slashes become one.
    pub merge_slashes: bool,
    /// `%2F`, `%5C` and backslashes become slashes.
    pub slashes: bool,
    /// A semicolon ends a segment, or the path.
    pub semicolons: bool,
    /// Other escapes are decoded.
    pub escapes: bool,
    /// Escapes are decoded twice.
    pub double_escapes: bool,
    /// Letters have no case.
    pub letter_case: bool,
    /// Blanks, control characters and full stops at the ends of segments are ignored.
    pub blanks: bool,
}

/// A path as some backends may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathForm {
    octets: Vec<u8>,
    /// Whether dot segments were resolved, which the gateway refuses in paths.
    pub(crate) is_resolved: bool,
}

impl PathSteps {
    /// Backends may take all of the steps.
    pub const ALL: Self = Self {
        merge_slashes: true,
        slashes: true,
        semicolons: true,
        escapes: true,
        double_escapes: true,
        letter_case: true,
        blanks: true,
    };

    /// Whether a path has a character that a step may change. Most paths have none.
    #[must_use]
    pub fn may_change(&self, path: &str) -> bool {
        let mut before = 0;
        let changes = path.bytes().any(|octet| {
            let after = std::mem::replace(&mut before, octet);
            match octet {
                b'/' => matches!(after, b'/' | b'.'),
                b'A'..=b'Z' => self.letter_case,
                b'%' | b';' | b'\\' => true,
                _ => !octet.is_ascii_graphic(),
            }
        });
        changes || before == b'.'
    }

    /// Returns the forms of a path without repetitions. The first one is only decoded.
    #[must_use]
    pub fn forms(&self, path: &str) -> Vec<PathForm> {
        let mut forms = vec![PathForm { octets: self.decoded(path), is_resolved: false }];
        if self.semicolons {
            extend(&mut forms, |octets| each_segment(octets, |segment| before_any(segment, b";")));
        }
        // A backend that decodes and then parses again ends the path at these. Texts of C end at the octet 0.
        let ends: &[u8] = if self.semicolons { b";?#\0" } else { b"?#\0" };
        extend(&mut forms, |octets| before_any(octets, ends).to_vec());
        if self.blanks {
            extend(&mut forms, |octets| each_segment(octets, without_blanks));
        }
        if self.merge_slashes {
            extend(&mut forms, merged);
        }
        let resolved = forms.iter().filter_map(|form| resolved(&form.octets)).collect::<Vec<_>>();
        for octets in resolved {
            let form = PathForm { octets, is_resolved: true };
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }

    /// Returns the text in which forms and the paths of routes are compared: octets that are not printed have escapes.
    #[must_use]
    pub fn text(&self, form: &PathForm) -> String {
        self.compared(&form.octets)
    }

    /// Returns the literal path of a route in the text in which forms are compared.
    #[must_use]
    pub fn literal(&self, path: &str) -> String {
        self.compared(&self.decoded(path))
    }

    fn compared(&self, octets: &[u8]) -> String {
        let folded = match std::str::from_utf8(octets) {
            _ if !self.letter_case => octets.to_vec(),
            Ok(text) => without_case(text).into_bytes(),
            Err(_) => octets.to_ascii_lowercase(),
        };
        let mut text = String::with_capacity(folded.len());
        for octet in folded {
            if octet.is_ascii_graphic() {
                text.push(char::from(octet));
            } else {
                text.push_str(&format!("%{octet:02x}"));
            }
        }
        text
    }

    /// Returns the octets of a path, with slashes in place of backslashes.
    fn decoded(&self, path: &str) -> Vec<u8> {
        let once = self.decoded_once(path.as_bytes());
        if self.double_escapes { self.decoded_once(&once) } else { once }
    }

    fn decoded_once(&self, mut rest: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(rest.len());
        while let Some((first, after)) = rest.split_first() {
            let decoded = escaped(rest).filter(|octet| self.decodes(*octet));
            octets.push(match decoded.unwrap_or(*first) {
                b'\\' if self.slashes => b'/',
                octet => octet,
            });
            rest = if decoded.is_some() { rest.get(3..).unwrap_or_default() } else { after };
        }
        octets
    }

    const fn decodes(&self, octet: u8) -> bool {
        match octet {
            b'/' | b'\\' => self.slashes,
            b'%' => self.escapes || self.double_escapes,
            b'-' | b'.' | b'_' | b'~' => true,
            _ => self.escapes || octet.is_ascii_alphanumeric(),
        }
    }
}

/// Returns a text in one case. Some backends fold letters by their capitals, so the letters without a dot are an `i`, and the
/// long one an `s`.
fn without_case(text: &str) -> String {
    let folded = text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|letter| *letter != DOT_ABOVE).collect()
}

/// Adds what a step makes of each form.
fn extend(forms: &mut Vec<PathForm>, step: impl Fn(&[u8]) -> Vec<u8>) {
    for at in 0..forms.len() {
        let Some(octets) = forms.get(at).map(|form| step(&form.octets)) else { return };
        let form = PathForm { octets, is_resolved: false };
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
}

fn each_segment(octets: &[u8], change: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    octets.split(|octet| *octet == b'/').map(change).collect::<Vec<_>>().join(&b'/')
}

fn before_any<'a>(octets: &'a [u8], ends: &[u8]) -> &'a [u8] {
    octets.split(|octet| ends.contains(octet)).next().unwrap_or_default()
}

/// Returns a segment without blanks at both ends, and without full stops at its end. Dot segments are kept.
fn without_blanks(segment: &[u8]) -> &[u8] {
    // JavaScript also trims the mark of the byte order.
    let is_blank = |char: char| char.is_whitespace() || char.is_control() || char == '\u{feff}';
    if let Ok(text) = std::str::from_utf8(segment) {
        let text = text.trim_matches(is_blank);
        let short = text.trim_end_matches(|char| char == '.' || is_blank(char));
        return if short.is_empty() { text.as_bytes() } else { short.as_bytes() };
    }
    // Other octets are those of Latin-1.
    let first = segment.iter().position(|octet| !is_blank(char::from(*octet)));
    let last = segment.iter().rposition(|octet| *octet != b'.' && !is_blank(char::from(*octet)));
    first.zip(last).and_then(|(first, last)| segment.get(first..=last)).unwrap_or(segment)
}

fn merged(octets: &[u8]) -> Vec<u8> {
    let mut merged = octets.to_vec();
    merged.dedup_by(|next, before| *next == b'/' && *before == b'/');
    merged
}

/// Returns a path without its dot segments (RFC 3986, 5.2.4); `None` if it has none.
fn resolved(octets: &[u8]) -> Option<Vec<u8>> {
    let segments = || octets.split(|octet| *octet == b'/').skip(1);
    let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    if !segments().any(is_dots) {
        return None;
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments() {
        match segment {
            b".." => _ = kept.pop(),
            b"." => {}
            _ => kept.push(segment),
        }
    }
    if segments().last().is_some_and(is_dots) {
        kept.push(b"");
    }
    let path: Vec<u8> = kept.iter().flat_map(|segment| [b"/", *segment].concat()).collect();
    Some(if path.is_empty() { b"/".to_vec() } else { path })
}

/// Returns the octet of the escape with which a text begins; `None` if it begins with none.
pub(super) fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(steps: PathSteps, path: &str) -> Vec<String> {
        steps.forms(path).iter().map(|form| steps.text(form)).collect()
    }

    #[test]
    fn each_step_adds_its_forms() {
        for (path, expected) in [
            ("/a/b", &["/a/b"][..]),
            ("/ADMIN", &["/admin"]),
            ("/caf%C3%89", &["/caf%c3%a9"]),
            ("/adm%C4%B1n", &["/admin"]),
            ("/ADM%C4%B0N", &["/admin"]),
            ("/%C5%BFecret/%E2%84%AA", &["/secret/k"]),
            ("/%C9", &["/%c9"]),
            ("/users/%40me", &["/users/@me"]),
            ("/a%2Fb%5cc\\d", &["/a/b/c/d"]),
            ("/%2561dmin", &["/admin"]),
            ("/%252561", &["/%61"]),
            ("//a", &["//a", "/a"]),
            ("/a;x/b", &["/a;x/b", "/a/b", "/a"]),
            ("/a%3Fb", &["/a?b", "/a"]),
            ("/a%00.png", &["/a%00.png", "/a"]),
            ("/a%20", &["/a%20", "/a"]),
            ("/%09a.%C2%A0/b", &["/%09a.%c2%a0/b", "/a/b"]),
            ("/a%A0", &["/a%a0", "/a"]),
            ("/a%EF%BB%BF", &["/a%ef%bb%bf", "/a"]),
            ("/x/..;/a", &["/x/..;/a", "/x/../a", "/x/..", "/a", "/"]),
            ("/x/%252e%252e/a", &["/x/../a", "/a"]),
            ("/..%20", &["/..%20", "/..", "/"]),
            ("/%", &["/%"]),
        ] {
            assert_eq!(texts(PathSteps::ALL, path), expected, "{path}");
        }
    }

    #[test]
    fn steps_that_are_off_add_nothing() {
        let off = PathSteps {
            merge_slashes: false,
            slashes: false,
            semicolons: false,
            escapes: false,
            double_escapes: false,
            letter_case: false,
            blanks: false,
        };
        let path = "//A;x/%2f%40%2561%20";
        assert_eq!(texts(off, path), [path]);
        let double = PathSteps { double_escapes: true, slashes: true, ..off };
        assert_eq!(texts(double, "/a%252fb%2540"), ["/a/b%40"]);
    }

    #[test]
    fn paths_without_special_characters_are_not_read_again() {
        for path in ["/", "/api/users/7", "/a.b/c-d_e~f", "/.well-known/x", "*", "/@me", "/a:b"] {
            assert!(!PathSteps::ALL.may_change(path), "{path}");
        }
        for path in ["//a", "/a//", "/A", "/%61", "/a;b", "/a\\b", "/a.", "/a./b", "/é"] {
            assert!(PathSteps::ALL.may_change(path), "{path}");
        }
        assert!(!PathSteps { letter_case: false, ..PathSteps::ALL }.may_change("/A"));
    }

    /// A client can make a path with many steps; their number does not grow with its length.
    #[test]
    fn a_path_has_a_bounded_number_of_forms() {
        let path = "/A%2525;x%20//..;/%3f%00.%20/%2e".repeat(100);
        assert!(PathSteps::ALL.forms(&path).len() <= 64);
    }
}
