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
