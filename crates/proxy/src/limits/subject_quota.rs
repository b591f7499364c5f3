//! The quota and the budgets of a client without a user: those of its plan, which count for its subject.

use std::sync::Arc;
use std::time::Duration;

use access::exchange::subject_budgets::BeginError;
use access::limits::plan::LongPeriods;
use access::{Plan, Refusal, SubjectId};
use http::{HeaderValue, header};
use meter::{Limits, Meter, SubjectTerms};
use tokio::time::timeout;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Maximum time until the counters of a subject have begun, as for the look-up of a key.
const BEGIN_MAX: Duration = Duration::from_secs(2);

/// Returns the limits of the client's subject; `None` if the client has no plan, or one that does not limit credits.
pub(crate) async fn limits(account: &RequestAccount) -> Result<Option<Arc<Limits>>, Problem> {
    let Some(name) = &account.identity.plan else { return Ok(None) };
    let plans = &account.request.snapshot.traffic.plans;
    let Some(plan) = plans.iter().find(|plan| *plan.name == **name) else {
        return Err(Problem::new(Refusal::Forbidden, "the plan of this client is not a plan of this gateway"));
    };
    if !plan.limits_credits() {
        return Ok(None);
    }
    // The plan of a subject may change with its entry or with a claim.
    let counts = LongPeriods::of_plans(plans);
    match account.request.worker().subject_limits.get(&account.identity.subject, plan, counts) {
        Some(limits) => Ok(Some(limits)),
        // Boxed, because its future is large and other requests do not need it.
        None => Box::pin(begin(account, plan, counts)).await,
    }
}

/// Begins the counters of a subject that the worker has not seen with this plan.
async fn begin(account: &RequestAccount, plan: &Plan, counts: LongPeriods) -> Result<Option<Arc<Limits>>, Problem> {
    // The address of an anonymous client is not recorded, so nothing would be left of its usage.
    let Some(subject) = SubjectId::from_subject(&account.identity.subject) else { return Ok(None) };
    let worker = account.request.worker();
    let terms = SubjectTerms { subject, plan, counts };
    let meter: &Meter = &worker.shared.meter;
    let mut begun = Ok(());
    if let Some(budgets) = &worker.shared.subject_budgets
        && !meter.has_begun(&terms, account.day())
    {
        let beginning = timeout(BEGIN_MAX, budgets.begin(terms.budget_ids()));
        begun = beginning.await.unwrap_or(Err(BeginError::Unavailable));
        account.request.read_clock();
    }
    let limits = begun.and_then(|()| meter.limits_of_subject(&terms).ok_or(BeginError::Full)).map_err(|error| {
        if error == BeginError::Full {
            // Cached limits keep the counters of subjects that are no longer active.
            worker.subject_limits.clear();
        }
        refuse(error)
    })?;
    worker.subject_limits.insert(&account.identity.subject, &terms, limits.clone());
    Ok(Some(limits))
}

fn refuse(error: BeginError) -> Problem {
    let problem = match error {
        BeginError::Busy => {
            Problem::new(Refusal::DirectoryBusy, "too many clients are new at the same time: try again in a moment")
        }
        BeginError::Unavailable => {
            let message = "the usage of this client cannot be read at the moment: try again in a moment";
            Problem::new(Refusal::Unavailable, message)
        }
        BeginError::Full => {
            Problem::new(Refusal::Overloaded, "too many clients with a quota are in use: try again later")
        }
    };
    problem.header(header::RETRY_AFTER, HeaderValue::from(1)).because(&error)
}
