//! The client's limits and budgets: a reservation covers all of them or none.

use std::sync::Arc;

use access::{Amount, Principal, Refusal};
use http::{HeaderValue, header};
use meter::admission::{BudgetExceeded, LeaseShortfall};
use meter::budgets::counter::RefusalCause;
use meter::lease::{CounterId, LeaseQueue, Verdict, WaitDecision};
use meter::{AdmissionRefusal, AdmissionRequest, Charge, Limits, Meter, RateSource, Reservation};

use crate::account::RequestAccount;
use crate::account::request::RequestContext;
use crate::deadlines::pause::PausePhase;
use crate::deadlines::shutdown::{Shutdown, ShutdownPhase, reached};
use crate::limits::grants::count_rate;
use crate::refusal::budget_words::LostLease;
use crate::refusal::problem::Problem;

/// The time after which a client should ask again for what another node holds: it is recalled by then.
const WITHHELD_RETRY_SECONDS: u64 = 1;

/// Returns the limits of the request's principal.
pub(crate) fn limits(request: &RequestContext, principal: &Arc<Principal>) -> Arc<Limits> {
    let worker = request.worker();
    worker.limits.limits(&worker.shared.meter, principal)
}

/// Reserves the maximum usage of the request; `charge` is `None` for a free request. If this node's leases are too
/// small, the request waits for more.
pub(crate) async fn reserve(
    account: &mut RequestAccount,
    limits: &Arc<Limits>,
    charge: Option<Charge>,
) -> Result<Reservation, Problem> {
    let worker = account.request.worker();
    let counted = limits.limits_budgets() || account.leaves_a_row();
    if counted && charge.is_some() && !worker.recorder.spool.borrow().has_room() {
        return Err(unrecordable());
    }
    let rate = if worker.shared.sharing.is_none() {
        RateSource::Here
    } else {
        // Boxed, because its future is large and other requests do not need it.
        Box::pin(count_rate(account, limits, charge.is_none())).await?
    };
    let shutdown = &account.request.worker().shared.shutdown;
    loop {
        if shutdown.pause().is_shut() {
            // Boxed, because its future is large and other requests do not need it.
            Box::pin(after_pause(shutdown)).await?;
        }
        let reservation = admit(account, limits, charge, rate).await?;
        // A pause that begins after this check waits for the reservation.
        if !shutdown.pause().is_shut() {
            return Ok(reservation);
        }
    }
}

/// Waits until the store has not been handed over to another process.
///
/// # Errors
/// The other process serves; the client's next connection reaches it.
async fn after_pause(shutdown: &Shutdown) -> Result<(), Problem> {
    tokio::select! {
        () = shutdown.pause().until(|phase| phase < PausePhase::Shut) => Ok(()),
        () = reached(shutdown.follow(), ShutdownPhase::Leaving) => Err(Problem::new(
            Refusal::Draining,
            "another process of this server serves now: repeat the request on a new connection",
        )),
    }
}

/// Reserves more for a request that is counted and sent already: `charge` is what another attempt may use beyond it.
pub(crate) async fn reserve_more(
    account: &RequestAccount,
    limits: &Arc<Limits>,
    charge: Charge,
) -> Result<Reservation, Problem> {
    admit(account, limits, Some(charge), RateSource::Counted).await
}

/// Refuses a request if the least that it can use does not fit. Nothing stays reserved: what the request may use is reserved when
/// it is known.
pub(crate) async fn check(
    account: &RequestAccount,
    limits: &Arc<Limits>,
    least: Option<Charge>,
) -> Result<(), Problem> {
    // A limit that nodes share counts a request once, when it is reserved.
    let is_alone = account.request.worker().shared.sharing.is_none();
    let rate = if is_alone { RateSource::Here } else { RateSource::Counted };
    drop(admit(account, limits, least, rate).await?);
    Ok(())
}

async fn admit(
    account: &RequestAccount,
    limits: &Arc<Limits>,
    charge: Option<Charge>,
    rate: RateSource,
) -> Result<Reservation, Problem> {
    let shared = &account.request.worker().shared;
    let ask = || {
        let now = account.request.mono();
        let at =
            shared.leases.as_ref().map_or_else(|| account.request.wall_at(), |leases| leases.wall_time(&shared.clock));
        AdmissionRequest { limits, charge, at, now, rate }
    };
    let ask_after_wait = || {
        account.request.read_clock();
        ask()
    };
    match (shared.meter.admit(&ask()), &shared.leases) {
        (Err(AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Lease, .. })), Some(leases)) => {
            borrow(&shared.meter, leases, ask_after_wait).await.map_err(|unmet| unmet.problem(account, limits))
        }
        (Err(refused), Some(_)) => Err(Problem::of_limit(&of_many(refused), |id| limits.name_of(id), &shared.clock)),
        (Err(refused), None) => Err(Problem::of_limit(&refused, |id| limits.name_of(id), &shared.clock)),
        (Ok(reservation), _) => Ok(reservation),
    }
}

/// The reason why a request was not admitted after it had waited.
#[derive(Debug, PartialEq, Eq)]
enum AdmissionFailure {
    /// A limit refuses the request.
    AdmissionRefusal(AdmissionRefusal),
    /// A node that does not respond holds what the request needs.
    Lost(LostLease),
    /// The result was unknown at the end of the wait, or other nodes hold the rest.
    Withheld,
}

impl AdmissionFailure {
    fn problem(self, account: &RequestAccount, limits: &Limits) -> Problem {
        let clock = &account.request.worker().shared.clock;
        match self {
            Self::AdmissionRefusal(refused) => Problem::of_limit(&of_many(refused), |id| limits.name_of(id), clock),
            Self::Lost(lost) => Problem::of_lost_lease(&lost, limits.name_of(lost.budget), clock),
            Self::Withheld => Problem::new(
                Refusal::QuotaWithheld,
                "the rest of a quota is leased to other servers, or is unknown at the moment: try again",
            )
            .header(header::RETRY_AFTER, HeaderValue::from(WITHHELD_RETRY_SECONDS)),
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
    let mut request = ask();
    let mut wait = leases.wait(request.now);
    loop {
        match meter.admit(&request) {
            Ok(reservation) => return Ok(reservation),
            Err(AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Lease, .. })) => {}
            Err(refused) => return Err(AdmissionFailure::AdmissionRefusal(refused)),
        }
        let lacks = request.shortfalls();
        if lacks.is_empty() {
            // The leases grew between the two checks.
            request = ask();
            continue;
        }
        match wait.verdict(lacks.clone()).await {
            Some(WaitDecision { verdict: Verdict::Retry, .. }) => request = ask(),
            Some(WaitDecision { verdict: Verdict::UsedUp, counter: cell, lost, .. }) => {
                let lack = lacks.iter().find(|lack| lack.id == cell);
                return Err(lack.map_or(AdmissionFailure::Withheld, |lack| refused(lack, lost)));
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

/// Returns the refusal of a budget of which no node that responds has enough.
fn refused(lack: &LeaseShortfall, lost: Amount) -> AdmissionFailure {
    if lost.is_zero() {
        return AdmissionFailure::AdmissionRefusal(AdmissionRefusal::Budget(used_up(lack)));
    }
    let budget = lack.id.budget;
    let period = lack.id.period;
    AdmissionFailure::Lost(LostLease { budget, period, limit: lack.counter.limit(), held: lost })
}

/// Returns the refusal of a budget that is exhausted on all nodes; `used` is the minimum that must be used.
fn used_up(lack: &LeaseShortfall) -> BudgetExceeded {
    let limit = lack.counter.limit();
    let requested = lack.amount;
    let used = limit.saturating_sub(requested).saturating_add(Amount(u64::from(limit >= requested)));
    let LeaseShortfall { id: CounterId { budget, period }, .. } = *lack;
    BudgetExceeded { budget, period, limit, used, requested, by: RefusalCause::Limit }
}

/// Returns the refusal of a request whose usage cannot be recorded. Such requests are not served.
pub(crate) fn unrecordable() -> Problem {
    let message = "usage cannot be recorded at the moment, so nothing that is counted is served: try again soon";
    Problem::new(Refusal::SpoolFull, message)
}
