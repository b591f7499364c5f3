//! Settings for new users: the public URLs of both listeners, signup, and access to the metrics.

use access::{Plan, Secret};

use crate::grammar;
use crate::load::Note;
use crate::section::Section;
use crate::snapshot::{Origin, PublicUrl, Scheme, Signup, SignupMode};

/// Longest token of `/metrics`, in bytes.
const TOKEN_LEN_MAX: usize = 4_096;
const PROXY: &str = "http://HOST[:PORT][/PATH] or https://…; of other signs only - . _ ~ / and %";
const CONTROL: &str = "http://HOST[:PORT] or https://…, without a path";
const TOKEN: &str = "1 to 4,096 visible ASCII characters without a space";
/// The plan of users who sign up, if the file names none.
const PLAN: &str = "starter";

pub(super) fn public_url(root: &Section<'_>) -> PublicUrl {
    let section = root.section("public_url", &grammar::PUBLIC_URL);
    let section = section.as_ref();
    let url = |key, expected, has_path| {
        let text = section.and_then(|urls| urls.text(key)).filter(|text| !text.value.is_empty())?;
        let found = url(&text.value).filter(|(origin, _)| has_path || origin.path.is_empty());
        if let (None, Some(urls)) = (&found, section) {
            urls.bad(text.at, key, expected);
        }
        found.map(|(_, url)| url)
    };
    PublicUrl { proxy: url("proxy", PROXY, true), control: url("control", CONTROL, false) }
}

/// Parses a URL as people write it and removes a final slash. It is written into shell scripts and files of clients, so
/// it must not contain characters with a meaning there, or characters that need quotes.
fn url(text: &str) -> Option<(Origin, String)> {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'-' | b'_' | b'~' | b'%' | b'[' | b']')
    };
    if !text.bytes().all(is_plain) {
        return None;
    }
    let origin = Origin::parse(text).ok()?;
    if origin.scheme == Scheme::H2c {
        return None;
    }
    let url = origin.to_string();
    Some((origin, url))
}

pub(super) fn signup(root: &Section<'_>, plans: &[Plan], notes: &mut Vec<Note>) -> Signup {
    let modes = [("closed", SignupMode::Closed), ("invite", SignupMode::Invite), ("open", SignupMode::Open)];
    let mode = root.word("signup", &modes).unwrap_or(SignupMode::Closed);
    let expected = "the name of a plan";
    let plan = root.parsed("signup_plan", expected, |name| Plan::is_name(name).then(|| name.to_owned()));
    let plan = plan.unwrap_or_else(|| PLAN.to_owned());
    if mode != SignupMode::Closed && plans.iter().all(|configured| configured.name != plan) {
        notes.push(Note::SignupPlanElsewhere { plan: plan.clone() });
    }
    Signup { mode, plan }
}

pub(super) fn metrics_token(root: &Section<'_>) -> Option<Secret> {
    let metrics = root.section("metrics", &grammar::METRICS)?;
    let token = metrics.text("token").filter(|token| !token.value.is_empty())?;
    if token.value.len() > TOKEN_LEN_MAX || !token.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        metrics.bad(token.at, "token", TOKEN);
    }
    Some(Secret::new(token.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_can_stand_in_a_script() {
        let read = |text: &str| url(text).map(|(_, url)| url);
        for (text, expected) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://API.Example.com:443/", "https://api.example.com"),
            ("https://example.com/llm/v%201/~a_b", "https://example.com/llm/v%201/~a_b"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "localhost:8080",
            "h2c://localhost",
            "ftp://localhost",
            "https://user:password@example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "https://example.com/'",
            "https://example.com/\"",
            "https://example.com/$HOME",
            "https://example.com/`id`",
            "https://example.com/\\",
            "https://example.com/;id",
            "https://example.com/&id",
            "https://example.com/|id",
            "https://example.com/a b",
            "https://example.com/\n",
            "https://example.com/é",
            "https://example.com/(a)",
            "https://example.com/{a}",
            "https://example.com/a,b",
            "https://example.com/!a",
            "https://example.com/*",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
