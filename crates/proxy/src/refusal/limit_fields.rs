//! The `X-RateLimit-*` fields of limits and budgets.

use access::Timestamp;
use http::{HeaderName, HeaderValue};
use meter::budgets::counter::RefusalCause;
use meter::rate::RateLevel;
use meter::{BudgetExceeded, Measure};

use crate::refusal::budget_words::is_shared;
use crate::refusal::seconds::seconds_up;

pub(super) const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Returns the `X-RateLimit-*` headers of a client's rate limit; `-Reset` is in Unix seconds (GW-3.3).
pub(crate) fn limit_headers(level: RateLevel, now: Timestamp) -> [(HeaderName, HeaderValue); 3] {
    [
        (X_RATELIMIT_LIMIT, HeaderValue::from(level.limit)),
        (X_RATELIMIT_REMAINING, HeaderValue::from(level.remaining)),
        (X_RATELIMIT_RESET, HeaderValue::from(reset_at(level, now))),
    ]
}

/// Returns the time at which the limit is unused again, in Unix seconds.
pub(super) fn reset_at(level: RateLevel, now: Timestamp) -> u64 {
    now.unix_seconds() + seconds_up(level.reset)
}

/// Returns the `X-RateLimit-*` headers of a budget. `-Limit` and `-Remaining` are in credits: they are omitted for budgets
/// of tokens and money, whose figures clients would read as requests, and for a budget that several users share.
/// `-Remaining` is omitted if only other nodes know it.
pub(super) fn budget_headers(exceeded: &BudgetExceeded) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let left = exceeded.left();
    let is_own = exceeded.budget.measure == Measure::Credits && !is_shared(exceeded.budget);
    let remaining =
        (is_own && (left.is_zero() || exceeded.by == RefusalCause::Limit)).then_some((X_RATELIMIT_REMAINING, left.0));
    let known = [
        is_own.then_some((X_RATELIMIT_LIMIT, exceeded.limit.0)),
        remaining,
        Some((X_RATELIMIT_RESET, exceeded.resets_at().unix_seconds())),
    ];
    known.into_iter().flatten().map(|(name, figure)| (name, HeaderValue::from(figure)))
}

#[cfg(test)]
mod tests {
    use access::{Amount, Clock, RequestId};
    use ai::Dialect;
    use config::snapshot::QuotaStatus;
    use meter::{AdmissionRefusal, BudgetId, BudgetScope, Per};

    use super::*;
    use crate::refusal::problem::Problem;
    use crate::refusal::render::Rendering;

    #[test]
    fn a_refusal_of_a_budget_says_limit_rest_and_reset_in_headers() {
        let of = |scope, measure, [limit, used, requested]: [u64; 3], by| {
            let budget = BudgetId { scope, measure, per: Per::Day };
            let period = meter::Period::of(Per::Day, access::Day(20_000));
            let [limit, used, requested] = [limit, used, requested].map(Amount);
            let refused = AdmissionRefusal::Budget(BudgetExceeded { budget, period, limit, used, requested, by });
            let clock = Clock::manual(access::Day(20_000).start());
            let problem = Problem::of_limit(&refused, &clock);
            let (dialect, user_agent) = (Some(Dialect::OpenAi), None);
            let quota_status = QuotaStatus::TooManyRequests;
            let rendering = Rendering { dialect, quota_status, user_agent, domain: "tollgate" };
            let response = problem.into_response(rendering, RequestId::NIL);
            [X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET]
                .map(|name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()))
        };
        let of_user = |measure, amounts, by| of(BudgetScope::User(access::UserNo(1)), measure, amounts, by);
        let headers = |limit: &str, remaining: Option<&str>| {
            // 20,001 days after 1970-01-01.
            [Some(limit.to_owned()), remaining.map(str::to_owned), Some("1728086400".to_owned())]
        };
        assert_eq!(of_user(Measure::Credits, [5, 5, 1], RefusalCause::Limit), headers("5", Some("0")));
        assert_eq!(of_user(Measure::Credits, [1_000, 400, 601], RefusalCause::Limit), headers("1000", Some("600")));
        assert_eq!(
            of_user(Measure::Credits, [1_000, 400, 601], RefusalCause::Lease),
            headers("1000", None),
            "other nodes have a part"
        );
        assert_eq!(of_user(Measure::Credits, [1_000, 1_000, 1], RefusalCause::Lease), headers("1000", Some("0")));
        let reset_alone = [None, None, Some("1728086400".to_owned())];
        for measure in [Measure::Tokens, Measure::Money] {
            let refused = of_user(measure, [20_000_000_000, 19_999_999_000, 30_000_000_000], RefusalCause::Limit);
            assert_eq!(refused, reset_alone, "a client would read 1000 as requests");
        }
        let key = BudgetScope::Key(access::KeyNo(1));
        assert_eq!(of(key, Measure::Credits, [5, 5, 1], RefusalCause::Limit), headers("5", Some("0")));
        for shared in [BudgetScope::Global, BudgetScope::Plan(access::PlanId::NIL)] {
            for amounts in [[5, 5, 1], [1_000, 400, 601], [0, 0, 1]] {
                assert_eq!(of(shared, Measure::Credits, amounts, RefusalCause::Limit), reset_alone);
            }
        }
    }
}
