//! Responses of the proxy in Redis: the task that serves the workers' calls, and the job that keeps its connection.
//!
//! Each URL has a generation, which an invalidation replaces. A value begins with its generation, and is used only while that
//! remains. Generations and values are evicted in any order without harm: a value without its generation is not used.

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use access::exchange::shared_responses::{
    GENERATION_BYTES, KEPT_MAX, ResponseGeneration, SharedResponseCall, SharedResponseLookup, SharedResponseName,
    SharedResponseResult, SharedResponses, VALUE_BYTES_MAX,
};
use jobs::{Job, JobError, JobSpec, NextRun};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::RedisKeeper;
use super::connection::Connection;
use super::link::{AGAIN, RedisLink};
use super::redis::{RedisFault, Server};

/// Maximum number of calls in progress; further ones wait in their queue. Each may have a value in memory.
const CALLS_MAX: usize = 64;
/// Default timeout of a call. After three late calls in a row, Redis counts as unavailable until the job connects again.
pub const ANSWER: Duration = Duration::from_millis(10);

/// A run is one check of the connection, as that of [`windows::SPEC`](super::SPEC).
pub const SPEC: JobSpec = JobSpec::every("response_store", AGAIN);

/// The Redis that has responses. Clones use the same connection.
#[derive(Debug, Clone)]
pub struct ResponseStore {
    link: Arc<RedisLink>,
    brand: Arc<str>,
}

impl ResponseStore {
    /// Returns the store without a connection. `brand` separates products that share a Redis; `answer` is the timeout of a
    /// call, [`ANSWER`] by default.
    ///
    /// # Errors
    /// [`RedisFault::Url`] if the URL is invalid.
    pub fn new(url: &Secret, brand: &str, answer: Duration) -> Result<Self, RedisFault> {
        let link = Arc::new(RedisLink::new(Server::new(url, brand)?, answer, None));
        Ok(Self { link, brand: brand.into() })
    }

    /// Tries once to connect. If it fails, the job reports the cause.
    pub async fn connect(&self) {
        let _ = self.link.raise().await;
    }

    /// Whether the connection is available.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Returns the names of the generation and the value, which have one slot of a cluster.
    fn names(&self, name: &SharedResponseName) -> [String; 2] {
        let mut url = String::with_capacity(64);
        let mut entry = String::with_capacity(64);
        for (text, digest) in [(&mut url, &name.url), (&mut entry, &name.entry)] {
            for octet in digest {
                // Writing to a string does not fail.
                let _ = write!(text, "{octet:02x}");
            }
        }
        let start = format!("tollgate:{{{}:{url}}}:cache", self.brand);
        let value = format!("{start}:{entry}");
        [start, value]
    }

    async fn find(&self, name: &SharedResponseName) -> Option<SharedResponseLookup> {
        let names = self.names(name);
        let [generation, mut value] = self.link.call(|connection| read(connection, names)).await?;
        let Ok(id) = <[u8; GENERATION_BYTES]>::try_from(generation) else {
            return ResponseGeneration::random().map(|generation| SharedResponseLookup { generation, value: None });
        };
        let is_current = value.starts_with(&id) && value.len() <= GENERATION_BYTES + VALUE_BYTES_MAX;
        let value = is_current.then(|| value.split_off(GENERATION_BYTES));
        Some(SharedResponseLookup { generation: ResponseGeneration { id, is_new: false }, value })
    }

    async fn store(
        &self,
        name: &SharedResponseName,
        generation: ResponseGeneration,
        value: &[u8],
        kept: Duration,
    ) -> bool {
        let names = self.names(name);
        self.link.call(|connection| write_value(connection, names, generation, value, kept)).await.is_some()
    }

    async fn invalidate(&self, name: &SharedResponseName) -> bool {
        let Some(ResponseGeneration { id, .. }) = ResponseGeneration::random() else { return false };
        let [generation, _] = self.names(name);
        let replace = async |mut connection: Connection| {
            let mut set = redis::cmd("SET");
            set.arg(generation).arg(&id).arg("PX").arg(millis(KEPT_MAX));
            Ok(set.query_async::<()>(&mut connection).await?)
        };
        self.link.call(replace).await.is_some()
    }
}

/// Reads a generation and a value, of which at most one byte more than the maximum is read.
async fn read(mut connection: Connection, [generation, value]: [String; 2]) -> Result<[Vec<u8>; 2], RedisFault> {
    let mut both = redis::pipe();
    both.cmd("GETRANGE").arg(generation).arg(0).arg(GENERATION_BYTES);
    both.cmd("GETRANGE").arg(value).arg(0).arg(GENERATION_BYTES + VALUE_BYTES_MAX);
    let (generation, value) = both.query_async(&mut connection).await?;
    Ok([generation, value])
}

/// Writes a value, and its generation if Redis had none. If another node has brought one meanwhile, the value is not used.
async fn write_value(
    mut connection: Connection,
    [name, entry]: [String; 2],
    generation: ResponseGeneration,
    value: &[u8],
    kept: Duration,
) -> Result<(), RedisFault> {
    let mut both = redis::pipe();
    if generation.is_new {
        both.cmd("SET").arg(name).arg(&generation.id).arg("NX").arg("PX").arg(millis(KEPT_MAX)).ignore();
    }
    both.cmd("SET").arg(entry).arg(value).arg("PX").arg(millis(kept)).ignore();
    Ok(both.query_async(&mut connection).await?)
}

fn millis(kept: Duration) -> u64 {
    u64::try_from(kept.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The job that keeps the connection, once a route shares its responses.
#[derive(Debug, Clone)]
pub struct ResponseStoreKeeper {
    keeper: RedisKeeper,
    responses: SharedResponses,
}

impl ResponseStoreKeeper {
    /// Returns the job of `store`, to which `responses` lead.
    #[must_use]
    pub fn new(store: &ResponseStore, responses: SharedResponses) -> Self {
        Self { keeper: RedisKeeper::from_link(Some(store.link.clone())), responses }
    }
}

impl Job for ResponseStoreKeeper {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        if !self.responses.is_used() {
            return Ok(NextRun::Period);
        }
        self.keeper.run().await
    }
}

/// Serves the calls, until `cancel` is done or all senders are gone.
pub async fn serve(
    store: ResponseStore,
    responses: SharedResponses,
    mut queue: mpsc::Receiver<SharedResponseCall>,
    cancel: impl Future<Output = ()>,
) {
    let mut calls = JoinSet::new();
    tokio::pin!(cancel);
    loop {
        tokio::select! {
            call = queue.recv(), if calls.len() < CALLS_MAX => match call {
                Some(call) => drop(calls.spawn(serve_call(store.clone(), responses.clone(), call))),
                None => break,
            },
            Some(_) = calls.join_next() => {}
            () = &mut cancel => break,
        }
    }
}

async fn serve_call(store: ResponseStore, responses: SharedResponses, call: SharedResponseCall) {
    match call {
        // The request no longer waits.
        SharedResponseCall::Find { reply, .. } if reply.is_closed() => {}
        // An error means that the request no longer waits.
        SharedResponseCall::Find { name, reply } => drop(reply.send(store.find(&name).await)),
        SharedResponseCall::Store { name, generation, value, kept } => {
            let is_written = store.store(&name, generation, value.bytes(), kept).await;
            let result = if is_written { SharedResponseResult::Written } else { SharedResponseResult::Unwritten };
            responses.count(result);
        }
        SharedResponseCall::Invalidate { name, reply } => drop(reply.send(store.invalidate(&name).await)),
    }
}
