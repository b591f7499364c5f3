//! The charge of a request's attempts to its budgets.

use access::{Credits, NanoUsd, Tokens};
use meter::rating::credit_price::CreditPrice;
use meter::{Attempt, Charge};

/// The amounts that an attempt may use, and how its credits are counted.
#[derive(Clone, Copy)]
pub(super) struct AttemptTerms<'a> {
    /// The reserved amounts of each attempt; flat credits are those of the whole call.
    pub(super) reserved: &'a Charge,
    /// Returns the price of an attempt's tokens in credits; `None` for flat credits.
    pub(super) credit_price: Option<&'a dyn Fn(&Attempt) -> CreditPrice>,
}

/// Returns the charge of `attempts`, and the part of it that no provider reported. An attempt without usage is charged
/// its reservation.
///
/// An attempt with an unknown cost is charged the larger of its reservation and, for the last attempt, `known`: the
/// cost of the parts that have a rate. Otherwise tokens beyond the reservation would be free if one part of the request
/// has no rate.
pub(super) fn used(attempts: &[Attempt], known: NanoUsd, terms: AttemptTerms<'_>) -> (Charge, Charge) {
    let AttemptTerms { reserved, credit_price } = terms;
    let flat = if credit_price.is_some() { Credits::ZERO } else { reserved.credits };
    let nothing = (Charge::credits(flat), Charge::default());
    let last = attempts.len().saturating_sub(1);
    attempts.iter().enumerate().fold(nothing, |(charge, estimated), (place, attempt)| {
        let (tokens, estimated_tokens) = match (attempt.usage, attempt.cost) {
            (Some(usage), _) => (usage.total(), Tokens::ZERO),
            (None, Some(NanoUsd::ZERO)) => (Tokens::ZERO, Tokens::ZERO),
            (None, _) => (reserved.tokens, reserved.tokens),
        };
        let (credits, estimated_credits) = match (credit_price, attempt.usage, attempt.cost) {
            (None, ..) | (Some(_), None, Some(NanoUsd::ZERO)) => (Credits::ZERO, Credits::ZERO),
            (Some(price), Some(usage), _) => (price(attempt).cost(&usage), Credits::ZERO),
            (Some(_), None, _) => (reserved.credits, reserved.credits),
        };
        let known = if place == last { known } else { NanoUsd::ZERO };
        let (money, estimated_money) = match attempt.cost {
            Some(cost) => (cost, NanoUsd::ZERO),
            None => (reserved.money.max(known), reserved.money.difference_or_zero(known)),
        };
        let of = |credits, tokens, money| {
            let used = Charge { credits, tokens, ..Charge::money(money) };
            if attempt.own_credential { used.unpooled() } else { used }
        };
        let estimated_part = of(estimated_credits, estimated_tokens, estimated_money);
        (charge.and(&of(credits, tokens, money)), estimated.and(&estimated_part))
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use meter::rating::credit_price::{Millionths, TokenWeights};
    use meter::{Source, UnknownCost, Usage};

    use super::*;

    const RESERVED: Charge =
        Charge { credits: Credits::whole(2), tokens: Tokens(1_000), ..Charge::money(NanoUsd(500)) };

    const FLAT: AttemptTerms<'_> = AttemptTerms { reserved: &RESERVED, credit_price: None };

    fn attempt(tokens: Option<u64>, cost: Option<i64>) -> Attempt {
        Attempt {
            provider: "openai".into(),
            model: Some("gpt-5".into()),
            answered_model: None,
            status: Some(200),
            upstream_id: None,
            usage: tokens.map(|tokens| Usage { input: Some(Tokens(tokens)), ..Usage::empty(Source::Reported) }),
            raw_usage: None,
            cost: cost.map(NanoUsd),
            unknown: cost.is_none().then_some(UnknownCost::UnpricedTool),
            price_version: None,
            own_credential: false,
            first_byte_us: None,
            duration_us: 1,
        }
    }

    fn check(attempts: &[Attempt], known: i64, charge: [u32; 2], estimated: [u32; 2]) {
        let of = |credits, [tokens, money]: [u32; 2]| Charge {
            credits: Credits::whole(credits),
            tokens: Tokens(tokens.into()),
            ..Charge::money(NanoUsd(money.into()))
        };
        assert_eq!(used(attempts, NanoUsd(known), FLAT), (of(2, charge), of(0, estimated)), "{attempts:?} {known}");
    }

    #[test]
    fn an_unknown_cost_counts_the_reservation_or_the_known_part_if_that_is_more() {
        let unknown = || attempt(Some(30), None);
        check(&[unknown()], 0, [30, 500], [0, 500]);
        check(&[unknown()], 499, [30, 500], [0, 1]);
        check(&[unknown()], 500, [30, 500], [0, 0]);
        check(&[unknown()], 501, [30, 501], [0, 0]);
        check(&[attempt(None, None)], 0, [1_000, 500], [1_000, 500]);
    }

    #[test]
    fn credits_by_tokens_are_the_sum_of_the_attempts_and_an_unknown_usage_counts_its_reservation() {
        let one = Millionths::ONE;
        let weights = TokenWeights { input: one, cached_input: one, cache_write: one, output: one };
        let price = CreditPrice { weights, factor: one, per_tokens: NonZeroU32::new(1_000).unwrap() };
        let of = |_: &Attempt| price;
        let terms = AttemptTerms { credit_price: Some(&of), ..FLAT };
        let credits = |attempts: &[Attempt]| {
            let (charge, estimated) = used(attempts, NanoUsd::ZERO, terms);
            [charge.credits, estimated.credits].map(|credits| credits.to_string())
        };
        assert_eq!(credits(&[attempt(Some(1_500), Some(7))]), ["1.5", "0"]);
        assert_eq!(credits(&[attempt(None, None)]), ["2", "2"]);
        assert_eq!(credits(&[attempt(None, Some(0))]), ["0", "0"], "the provider refused it");
        assert_eq!(credits(&[attempt(None, None), attempt(Some(250), Some(7))]), ["2.25", "2"]);
        assert_eq!(credits(&[]), ["0", "0"]);
    }

    #[test]
    fn money_of_own_credentials_is_not_of_pooled_budgets() {
        let own = |tokens, cost| Attempt { own_credential: true, ..attempt(tokens, cost) };
        let pooled = |attempts: &[Attempt]| {
            let (charge, estimated) = used(attempts, NanoUsd::ZERO, FLAT);
            [charge.money, charge.pooled_money, estimated.money, estimated.pooled_money].map(|money| money.0)
        };
        assert_eq!(pooled(&[own(Some(30), Some(7))]), [7, 0, 0, 0]);
        assert_eq!(pooled(&[own(None, None)]), [500, 0, 500, 0]);
        assert_eq!(pooled(&[own(Some(30), Some(7)), attempt(Some(30), Some(9))]), [16, 9, 0, 0]);
        assert_eq!(pooled(&[own(None, None), attempt(None, None)]), [1_000, 500, 1_000, 500]);
    }

    #[test]
    fn a_known_cost_counts_alone_and_the_known_part_is_that_of_the_last_attempt() {
        check(&[attempt(Some(30), Some(7))], 0, [30, 7], [0, 0]);
        check(&[attempt(None, Some(0))], 0, [0, 0], [0, 0]);
        check(&[], 9, [0, 0], [0, 0]);
        check(&[attempt(None, None), attempt(Some(30), None)], 900, [1_030, 1_400], [1_000, 500]);
    }
}
