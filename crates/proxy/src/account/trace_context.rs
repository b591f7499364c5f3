//! The trace to which a request belongs (W3C Trace Context).

use std::cell::Cell;

use access::{RequestId, only};
use config::snapshot::Traces;
use http1::{HeadEdits, InvalidPart, KnownName};

use crate::client::head::{Head, text};

/// The maximum number of members of a `tracestate` (W3C Trace Context, 3.3.1.1).
const STATE_MEMBERS_MAX: usize = 32;
/// The flag of sampled traces.
const SAMPLED: u8 = 1;
/// The flag of traces whose ids end with seven random bytes (Level 2).
const RANDOM: u8 = 2;
/// The length of a `traceparent` of version 00.
const TEXT_LEN: usize = 55;
/// The positions of the ids of the trace and of the span in it.
const TRACE_PLACE: usize = 3;
const SPAN_PLACE: usize = 36;

/// The part of a client's `tracestate` that is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TraceState {
    /// No part, because the client has not begun the trace, or the state is invalid.
    Absent,
    /// The fields as they were received.
    Received,
    /// The members with valid keys.
    Members(Box<[u8]>),
}

/// The trace of a request, as upstreams learn it. The client's part of it is parsed once.
#[derive(Debug)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: [u8; 16],
    /// The id of the span of the request: the random half of the request's id.
    pub(crate) span_id: [u8; 8],
    /// The id of the client's span; `None` if the client did not begin the trace.
    pub(crate) parent_id: Option<[u8; 8]>,
    /// Whether the request was sampled at its beginning; without `traces`, whether the client's trace was.
    pub(crate) is_sampled: bool,
    /// The part of the client's `tracestate` that is forwarded.
    pub(crate) state: TraceState,
    /// `traceparent` with zeros in place of the id of the span.
    text: [u8; TEXT_LEN],
    /// The number of ids that attempts have got.
    attempts: Cell<u64>,
}

impl TraceContext {
    /// Continues the client's trace under its trace id; without a valid one, a trace begins with the request's own id (W3C
    /// Trace Context, 3.2). `traces` decides whether it is sampled.
    pub(crate) fn from_head(head: &Head, id: RequestId, traces: Option<&Traces>) -> Self {
        // Several fields are not one valid value.
        let received = only(head.fields().all(KnownName::Traceparent)).and_then(text).and_then(parse);
        let own = *id.0.as_bytes();
        let [.., a, b, c, d, e, f, g, h] = own;
        let span_id = [a, b, c, d, e, f, g, h];
        let (trace_id, flags) = received.map_or((own, 0), |received| (received.trace_id, received.flags));
        let is_sampled = match traces {
            None => flags & SAMPLED != 0,
            Some(traces) => traces.parent && flags & SAMPLED != 0 || traces.sample.contains(trace_id),
        };
        let flags = flags & RANDOM | if is_sampled { SAMPLED } else { 0 };
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text, TRACE_PLACE, &trace_id);
        if let Some(digit) = text.last_mut() {
            *digit += flags;
        }
        let state = if received.is_some() { valid_state(head) } else { TraceState::Absent };
        let parent_id = received.map(|received| received.parent_id);
        let attempts = Cell::new(0);
        Self { trace_id, span_id, parent_id, is_sampled, state, text, attempts }
    }

    /// Writes the trace for an attempt at an upstream, whose span gets its own id.
    ///
    /// # Errors
    /// The value is always valid.
    pub(crate) fn write(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        match &self.state {
            TraceState::Received => {}
            TraceState::Absent => edits.remove(KnownName::Tracestate),
            TraceState::Members(members) => edits.set(KnownName::Tracestate, members)?,
        }
        self.attempts.set(self.attempts.get() + 1);
        edits.append(KnownName::Traceparent, &self.attempt_text())
    }

    /// Writes the trace for another attempt in place of that of the last one, unless the route has changed it.
    ///
    /// # Errors
    /// The value is always valid.
    pub(crate) fn rewrite(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        let last = self.attempt_text();
        self.attempts.set(self.attempts.get() + 1);
        if edits.added().any(|field| field.value == last) {
            edits.set(KnownName::Traceparent, &self.attempt_text())?;
        }
        Ok(())
    }

    /// Returns the id of the span of the last attempt. No phase of the request has this id (`otlp::spans`).
    pub(crate) fn attempt_id(&self) -> [u8; 8] {
        (u64::from_be_bytes(self.span_id) ^ self.attempts.get()).to_be_bytes()
    }

    fn attempt_text(&self) -> [u8; TEXT_LEN] {
        let mut text = self.text;
        write_hex(&mut text, SPAN_PLACE, &self.attempt_id());
        text
    }

    /// Returns the id of the trace in hexadecimal digits.
    pub(crate) fn trace_id_text(&self) -> &str {
        self.text.get(TRACE_PLACE..SPAN_PLACE - 1).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Writes bytes, a multiple of four, as lowercase hexadecimal digits from `start` on.
fn write_hex(text: &mut [u8; TEXT_LEN], start: usize, bytes: &[u8]) {
    let (places, _) = text.get_mut(start..).unwrap_or_default().as_chunks_mut();
    let (words, _) = bytes.as_chunks();
    for (place, word) in places.iter_mut().zip(words) {
        *place = hex_digits(*word);
    }
}

/// Returns the lowercase hexadecimal digits of four bytes. All are computed at once: every request has ten such words.
pub(crate) const fn hex_digits(bytes: [u8; 4]) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Spreads the 32 bits over eight octets of four bits each.
    let halves = u32::from_be_bytes(bytes) as u64;
    let halves = (halves | halves << 16) & 0x0000_ffff_0000_ffff;
    let octets = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (octets | octets << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let is_letter = (nibbles + 6 * ONES) >> 4 & ONES;
    (nibbles + b'0' as u64 * ONES + (b'a' - b'0' - 10) as u64 * is_letter).to_be_bytes()
}

/// The parts of a valid `traceparent`.
#[derive(Clone, Copy)]
struct ReceivedParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// Returns a valid `traceparent`. Later versions may have further parts (W3C Trace Context, 3.2.4).
fn parse(value: &str) -> Option<ReceivedParent> {
    let mut parts = value.split('-');
    let version = parts.next()?;
    let trace_id = parts.next()?;
    let parent = parts.next()?;
    let flags = parts.next()?;
    let [version] = hex(version)?;
    let is_whole = version != 0 || parts.next().is_none();
    let trace_id = hex(trace_id)?;
    let parent_id = hex(parent)?;
    let [flags] = hex(flags)?;
    let is_valid = is_whole && version != 0xff && trace_id != [0; 16] && parent_id != [0; 8];
    is_valid.then_some(ReceivedParent { trace_id, parent_id, flags })
}

/// Parses exactly as many lowercase hexadecimal digits as the bytes have.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

/// Returns the valid part of the head's `tracestate`. A member with an invalid key is left out. A state with too many
/// members, or with one whose value is invalid, is discarded as a whole (W3C Trace Context, 3.3.1).
fn valid_state(head: &Head) -> TraceState {
    let values = || head.fields().all(KnownName::Tracestate);
    let members = || values().flat_map(|value| value.split(|&octet| octet == b',')).map(<[u8]>::trim_ascii);
    let members = || members().filter(|member| !member.is_empty());
    let mut count = 0;
    let mut invalid_keys = 0;
    for member in members() {
        count += 1;
        let Some(equals) = member.iter().position(|&octet| octet == b'=') else { return TraceState::Absent };
        let (key, value) = member.split_at(equals);
        if count > STATE_MEMBERS_MAX || !is_state_value(value.get(1..).unwrap_or_default()) {
            return TraceState::Absent;
        }
        invalid_keys += usize::from(!is_state_key(key));
    }
    if invalid_keys == 0 {
        return TraceState::Received;
    }
    if invalid_keys == count {
        return TraceState::Absent;
    }
    let key = |member: &&[u8]| is_state_key(member.split(|&octet| octet == b'=').next().unwrap_or_default());
    let valid: Vec<&[u8]> = members().filter(key).collect();
    TraceState::Members(valid.join(&b','.to_owned()).into())
}

/// Whether the bytes are a key of a `tracestate` (W3C Trace Context, 3.3.1.2).
fn is_state_key(key: &[u8]) -> bool {
    let is_octet = |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    key.first().is_some_and(|first| matches!(first, b'a'..=b'z' | b'0'..=b'9'))
        && key.len() <= 256
        && key.iter().all(is_octet)
        && key.iter().filter(|octet| **octet == b'@').count() <= 1
}

/// Whether the bytes are a value of a `tracestate` (W3C Trace Context, 3.3.1.3).
fn is_state_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value.iter().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b',' | b'='))
}

#[cfg(test)]
mod tests;
