//! The session of a call: calls of one session use the same target, whose prompt cache knows their beginning, and usage events
//! have its hash.

use std::hash::{DefaultHasher, Hash, Hasher};

use meter::{SessionHash, ToolUse};

use super::parsed_call::ParsedCall;
use crate::account::RequestAccount;

/// Headers in which agents send the id of a session: Codex, its older versions, and Claude Code (2026-11-22).
const HEADERS: [&[u8]; 3] = [b"session-id", b"session_id", b"x-claude-code-session-id"];

/// Returns the hash of the session that was [noted](note), with its model; `None` if the call names none.
pub(super) fn session(account: &RequestAccount, model: &str) -> Option<u64> {
    let SessionHash(noted) = account.inference.as_ref()?.origin.as_ref()?.session?;
    let mut hasher = DefaultHasher::new();
    (noted, model).hash(&mut hasher);
    Some(hasher.finish())
}

/// Notes the metadata of a call for its usage event.
pub(super) fn note(account: &mut RequestAccount, parsed: &ParsedCall) {
    let mut origin = account.known_origin();
    origin.tools = if parsed.fields.offers_tools { ToolUse::Offered } else { ToolUse::None };
    origin.session = named(account, parsed).map(|named| {
        let half = |nth: u8| {
            let mut hasher = DefaultHasher::new();
            (nth, &account.identity.subject, named).hash(&mut hasher);
            hasher.finish()
        };
        SessionHash((u128::from(half(0)) << 64 | u128::from(half(1))).to_be_bytes())
    });
    if let Some(inference) = &mut account.inference {
        inference.origin = Some(origin);
    }
}

/// Returns the id of the session: the value of a header, otherwise a value of the body as it is written.
fn named<'a>(account: &'a RequestAccount, parsed: &'a ParsedCall) -> Option<&'a [u8]> {
    let fields = account.request.head.fields();
    let header = HEADERS.iter().find_map(|name| fields.named(name).next()).filter(|value| !value.is_empty());
    header.or_else(|| parsed.content.get(parsed.fields.session.clone()?))
}
