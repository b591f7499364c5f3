//! The counts in Redis: one script call for each operation, with the clock of Redis.

use std::fmt::Write;
use std::time::Duration;

use access::Secret;
use meter::limiter::sharing::{GivenBack, GrantRequest, SharedKey};
use meter::limiter::{GrantedRequests, RequestTerms};
use meter::rate::Rate;
use meter::window::counts::{WindowCheck, WindowLevel};
use meter::window::{Window, WindowView};
use redis::{Client, ErrorKind, RedisError, Script};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::connection::Connection;

/// Timeout of connecting, including TLS, sign-in and loading the scripts.
const CONNECT: Duration = Duration::from_secs(1);
/// Time after its last beat at which a node counts as stopped.
const NODE_TTL: Duration = Duration::from_secs(5);
/// A grant of several requests is at most the rest divided by this number and by that of the nodes.
const REST_PARTS: u32 = 4;
/// Number of bytes of the hash that identifies a client.
const NAME_BYTES: usize = 16;

/// Error of a call to Redis. Contains no part of the URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedisFault {
    /// The URL cannot be parsed.
    #[error("the URL of Redis is invalid: expected redis://USER:PASSWORD@HOST:PORT/NUMBER, or rediss:// with TLS")]
    Url,
    /// Redis cannot be reached.
    #[error("Redis cannot be reached: {0}")]
    Away(String),
    /// Redis refuses the command.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// Redis does not respond in time.
    #[error("Redis does not respond in time")]
    Late,
    /// Redis sends an unexpected response.
    #[error("Redis sent an unexpected response")]
    Nonsense,
}

impl From<RedisError> for RedisFault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return Self::Away(error.to_string());
        }
        match (error.kind(), error.code()) {
            (ErrorKind::UnexpectedReturnType | ErrorKind::Parse, _) => Self::Nonsense,
            // The text after the code may repeat arguments.
            (_, Some(code)) => Self::Refused(code.to_owned()),
            (_, None) => Self::Refused(error.category().to_owned()),
        }
    }
}

/// Returns a script that begins with the clock, and with the functions of the parts before the last one.
macro_rules! script {
    ($($part:literal),+) => {
        redis::Script::new(concat!(include_str!("clock.lua"), $(include_str!($part)),+))
    };
}

pub(super) use script;

/// The Redis server and the scripts that run there.
pub(super) struct Server {
    client: Client,
    scripts: Scripts,
    /// The brand, which separates products that share a Redis. Its braces in names put all keys of one call into one slot
    /// of a cluster.
    brand: String,
}

struct Scripts {
    take: Script,
    grant_window: Script,
    grant_bucket: Script,
    give_back: Script,
    nodes: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            take: script!("window_log.lua", "take.lua"),
            grant_window: script!("window_log.lua", "grant_window.lua"),
            grant_bucket: script!("bucket.lua", "grant_bucket.lua"),
            give_back: script!("window_log.lua", "give_back.lua"),
            nodes: script!("nodes.lua"),
        }
    }

    const fn all(&self) -> [&Script; 5] {
        let Self { take, grant_window, grant_bucket, give_back, nodes } = self;
        [take, grant_window, grant_bucket, give_back, nodes]
    }
}

impl Server {
    /// `brand` separates products that share a Redis.
    pub(super) fn new(url: &Secret, brand: &str) -> Result<Self, RedisFault> {
        let client = Client::open(url.expose()).map_err(|_| RedisFault::Url)?;
        Ok(Self { client, scripts: Scripts::new(), brand: brand.to_owned() })
    }

    /// Opens a connection, and loads the scripts on it.
    pub(super) async fn connect(&self) -> Result<Connection, RedisFault> {
        let connecting = async {
            let mut connection = Connection::open(&self.client, CONNECT).await?;
            for script in self.scripts.all() {
                script.load_async(&mut connection).await?;
            }
            Ok(connection)
        };
        tokio::time::timeout(CONNECT, connecting).await.unwrap_or(Err(RedisFault::Late))
    }

    /// Notes that this node serves requests, and returns the number of nodes that do.
    pub(super) async fn beat(&self, connection: &mut Connection, node: &str) -> Result<u32, RedisFault> {
        let mut call = self.scripts.nodes.key(format!("tollgate:{{{}}}:nodes", self.brand));
        call.arg(node).arg(u64::try_from(NODE_TTL.as_millis()).unwrap_or(u64::MAX));
        Ok(call.invoke_async(connection).await?)
    }

    /// Asks for requests of one key. If cancelled, they may have been counted.
    pub(super) async fn grant(
        &self,
        connection: &mut Connection,
        request: &GrantRequest,
    ) -> Result<GrantedRequests, RedisFault> {
        let want = request.want.get();
        let parts = REST_PARTS.saturating_mul(request.nodes.get());
        let name = self.shared_name(&request.key);
        match request.key.terms {
            RequestTerms::SlidingWindow(window) => {
                let mut call = self.scripts.grant_window.key(name);
                call.arg(window.limit()).arg(window.length_ms()).arg(want).arg(parts);
                let grant: [u64; 5] = call.invoke_async(connection).await?;
                of_window(window, grant).ok_or(RedisFault::Nonsense)
            }
            RequestTerms::TokenBucket(rate) => {
                let mut call = self.scripts.grant_bucket.key(name);
                call.arg(rate.burst()).arg(rate.interval_nanos()).arg(want).arg(parts);
                let [granted, full_nanos]: [u64; 2] = call.invoke_async(connection).await?;
                of_bucket(rate, granted, full_nanos).ok_or(RedisFault::Nonsense)
            }
        }
    }

    /// Returns the value of a name, of which at most one byte more than `bytes_max` is read; empty if it does not exist.
    pub(super) async fn value(
        &self,
        connection: &mut Connection,
        name: &str,
        bytes_max: usize,
    ) -> Result<Vec<u8>, RedisFault> {
        Ok(redis::cmd("GETRANGE").arg(name).arg(0).arg(bytes_max).query_async(connection).await?)
    }

    /// Returns the name of a response that nodes share. Each name has its slot of a cluster.
    pub(super) fn response_name(&self, name: &str) -> String {
        format!("tollgate:{{{}:{}}}:response", self.brand, hashed(|hash| hash.update(name)))
    }

    /// Stores a value for a time.
    pub(super) async fn keep(
        &self,
        connection: &mut Connection,
        name: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), RedisFault> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(redis::cmd("SET").arg(name).arg(value).arg("PX").arg(ttl_ms).query_async(connection).await?)
    }

    /// Uncounts a request that was granted and not sent.
    pub(super) async fn give_back(&self, connection: &mut Connection, back: &GivenBack) -> Result<(), RedisFault> {
        let mut call = self.scripts.give_back.key(self.shared_name(&back.key));
        call.arg(back.counted_ms);
        match back.key.terms {
            RequestTerms::TokenBucket(rate) => call.arg(rate.interval_nanos()),
            RequestTerms::SlidingWindow(window) => call.arg(window.limit()).arg(window.length_ms()),
        };
        Ok(call.invoke_async(connection).await?)
    }

    /// Returns the name of a key of a shared limit. Each name has its slot of a cluster.
    fn shared_name(&self, key: &SharedKey) -> String {
        self.rate_name(&key.name, matches!(key.terms, RequestTerms::SlidingWindow(_)))
    }

    /// Returns the name in Redis of the values by which a limit counts. A window and a bucket have different types.
    pub(super) fn rate_name(&self, name: &[u8], is_window: bool) -> String {
        let kind = if is_window { "log" } else { "rate" };
        format!("tollgate:{{{}:{}}}:{kind}", self.brand, hashed(|hash| hash.update(name)))
    }

    /// Counts a request against all of `asks`, or against none if one refuses it. If cancelled, it may have been
    /// counted.
    pub(super) async fn take(
        &self,
        connection: &mut Connection,
        asks: &[WindowCheck<'_>],
    ) -> Result<WindowLevel, RedisFault> {
        let mut call = self.scripts.take.prepare_invoke();
        for ask in asks {
            let rule = ask.rule();
            call.key(self.key(ask)).arg(rule.limit()).arg(rule.length_ms());
        }
        let answer: Vec<u64> = call.invoke_async(connection).await?;
        read(asks, &answer).ok_or(RedisFault::Nonsense)
    }

    fn key(&self, ask: &WindowCheck<'_>) -> String {
        let hash = hashed(|hash| {
            hash.update(ask.name);
            hash.update([0]);
            hash.update(ask.rule().length_ms().to_be_bytes());
            hash.update(ask.key);
        });
        format!("tollgate:{{{}}}:log:{hash}", self.brand)
    }
}

/// Hashes a name, so that Redis and its log contain no key, e-mail address or IP address.
fn hashed(name: impl FnOnce(&mut Sha256)) -> String {
    let mut hash = Sha256::new();
    name(&mut hash);
    let mut text = String::with_capacity(2 * NAME_BYTES);
    for byte in hash.finalize().iter().take(NAME_BYTES) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns the grant that the script of windows describes.
fn of_window(window: Window, [counted_ms, granted, left, reset_ms, wait_ms]: [u64; 5]) -> Option<GrantedRequests> {
    Some(GrantedRequests {
        requests: granted.try_into().ok()?,
        counted_ms,
        valid: Duration::from_millis(window.length_ms()),
        left: left.try_into().ok()?,
        reset: Duration::from_millis(reset_ms),
        retry_after: Duration::from_millis(wait_ms),
    })
}

/// Returns the grant that the script of buckets describes.
fn of_bucket(rate: Rate, granted: u64, full_nanos: u64) -> Option<GrantedRequests> {
    let free_nanos = rate.refill().as_nanos().saturating_sub(u128::from(full_nanos));
    let interval_nanos = u128::from(rate.interval_nanos());
    let lacking_nanos = u64::try_from(interval_nanos.saturating_sub(free_nanos)).ok()?;
    let full = Duration::from_nanos(full_nanos);
    Some(GrantedRequests {
        requests: granted.try_into().ok()?,
        counted_ms: 0,
        valid: full,
        left: u32::try_from(free_nanos / interval_nanos).unwrap_or(u32::MAX),
        reset: full.min(rate.refill()),
        retry_after: Duration::from_nanos(lacking_nanos),
    })
}

/// Parses the response of the script.
fn read(asks: &[WindowCheck<'_>], answer: &[u64]) -> Option<WindowLevel> {
    let ([admitted], levels) = answer.split_first_chunk()?;
    let (levels, []) = levels.as_chunks() else { return None };
    let view = |(ask, [left, reset_ms, wait_ms]): (&WindowCheck<'_>, &[u64; 3])| -> Option<WindowView> {
        let limit = ask.rule().limit();
        let remaining = u32::try_from(*left).ok()?;
        Some(WindowView { limit, remaining, reset_ms: *reset_ms, retry_after_ms: *wait_ms })
    };
    let views: Vec<WindowView> = asks.iter().zip(levels).map(view).collect::<Option<_>>()?;
    (views.len() == asks.len()).then(|| WindowLevel::from_checks(*admitted == 1, asks, &views))
}
