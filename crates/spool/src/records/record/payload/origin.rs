//! The origin of a request, in eight fields with consecutive tags.

use std::sync::Arc;

use access::people::labels::is_label_text;
use access::{Amount, ClientProgram, LabelSet, Timestamp};
use meter::{
    CacheUse, LimitOwner, LimitUnit, RefusedLimit, RequestOrigin, SKIPPED_TARGETS_MAX, SessionHash, SkipReason,
    SkippedTarget, ToolUse, TraceId,
};
use serde::{Deserialize, Serialize};

use super::wire::{Field, InvalidPayload, NoRoom, PayloadWriter};

/// The distance of each field's tag from the first.
const LABELS: u32 = 0;
const CLIENT: u32 = 1;
const TOOLS: u32 = 2;
const SESSION: u32 = 3;
const CACHE: u32 = 4;
const TRACE: u32 = 5;
const SKIPPED: u32 = 6;
const REFUSED_LIMIT: u32 = 7;

/// A skipped target, in a sequence in a field.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct SkippedPayload<'a> {
    provider: &'a str,
    model: &'a str,
    reason: u8,
    attempts_before: u8,
}

impl<'a> SkippedPayload<'a> {
    fn from_target(target: &'a SkippedTarget) -> Self {
        let SkippedTarget { provider, model, reason, attempts_before } = target;
        Self { provider, model, reason: reason.number(), attempts_before: *attempts_before }
    }
}

/// The limit that refused a request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct RefusedLimitPayload<'a> {
    owner: u8,
    unit: u8,
    rule: Option<&'a str>,
    window_seconds: Option<u32>,
    limit: u64,
    used: Option<u64>,
    requested: u64,
    full_at_us: Option<u64>,
}

impl<'a> RefusedLimitPayload<'a> {
    fn from_limit(refused: &'a RefusedLimit) -> Self {
        let RefusedLimit { owner, unit, rule, window_seconds, limit, used, requested, full_at } = refused;
        Self {
            owner: owner.number(),
            unit: unit.number(),
            rule: rule.as_deref(),
            window_seconds: *window_seconds,
            limit: limit.0,
            used: used.map(|used| used.0),
            requested: requested.0,
            full_at_us: full_at.map(|at| at.0),
        }
    }

    fn limit(self, text: impl Fn(&str) -> Arc<str>) -> RefusedLimit {
        RefusedLimit {
            owner: LimitOwner::of_number(self.owner),
            unit: LimitUnit::of_number(self.unit),
            rule: self.rule.map(text),
            window_seconds: self.window_seconds,
            limit: Amount(self.limit),
            used: self.used.map(Amount),
            requested: Amount(self.requested),
            full_at: self.full_at_us.map(Timestamp),
        }
    }
}

/// Writes the fields of an origin under the tags from `first` on.
pub(super) fn write_origin(writer: &mut PayloadWriter<'_>, first: u32, origin: &RequestOrigin) -> Result<(), NoRoom> {
    let RequestOrigin { labels, client, tools, session, cache, trace, skipped, refused_limit } = origin;
    writer.field(first + LABELS, labels_field(labels))?;
    writer.field(first + CLIENT, Some(client.number()).filter(|number| *number > 0))?;
    writer.field(first + TOOLS, Some(tools.number()).filter(|number| *number > 0))?;
    writer.field(first + SESSION, session.map(|session| session.0))?;
    writer.field(first + CACHE, Some(cache.number()).filter(|number| *number > 0))?;
    writer.field(first + TRACE, trace.map(|trace| trace.0))?;
    writer.field(first + SKIPPED, (!skipped.is_empty()).then(|| skipped_field(skipped)))?;
    writer.field(first + REFUSED_LIMIT, refused_limit.as_deref().map(RefusedLimitPayload::from_limit))
}

/// Returns the value of the field of skipped targets.
fn skipped_field(skipped: &[SkippedTarget]) -> Vec<SkippedPayload<'_>> {
    skipped.iter().take(SKIPPED_TARGETS_MAX).map(SkippedPayload::from_target).collect()
}

/// Reads a field of skipped targets.
fn skipped(field: Field<'_>, text: impl Fn(&str) -> Arc<str>) -> Result<Vec<SkippedTarget>, InvalidPayload> {
    let targets: Vec<SkippedPayload<'_>> = field.value()?;
    let target = |SkippedPayload { provider, model, reason, attempts_before }| SkippedTarget {
        provider: text(provider),
        model: text(model),
        reason: SkipReason::of_number(reason),
        attempts_before,
    };
    Ok(targets.into_iter().take(SKIPPED_TARGETS_MAX).map(target).collect())
}

/// Returns the value of the field of labels; `None` without labels.
pub(super) fn labels_field(labels: &LabelSet) -> Option<&str> {
    Some(labels.as_str()).filter(|text| !text.is_empty())
}

/// Reads a field of labels.
pub(super) fn labels(field: Field<'_>, text: impl FnOnce(&str) -> Arc<str>) -> Result<LabelSet, InvalidPayload> {
    let labels = field.value()?;
    if is_label_text(labels) { Ok(LabelSet::of_shared(text(labels))) } else { Err(InvalidPayload) }
}

/// Reads a field of an origin, if its tag is one of the eight from `first` on.
pub(super) fn read_origin(
    origin: &mut RequestOrigin,
    first: u32,
    field: Field<'_>,
    text: impl Fn(&str) -> Arc<str>,
) -> Result<(), InvalidPayload> {
    match field.tag.checked_sub(first) {
        Some(LABELS) => origin.labels = self::labels(field, text)?,
        Some(CLIENT) => origin.client = ClientProgram::of_number(field.value()?),
        Some(TOOLS) => origin.tools = ToolUse::of_number(field.value()?),
        Some(CACHE) => origin.cache = CacheUse::of_number(field.value()?),
        Some(SESSION) => origin.session = Some(SessionHash(field.value()?)),
        Some(TRACE) => origin.trace = Some(TraceId(field.value()?)),
        Some(SKIPPED) => origin.skipped = skipped(field, text)?,
        Some(REFUSED_LIMIT) => {
            let refused: RefusedLimitPayload<'_> = field.value()?;
            origin.refused_limit = Some(Box::new(refused.limit(text)));
        }
        // A field of a later minor version.
        Some(_) | None => {}
    }
    Ok(())
}
