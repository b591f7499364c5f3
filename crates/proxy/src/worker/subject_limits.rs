//! The limits of the subjects without a user that a worker has seen.

use std::cell::RefCell;
use std::sync::Arc;

use access::limits::plan::LongPeriods;
use access::{Plan, Subject};
use meter::{Limits, SubjectTerms};
use rustc_hash::FxHashMap;

/// Maximum number of subjects whose limits a worker caches. If one more subject arrives, the cache is cleared.
const KNOWN_MAX: usize = 20_000;

/// The limits of the subjects that a worker has seen.
#[derive(Debug, Default)]
pub(crate) struct SubjectLimitsCache(RefCell<FxHashMap<Subject, SubjectLimits>>);

/// The plan of a subject, the periods in which its credits are counted, and the limits that both define.
#[derive(Debug)]
struct SubjectLimits {
    plan: Plan,
    counts: LongPeriods,
    limits: Arc<Limits>,
}

impl SubjectLimitsCache {
    /// Returns the limits of a subject that has the same terms as when they were cached.
    pub(crate) fn get(&self, subject: &Subject, plan: &Plan, counts: LongPeriods) -> Option<Arc<Limits>> {
        let known = self.0.borrow();
        let known = known.get(subject).filter(|known| known.counts == counts && known.plan == *plan);
        known.map(|known| known.limits.clone())
    }

    /// Caches the limits that these terms define for a subject.
    pub(crate) fn insert(
        &self,
        subject: &Subject,
        &SubjectTerms { plan, counts, .. }: &SubjectTerms<'_>,
        limits: Arc<Limits>,
    ) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN_MAX && !known.contains_key(subject) {
            known.clear();
        }
        known.insert(subject.clone(), SubjectLimits { plan: plan.clone(), counts, limits });
    }

    /// Removes the limits of all subjects.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use access::{Credits, SubjectId, SubjectKind, SubjectName, Timestamp};
    use meter::Meter;

    use super::*;

    fn subject(name: &str) -> Subject {
        SubjectName { kind: SubjectKind::Basic, issuer: "ops", name }.subject().unwrap()
    }

    fn terms<'a>(subject: &Subject, plan: &'a Plan) -> SubjectTerms<'a> {
        SubjectTerms { subject: SubjectId::from_subject(subject).unwrap(), plan, counts: LongPeriods::default() }
    }

    #[test]
    fn limits_are_cached_for_a_subject_until_its_terms_change() {
        let known = SubjectLimitsCache::default();
        let meter = Meter::default();
        let ada = subject("ada");
        let small = Plan { credits_per_day: Some(Credits::whole(5)), ..Plan::unlimited("small") };
        let large = Plan { credits_per_day: Some(Credits::whole(6)), ..small.clone() };
        let of_ada = meter.limits_of_subject(&terms(&ada, &small)).unwrap();
        known.insert(&ada, &terms(&ada, &small), of_ada.clone());
        assert!(Arc::ptr_eq(&of_ada, &known.get(&ada, &small, LongPeriods::default()).unwrap()));
        assert!(
            known.get(&ada, &large, LongPeriods::default()).is_none()
                && known.get(&ada, &small, LongPeriods { month: true, week: false }).is_none()
        );
        assert!(known.get(&subject("bob"), &small, LongPeriods::default()).is_none());
        known.insert(&ada, &terms(&ada, &large), meter.limits_of_subject(&terms(&ada, &large)).unwrap());
        assert_eq!(
            known.get(&ada, &large, LongPeriods::default()).unwrap().left(Timestamp(1)).credits,
            Credits::whole(6)
        );
        known.clear();
        assert!(known.get(&ada, &large, LongPeriods::default()).is_none());
    }

    #[test]
    fn limits_that_are_cached_are_bounded() {
        let known = SubjectLimitsCache::default();
        let meter = Meter::default();
        let plan = Plan::unlimited("test");
        let of_one = terms(&subject("ada"), &plan);
        let limits = meter.limits_of_subject(&of_one).unwrap();
        for number in 0..=KNOWN_MAX {
            known.insert(&subject(&number.to_string()), &of_one, limits.clone());
        }
        assert_eq!(known.0.borrow().len(), 1);
    }
}
