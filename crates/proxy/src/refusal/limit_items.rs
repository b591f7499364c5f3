//! The limits, quotas and budgets that a response reports to its client, one item each: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10), and `X-RateLimit-*` (GW-3.3).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use access::{Amount, QuotaName, Timestamp};
use http1::{HeadEdits, InvalidPart, KnownName};
use meter::budgets::counter::RefusalCause;
use meter::limiter::tokens::TokenUnit;
use meter::rate::RateLevel;
use meter::{BudgetExceeded, BudgetId, BudgetLevel, BudgetScope, LimitPeriod, Measure, Period};
use smallvec::SmallVec;

use crate::refusal::budget_words::is_shared;
use crate::refusal::seconds::seconds_up;

/// Number of items that need no allocation.
const INLINE: usize = 4;
/// Maximum number of items in a response; those with the largest shares left are omitted.
const ITEMS_MAX: usize = 8;
/// Room for the text of one item in both fields.
const ITEM_BYTES_USUAL: usize = 64;
/// Room for the fields of all items.
const FIELDS_BYTES_USUAL: usize = 384;
/// The largest integer of a structured field (RFC 8941, 3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;
/// Billionths of a dollar in the unit of money in fields, a millionth of a dollar.
const NANO_USD_PER_UNIT: u64 = 1_000;

/// The state of one limit for the client of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitItem {
    pub(crate) source: LimitSource,
    /// The name of a plan's quota.
    pub(crate) name: Option<QuotaName>,
    pub(crate) unit: LimitUnit,
    pub(crate) quota: u64,
    /// The most that can be left: the burst of a bucket, otherwise the quota.
    pub(crate) capacity: u64,
    /// The remaining amount; `None` if only other nodes know it.
    pub(crate) remaining: Option<u64>,
    /// The amount that no settled request has used: at least the remaining amount.
    pub(crate) unspent: u64,
    /// Seconds until the limit is full again; `None` if that does not help the request.
    pub(crate) reset_s: Option<u64>,
}

/// The limit that an item describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LimitSource {
    /// A limit of the configuration, by its value of `RateLimit-Policy`.
    Rule(Arc<str>),
    /// `requests_per_minute` of the plan or the key.
    PerMinute,
    /// A quota or a budget in this period.
    Budget(BudgetId, Period),
}

/// The unit of the numbers of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitUnit {
    /// A number of requests or credits.
    Count,
    /// Tokens of the named class.
    Tokens(TokenUnit),
    /// Millionths of a US dollar.
    Money,
    /// The amounts are not shown, because they reveal the usage of other users.
    Hidden,
}

/// All items of one response, the least share left first.
#[derive(Debug, Default)]
pub(crate) struct LimitItems {
    items: SmallVec<[LimitItem; INLINE]>,
    /// Whether the first item has refused the request.
    is_refused: bool,
}

impl LimitItem {
    /// Returns the item of a rate with this state.
    pub(crate) fn of_rate(source: LimitSource, unit: LimitUnit, level: RateLevel) -> Self {
        let remaining = u64::from(level.remaining);
        let reset_s = Some(seconds_up(level.reset));
        let quota = u64::from(level.limit);
        Self {
            source,
            name: None,
            unit,
            quota,
            capacity: quota,
            remaining: Some(remaining),
            unspent: remaining,
            reset_s,
        }
    }

    /// Returns the item of a quota or a budget.
    pub(crate) fn of_budget(level: &BudgetLevel, now: Timestamp) -> Self {
        let BudgetLevel { budget, name, period, limit, left, unspent } = *level;
        let number = |amount| number(budget.measure, amount);
        Self {
            source: LimitSource::Budget(budget, period),
            name,
            unit: unit(budget),
            quota: number(limit),
            capacity: number(limit),
            remaining: Some(number(left)),
            unspent: number(unspent),
            reset_s: Some(seconds_until(period.end(), now)),
        }
    }

    /// Returns the item of the quota or the budget that has refused a request.
    pub(crate) fn of_exceeded(exceeded: &BudgetExceeded, name: Option<QuotaName>, now: Timestamp) -> Self {
        let BudgetExceeded { budget, period, limit, by, .. } = *exceeded;
        let left = exceeded.left();
        // Only the lease server knows the amount that is left; this node has a part of it.
        let is_known = by == RefusalCause::Limit || left.is_zero();
        let level = BudgetLevel { budget, name, period, limit, left, unspent: left };
        let item = Self::of_budget(&level, now);
        Self { remaining: if is_known { item.remaining } else { None }, ..item }
    }

    /// Compares the shares that are left; an unknown share is the largest.
    fn compare(&self, other: &Self) -> Ordering {
        let left = |item: &Self| u128::from(item.remaining.unwrap_or(u64::MAX));
        let share =
            (left(self) * u128::from(other.capacity.max(1))).cmp(&(left(other) * u128::from(self.capacity.max(1))));
        share.then_with(|| left(self).cmp(&left(other)))
    }

    /// Appends the item of `RateLimit-Policy`.
    fn write_policy(&self, out: &mut Vec<u8>) {
        if let LimitSource::Rule(policy) = &self.source {
            return out.extend_from_slice(policy.as_bytes());
        }
        self.write_name(out);
        write_number(out, b";q=", self.quota);
        match self.unit {
            LimitUnit::Tokens(_) => out.extend_from_slice(b";qu=\"tokens\""),
            LimitUnit::Money => out.extend_from_slice(b";qu=\"microusd\""),
            LimitUnit::Count | LimitUnit::Hidden => {}
        }
        let seconds = match &self.source {
            LimitSource::Budget(_, period) => seconds_until(period.end(), period.begin().start()),
            LimitSource::Rule(_) | LimitSource::PerMinute => 60,
        };
        write_number(out, b";w=", seconds);
    }

    /// Appends the item of `RateLimit`, if the state is known.
    fn write_state(&self, out: &mut Vec<u8>) {
        let Some(remaining) = self.remaining else { return };
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        self.write_name(out);
        write_number(out, b";r=", remaining);
        write_number(out, b";t=", self.reset_s.unwrap_or_default());
    }

    /// Appends the name: `"day"`, `"month:money"`, `"key+day"`.
    fn write_name(&self, out: &mut Vec<u8>) {
        match &self.source {
            LimitSource::Rule(policy) => out.extend_from_slice(policy.split(';').next().unwrap_or_default().as_bytes()),
            LimitSource::PerMinute => out.extend_from_slice(b"\"requests_per_minute\""),
            LimitSource::Budget(budget, _) => {
                out.push(b'"');
                match &self.name {
                    Some(name) => out.extend_from_slice(name.as_str().as_bytes()),
                    None => out.extend_from_slice(budget_name(*budget).as_bytes()),
                }
                out.push(b'"');
            }
        }
    }
}

/// Returns what a quota or a budget without a name is called: its length.
pub(crate) fn budget_name(budget: BudgetId) -> Cow<'static, str> {
    use Measure::{Credits, Money, Tokens};
    let is_of_key = matches!(budget.scope, BudgetScope::Key(_));
    Cow::Borrowed(match (is_of_key, budget.per, budget.measure) {
        (_, LimitPeriod::Window(window), Credits) => return Cow::Owned(window.per()),
        (_, LimitPeriod::Window(window), measure) => {
            return Cow::Owned(format!("{}:{}", window.per(), measure.as_str()));
        }
        (false, LimitPeriod::Day, Credits) => "day",
        (false, LimitPeriod::Day, Tokens) => "day:tokens",
        (false, LimitPeriod::Day, Money) => "day:money",
        (false, LimitPeriod::Week, Credits) => "week",
        (false, LimitPeriod::Week, Tokens) => "week:tokens",
        (false, LimitPeriod::Week, Money) => "week:money",
        (false, LimitPeriod::Month, Credits) => "month",
        (false, LimitPeriod::Month, Tokens) => "month:tokens",
        (false, LimitPeriod::Month, Money) => "month:money",
        (true, LimitPeriod::Day, Credits) => "key+day",
        (true, LimitPeriod::Day, Tokens) => "key+day:tokens",
        (true, LimitPeriod::Day, Money) => "key+day:money",
        (true, LimitPeriod::Week, Credits) => "key+week",
        (true, LimitPeriod::Week, Tokens) => "key+week:tokens",
        (true, LimitPeriod::Week, Money) => "key+week:money",
        (true, LimitPeriod::Month, Credits) => "key+month",
        (true, LimitPeriod::Month, Tokens) => "key+month:tokens",
        (true, LimitPeriod::Month, Money) => "key+month:money",
    })
}

impl LimitItems {
    /// Returns the items in their order; `refused_by` has refused the request.
    pub(crate) fn new(refused_by: Option<LimitItem>, others: impl Iterator<Item = LimitItem>) -> Self {
        let is_refused = refused_by.is_some();
        let mut items: SmallVec<[LimitItem; INLINE]> = refused_by.into_iter().collect();
        let refusing = items.first().map(|item| item.source.clone());
        items.extend(others.filter(|item| Some(&item.source) != refusing.as_ref()));
        if let Some(others) = items.get_mut(usize::from(is_refused)..) {
            others.sort_by(LimitItem::compare);
        }
        items.truncate(ITEMS_MAX);
        Self { items, is_refused }
    }

    /// Returns the item that has refused the request.
    pub(super) fn refused_by(&self) -> Option<&LimitItem> {
        if self.is_refused { self.items.first() } else { None }
    }

    /// Returns the quotas and budgets, in their order.
    pub(super) fn budgets(&self) -> impl Iterator<Item = (&LimitItem, BudgetId, Period)> {
        self.items.iter().filter_map(|item| match item.source {
            LimitSource::Budget(budget, period) => Some((item, budget, period)),
            LimitSource::Rule(_) | LimitSource::PerMinute => None,
        })
    }

    /// Sets all fields, in place of those of an upstream.
    pub(crate) fn write(&self, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        if self.items.is_empty() {
            return Ok(());
        }
        edits.reserve(FIELDS_BYTES_USUAL);
        self.write_headline(now, edits)?;
        let mut policies = Vec::with_capacity(self.items.len() * ITEM_BYTES_USUAL);
        let mut states = Vec::with_capacity(self.items.len() * ITEM_BYTES_USUAL);
        for item in self.items.iter().filter(|item| item.unit != LimitUnit::Hidden) {
            if !policies.is_empty() {
                policies.extend_from_slice(b", ");
            }
            item.write_policy(&mut policies);
            item.write_state(&mut states);
        }
        if !policies.is_empty() {
            edits.set(KnownName::RateLimitPolicy, &policies)?;
        }
        if !states.is_empty() {
            edits.set(KnownName::RateLimit, &states)?;
        }
        Ok(())
    }

    /// Sets the fields that have room for one limit: of the limit that has refused the request, otherwise of the first that
    /// counts requests or credits, and of the first that counts tokens.
    fn write_headline(&self, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        if let Some(refused_by) = self.refused_by() {
            return match refused_by.unit {
                LimitUnit::Count => write_count(refused_by, now, edits),
                LimitUnit::Tokens(unit) => {
                    write_tokens(refused_by, unit, edits)?;
                    write_reset(refused_by, now, edits)
                }
                // Clients would read the figures as requests.
                LimitUnit::Money | LimitUnit::Hidden => write_reset(refused_by, now, edits),
            };
        }
        if let Some(item) = self.items.iter().find(|item| item.unit == LimitUnit::Count) {
            write_count(item, now, edits)?;
        }
        let tokens = self.items.iter().find_map(|item| match item.unit {
            LimitUnit::Tokens(unit) => Some((item, unit)),
            LimitUnit::Count | LimitUnit::Money | LimitUnit::Hidden => None,
        });
        tokens.map_or(Ok(()), |(item, unit)| write_tokens(item, unit, edits))
    }
}

fn write_count(item: &LimitItem, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    let mut digits = itoa::Buffer::new();
    edits.set(KnownName::XRatelimitLimit, digits.format(item.quota).as_bytes())?;
    if let Some(remaining) = item.remaining {
        edits.set(KnownName::XRatelimitRemaining, digits.format(remaining).as_bytes())?;
    }
    write_reset(item, now, edits)
}

fn write_reset(item: &LimitItem, now: Timestamp, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    let Some(reset_s) = item.reset_s else { return Ok(()) };
    edits.set(KnownName::XRatelimitReset, itoa::Buffer::new().format(now.unix_seconds() + reset_s).as_bytes())
}

/// Sets the fields of tokens. OpenAI has those of all tokens.
fn write_tokens(item: &LimitItem, unit: TokenUnit, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    let [of_limit, of_remaining, of_reset] = token_fields(unit);
    let mut digits = itoa::Buffer::new();
    edits.set_named(of_limit, digits.format(item.quota).as_bytes())?;
    if let Some(remaining) = item.remaining {
        edits.set_named(of_remaining, digits.format(remaining).as_bytes())?;
    }
    match item.reset_s {
        Some(reset_s) => edits.set_named(of_reset, format!("{reset_s}s").as_bytes()),
        None => Ok(()),
    }
}

/// Returns the names of the fields with limit, rest and reset.
const fn token_fields(unit: TokenUnit) -> [&'static [u8]; 3] {
    match unit {
        TokenUnit::All => [b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens"],
        TokenUnit::Input => [
            b"x-ratelimit-limit-input-tokens",
            b"x-ratelimit-remaining-input-tokens",
            b"x-ratelimit-reset-input-tokens",
        ],
        TokenUnit::Output => [
            b"x-ratelimit-limit-output-tokens",
            b"x-ratelimit-remaining-output-tokens",
            b"x-ratelimit-reset-output-tokens",
        ],
    }
}

const fn unit(budget: BudgetId) -> LimitUnit {
    match budget.measure {
        _ if is_shared(budget) => LimitUnit::Hidden,
        Measure::Credits => LimitUnit::Count,
        Measure::Tokens => LimitUnit::Tokens(TokenUnit::All),
        Measure::Money => LimitUnit::Money,
    }
}

/// Returns an amount in the unit of fields, rounded down.
const fn number(measure: Measure, amount: Amount) -> u64 {
    match measure {
        Measure::Credits => amount.credits().rounded_down(),
        Measure::Tokens => amount.0,
        Measure::Money => amount.0 / NANO_USD_PER_UNIT,
    }
}

fn seconds_until(end: Timestamp, now: Timestamp) -> u64 {
    seconds_up(Duration::from_micros(end.0.saturating_sub(now.0)))
}

fn write_number(out: &mut Vec<u8>, parameter: &[u8], number: u64) {
    out.extend_from_slice(parameter);
    out.extend_from_slice(itoa::Buffer::new().format(number.min(INTEGER_MAX)).as_bytes());
}

#[cfg(test)]
mod tests;
