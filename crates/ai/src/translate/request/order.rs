//! The order of calls and results: every provider requires that the results follow directly behind the message with their
//! calls.

use std::collections::{BTreeMap, VecDeque};

use super::super::call::{Message, Part, Parts, Role, ToolResult};
use super::json::{Outcome, refused};
use super::notes::Notes;

/// About the bytes that a result needs until it has its place, besides its own.
const WAITING_BYTES: usize = 256;

/// Places each result behind the message with its call. Ids may recur in a later message.
pub(super) fn place_results<'a>(messages: &mut Vec<Message<'a>>, notes: &mut Notes<'_>) -> Outcome<()> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let placed = parts.filter(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_))).count();
    if placed == 0 {
        messages.retain(|message| !message.parts.is_empty());
        return Ok(());
    }
    notes.hold(placed.saturating_mul(WAITING_BYTES) + messages.len().saturating_mul(size_of::<Message<'_>>()))?;
    let mut results: BTreeMap<String, VecDeque<(usize, Box<ToolResult<'a>>)>> = BTreeMap::new();
    for (at, message) in messages.iter_mut().enumerate() {
        for part in std::mem::take(&mut message.parts) {
            if let Part::ToolResult(result) = part {
                results.entry(result.call_id.clone()).or_default().push_back((at, result));
            } else {
                message.parts.push(part);
            }
        }
    }
    let mut placed = Vec::with_capacity(messages.len());
    for (at, message) in std::mem::take(messages).into_iter().enumerate() {
        if message.parts.is_empty() {
            continue;
        }
        let mut found = Parts::new();
        for part in &message.parts {
            let Part::ToolCall(call) = part else { continue };
            let queue = results.get_mut(&call.id).filter(|queue| queue.front().is_some_and(|(place, _)| *place > at));
            let Some((_, result)) = queue.and_then(VecDeque::pop_front) else {
                let advice =
                    format!("has the call {} without a result: add its result, or leave the call out", call.id);
                return Err(refused(&message.path.to_string(), &advice));
            };
            found.push(Part::ToolResult(result));
        }
        let path = message.path;
        placed.push(message);
        if !found.is_empty() {
            placed.push(Message { role: Role::User, parts: found, path });
        }
    }
    if let Some((_, result)) = results.values_mut().find_map(VecDeque::pop_front) {
        let advice = format!("is the result of the call {}, which is missing: add the call before it", result.call_id);
        return Err(refused(&result.path, &advice));
    }
    *messages = placed;
    Ok(())
}
