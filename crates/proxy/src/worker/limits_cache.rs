//! The limits of the principals that a worker has seen.

use std::cell::RefCell;
use std::sync::Arc;

use access::{KeyNo, Principal};
use meter::{Caller, Limits, Meter, Terms};
use rustc_hash::FxHashMap;

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
    pub(crate) fn limits(&self, meter: &Meter, principal: &Arc<Principal>) -> Arc<Limits> {
        let mut known = self.0.borrow_mut();
        if let Some(cached) = known.get(&principal.key_no)
            && Arc::ptr_eq(&cached.principal, principal)
        {
            return cached.limits.clone();
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

#[cfg(test)]
mod tests {
    use access::{Clock, Credits, Ids, KeyId, Plan, Timestamp, UserId, UserNo};

    use super::*;

    fn principal(key: i64, credits: u64) -> Arc<Principal> {
        let plan = Plan { credits_per_day: Some(Credits::whole(credits)), ..Plan::unlimited("test") };
        let id = Ids::new(Clock::manual(Timestamp(1))).next_uuid();
        Arc::new(Principal::unbounded((UserId(id), UserNo(1)), (KeyId(id), KeyNo(key)), Arc::new(plan)))
    }

    #[test]
    fn limits_are_found_once_for_a_principal_and_anew_when_it_has_changed() {
        let known = LimitsCache::default();
        let meter = Meter::default();
        let first = principal(1, 5);
        let changed = principal(1, 6);
        let limits = known.limits(&meter, &first);
        assert!(Arc::ptr_eq(&limits, &known.limits(&meter, &first)));
        let at = Timestamp(1);
        assert_eq!(
            (limits.left(at).credits, known.limits(&meter, &changed).left(at).credits),
            (Credits::whole(5), Credits::whole(6))
        );
    }

    #[test]
    fn limits_that_are_kept_are_bounded() {
        let known = LimitsCache::default();
        let meter = Meter::default();
        for key in 0..=i64::try_from(KNOWN_MAX).unwrap() {
            known.limits(&meter, &principal(key, 1));
        }
        assert_eq!(known.0.borrow().len(), 1);
    }
}
