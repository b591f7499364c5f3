//! The client's limits and budgets: a reservation covers all of them or none.

use std::cell::RefCell;
use std::sync::Arc;

use access::{Amount, KeyNo, Principal, Refusal};
use meter::admission::{BudgetExceeded, LeaseShortfall};
use meter::counter::RefusalCause;
use meter::lease::{LeaseQueue, Verdict, WaitDecision};
use meter::{AdmissionRefusal, AdmissionRequest, Caller, Charge, Limits, Meter, Reservation, Terms};
use rustc_hash::FxHashMap;

use crate::answer::Problem;
use crate::exchange::Exchange;

/// Maximum number of keys whose limits a worker caches. If one more key arrives, the cache is cleared.
const KNOWN_MAX: usize = 20_000;

/// The limits of this worker's principals. The meter computes them once per principal, not for each request.
#[derive(Debug, Default)]
pub(crate) struct LimitsCache(RefCell<FxHashMap<KeyNo, PrincipalLimits>>);

/// A principal and the limits that its terms define.
#[derive(Debug)]
struct PrincipalLimits {
    principal: Arc<Principal>,
    limits: Arc<Limits>,
}

impl LimitsCache {
    /// Returns the limits of `principal`. A key whose terms have changed has a new principal.
    fn limits(&self, meter: &Meter, principal: &Arc<Principal>) -> Arc<Limits> {
        let mut known = self.0.borrow_mut();
        if let Some(held) = known.get(&principal.key_no)
            && Arc::ptr_eq(&held.principal, principal)
        {
            return held.limits.clone();
        }
        let limits = meter.limits(&Terms {
            caller: Caller::from(&**principal),
            plan: &principal.plan,
            bounds: &principal.bounds,
            budgets: &principal.budgets,
        });
        if known.len() >= KNOWN_MAX && !known.contains_key(&principal.key_no) {
            known.clear();
        }
        known.insert(principal.key_no, PrincipalLimits { principal: principal.clone(), limits: limits.clone() });
        limits
    }
}

/// Returns the limits of the request's principal.
pub(crate) fn limits(exchange: &Exchange, principal: &Arc<Principal>) -> Arc<Limits> {
    let worker = exchange.worker();
    worker.limits.limits(&worker.shared.meter, principal)
}

/// Reserves the maximum usage of the request; `charge` is `None` for a free request. If this node's leases are too
/// small, the request waits for more.
pub(crate) async fn reserve(
    exchange: &Exchange,
    limits: &Arc<Limits>,
    charge: Option<Charge>,
) -> Result<Reservation, Problem> {
    let worker = exchange.worker();
    let counted = limits.limits_budgets() || exchange.leaves_a_row();
    if counted && charge.is_some() && !worker.spool.borrow().has_room() {
        return Err(unrecordable());
    }
    let shared = &worker.shared;
    let ask = || {
        let now = shared.clock.mono_at(exchange.read_at().into_std());
        let at = shared.leases.as_ref().map_or_else(|| exchange.wall_at(), |leases| leases.at(&shared.clock));
        AdmissionRequest { limits, charge, at, now }
    };
    let ask_after_wait = || {
        exchange.read_clock();
        ask()
    };
    match (shared.meter.admit(&ask()), &shared.leases) {
        (Err(AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Lease, .. })), Some(leases)) => {
            borrow(&shared.meter, leases, ask_after_wait).await.map_err(|unmet| unmet.problem(exchange))
        }
        (Err(refused), Some(_)) => Err(Problem::of_limit(&of_many(refused), &shared.clock)),
        (Err(refused), None) => Err(Problem::of_limit(&refused, &shared.clock)),
        (Ok(reservation), _) => Ok(reservation),
    }
}

/// The reason why a request was not admitted after it had waited.
#[derive(Debug, PartialEq, Eq)]
enum AdmissionFailure {
    /// A limit refuses the request.
    AdmissionRefusal(AdmissionRefusal),
    /// The result was unknown at the end of the wait, or other nodes hold the rest.
    Withheld,
}

impl AdmissionFailure {
    fn problem(self, exchange: &Exchange) -> Problem {
        match self {
            Self::AdmissionRefusal(refused) => Problem::of_limit(&of_many(refused), &exchange.worker().shared.clock),
            Self::Withheld => Problem::new(
                Refusal::QuotaWithheld,
                "the rest of a quota is leased to other servers, or is unknown at the moment: try again",
            ),
        }
    }
}

/// Waits for the amounts that a request lacks, and reserves them. The lease queue decides about each waiting request in
/// time, so the wait ends.
async fn borrow<'a>(
    meter: &Meter,
    leases: &LeaseQueue,
    ask: impl Fn() -> AdmissionRequest<'a>,
) -> Result<Reservation, AdmissionFailure> {
    let mut asked = ask();
    let mut wait = leases.wait(asked.now);
    loop {
        match meter.admit(&asked) {
            Ok(reservation) => return Ok(reservation),
            Err(AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Lease, .. })) => {}
            Err(refused) => return Err(AdmissionFailure::AdmissionRefusal(refused)),
        }
        let lacks = asked.shortfalls();
        if lacks.is_empty() {
            // The leases grew between the two checks.
            asked = ask();
            continue;
        }
        match wait.verdict(lacks.clone()).await {
            Some(WaitDecision { verdict: Verdict::Retry, .. }) => asked = ask(),
            Some(WaitDecision { verdict: Verdict::UsedUp, counter: cell, .. }) => {
                let lack = lacks.iter().find(|lack| lack.id == cell);
                return Err(lack.map_or(AdmissionFailure::Withheld, |lack| {
                    AdmissionFailure::AdmissionRefusal(AdmissionRefusal::Budget(used_up(lack)))
                }));
            }
            Some(WaitDecision { verdict: Verdict::Withheld, .. }) | None => return Err(AdmissionFailure::Withheld),
        }
    }
}

/// Returns a refusal of a budget that nodes share. The amount that is left on this node is not all that is left, so it
/// is not reported to the client.
fn of_many(refused: AdmissionRefusal) -> AdmissionRefusal {
    match refused {
        AdmissionRefusal::Budget(exceeded) => {
            AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Lease, ..exceeded })
        }
        rate @ AdmissionRefusal::Rate(..) => rate,
    }
}

/// Returns the refusal of a budget that is exhausted on all nodes; `used` is the minimum that must be used.
fn used_up(lack: &LeaseShortfall) -> BudgetExceeded {
    let (limit, asked) = (lack.counter.limit(), lack.amount);
    let used = limit.saturating_sub(asked).saturating_add(Amount(u64::from(limit >= asked)));
    BudgetExceeded {
        budget: lack.id.budget,
        period: lack.id.period,
        limit,
        used,
        requested: asked,
        by: RefusalCause::Limit,
    }
}

/// Returns the refusal of a request whose usage cannot be recorded. Such requests are not served.
pub(crate) fn unrecordable() -> Problem {
    let message = "usage cannot be recorded at the moment, so nothing that is counted is served: try again soon";
    Problem::new(Refusal::SpoolFull, message)
}

#[cfg(test)]
mod tests {
    use access::{Clock, Credits, Ids, KeyId, Plan, Timestamp, UserId, UserNo};

    use super::*;

    fn principal(key: i64, credits: u64) -> Arc<Principal> {
        let plan = Plan { credits_per_day: Some(Credits(credits)), ..Plan::unlimited("test") };
        let id = Ids::new(Clock::manual(Timestamp(1))).next_uuid();
        Arc::new(Principal::unbounded((UserId(id), UserNo(1)), (KeyId(id), KeyNo(key)), Arc::new(plan)))
    }

    #[test]
    fn limits_are_found_once_for_a_principal_and_anew_when_it_has_changed() {
        let (known, meter) = (LimitsCache::default(), Meter::default());
        let (first, changed) = (principal(1, 5), principal(1, 6));
        let limits = known.limits(&meter, &first);
        assert!(Arc::ptr_eq(&limits, &known.limits(&meter, &first)));
        let at = Timestamp(1);
        assert_eq!(
            (limits.left(at).credits, known.limits(&meter, &changed).left(at).credits),
            (Credits(5), Credits(6))
        );
    }

    #[test]
    fn limits_that_are_kept_are_bounded() {
        let (known, meter) = (LimitsCache::default(), Meter::default());
        for key in 0..=i64::try_from(KNOWN_MAX).unwrap() {
            known.limits(&meter, &principal(key, 1));
        }
        assert_eq!(known.0.borrow().len(), 1);
    }
}
