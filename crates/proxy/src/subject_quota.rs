//! The quota and the budgets of a client without a user: those of its plan, which count for its subject.

use std::sync::Arc;

use access::subject_budgets::BeginError;
use access::{Plan, Refusal, SubjectId};
use http::{HeaderValue, header};
use meter::{Limits, Meter, SubjectTerms};

use crate::account::RequestAccount;
use crate::answer::Problem;

/// Returns the limits of the client's subject; `None` if the client has no plan, or one without quota and budgets.
pub(crate) async fn limits(account: &RequestAccount) -> Result<Option<Arc<Limits>>, Problem> {
    let Some(name) = &account.plan else { return Ok(None) };
    let plans = &account.request.snapshot.traffic.plans;
    let Some(plan) = plans.iter().find(|plan| *plan.name == **name) else {
        return Err(Problem::new(Refusal::Forbidden, "the plan of this client is not a plan of this gateway"));
    };
    if !plan.limits_usage() {
        return Ok(None);
    }
    let worker = account.request.worker();
    match worker.subject_limits.get(&account.subject, plan) {
        Some(limits) => Ok(Some(limits)),
        // Boxed, because its future is large and other requests do not need it.
        None => Box::pin(begin(account, plan)).await,
    }
}

/// Begins the counters of a subject that the worker has not seen with this plan.
async fn begin(account: &RequestAccount, plan: &Plan) -> Result<Option<Arc<Limits>>, Problem> {
    // The address of an anonymous client is not recorded, so nothing would be left of its usage.
    let Some(subject) = SubjectId::of(&account.subject) else { return Ok(None) };
    let (worker, terms) = (account.request.worker(), SubjectTerms { subject, plan });
    let meter: &Meter = &worker.shared.meter;
    if let Some(budgets) = &worker.shared.subject_budgets {
        let begun = budgets.begin(terms.budget_ids()).await;
        account.request.read_clock();
        begun.map_err(refuse)?;
    }
    let limits = meter.limits_of_subject(&terms).ok_or_else(|| refuse(BeginError::Full))?;
    worker.subject_limits.insert(&account.subject, plan, limits.clone());
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
