//! The words of errors that are about an account at a provider.

/// Whether the text of an error is about an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccountWords {
    /// It names no account.
    #[default]
    None,
    /// It names a limit of the account for an amount or a time.
    Limit,
    /// It names the account, its credential, or an object in it.
    Account,
}

/// Parts of texts about limits of an account, in lower case (read 2026-11-29).
const LIMITS: [&str; 18] = [
    "rate limit",
    "rate_limit",
    "per minute",
    "per min ",
    "per min)",
    "per day",
    "per-minute",
    "(tpm)",
    "(rpm)",
    "(tpd)",
    "(rpd)",
    "quota",
    "max organization",
    "request reached",
    "pricing tier",
    "usage tier",
    "requests per",
    "tokens per",
];
/// Parts of texts about an account, its money, its credential and its objects, in lower case (read 2026-11-29).
const ACCOUNTS: [&str; 46] = [
    "in organization",
    "your organization",
    "this organization",
    "the organization",
    "organization id",
    "organization must",
    "your project",
    "this project",
    "project `",
    "project '",
    "project_number",
    "projects/",
    "your account",
    "this account",
    "account id",
    "account is",
    "account has",
    "account does",
    "aws account",
    "arn:aws",
    "is not authorized to perform",
    "your plan",
    "your credit",
    "credit balance",
    "available credits",
    "more credits",
    "can only afford",
    "insufficient balance",
    "spending limit",
    "spend limit",
    "billing details",
    "billing account",
    "your billing",
    "your subscription",
    "your workspace",
    "this workspace",
    "your team",
    "your api key",
    "your key",
    "api key provided",
    "api key not valid",
    "key limit",
    "deployment for this resource",
    "your resource",
    "permission '",
    "permission denied on resource",
];
/// Begins of ids of accounts and keys, which letters and digits follow.
const IDS: [&str; 9] = ["org-", "org_", "proj_", "proj-", "sk-", "ak-", "acct_", "wrkspc_", "team-"];
/// Fewest letters and digits of such an id.
const ID_LENGTH_MIN: usize = 6;

impl AccountWords {
    /// Reads the text of an error in any form.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        if LIMITS.iter().any(|part| text.contains(part)) {
            Self::Limit
        } else if ACCOUNTS.iter().any(|part| text.contains(part)) || IDS.iter().any(|begin| has_id(&text, begin)) {
            Self::Account
        } else {
            Self::None
        }
    }
}

/// Whether a text has an id that begins so.
fn has_id(text: &str, begin: &str) -> bool {
    text.match_indices(begin).any(|(at, _)| {
        let is_word = |letter: &u8| letter.is_ascii_alphanumeric();
        let before = text.as_bytes().get(..at).and_then(<[u8]>::last);
        let after = text.as_bytes().get(at + begin.len()..).unwrap_or_default();
        !before.is_some_and(is_word) && after.iter().take_while(|letter| is_word(letter)).count() >= ID_LENGTH_MIN
    })
}
