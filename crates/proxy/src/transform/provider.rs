//! The headers of an LLM call that reach its provider. The list is closed: a header that is not on it may name another
//! account, leave usage out, or change how the response is encoded.
//!
//! Read from what the official clients and agents send (2026-11-22: OpenAI and Anthropic SDKs, google-genai, Codex,
//! Claude Code). The gateway itself writes `host`, `accept-encoding`, the credential, and the length of the body.
//!
//! Not on the list, although official SDKs offer them, because they select an account or a part of one:
//! `openai-organization`, `openai-project`, `anthropic-workspace-id`, `anthropic-user-profile-id`, `x-goog-user-project`.
//! Google's other `x-goog-*` options select the fields or the encoding of a response (system parameters, 2026-11-20).

use ai::Dialect;

use crate::client::head::{Head, text};

/// The first octets of a name, which are compared. Every name on the list is shorter.
const COMPARED_BYTES: usize = 48;

/// The header with the features of Anthropic's API that a call needs.
pub(super) const BETAS: &[u8] = b"anthropic-beta";

/// Returns the features of Anthropic's API that the client requests, with commas.
pub(crate) fn client_betas(head: &Head) -> String {
    head.fields().named(BETAS).filter_map(text).collect::<Vec<_>>().join(",")
}

/// Whether a request of `dialect` takes the header `name`, in any case, to its provider.
///
/// Some servers read `openai_organization` as `openai-organization`, so a form with underscores is another header, and is
/// not on the list.
pub(super) fn is_allowed(dialect: Dialect, name: &[u8]) -> bool {
    let mut lowercase = [0; COMPARED_BYTES];
    let name = compared(name, &mut lowercase);
    is_allowed_everywhere(name)
        || match dialect {
            Dialect::OpenAi => is_allowed_for_openai(name),
            Dialect::Anthropic => is_allowed_for_anthropic(name),
            Dialect::Google => is_allowed_for_google(name),
        }
}

/// Returns the compared octets of a name in lowercase.
fn compared<'a>(name: &[u8], lowercase: &'a mut [u8; COMPARED_BYTES]) -> &'a str {
    for (lower, octet) in lowercase.iter_mut().zip(name) {
        *lower = octet.to_ascii_lowercase();
    }
    let compared = lowercase.get(..name.len().min(COMPARED_BYTES)).unwrap_or_default();
    // Names are ASCII.
    std::str::from_utf8(compared).unwrap_or_default()
}

/// Whether a translated call takes the header `name`, in any case, to its provider. Headers of the client's API and of its
/// SDKs describe another call.
pub(super) fn is_allowed_translated(name: &[u8]) -> bool {
    const SDK: &[u8] = b"x-stainless-";
    let is_of_sdk = name.get(..SDK.len()).is_some_and(|start| start.eq_ignore_ascii_case(SDK));
    let mut lowercase = [0; COMPARED_BYTES];
    !is_of_sdk && is_allowed_everywhere(compared(name, &mut lowercase))
}

/// Content negotiation, names of the client, ids of the request, and the trace.
fn is_allowed_everywhere(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept-language"
            | "content-type"
            | "idempotency-key"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "x-request-id"
    ) || name.starts_with("x-stainless-")
}

/// Besides the SDKs' own: Codex, whose older versions write `session_id` and `conversation_id`.
fn is_allowed_for_openai(name: &str) -> bool {
    matches!(
        name,
        "conversation_id"
            | "openai-beta"
            | "originator"
            | "session-id"
            | "session_id"
            | "thread-id"
            | "version"
            | "x-client-request-id"
            | "x-openai-internal-codex-responses-lite"
            | "x-openai-subagent"
    ) || name.starts_with("x-codex-")
}

/// Besides the SDKs' own: Claude Code.
fn is_allowed_for_anthropic(name: &str) -> bool {
    matches!(name, "anthropic-beta" | "anthropic-dangerous-direct-browser-access" | "anthropic-version" | "x-app")
        || name.starts_with("x-claude-code-")
}

fn is_allowed_for_google(name: &str) -> bool {
    matches!(name, "x-goog-api-client" | "x-server-timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google];

    /// Checks that exactly the calls of `dialects` take each of `names`.
    fn check(dialects: &[Dialect], names: &[&str]) {
        for dialect in ALL {
            for name in names {
                let is_expected = dialects.contains(&dialect);
                for name in [(*name).to_owned(), name.to_ascii_uppercase()] {
                    assert_eq!(is_allowed(dialect, name.as_bytes()), is_expected, "{dialect:?} {name}");
                }
            }
        }
    }

    #[test]
    fn headers_of_official_clients_are_allowed_in_their_own_format() {
        check(
            &ALL,
            &[
                "accept",
                "accept-language",
                "content-type",
                "idempotency-key",
                "traceparent",
                "tracestate",
                "user-agent",
                "x-request-id",
                "x-stainless-arch",
                "x-stainless-async",
                "x-stainless-helper-method",
                "x-stainless-lang",
                "x-stainless-os",
                "x-stainless-package-version",
                "x-stainless-read-timeout",
                "x-stainless-retry-count",
                "x-stainless-runtime",
                "x-stainless-runtime-version",
                "x-stainless-timeout",
            ],
        );
        check(
            &[Dialect::OpenAi],
            &[
                "conversation_id",
                "openai-beta",
                "originator",
                "session-id",
                "session_id",
                "thread-id",
                "x-client-request-id",
                "x-codex-beta-features",
                "x-codex-turn-metadata",
                "x-codex-window-id",
                "x-openai-internal-codex-responses-lite",
            ],
        );
        check(
            &[Dialect::Anthropic],
            &[
                "anthropic-beta",
                "anthropic-dangerous-direct-browser-access",
                "anthropic-version",
                "x-app",
                "x-claude-code-session-id",
            ],
        );
        check(&[Dialect::Google], &["x-goog-api-client", "x-server-timeout"]);
        let long = format!("x-stainless-{}", "x".repeat(200));
        check(&ALL, &[&long]);
        check(&[], &[&format!("accept{}", "x".repeat(200)), &"x".repeat(COMPARED_BYTES), ""]);
    }

    #[test]
    fn a_translated_call_takes_no_header_of_an_api_or_an_sdk() {
        for name in ["accept", "Content-Type", "idempotency-key", "traceparent", "User-Agent", "x-request-id"] {
            assert!(is_allowed_translated(name.as_bytes()), "{name}");
        }
        let names = ["anthropic-version", "anthropic-beta", "openai-beta", "originator", "session-id", "x-app"];
        for name in names.into_iter().chain(["X-Stainless-Lang", "x-claude-code-session-id", "authorization", ""]) {
            assert!(!is_allowed_translated(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn accounts_credentials_and_options_are_allowed_nowhere_in_no_spelling() {
        let names = [
            "openai-organization",
            "openai-project",
            "anthropic-organization-id",
            "anthropic-user-profile-id",
            "anthropic-workspace-id",
            "chatgpt-account-id",
            "x-goog-authenticated-user-email",
            "x-goog-encode-response-if-executable",
            "x-goog-fieldmask",
            "x-goog-iam-authority-selector",
            "x-goog-user-project",
            "x-http-method-override",
            "x-vertex-ai-llm-request-type",
            "authorization",
            "api-key",
            "cookie",
            "proxy-authorization",
            "x-api-key",
            "x-goog-api-key",
            "accept-encoding",
            "connection",
            "content-encoding",
            "content-length",
            "transfer-encoding",
            "forwarded",
            "x-forwarded-for",
            "x-real-ip",
            "x-new-and-unknown",
        ];
        let underscored = names.map(|name| name.replace('-', "_"));
        let half = names.map(|name| name.replacen('-', "_", 1));
        check(&[], &names);
        check(&[], &underscored.iter().chain(&half).map(String::as_str).collect::<Vec<_>>());
        // A server that reads underscores as hyphens would see a second `content-type`, which nobody here has read.
        check(&[], &["content_type", "anthropic_beta", "openai_beta", "x_goog_api_client", "x_stainless_lang"]);
    }
}
