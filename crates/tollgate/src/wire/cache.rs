//! The cache of responses of this process's proxy: the purges of all nodes, and the Redis that has responses.

use std::sync::Arc;

use access::exchange::shared_responses::SharedResponses;
use cluster::windows::responses::{self, ResponseStore, ResponseStoreKeeper};
use control::CachePurges;
use jobs::{Job, JobError, NextRun};
use proxy::{ResponseMemories, Shared};
use store::Actor;
use telemetry::PurgeTarget;
use tokio::sync::mpsc;

use super::jobs::CACHE_PURGES;
use super::parts::{ServerContext, Services};
use crate::failure::StartFault;

/// Maximum number of calls of Redis, over all workers, that wait.
const CALLS_MAX: usize = 256;

/// The job that applies the purges of other processes.
#[derive(Debug, Clone)]
struct PurgeFollowing(Arc<CachePurges>);

impl Job for PurgeFollowing {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.0.follow().await?;
        Ok(NextRun::Period)
    }
}

impl Services {
    /// Returns the empty memories of the proxy, of which routes share responses through Redis. An unavailable Redis does not
    /// delay the start by more than a second.
    pub(super) async fn response_store(&mut self, base: &ServerContext) -> Result<ResponseMemories, StartFault> {
        let snapshot = base.live.load_full();
        let Some(url) = &snapshot.process.redis else { return Ok(ResponseMemories::default()) };
        let store = ResponseStore::new(url, &snapshot.process.brand.key_prefix, responses::ANSWER);
        let store = store.map_err(StartFault::Redis)?;
        let (sender, queue) = mpsc::channel(CALLS_MAX);
        let shared = SharedResponses::new(sender);
        let mut caches = snapshot.traffic.router.routes().iter().filter_map(|route| route.policy.cache.as_ref());
        if caches.any(|cache| cache.shared_scope.is_some()) {
            shared.use_it();
            store.connect().await;
        }
        let keeper = ResponseStoreKeeper::new(&store, shared.clone());
        self.jobs.add(responses::SPEC, move || keeper.clone());
        self.spawn(responses::serve(store, shared.clone(), queue, self.stopped()));
        Ok(ResponseMemories::sharing(Some(shared)))
    }

    /// Lets the proxy apply the purges of stored responses, those of other nodes too if they share the store.
    pub(super) async fn cache(&mut self, base: &ServerContext, shared: &Arc<Shared>) -> anyhow::Result<()> {
        let purged = shared.clone();
        let last = shared.clone();
        base.board.set_purge(
            move |purge| purged.responses.purge(purge, purged.clock.now()),
            move || last.responses.last_purge_number(),
        );
        base.purges.follow().await?;
        if shared.responses.shared().is_some() && shared.responses.last_purge_number() == 0 {
            // Responses in Redis are compared with the purges since the last one that their node knew, so there is a first one.
            base.purges.add(&Actor::SYSTEM, &PurgeTarget::Nothing, false).await?;
        }
        if base.store.is_shared() {
            let following = PurgeFollowing(base.purges.clone());
            self.jobs.add(CACHE_PURGES, move || following.clone());
        }
        Ok(())
    }
}
