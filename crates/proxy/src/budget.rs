//! The caller's limits and quota, all or nothing.

use access::{Credits, Principal, Refusal};
use meter::{Ask, Caller, Reservation};

use crate::answer::Problem;
use crate::exchange::Exchange;

/// Takes what the request may use in advance; `credits` is `None` for a free call.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn reserve(
    exchange: &Exchange,
    principal: &Principal,
    credits: Option<Credits>,
) -> Result<Reservation, Problem> {
    let worker = exchange.worker();
    let counted = principal.plan.credits_per_day.is_some() || exchange.leaves_a_row();
    if counted && credits.is_some() && !worker.spool.borrow().room() {
        return Err(Problem::new(
            Refusal::SpoolFull,
            "usage cannot be recorded at the moment, so nothing that is counted is served: try again soon",
        ));
    }
    let clock = &worker.shared.clock;
    let ask = Ask {
        caller: Caller { user: principal.user_no, key: principal.key_no },
        plan: &principal.plan,
        credits,
        at: clock.now(),
        now: clock.mono(),
    };
    worker.shared.meter.admit(&ask).map_err(|refused| Problem::of_limit(&refused, clock))
}
