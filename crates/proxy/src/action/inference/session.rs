//! The session of a call: calls of one session use the same target, whose prompt cache knows their beginning.

use std::hash::{DefaultHasher, Hash, Hasher};

use ai::request::session_of;

use super::parsed_call::{ON_WORKER_BYTES_MAX, ParsedCall, off_worker};
use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Headers in which agents send the id of a session: Codex, its older versions, and Claude Code (2026-11-22).
const HEADERS: [&[u8]; 3] = [b"session-id", b"session_id", b"x-claude-code-session-id"];

/// Returns the hash of the session of a call, with its client and its model; `None` if it names none.
pub(super) async fn session(
    account: &RequestAccount,
    parsed: &ParsedCall,
    model: &str,
) -> Result<Option<u64>, Problem> {
    let mut hasher = DefaultHasher::new();
    account.identity.subject.hash(&mut hasher);
    model.hash(&mut hasher);
    let fields = account.request.head.fields();
    let header = HEADERS.iter().find_map(|name| fields.named(name).next()).filter(|value| !value.is_empty());
    if let Some(value) = header {
        value.hash(&mut hasher);
        return Ok(Some(hasher.finish()));
    }
    let content = parsed.content.clone();
    let named = if content.len() <= ON_WORKER_BYTES_MAX {
        session_of(&content)
    } else {
        off_worker(move || session_of(&content)).await?
    };
    Ok(named.map(|name| {
        name.hash(&mut hasher);
        hasher.finish()
    }))
}
