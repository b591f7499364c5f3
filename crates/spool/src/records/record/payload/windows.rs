//! The windows in which a request counts.

use access::{LimitPeriod, Minute};
use meter::Period;
use serde::{Deserialize, Serialize};

use super::wire::{Field, InvalidPayload};

/// A window, in a sequence in a field: its shape as text, its first minute and the first one after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WindowPayload {
    per: String,
    begin: u32,
    end: u32,
}

/// Returns the value of the field of windows; `None` without any.
pub(super) fn windows_field(windows: &[Period]) -> Option<Vec<WindowPayload>> {
    let payload = |period: &Period| WindowPayload {
        per: period.per().to_string(),
        begin: period.begin().0,
        end: period.end_minute().0,
    };
    (!windows.is_empty()).then(|| windows.iter().map(payload).collect())
}

/// Reads a field of windows. A shape that only a later release knows is skipped: this release has no budget of it.
pub(super) fn windows(field: Field<'_>) -> Result<Vec<Period>, InvalidPayload> {
    let payloads: Vec<WindowPayload> = field.value()?;
    let period = |WindowPayload { per, begin, end }: WindowPayload| {
        Some(Period::between(LimitPeriod::parse(&per)?, Minute(begin), Minute(end)))
    };
    Ok(payloads.into_iter().filter_map(period).collect())
}
