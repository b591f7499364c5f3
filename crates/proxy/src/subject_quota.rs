//! The quota and the budgets of a client without a user: those of its plan, which count for its subject.

use std::cell::RefCell;
use std::sync::Arc;

use access::subject_budgets::BeginError;
use access::{Plan, Refusal, Subject, SubjectId};
use http::{HeaderValue, header};
use meter::{Limits, Meter, SubjectTerms};
use rustc_hash::FxHashMap;

use crate::account::RequestAccount;
use crate::answer::Problem;

/// Maximum number of subjects whose limits a worker caches. If one more subject arrives, the cache is cleared.
const KNOWN_MAX: usize = 20_000;

/// The limits of the subjects that a worker has seen.
#[derive(Debug, Default)]
pub(crate) struct SubjectLimitsCache(RefCell<FxHashMap<Subject, SubjectLimits>>);

/// The plan of a subject, and the limits that it defines.
#[derive(Debug)]
struct SubjectLimits {
    plan: Plan,
    limits: Arc<Limits>,
}

impl SubjectLimitsCache {
    /// Returns the limits of a subject that has the same plan as when they were cached.
    fn get(&self, subject: &Subject, plan: &Plan) -> Option<Arc<Limits>> {
        let known = self.0.borrow();
        known.get(subject).filter(|known| known.plan == *plan).map(|known| known.limits.clone())
    }

    fn insert(&self, subject: &Subject, plan: &Plan, limits: Arc<Limits>) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN_MAX && !known.contains_key(subject) {
            known.clear();
        }
        known.insert(subject.clone(), SubjectLimits { plan: plan.clone(), limits });
    }
}

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

#[cfg(test)]
mod tests {
    use access::{Credits, SubjectKind, SubjectName, Timestamp};

    use super::*;

    fn subject(name: &str) -> Subject {
        SubjectName { kind: SubjectKind::Basic, issuer: "", name }.subject().unwrap()
    }

    fn limits(meter: &Meter, subject: &Subject, plan: &Plan) -> Arc<Limits> {
        meter.limits_of_subject(&SubjectTerms { subject: SubjectId::of(subject).unwrap(), plan }).unwrap()
    }

    #[test]
    fn limits_are_cached_for_a_subject_until_its_plan_changes() {
        let (known, meter, ada) = (SubjectLimitsCache::default(), Meter::default(), subject("ada"));
        let small = Plan { credits_per_day: Some(Credits(5)), ..Plan::unlimited("small") };
        let large = Plan { credits_per_day: Some(Credits(6)), ..small.clone() };
        let of_ada = limits(&meter, &ada, &small);
        known.insert(&ada, &small, of_ada.clone());
        assert!(Arc::ptr_eq(&of_ada, &known.get(&ada, &small).unwrap()));
        assert!(known.get(&ada, &large).is_none() && known.get(&subject("bob"), &small).is_none());
        known.insert(&ada, &large, limits(&meter, &ada, &large));
        assert_eq!(known.get(&ada, &large).unwrap().left(Timestamp(1)).credits, Credits(6));
    }

    #[test]
    fn limits_that_are_cached_are_bounded() {
        let (known, meter, plan) = (SubjectLimitsCache::default(), Meter::default(), Plan::unlimited("test"));
        let of_one = limits(&meter, &subject("ada"), &plan);
        for number in 0..=KNOWN_MAX {
            known.insert(&subject(&number.to_string()), &plan, of_one.clone());
        }
        assert_eq!(known.0.borrow().len(), 1);
    }
}
