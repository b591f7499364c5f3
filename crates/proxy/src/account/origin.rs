//! The labels and the metadata of a request, for its usage.

use access::{ClientProgram, LabelSet};
use http1::KnownName;
use meter::RequestOrigin;

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
        RequestOrigin { labels: self.labels(), client: ClientProgram::of(agent), cache, ..RequestOrigin::default() }
    }

    /// Returns the metadata of the request, as far as it is known.
    pub(crate) fn origin(&self) -> RequestOrigin {
        let noted = self.inference.as_ref().and_then(|inference| inference.origin.clone());
        noted.unwrap_or_else(|| self.known_origin())
    }
}
