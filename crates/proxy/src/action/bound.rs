//! The maximum usage of an LLM request, computed if a budget of tokens or money limits the client, or one of credits that depend on
//! tokens.

use access::{Credits, NanoUsd, Refusal, Timestamp, Tokens};
use ai::bound::{Bound, Extent, LoweredLimit, MissingFact, Reference, RemainingBudget};
use ai::models;
use ai::price::Price;
use config::snapshot::{Budgets, UnboundedCalls};
use meter::rating::credit_price::CreditPrice;
use meter::{Charge, Limits, Measure};

use crate::refusal::problem::Problem;

/// The limits of a client at one time.
pub(crate) struct CallLimits<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) budgets: &'a Budgets,
    /// The amounts that the call has reserved for earlier attempts, and that they have not used.
    pub(crate) held: Charge,
    pub(crate) at: Timestamp,
    /// Whether the call uses the user's own credential, whose money pooled budgets do not limit.
    pub(crate) own_credential: bool,
}

/// The properties of a request that determine its maximum usage at one model.
pub(crate) struct CallSize<'a> {
    pub(crate) extent: Extent,
    pub(crate) model: &'a str,
    pub(crate) price: Option<&'a Price>,
    pub(crate) limits: Option<models::TokenLimits>,
    /// The price of its tokens in credits; `None` for flat credits, and if no budget of credits applies.
    pub(crate) credits: Option<CreditPrice>,
}

/// Returns whether the maximum usage of a request must be known before the request is sent. `by_tokens` is whether its credits
/// depend on its tokens.
pub(crate) fn is_required(limits: &Limits, own_credential: bool, by_tokens: bool) -> bool {
    limits.limits(Measure::Tokens)
        || limits.limits_money(own_credential)
        || (by_tokens && limits.limits(Measure::Credits))
}

impl CallLimits<'_> {
    /// Returns the tokens and the money to reserve for a request that one of these models serves, and the limit to write into
    /// the body so that the request fits the remaining budgets.
    pub(crate) fn bound(&self, sizes: &[CallSize<'_>]) -> Result<(Charge, Option<LoweredLimit>), Problem> {
        let most = self.most_of(sizes, |sized| sized.extent.bound(sized.price, sized.limits))?;
        if !self.budgets.clamp || self.holds(&most) {
            return Ok((most, None));
        }
        // The remaining budgets may be too small for any response. Admission then refuses the unchanged request.
        let clamp = |sized: &CallSize<'_>| sized.extent.clamp(sized.price, sized.limits, self.left(sized));
        let lowered: Option<Vec<LoweredLimit>> = sizes.iter().map(clamp).collect();
        match lowered.and_then(|lowered| lowered.into_iter().min_by_key(|lowered| lowered.max_tokens)) {
            Some(lowered) => {
                let limited = |sized: &CallSize<'_>| sized.extent.limited(lowered.max_tokens);
                let most = self.most_of(sizes, |sized| limited(sized).bound(sized.price, sized.limits))?;
                Ok((most, Some(lowered)))
            }
            None => Ok((most, None)),
        }
    }

    /// Returns the highest usage over all models, of which `bound` returns the bound of one.
    fn most_of(&self, sizes: &[CallSize<'_>], bound: impl Fn(&CallSize<'_>) -> Bound) -> Result<Charge, Problem> {
        let mut sizes = sizes.iter();
        sizes.try_fold(Charge::default(), |most, sized| Ok(most.or_more(&self.most(&bound(sized), sized)?)))
    }

    /// Returns the maximum usage in the measures that a budget limits.
    fn most(&self, bound: &Bound, sized: &CallSize<'_>) -> Result<Charge, Problem> {
        let limits_tokens = self.limits.limits(Measure::Tokens);
        let counts_tokens = limits_tokens || sized.credits.is_some();
        if self.budgets.unbounded == UnboundedCalls::Refuse
            && let Some(reference) = reference(bound, counts_tokens)
        {
            return Err(unbounded(&format!("it refers to {}", reference.as_str())));
        }
        let mut most = Charge::default();
        let tokens =
            if counts_tokens { bound.tokens.ok_or_else(|| self.unknown(bound, sized.model))? } else { Tokens::ZERO };
        if limits_tokens {
            most.tokens = tokens;
        }
        if self.limits.limits_money(self.own_credential) {
            let money = bound.money.ok_or_else(|| self.unknown(bound, sized.model))?;
            most = Charge { tokens: most.tokens, ..Charge::money(money) };
        }
        if let Some(price) = &sized.credits {
            let (input, output) = parts(bound, tokens);
            most.credits = price.most(input, output);
        }
        Ok(if self.own_credential { most.unpooled() } else { most })
    }

    fn unknown(&self, bound: &Bound, model: &str) -> Problem {
        match bound.unknown() {
            Some(MissingFact::Limits) => unbounded(&format!("the maximum output of the model {model:?} is unknown")),
            Some(MissingFact::Price) | None => Problem::new(
                Refusal::PriceUnknown,
                format!(
                    "the model {model:?} has no price for this request, and a budget of money applies: use another model"
                ),
            ),
        }
    }

    /// Returns the credits, the tokens and the money that the call may still use.
    fn amounts_left(&self) -> (Credits, Tokens, NanoUsd) {
        let left = self.limits.left(self.at).and(&self.held);
        let money = if self.own_credential { left.money } else { left.money.min(left.pooled_money) };
        (left.credits, left.tokens, money)
    }

    /// Returns the remaining tokens and money for a model. Remaining credits are the tokens that they pay for.
    fn left(&self, sized: &CallSize<'_>) -> RemainingBudget {
        let (credits, tokens, money) = self.amounts_left();
        let of_budget = self.limits.limits(Measure::Tokens).then_some(tokens);
        let of_credits = sized.credits.as_ref().map(|price| tokens_within(price, credits, sized));
        RemainingBudget {
            tokens: of_budget.into_iter().chain(of_credits).min(),
            money: self.limits.limits_money(self.own_credential).then_some(money),
        }
    }

    fn holds(&self, most: &Charge) -> bool {
        let (credits, tokens, money) = self.amounts_left();
        most.credits <= credits && most.tokens <= tokens && most.money <= money
    }
}

/// Returns the input and the output of a bound of tokens.
fn parts(bound: &Bound, tokens: Tokens) -> (Tokens, Tokens) {
    let output = bound.output_tokens_max.unwrap_or(tokens).min(tokens);
    (tokens.saturating_sub(output), output)
}

/// Returns the tokens that these credits pay for: the input of the request, and the rest as output; 0 if its input costs more.
fn tokens_within(price: &CreditPrice, credits: Credits, sized: &CallSize<'_>) -> Tokens {
    let bound = sized.extent.bound(sized.price, sized.limits);
    let (input, _) = parts(&bound, bound.tokens.unwrap_or(Tokens::MAX));
    price.output_within(credits, input).map_or(Tokens::ZERO, |output| input.saturating_add(output))
}

/// Returns the reference that leaves the request unbounded, if any. If a request costs nothing at any length, budgets
/// of money ignore the reference. A provider's tool is the exception, because the price may lack its fee.
fn reference(bound: &Bound, counts_tokens: bool) -> Option<Reference> {
    let is_free = |reference| bound.money == Some(NanoUsd(0)) && reference != Reference::ServerTool;
    bound.unbounded.filter(|reference| counts_tokens || !is_free(*reference))
}

fn unbounded(why: &str) -> Problem {
    let message = format!("the maximum cost of this call is unknown, and a budget applies: {why}");
    Problem::new(Refusal::CostUnbounded, message)
}

#[cfg(test)]
mod tests {
    use access::{Amount, BudgetId, BudgetScope, Caller, KeyBounds, KeyNo, LimitPeriod, Plan, PlanId, UserNo};
    use ai::EndpointCall;
    use meter::{Meter, Rates, Terms, UnitRates};

    use super::*;

    #[test]
    fn a_call_that_one_of_several_models_serves_reserves_the_highest_usage_and_has_the_lowest_limit() {
        const BODY: &[u8] = br#"{"model":"a","max_tokens":1000,"messages":[]}"#;
        let called = EndpointCall::from_path("/v1/chat/completions").unwrap();
        let fields = ai::request::read(&called, None, BODY).unwrap();
        let priced = |nano: u64| {
            Price::configured(Rates { image_output: None, ..Rates::flat(nano * 1_000) }, UnitRates::default())
        };
        let cheap = priced(1);
        let dear = priced(10);
        let of_model = Some(models::TokenLimits { input_tokens_max: 100_000, output_tokens_max: 10_000 });
        let extent = Extent::read(&called, &fields, BODY);
        let budgets = Budgets { clamp: true, ..Budgets::default() };
        let caller = Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL };
        let id = BudgetId { scope: BudgetScope::Key(caller.key), measure: Measure::Money, per: LimitPeriod::Month };
        let bound = |left: u64, prices: &[Option<&Price>]| -> Result<_, Refusal> {
            let budget = [(id, Amount(left))];
            let plan = Plan::unlimited("test");
            let bounds = KeyBounds::default();
            let limits = Meter::default().limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budget });
            let at = Timestamp(1_700_000_000_000_000);
            let of =
                CallLimits { limits: &limits, budgets: &budgets, held: Charge::default(), at, own_credential: false };
            let mut sizes = Vec::new();
            for price in prices {
                sizes.push(CallSize {
                    extent: extent.clone(),
                    model: "m",
                    price: *price,
                    limits: of_model,
                    credits: None,
                });
            }
            let (most, lowered) = of.bound(&sizes).map_err(|problem| problem.refusal)?;
            Ok((most.money, lowered.map(|lowered| lowered.max_tokens)))
        };
        // The input has a token per byte and 512 more.
        let input = i64::try_from(BODY.len()).unwrap() + 512;
        assert_eq!(bound(1_000_000, &[Some(&cheap)]), Ok((NanoUsd(input + 1_000), None)));
        for prices in [[Some(&cheap), Some(&dear)], [Some(&dear), Some(&cheap)]] {
            assert_eq!(bound(1_000_000, &prices), Ok((NanoUsd(10 * (input + 1_000)), None)));
            let left = 10 * (input + 100);
            assert_eq!(bound(left.cast_unsigned(), &prices), Ok((NanoUsd(left), Some(100))));
        }
        assert_eq!(bound(1_000_000, &[Some(&cheap), None]), Err(Refusal::PriceUnknown));
    }

    #[test]
    fn what_costs_nothing_is_bounded_for_budgets_of_money_alone() {
        let bound = |money| Bound { tokens: None, money, output_tokens_max: None, unbounded: Some(Reference::Url) };
        let tool = Bound { unbounded: Some(Reference::ServerTool), ..bound(Some(NanoUsd(0))) };
        assert_eq!(reference(&tool, false), Some(Reference::ServerTool), "its fee may be unknown");
        for (money, counts_tokens, expected) in [
            (Some(NanoUsd(0)), false, None),
            (Some(NanoUsd(0)), true, Some(Reference::Url)),
            (Some(NanoUsd(1)), false, Some(Reference::Url)),
            (None, false, Some(Reference::Url)),
        ] {
            assert_eq!(reference(&bound(money), counts_tokens), expected, "{money:?} {counts_tokens}");
        }
    }
}
