//! The maximum usage of an LLM request, computed if a budget of tokens or money limits the client.

use access::{NanoUsd, Refusal, Timestamp, Tokens};
use ai::bound::{Bound, Extent, LoweredLimit, Reference, RemainingBudget, Unknown};
use ai::models;
use ai::price::Price;
use config::snapshot::{Budgets, Unbounded};
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

/// The properties of a request that determine its maximum usage.
pub(crate) struct CallSize<'a> {
    pub(crate) extent: &'a Extent,
    pub(crate) model: &'a str,
    pub(crate) price: Option<&'a Price>,
    pub(crate) limits: Option<models::TokenLimits>,
}

/// Returns whether the maximum usage of a request must be known before the request is sent.
pub(crate) fn is_required(limits: &Limits, own_credential: bool) -> bool {
    limits.limits(Measure::Tokens) || limits.limits_money(own_credential)
}

impl CallLimits<'_> {
    /// Returns the tokens and the money to reserve, and the limit to write into the body so that the request fits the
    /// remaining budgets.
    pub(crate) fn bound(&self, sized: &CallSize<'_>) -> Result<(Charge, Option<LoweredLimit>), Problem> {
        let CallSize { extent, price, limits, .. } = sized;
        let bound = extent.bound(*price, *limits);
        let most = self.most(&bound, sized)?;
        if !self.budgets.clamp || self.holds(&most) {
            return Ok((most, None));
        }
        // The remaining budgets may be too small for any response. Admission then refuses the unchanged request.
        match extent.clamp(*price, *limits, self.left()) {
            Some(lowered) => {
                let bound = extent.limited(lowered.max_tokens).bound(*price, *limits);
                Ok((self.most(&bound, sized)?, Some(lowered)))
            }
            None => Ok((most, None)),
        }
    }

    /// Returns the maximum usage in the measures that a budget limits.
    fn most(&self, bound: &Bound, sized: &CallSize<'_>) -> Result<Charge, Problem> {
        let counts_tokens = self.limits.limits(Measure::Tokens);
        if self.budgets.unbounded == Unbounded::Refuse
            && let Some(reference) = reference(bound, counts_tokens)
        {
            return Err(unbounded(&format!("it refers to {}", reference.as_str())));
        }
        let mut most = Charge::default();
        if counts_tokens {
            most.tokens = bound.tokens.ok_or_else(|| self.unknown(bound, sized.model))?;
        }
        if self.limits.limits_money(self.own_credential) {
            let money = bound.money.ok_or_else(|| self.unknown(bound, sized.model))?;
            most = Charge { tokens: most.tokens, ..Charge::money(money) };
        }
        Ok(if self.own_credential { most.unpooled() } else { most })
    }

    fn unknown(&self, bound: &Bound, model: &str) -> Problem {
        match bound.unknown() {
            Some(Unknown::Limits) => unbounded(&format!("it is not known how much the model {model:?} makes at most")),
            Some(Unknown::Price) | None => Problem::new(
                Refusal::PriceUnknown,
                format!(
                    "the model {model:?} has no price for this request, and a budget of money applies: use another model"
                ),
            ),
        }
    }

    /// Returns the tokens and the money that the call may still use.
    fn amounts_left(&self) -> (Tokens, NanoUsd) {
        let left = self.limits.left(self.at).and(&self.held);
        let money = if self.own_credential { left.money } else { left.money.min(left.pooled_money) };
        (left.tokens, money)
    }

    fn left(&self) -> RemainingBudget {
        let (tokens, money) = self.amounts_left();
        RemainingBudget {
            tokens: self.limits.limits(Measure::Tokens).then_some(tokens),
            money: self.limits.limits_money(self.own_credential).then_some(money),
        }
    }

    fn holds(&self, most: &Charge) -> bool {
        let (tokens, money) = self.amounts_left();
        most.tokens <= tokens && most.money <= money
    }
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
    use super::*;

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
