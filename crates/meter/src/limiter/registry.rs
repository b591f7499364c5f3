//! The counters of all rules of the process, by the id of the rule. They outlive a reload of the configuration.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::LimitCounters;

/// The counters of rules that a configuration in use has.
#[derive(Debug, Default)]
pub struct LimitRegistry(Mutex<HashMap<Arc<str>, Weak<LimitCounters>>>);

impl LimitRegistry {
    /// Returns the counters of each rule in the order of `ids`. A rule that no configuration in use has begins without
    /// counts. Call it once per configuration and worker, because it takes a lock.
    pub fn counters<'a>(&self, ids: impl Iterator<Item = &'a Arc<str>>) -> Box<[Arc<LimitCounters>]> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|_, counters| counters.strong_count() > 0);
        let counters = ids.map(|id| {
            let known = rules.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let counters = Arc::new(LimitCounters::default());
                rules.insert(id.clone(), Arc::downgrade(&counters));
                counters
            })
        });
        counters.collect()
    }

    /// Returns the counters of the rule with this id, if a configuration in use has it.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<LimitCounters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).and_then(Weak::upgrade)
    }
}
