//! Finds secrets in the text of a line: the values of secret keys, and comments that contain a secret. A configuration that
//! is posted is stored with its comments.

use crate::suggestion::near::near;

/// Keys and headers whose values are not shown; a test of the configuration fails if it has others.
const SECRET_KEYS: [&str; 14] = [
    "access_key_id",
    "api_key",
    "apikey",
    "authorization",
    "client_key",
    "credential",
    "password",
    "secret",
    "secret_access_key",
    "secret_key",
    "server_key",
    "session_token",
    "token",
    "value",
];
/// Words of headers whose values are secrets, besides those that keys of settings have too.
const HEADER_WORDS: [&str; 5] = ["cookie", "session", "sessionid", "sig", "signature"];
/// The shortest value after the name of a secret, such as `token: `, that is not a word of a sentence.
const VALUE_LEN_MIN: usize = 8;
/// The shortest key of a provider.
const PROVIDER_KEY_LEN_MIN: usize = 16;
/// The beginnings of keys of providers.
const PROVIDER_KEYS: [&str; 5] = ["sk-", "sk_", "AIza", "gsk_", "xai-"];

/// Returns the byte at which a comment of the line begins, if it contains a text in the form of a secret: a key of
/// Tollgate or of a provider, a signed token, a private key, a URL with a password, or the value of a key such as
/// `secret`. A `#` within a quoted text counts as a comment.
pub fn secret_comment(line: &str) -> Option<usize> {
    let begins = |at: &usize| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']));
    let at = line.match_indices('#').map(|(at, _)| at).find(begins)?;
    let comment = line.get(at + 1..)?;
    (has_secret_word(comment) || has_secret_value(comment)).then_some(at)
}

/// Returns the byte offsets of each secret's key and of its value, on one line.
pub fn secret_values(line: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (colon, _) in line.match_indices(':') {
        let before = line.get(..colon).unwrap_or("").trim_end().trim_end_matches(['"', '\'']);
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let name_len = before.bytes().rev().take_while(is_of_name).count();
        let key = before.len() - name_len;
        // `${TOKEN:-}` is a variable of that name.
        let is_variable = before.get(..key).is_some_and(|before| before.ends_with("${"));
        if is_variable {
            continue;
        }
        let is_secret = |name: &str| {
            let is_key = SECRET_KEYS.iter().any(|secret| secret.eq_ignore_ascii_case(name));
            // The key `cookie` has the name of a cookie.
            is_key || name == "Cookie" || (name.contains('-') && is_secret_header(name))
        };
        if before.get(key..).is_some_and(is_secret) {
            found.push((key, colon + 1));
        }
    }
    found
}

/// Whether the value of a header with this name may be a secret.
pub fn is_secret_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_author = |text: &str| text.starts_with("author") && !text.starts_with("authori");
    let mut parts = lower.match_indices("auth").filter_map(|(at, _)| lower.get(at..));
    let is_word = |part: &str| HEADER_WORDS.contains(&part);
    parts.any(|part| !is_author(part)) || lower.split('-').any(is_word) || names_secret(name)
}

/// Whether a key that does not exist may have been meant for a secret: a part of its name is, or resembles, a word for one.
pub fn names_secret(name: &str) -> bool {
    const WORDS: [&str; 12] = [
        "credential",
        "credentials",
        "token",
        "password",
        "passwd",
        "secret",
        "secrets",
        "key",
        "keys",
        "apikey",
        "passphrase",
        "pem",
    ];
    const SHORT: [&str; 4] = ["pass", "pw", "pwd", "auth"];
    let is_word = |part: &str| {
        let is_near = near(part, WORDS).is_some_and(|word| part.len() > 3 || word.eq_ignore_ascii_case(part));
        is_near || SHORT.iter().any(|word| word.eq_ignore_ascii_case(part))
    };
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_word)
}

fn has_secret_word(comment: &str) -> bool {
    let is_private_key = comment.contains("-----BEGIN ") && comment.contains("PRIVATE KEY");
    let parts =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '=' | '(' | ')' | '[' | ']' | '<' | '>');
    is_private_key || comment.split(parts).any(|word| is_secret(word) || word.split(':').any(is_secret))
}

fn is_secret(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ';', '}']);
    let is_provider_key = || {
        let is_key = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        word.len() >= PROVIDER_KEY_LEN_MIN && PROVIDER_KEYS.iter().any(|start| word.starts_with(start)) && is_key(word)
    };
    let is_token = || word.starts_with("eyJ") && access::credentials::jwt::has_form(word.as_bytes());
    let has_password = || {
        let authority = word.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':')).map_or("", |(_, password)| password);
        !(password.is_empty() || password.contains('$'))
    };
    access::is_key(word.as_bytes()) || is_provider_key() || is_token() || has_password()
}

/// Whether the comment ends with the value of a secret's key, such as `# token: 1f2e…`: a single long word with a digit
/// that refers to nothing.
fn has_secret_value(comment: &str) -> bool {
    secret_values(comment).last().is_some_and(|&(_, value)| {
        let rest = comment.get(value..).unwrap_or_default().trim();
        let value = rest.trim_end_matches(['}', ']', ',']).trim_matches(['"', '\'']);
        let value = ["Bearer ", "Basic "].iter().find_map(|scheme| value.strip_prefix(scheme)).unwrap_or(value);
        let is_reference = ["${", "file:", "vault"].iter().any(|start| value.starts_with(start));
        let is_word = value.len() >= VALUE_LEN_MIN && !value.contains(char::is_whitespace);
        is_word && !is_reference && value.bytes().any(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_with_secrets_are_found() {
        for (line, at) in [
            ("# sk-proj-abcdefghijklmnop", 0),
            ("a: b # the old key is tollgate_0123456789abcdef0123456789abcdef.", 5),
            ("  #key=AIzaSyA1234567890abcdef", 2),
            ("# -----BEGIN PRIVATE KEY-----", 0),
            ("# -----BEGIN EC PRIVATE KEY-----", 0),
            ("# Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 0),
            ("# store: {url: postgres://u:pa55@db/t}", 0),
            ("# secret: 0123456789abcdef", 0),
            ("#  - {name: x, token: \"abcdefgh1\"}", 0),
            ("# server_key: SB-Mid-server-abc1234567", 0),
            ("# aws: {secret_access_key: abcdefgh1}", 0),
            ("# Authorization: \"Bearer abcdefgh1\"", 0),
            ("# X-Api-Key: abcdefgh1", 0),
            ("# Cookie: abcdefgh1", 0),
            ("# X-Session: abcdefgh1", 0),
        ] {
            assert_eq!(secret_comment(line), Some(at), "{line}");
        }
    }

    #[test]
    fn other_comments_are_no_secrets() {
        for line in [
            "a: sk-proj-abcdefghijklmnop",
            "a#sk-proj-abcdefghijklmnop",
            "# the token: see the vault",
            "# secret: ${SECRET}",
            "# secret: file:/run/secrets/jwt1",
            "# credential: vault:openai-2",
            "# Authorization: Bearer ${TOKEN1}",
            "# X-Author: abcdefgh1",
            "# cookie: abcdefgh1",
            "# store: {url: postgres://u:${PASSWORD}@db/t}",
            "# https://example.com/users/7",
            "# -----BEGIN PUBLIC KEY-----",
            "# ask-someone-who-knows-this",
            "# sk-short",
            "# 1.2.3",
            "#",
        ] {
            assert_eq!(secret_comment(line), None, "{line}");
        }
    }
}
