//! The limits of the subjects without a user that a worker has seen.

use std::cell::RefCell;
use std::sync::Arc;

use access::{Plan, Subject};
use meter::Limits;
use rustc_hash::FxHashMap;

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
    pub(crate) fn get(&self, subject: &Subject, plan: &Plan) -> Option<Arc<Limits>> {
        let known = self.0.borrow();
        known.get(subject).filter(|known| known.plan == *plan).map(|known| known.limits.clone())
    }

    /// Caches the limits that a plan defines for a subject.
    pub(crate) fn insert(&self, subject: &Subject, plan: &Plan, limits: Arc<Limits>) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN_MAX && !known.contains_key(subject) {
            known.clear();
        }
        known.insert(subject.clone(), SubjectLimits { plan: plan.clone(), limits });
    }
}

#[cfg(test)]
mod tests {
    use access::{Credits, SubjectId, SubjectKind, SubjectName, Timestamp};
    use meter::{Meter, SubjectTerms};

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
