//! The limit that refused a request, as the API shows it.

use access::amounts::usd::decimal;
use meter::{LimitOwner, LimitUnit, RefusedLimit};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::csv::{figure, quoted_or_empty};
use crate::message::figures::Cost;
use crate::message::moment::rfc3339;
use crate::nouns::budgets::Amount;

/// The columns of [`RefusedLimitView::cells`].
pub(super) const HEAD: &str = "limit_owner,limit_rule,limit_unit,limit_window_s,limit_maximum,limit_used,limit_requested,limit_left,limit_full_at,limit_raised_by";
/// The number of these columns.
const COLUMNS: usize = 10;

/// The reader of a limit. The amounts of limits that several users share reveal the usage of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitReader {
    Client,
    Admin,
}

/// The limit, quota or budget that refused a request, as it was at that time. Amounts of money are in US dollars; the amounts
/// of limits that several users share (`plan`, `gateway`) are null, except for admins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedLimit)]
pub(in crate::routes) struct RefusedLimitView {
    /// The scope that the limit belongs to: `key`, `user`, `subject` (an identity without a key), `plan` (all users of a plan
    /// together), `gateway` (all users), `rule` (a rate limit of the configuration), or `other` (of a newer version).
    owner: &'static str,
    /// The name of a rate limit of the configuration; null for other limits.
    rule: Option<String>,
    /// The unit of the amounts: `requests`, `requests_in_flight`, `credits`, `tokens`, `input_tokens`, `output_tokens`, `money`,
    /// or `other` (of a newer version).
    unit: &'static str,
    /// The length of the window or period in seconds; null for requests in flight.
    window_s: Option<u32>,
    /// The maximum of the limit.
    maximum: Option<Amount>,
    /// The used and reserved amount; null if only other nodes knew it.
    used: Option<Amount>,
    /// The amount that the request needed; of an LLM call, the most that it might use.
    requested: Amount,
    /// The rest, at least 0; null if only other nodes knew it.
    left: Option<Amount>,
    /// The time at which the limit is full again, if it is not used further; null for requests in flight, and if the limit
    /// never admits such a request.
    #[schema(format = DateTime)]
    full_at: Option<String>,
    /// Who can raise the limit: `owner` (the user of the key, and admins) or `admin`.
    raised_by: &'static str,
}

impl RefusedLimitView {
    pub(super) fn from_limit(refused: &RefusedLimit, reader: LimitReader) -> Self {
        let unit = refused.unit;
        let left = refused.left();
        let is_hidden = reader == LimitReader::Client && refused.owner.is_shared();
        let amount = |amount: access::Amount| match unit {
            LimitUnit::Credits => Amount::credits(amount.credits()),
            LimitUnit::Money => Amount::Money(Cost::from_nano_usd(amount.money())),
            LimitUnit::Other
            | LimitUnit::Requests
            | LimitUnit::InFlight
            | LimitUnit::WholeCredits
            | LimitUnit::Tokens
            | LimitUnit::InputTokens
            | LimitUnit::OutputTokens => Amount::count(amount.0),
        };
        let visible = |value: Option<access::Amount>| if is_hidden { None } else { value.map(amount) };
        Self {
            owner: refused.owner.as_str(),
            rule: refused.rule.as_deref().map(str::to_owned),
            unit: unit.as_str(),
            window_s: refused.window_seconds,
            maximum: visible(Some(refused.limit)),
            used: visible(refused.used),
            requested: amount(refused.requested),
            left: visible(left),
            full_at: refused.full_at.map(rfc3339),
            raised_by: if refused.owner == LimitOwner::Key { "owner" } else { "admin" },
        }
    }

    /// Returns the cells of a table; they are empty without a limit.
    pub(super) fn cells(limit: Option<&Self>) -> Vec<String> {
        let Some(limit) = limit else { return vec![String::new(); COLUMNS] };
        let amount = |amount: &Amount| match amount {
            Amount::Number(number) => number.to_string(),
            Amount::Money(cost) => decimal(cost.nano_usd()),
        };
        let or_empty = |value: &Option<Amount>| value.as_ref().map(amount).unwrap_or_default();
        vec![
            limit.owner.to_owned(),
            quoted_or_empty(limit.rule.as_deref()),
            limit.unit.to_owned(),
            figure(limit.window_s),
            or_empty(&limit.maximum),
            or_empty(&limit.used),
            amount(&limit.requested),
            or_empty(&limit.left),
            limit.full_at.clone().unwrap_or_default(),
            limit.raised_by.to_owned(),
        ]
    }
}
