//! Limits that nodes share: a worker spends the grants of its node, or asks Redis over a bounded queue.
//!
//! The task that serves the queue adds each grant to the leases of its key. A reply counts one request of the grant for
//! the request that waits. If that request no longer waits, its part remains in the leases.

mod tokens;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use access::Mono;
use tokio::sync::{mpsc, oneshot};

use super::leases::{GrantedRequests, LeaseTake};
use super::{LimitCounters, RequestTerms};
use crate::rate::{RateExceeded, RateLevel};

pub use tokens::{
    PendingTokens, SharedTokenKey, SharedTokenLimit, SharedTokens, TokenDecision, TokenRequest, TokenSettlement,
};

/// Maximum number of nodes among which a limit is divided.
pub const NODES_MAX: u32 = 1_024;

/// The sending side of the queue, and the state of Redis. Clones use the same queue.
#[derive(Debug, Clone)]
pub struct LimitSharing {
    queue: mpsc::Sender<SharingMessage>,
    state: Arc<SharingState>,
    /// The leases of the rates of plans and keys: of requests that are paid, and of free ones.
    plans: [Arc<LimitCounters>; 2],
}

/// The state of Redis, which its connection sets.
#[derive(Debug)]
pub struct SharingState {
    is_up: AtomicBool,
    nodes: AtomicU32,
    fallbacks: AtomicU64,
    lost_settlements: AtomicU64,
}

/// A message to the task that asks Redis.
#[derive(Debug)]
pub enum SharingMessage {
    /// The node needs requests of a key.
    Ask(GrantRequest),
    /// A request that was counted is not sent.
    GiveBack(GivenBack),
    /// A call begins, which probably uses this number of tokens.
    Tokens(TokenRequest),
    /// A call has used this number of tokens.
    Settle(TokenSettlement),
}

/// Asks Redis for requests of one key.
#[derive(Debug)]
pub struct GrantRequest {
    /// The key whose requests are needed.
    pub key: SharedKey,
    /// The number of requests that the node wants.
    pub want: NonZeroU32,
    /// The number of nodes that share the limit.
    pub nodes: NonZeroU32,
    /// The place of requests that are granted ahead; `None` if each request is counted in Redis.
    leases: Option<(Arc<LimitCounters>, u64)>,
    /// The request that waits; `None` if a batch is requested ahead of need.
    reply: Option<oneshot::Sender<GrantReply>>,
}

/// A request that Redis has counted, and that is not sent.
#[derive(Debug)]
pub struct GivenBack {
    /// The key in which the request counts.
    pub key: SharedKey,
    /// The time of Redis at which it counts in a window; zero without a window.
    pub counted_ms: u64,
}

/// A key of a limit that nodes share.
#[derive(Debug, Clone)]
pub struct SharedKey {
    /// The id of the limit, and the values by which it counts.
    pub name: Box<[u8]>,
    /// The number of requests that the limit allows.
    pub terms: RequestTerms,
}

/// The result for a request that waits.
#[derive(Debug, Clone, Copy)]
pub enum GrantReply {
    /// The request counts in a window at this time of Redis, in milliseconds.
    Counted(RateLevel, u64),
    /// The limit refuses the request.
    Refused(RateExceeded),
}

/// A limit in which a request counts.
#[derive(Debug, Clone, Copy)]
pub struct SharedLimit<'a> {
    /// The counters of the limit in this process.
    pub counters: &'a Arc<LimitCounters>,
    /// The id of the limit, which is the same on all nodes.
    pub id: &'a [u8],
    /// The values by which the limit counts the request.
    pub key: &'a [u8],
    /// The number of requests that the limit allows.
    pub terms: RequestTerms,
    /// Whether Redis decides about each request.
    pub is_exact: bool,
}

/// The result of counting a request in a limit.
#[derive(Debug)]
pub enum SharedTake {
    /// The request is counted.
    Counted(RateLevel, SharedRequest),
    /// The limit refuses the request.
    Refused(RateExceeded),
    /// The request must wait for Redis.
    Waits(PendingGrant),
    /// The queue is full, or Redis is unavailable.
    Unavailable,
}

/// A request that waits for Redis.
#[derive(Debug)]
pub struct PendingGrant {
    reply: oneshot::Receiver<GrantReply>,
    /// The request, until its result is known.
    request: Option<SharedRequest>,
    queue: mpsc::Sender<SharingMessage>,
}

/// A request that was counted in a limit of all nodes.
#[derive(Debug)]
pub struct SharedRequest {
    /// The leases in which the request is counted.
    leases: Option<(Arc<LimitCounters>, u64)>,
    /// The key in Redis; `None` if the leases have the request.
    key: Option<SharedKey>,
    counted_ms: u64,
}

impl Default for SharingState {
    fn default() -> Self {
        Self {
            is_up: AtomicBool::new(false),
            nodes: AtomicU32::new(1),
            fallbacks: AtomicU64::new(0),
            lost_settlements: AtomicU64::new(0),
        }
    }
}

impl SharingState {
    /// Sets whether Redis responds.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Sets the number of nodes that serve requests, this one included.
    pub fn set_nodes(&self, nodes: u32) {
        self.nodes.store(nodes.clamp(1, NODES_MAX), Ordering::Relaxed);
    }

    /// Returns the number of requests that nodes counted alone because Redis did not respond, per limit.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.load(Ordering::Relaxed)
    }

    /// Counts a settlement of tokens that Redis does not get.
    pub fn lose_settlement(&self) {
        self.lost_settlements.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of lost settlements since the last call.
    #[must_use]
    pub fn take_lost_settlements(&self) -> u64 {
        self.lost_settlements.swap(0, Ordering::Relaxed)
    }

    /// Returns the number of nodes; the last known one while Redis is unavailable.
    #[must_use]
    pub fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }
}

impl LimitSharing {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub fn new(queue: mpsc::Sender<SharingMessage>, state: Arc<SharingState>) -> Self {
        Self { queue, state, plans: Default::default() }
    }

    /// Returns the number of nodes that share limits.
    #[must_use]
    pub fn nodes(&self) -> NonZeroU32 {
        self.state.nodes()
    }

    /// Notes that this node counts a request in its share of a limit, because Redis has not responded.
    pub fn fall_back(&self) {
        self.state.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the leases of the rates of plans and keys, which are others for free requests: these have another limit.
    #[must_use]
    pub const fn plans(&self, is_free: bool) -> &Arc<LimitCounters> {
        let [paid, free] = &self.plans;
        if is_free { free } else { paid }
    }

    /// Counts a request in a grant of this node, or asks Redis.
    #[must_use]
    pub fn take(&self, limit: &SharedLimit<'_>, now: Mono) -> SharedTake {
        if !self.state.is_up() {
            return SharedTake::Unavailable;
        }
        let nodes = self.nodes();
        let batch = if limit.is_exact { NonZeroU32::MIN } else { limit.terms.batch(nodes) };
        if batch == NonZeroU32::MIN {
            return self.wait(limit, None, batch);
        }
        let tag = limit.counters.tag(limit.key);
        match limit.counters.leases.take(tag, limit.terms, batch, now) {
            LeaseTake::Counted(counted) => {
                if let Some(want) = counted.refill {
                    self.refill(limit, tag, want);
                }
                let leases = Some((limit.counters.clone(), tag));
                let request = SharedRequest { leases, key: None, counted_ms: counted.counted_ms };
                SharedTake::Counted(counted.level, request)
            }
            LeaseTake::Refused(exceeded) => SharedTake::Refused(exceeded),
            LeaseTake::Short(want) => self.wait(limit, Some(tag), want),
        }
    }

    fn wait(&self, limit: &SharedLimit<'_>, tag: Option<u64>, want: NonZeroU32) -> SharedTake {
        let (sender, reply) = oneshot::channel();
        let leases = tag.map(|tag| (limit.counters.clone(), tag));
        let key = limit.shared_key();
        let in_redis = leases.is_none().then(|| key.clone());
        if !self.ask(GrantRequest { key, want, nodes: self.nodes(), leases: leases.clone(), reply: Some(sender) }) {
            return SharedTake::Unavailable;
        }
        let request = Some(SharedRequest { leases, key: in_redis, counted_ms: 0 });
        SharedTake::Waits(PendingGrant { reply, request, queue: self.queue.clone() })
    }

    fn refill(&self, limit: &SharedLimit<'_>, tag: u64, want: NonZeroU32) {
        let leases = Some((limit.counters.clone(), tag));
        self.ask(GrantRequest { key: limit.shared_key(), want, nodes: self.nodes(), leases, reply: None });
    }

    /// Returns whether the queue has accepted the message.
    fn ask(&self, request: GrantRequest) -> bool {
        match self.queue.try_send(SharingMessage::Ask(request)) {
            Ok(()) => true,
            Err(refused) => {
                if let SharingMessage::Ask(request) = refused.into_inner() {
                    request.fail();
                }
                false
            }
        }
    }

    /// Undoes a request that a later limit has refused.
    pub fn give_back(&self, request: SharedRequest) {
        request.give_back(&self.queue);
    }
}

impl SharedRequest {
    fn give_back(self, queue: &mpsc::Sender<SharingMessage>) {
        let Self { leases, key, counted_ms } = self;
        if let Some((counters, tag)) = leases {
            counters.leases.give_back(tag, counted_ms);
        } else if let Some(key) = key {
            // If the queue is full, the request still counts in Redis.
            let _ = queue.try_send(SharingMessage::GiveBack(GivenBack { key, counted_ms }));
        }
    }
}

impl SharedLimit<'_> {
    fn shared_key(&self) -> SharedKey {
        // The id contains no zero byte.
        SharedKey { name: [self.id, &[0], self.key].concat().into(), terms: self.terms }
    }
}

impl PendingGrant {
    /// Waits for the result; `None` if Redis is unavailable. If the future is dropped, the request does not count.
    pub async fn result(mut self) -> Option<Result<(RateLevel, SharedRequest), RateExceeded>> {
        let reply = (&mut self.reply).await;
        let request = self.request.take()?;
        match reply.ok()? {
            GrantReply::Counted(level, counted_ms) => Some(Ok((level, SharedRequest { counted_ms, ..request }))),
            GrantReply::Refused(exceeded) => Some(Err(exceeded)),
        }
    }
}

impl Drop for PendingGrant {
    /// Undoes the request if Redis has counted it meanwhile, for example because another limit has refused it.
    fn drop(&mut self) {
        let Some(request) = self.request.take() else { return };
        self.reply.close();
        if let Ok(GrantReply::Counted(_, counted_ms)) = self.reply.try_recv() {
            SharedRequest { counted_ms, ..request }.give_back(&self.queue);
        }
    }
}

impl GrantRequest {
    /// Applies the grant for this message, which was sent to Redis at `sent`. Returns a request that must be given back.
    #[must_use]
    pub fn granted(self, grant: &GrantedRequests, sent: Mono) -> Option<GivenBack> {
        self.end_ask();
        let Self { key, leases, reply, .. } = self;
        let limit = key.terms.limit();
        let waits = reply.is_some();
        let is_received = reply.is_some_and(|reply| {
            let ahead = grant.requests.saturating_sub(1);
            reply
                .send(if grant.requests > 0 {
                    let remaining = grant.left.saturating_add(ahead);
                    GrantReply::Counted(RateLevel { limit, remaining, reset: grant.reset }, grant.counted_ms)
                } else {
                    let retry_after = grant.retry_after;
                    let reset = grant.reset;
                    GrantReply::Refused(RateExceeded { limit, retry_after, reset })
                })
                .is_ok()
        });
        let rest = grant.requests.saturating_sub(u32::from(is_received));
        match leases {
            Some((counters, tag)) => {
                counters.leases.add(tag, &GrantedRequests { requests: rest, ..*grant }, sent);
                None
            }
            None => (waits && rest > 0).then_some(GivenBack { key, counted_ms: grant.counted_ms }),
        }
    }

    /// Returns whether the request that waited for the grant no longer waits.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Notes that Redis has not replied.
    pub fn fail(self) {
        self.end_ask();
    }

    fn end_ask(&self) {
        if self.want > NonZeroU32::MIN
            && let Some((counters, tag)) = self.leases.as_ref()
        {
            counters.leases.end_ask(*tag);
        }
    }
}
