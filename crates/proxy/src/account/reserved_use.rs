//! The check whether a response has used up the reservation of its request.

use access::{Credits, NanoUsd};
use ai::Tap;
use meter::Charge;

use super::RequestAccount;
use super::permits::BudgetHold;

impl RequestAccount {
    /// Returns whether a budget limits what the request uses, so that its response may exceed the reservation before it
    /// ends.
    pub(crate) fn is_held_to_its_use(&self) -> bool {
        matches!(&self.permits.budgets, BudgetHold::CommittedRequest(committed) if committed.limits_use(self.credit_rates().is_some()))
    }

    /// Returns whether the usage that `tap` has read so far exceeds the reservation.
    pub(crate) fn has_used_up(&self, tap: &Tap) -> bool {
        let BudgetHold::CommittedRequest(committed) = &self.permits.budgets else {
            return false;
        };
        let Some(call) = self.call() else {
            return false;
        };
        let Some((usage, terms)) = tap.used() else { return false };
        let price = self.request.snapshot.traffic.price(&call.provider, (&call.model, None), self.request.started_at);
        let least = price.map_or(NanoUsd(0), |price| price.cost_at_least(Some(terms), &usage));
        let credits =
            self.credit_rates().map(|rates| rates.price(&call.requested_model, &call.provider.name, &call.model));
        let credits = credits.map_or(Credits::ZERO, |price| price.cost(&usage));
        let used = Charge { credits, tokens: usage.total(), ..Charge::money(least) };
        let mut used = if call.own_credential { used.unpooled() } else { used };
        if let Some(earlier) = self.inference.as_ref().and_then(|inference| inference.earlier.as_ref()) {
            let further = self.permits.further.iter().fold(Charge::default(), |sum, more| sum.and(&more.charge()));
            used = used.and(&earlier.used).less(&further);
        }
        committed.exceeds(&used)
    }
}
