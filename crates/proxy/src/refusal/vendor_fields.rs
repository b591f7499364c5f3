//! The fields with which coding agents show quotas: those of OpenAI for Codex (0.171) and those of Anthropic for Claude Code
//! (2.1.332), measured 2026-11-30. Both show quotas and budgets; neither shows limits per minute.

use access::Timestamp;
use ai::Format;
use http1::{HeadEdits, InvalidPart};

use crate::refusal::limit_items::{LimitItem, LimitItems, LimitUnit};

/// The vendor whose fields the client of a format reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// OpenAI's Responses API, which Codex calls.
    Codex,
    /// Anthropic's Messages API, which Claude Code calls.
    Claude,
}

/// Claude Code shows a notice from these shares on, in percent.
const CLAUDE_THRESHOLDS: [(u64, &[u8]); 2] = [(95, b"0.95"), (75, b"0.75")];

impl Vendor {
    /// Returns the vendor of a format; `None` if its clients read no fields of quotas.
    pub(crate) const fn of_format(format: Option<Format>) -> Option<Self> {
        match format {
            Some(Format::Responses) => Some(Self::Codex),
            Some(Format::Messages) => Some(Self::Claude),
            _ => None,
        }
    }

    /// Sets the fields of the vendor. A client without quotas gets none.
    pub(crate) fn write(self, items: &LimitItems, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        match self {
            Self::Codex => write_codex(items, now, edits),
            Self::Claude => write_claude(items, now, edits),
        }
    }
}

/// Sets both windows of Codex. It warns at 75, 90 and 95 percent of each. It stores further windows in place of these, so that
/// no others are sent; a balance beside them would switch off its warnings.
fn write_codex(items: &LimitItems, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    const NAMES: [[&[u8]; 3]; 2] = [
        [b"x-codex-primary-used-percent", b"x-codex-primary-window-minutes", b"x-codex-primary-reset-at"],
        [b"x-codex-secondary-used-percent", b"x-codex-secondary-window-minutes", b"x-codex-secondary-reset-at"],
    ];
    let own = items.budgets().filter(|(item, ..)| item.unit != LimitUnit::Hidden);
    for ((item, budget, _), [percent, minutes, reset]) in own.zip(NAMES) {
        let permille = used_permille(item);
        edits.set_named(percent, format!("{}.{}", permille / 10, permille % 10).as_bytes())?;
        // Codex knows a month of 30 days only, with a tolerance of 5 percent.
        edits.set_named(minutes, budget.per.usual_minutes().to_string().as_bytes())?;
        edits.set_named(reset, reset_at(item, now).to_string().as_bytes())?;
    }
    Ok(())
}

/// Sets the window of which the least is left. Claude Code does arithmetic with the names `5h` and `7d`, so that Anthropic's
/// contract has another one for calendar windows: `overage`.
fn write_claude(items: &LimitItems, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    let Some((item, budget, _)) = items.budgets().next() else { return Ok(()) };
    let mut set =
        |name: &str, value: &[u8]| edits.set_named(format!("anthropic-ratelimit-unified-{name}").as_bytes(), value);
    let reset = reset_at(item, now).to_string();
    set("reset", reset.as_bytes())?;
    set("overage-reset", reset.as_bytes())?;
    if items.refused_by() == Some(item) {
        // With a claim or a status of the overage, it would replace the message by its own.
        set("status", b"rejected")?;
        set("overage-utilization", b"1")?;
        set("overage-surpassed-threshold", b"1")?;
        set("overage-period", budget.per.adverb().as_bytes())?;
        return set("overage-disabled-reason", b"org_spend_cap_reached");
    }
    let percent = used_permille(item) / 10;
    let surpassed = CLAUDE_THRESHOLDS.iter().find(|(threshold, _)| percent >= *threshold);
    let status: &[u8] = if surpassed.is_some() { b"allowed_warning" } else { b"allowed" };
    set("status", status)?;
    set("representative-claim", b"overage")?;
    set("overage-status", status)?;
    // A full one would be a refusal.
    set("overage-utilization", format!("0.{:02}", percent.min(99)).as_bytes())?;
    surpassed.map_or(Ok(()), |(_, threshold)| set("overage-surpassed-threshold", threshold))
}

/// Returns the part that settled requests have used, in thousandths, rounded down. Nothing is left of a limit of zero.
pub(crate) fn used_permille(item: &LimitItem) -> u64 {
    let used = u128::from(item.quota.saturating_sub(item.unspent)) * 1_000;
    used.checked_div(item.quota.into()).map_or(1_000, |permille| u64::try_from(permille).unwrap_or(1_000))
}

/// Returns the time at which the limit is full again, in Unix seconds.
fn reset_at(item: &LimitItem, now: Timestamp) -> u64 {
    now.unix_seconds() + item.reset_s.unwrap_or_default()
}
