//! The words with which a budget refuses a request.

use std::borrow::Cow;

use access::{Amount, BudgetWindow, CalendarUnit, QuotaName};
use meter::budgets::counter::RefusalCause;
use meter::{BudgetExceeded, BudgetId, BudgetScope, LimitPeriod, Measure, Period};

/// A part of a budget that a node holds and that does not respond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostLease {
    pub(crate) budget: BudgetId,
    pub(crate) period: Period,
    pub(crate) limit: Amount,
    pub(crate) held: Amount,
}

/// Returns whether several users share a budget. Its amounts reveal the usage of others, so clients do not see them. An
/// admin reads them over the admin API.
pub(super) const fn is_shared(budget: BudgetId) -> bool {
    match budget.scope {
        BudgetScope::Plan(_) | BudgetScope::Global => true,
        BudgetScope::Key(_) | BudgetScope::User(_) | BudgetScope::Subject(_) => false,
    }
}

/// Returns what a message calls a budget, with its limit unless users share it; `name` is that of a plan's quota.
fn name_of(budget: BudgetId, name: Option<QuotaName>, limit: Amount) -> String {
    let BudgetId { scope, measure, per } = budget;
    if let Some(name) = name {
        return format!("the quota `{name}` of {}", measure.written(limit));
    }
    let (period, length) = match per {
        LimitPeriod::Day => (Cow::Borrowed("day"), Cow::Borrowed("a day")),
        LimitPeriod::Week => (Cow::Borrowed("week"), Cow::Borrowed("a week")),
        LimitPeriod::Month => (Cow::Borrowed("month"), Cow::Borrowed("a month")),
        LimitPeriod::Window(BudgetWindow::Period(_)) => {
            (Cow::Borrowed("subscription period"), Cow::Borrowed("per period of the subscription"))
        }
        LimitPeriod::Window(window @ (BudgetWindow::Calendar { .. } | BudgetWindow::Anniversary { .. }))
            if CalendarUnit::parse(&window.per()).is_some() =>
        {
            (Cow::Owned(window.per()), Cow::Owned(format!("a {}", window.per())))
        }
        LimitPeriod::Window(window) => {
            (Cow::Owned(format!("{} window", window.per())), Cow::Owned(format!("per {}", window.per())))
        }
    };
    let limit = measure.written(limit);
    let of = measure_word(measure);
    let noun = match measure {
        Measure::Credits => "quota",
        Measure::Tokens | Measure::Money => "budget",
    };
    match scope {
        BudgetScope::Key(_) => format!("this key's own {noun} of {limit} {length}"),
        BudgetScope::User(_) | BudgetScope::Subject(_) => format!("the {period}'s {noun} of {limit}"),
        BudgetScope::Plan(_) => format!("the {period}'s {noun} of {of} for all users of this plan"),
        BudgetScope::Global => format!("the {period}'s {noun} of {of} for this gateway"),
    }
}

/// Returns when a budget is full again.
fn full_again(period: Period) -> Cow<'static, str> {
    match period.per() {
        LimitPeriod::Day => Cow::Borrowed("at midnight UTC"),
        LimitPeriod::Week => Cow::Borrowed("at midnight UTC before Monday"),
        LimitPeriod::Month => Cow::Borrowed("on the first of the next month, UTC"),
        LimitPeriod::Window(BudgetWindow::Calendar { unit, zone, week_start }) => Cow::Owned(match unit {
            CalendarUnit::Day => format!("at midnight, {}", zone.name()),
            CalendarUnit::Week => format!("at midnight before {}, {}", week_start.name(), zone.name()),
            CalendarUnit::Month => format!("on the first of the next month, {}", zone.name()),
        }),
        LimitPeriod::Window(
            BudgetWindow::FirstUse { .. } | BudgetWindow::Anniversary { .. } | BudgetWindow::Period(_),
        ) => {
            let end = period.end();
            let minute = end.unix_seconds() / 60 % 1_440;
            Cow::Owned(format!("at {:02}:{:02} UTC on {}", minute / 60, minute % 60, end.day()))
        }
    }
}

/// Returns the message for a request that needs what a lost node holds; `name` is that of a plan's quota.
pub(super) fn lost(lease: &LostLease, name: Option<QuotaName>) -> String {
    let LostLease { budget, limit, held, period } = *lease;
    let name = name_of(budget, name, limit);
    let again = full_again(period);
    let part = if is_shared(budget) { "a part".to_owned() } else { budget.measure.written(held) };
    format!(
        "a server that does not respond has {part} of {name}, and the rest is too small: try again when that server \
         responds, or {again}"
    )
}

/// Returns the message for a budget that has less left than the request needs; `name` is that of a plan's quota.
pub(super) fn too_little(exceeded: &BudgetExceeded, name: Option<QuotaName>) -> String {
    let BudgetExceeded { budget: BudgetId { measure, .. }, period, limit, used, requested, by } = *exceeded;
    let quota = name_of(exceeded.budget, name, limit);
    let again = full_again(period);
    let requested_written = measure.written(requested);
    let is_shared = is_shared(exceeded.budget);
    if limit.is_zero() {
        return format!("{quota} allows only requests without a cost");
    }
    if used >= limit {
        let used = if is_shared { String::new() } else { format!(" ({} used)", measure.written(used)) };
        return format!("{quota} is used up{used}: it resets {again}");
    }
    let call = match measure {
        Measure::Credits => format!("this call costs {requested_written}"),
        Measure::Tokens | Measure::Money => format!("this call may use up to {requested_written}"),
    };
    let left = match (by, measure) {
        _ if is_shared => "less is left".to_owned(),
        (RefusalCause::Limit, Measure::Credits | Measure::Tokens) => {
            format!("{} are left", measure.written(exceeded.left()))
        }
        (RefusalCause::Limit, Measure::Money) => format!("{} is left", measure.written(exceeded.left())),
        // Only the lease server knows the amount that is left; this node has a part of it.
        (RefusalCause::Lease, _) => "less is left".to_owned(),
    };
    // Waiting does not help a request that exceeds the whole budget. For a shared budget this advice would reveal its
    // amount.
    let is_over = requested > limit && !is_shared;
    let advice = if is_over { "request less; it resets" } else { "request less, or wait until it resets" };
    format!("{call}, and {left} of {quota}: {advice} {again}")
}

/// Returns the name of the measure for a message without an amount.
const fn measure_word(measure: Measure) -> &'static str {
    match measure {
        Measure::Credits => "credits",
        Measure::Tokens => "tokens",
        Measure::Money => "money",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(
        scope: BudgetScope,
        measure: Measure,
        per: LimitPeriod,
        [limit, used, requested]: [u64; 3],
        by: RefusalCause,
    ) -> String {
        let budget = BudgetId { scope, measure, per };
        let period = meter::Period::containing(per, access::Day(20_000));
        let [limit, used, requested] = [limit, used, requested].map(|units| measure.limit_of(units));
        too_little(&BudgetExceeded { budget, period, limit, used, requested, by }, None)
    }

    #[test]
    fn a_budget_that_is_used_up_says_whose_how_much_and_until_when() {
        let amounts = [2_505_000_000, 2_600_000_000, 1];
        let message = |scope, measure, per| refusal(scope, measure, per, amounts, RefusalCause::Limit);
        let key = BudgetScope::Key(access::KeyNo(1));
        for (message, expected) in [
            (
                message(BudgetScope::User(access::UserNo(1)), Measure::Credits, LimitPeriod::Day),
                "the day's quota of 2505000000 credits is used up (2600000000 credits used): it resets at midnight UTC",
            ),
            (
                message(key, Measure::Money, LimitPeriod::Month),
                "this key's own budget of 2.505 USD a month is used up (2.6 USD used): it resets on the first of the \
                next month, UTC",
            ),
            (
                message(BudgetScope::Global, Measure::Tokens, LimitPeriod::Day),
                "the day's budget of tokens for this gateway is used up: it resets at midnight UTC",
            ),
            (
                message(BudgetScope::Plan(access::PlanId::NIL), Measure::Money, LimitPeriod::Month),
                "the month's budget of money for all users of this plan is used up: it resets on the first of the \
                next month, UTC",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn what_a_lost_node_holds_is_named_unless_others_share_it() {
        let message = |scope, measure: Measure, per| {
            let budget = BudgetId { scope, measure, per };
            let period = meter::Period::containing(per, access::Day(20_000));
            lost(&LostLease { budget, period, limit: measure.limit_of(400), held: measure.limit_of(34) }, None)
        };
        assert_eq!(
            message(BudgetScope::User(access::UserNo(1)), Measure::Credits, LimitPeriod::Day),
            "a server that does not respond has 34 credits of the day's quota of 400 credits, and the rest is too small: \
             try again when that server responds, or at midnight UTC"
        );
        assert_eq!(
            message(BudgetScope::Global, Measure::Tokens, LimitPeriod::Month),
            "a server that does not respond has a part of the month's budget of tokens for this gateway, and the rest is \
             too small: try again when that server responds, or on the first of the next month, UTC"
        );
    }

    #[test]
    fn a_refusal_of_a_shared_budget_tells_no_amount_but_the_calls_own() {
        for scope in [BudgetScope::Global, BudgetScope::Plan(access::PlanId::NIL)] {
            for measure in [Measure::Credits, Measure::Tokens, Measure::Money] {
                for (limit, used) in
                    [(8_000_000_000, 8_000_000_000), (8_000_000_000, 7_000_000_000), (8_000_000_000, 0)]
                {
                    for by in [RefusalCause::Limit, RefusalCause::Lease] {
                        // The second request is larger than the whole budget.
                        let messages = [1_500_000_000, 9_500_000_000]
                            .map(|requested| refusal(scope, measure, LimitPeriod::Month, [limit, used, requested], by));
                        let shape = messages.each_ref().map(|text| {
                            text.replace("1500000000", "N")
                                .replace("9500000000", "N")
                                .replace("1.5 USD", "N")
                                .replace("9.5 USD", "N")
                        });
                        assert_eq!(shape[0], shape[1], "the text depends on the amount");
                        assert!(!shape[0].contains(|letter: char| letter.is_ascii_digit()), "{}", shape[0]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_call_that_is_larger_than_what_is_left_is_told_both_and_when_there_is_more() {
        let user = BudgetScope::User(access::UserNo(1));
        for (message, expected) in [
            (
                refusal(user, Measure::Money, LimitPeriod::Day, [0, 0, 1], RefusalCause::Limit),
                "the day's budget of 0 USD allows only requests without a cost",
            ),
            (
                refusal(user, Measure::Tokens, LimitPeriod::Day, [1_000, 400, 601], RefusalCause::Limit),
                "this call may use up to 601 tokens, and 600 tokens are left of the day's budget of 1000 tokens: request \
                less, or wait until it resets at midnight UTC",
            ),
            (
                refusal(user, Measure::Tokens, LimitPeriod::Day, [1_000, 0, 1_001], RefusalCause::Limit),
                "this call may use up to 1001 tokens, and 1000 tokens are left of the day's budget of 1000 tokens: request \
                less; it resets at midnight UTC",
            ),
            (
                refusal(
                    BudgetScope::Global,
                    Measure::Money,
                    LimitPeriod::Month,
                    [5_000_000_000, 4_999_000_000, 1_250_000],
                    RefusalCause::Limit,
                ),
                "this call may use up to 0.00125 USD, and less is left of the month's budget of money for this gateway: request \
                less, or wait until it resets on the first of the next month, UTC",
            ),
            (
                refusal(
                    BudgetScope::Key(access::KeyNo(1)),
                    Measure::Credits,
                    LimitPeriod::Day,
                    [5, 3, 4],
                    RefusalCause::Limit,
                ),
                "this call costs 4 credits, and 2 credits are left of this key's own quota of 5 credits a day: request \
                less, or wait until it resets at midnight UTC",
            ),
            (
                refusal(user, Measure::Tokens, LimitPeriod::Day, [1_000, 400, 601], RefusalCause::Lease),
                "this call may use up to 601 tokens, and less is left of the day's budget of 1000 tokens: request less, or \
                wait until it resets at midnight UTC",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }
}
