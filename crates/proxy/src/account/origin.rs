//! The labels and the metadata of a request, for its usage.

use std::sync::Arc;

use access::{ClientProgram, LabelSet};
use http1::KnownName;
use meter::{RequestOrigin, SKIPPED_TARGETS_MAX, SkipReason, SkippedTarget};

use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;

impl RequestAccount {
    /// Returns the labels of the key, the user and the route.
    pub(crate) fn labels(&self) -> LabelSet {
        let of_route = &self.policy().labels.set;
        if of_route.is_empty() {
            return self.identity.labels.clone();
        }
        self.request.worker().label_merges.merge(&self.identity.labels, of_route)
    }

    /// Returns the metadata that is known without the body.
    pub(crate) fn known_origin(&self) -> RequestOrigin {
        let agent = self.request.head.fields().all(KnownName::UserAgent).next();
        let cache = self.cache.map(CacheResult::recorded).unwrap_or_default();
        RequestOrigin {
            labels: self.labels(),
            client: ClientProgram::from_user_agent(agent),
            cache,
            ..RequestOrigin::default()
        }
    }

    /// Returns the metadata of the request, as far as it is known.
    pub(crate) fn origin(&self) -> RequestOrigin {
        let noted = self.inference.as_ref().and_then(|inference| inference.origin.clone());
        let mut origin = noted.unwrap_or_else(|| self.known_origin());
        origin.trace = self.request.recorded_trace_id();
        origin
    }

    /// Notes a target of the call's model that is skipped now. A target that is skipped again for the same reason, without an
    /// attempt between, is noted once.
    pub(crate) fn skips(&mut self, provider: &Arc<str>, model: Arc<str>, reason: SkipReason) {
        let attempts_before = u8::try_from(self.attempts.len()).unwrap_or(u8::MAX);
        let target = SkippedTarget { provider: provider.clone(), model, reason, attempts_before };
        let Some(origin) = self.inference.as_mut().and_then(|inference| inference.origin.as_mut()) else { return };
        if origin.skipped.len() < SKIPPED_TARGETS_MAX && !origin.skipped.contains(&target) {
            origin.skipped.push(target);
        }
    }
}
