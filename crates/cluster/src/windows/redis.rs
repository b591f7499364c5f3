//! The counts in Redis: one script call for all limits of a request, with the clock of Redis.

use std::fmt::Write;
use std::time::Duration;

use access::Secret;
use meter::window::counts::{WindowCheck, WindowLevel};
use meter::window::{WindowCount, WindowView};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, Script};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Timeout of connecting, including TLS and sign-in.
const CONNECT: Duration = Duration::from_secs(1);
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

/// The Redis server and the script that runs there.
pub(super) struct Server {
    client: Client,
    script: Script,
    /// Prefix of every key. The braces put all keys into one slot of a cluster, which a script with several keys
    /// requires.
    prefix: String,
}

impl Server {
    /// `brand` separates products that share a Redis.
    pub(super) fn new(url: &Secret, brand: &str) -> Result<Self, RedisFault> {
        let client = Client::open(url.expose()).map_err(|_| RedisFault::Url)?;
        Ok(Self {
            client,
            script: Script::new(include_str!("take.lua")),
            prefix: format!("tollgate:{{{brand}}}:window:"),
        })
    }

    /// Opens a connection, and loads the script on it.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisFault> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(CONNECT));
        let connecting = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            self.script.load_async(&mut connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(CONNECT, connecting).await.unwrap_or(Err(RedisFault::Late))
    }

    /// Counts a request against all of `asks`, or against none if one refuses it. If cancelled, it may have been
    /// counted.
    pub(super) async fn take(
        &self,
        connection: &mut MultiplexedConnection,
        asks: &[WindowCheck<'_>],
    ) -> Result<WindowLevel, RedisFault> {
        let mut call = self.script.prepare_invoke();
        for ask in asks {
            let rule = ask.rule();
            call.key(self.key(ask)).arg(rule.limit()).arg(rule.length_ms());
        }
        let answer: Vec<u64> = call.invoke_async(connection).await?;
        read(asks, &answer).ok_or(RedisFault::Nonsense)
    }

    /// Hashes the name, so that Redis and its log contain no key, e-mail address or IP address.
    fn key(&self, ask: &WindowCheck<'_>) -> String {
        let hash = Sha256::new()
            .chain_update(ask.name)
            .chain_update([0])
            .chain_update(ask.rule().length_ms().to_be_bytes())
            .chain_update(ask.key)
            .finalize();
        let mut key = self.prefix.clone();
        for byte in hash.iter().take(NAME_BYTES) {
            // Writing to a string does not fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }
}

/// Parses the response of the script.
fn read(asks: &[WindowCheck<'_>], answer: &[u64]) -> Option<WindowLevel> {
    let ([now_ms, admitted], counts) = answer.split_first_chunk()?;
    let (counts, []) = counts.as_chunks() else { return None };
    let view = |(ask, [index, current, previous]): (&WindowCheck<'_>, &[u64; 3])| -> Option<WindowView> {
        let count = WindowCount {
            index: *index,
            current: u32::try_from(*current).ok()?,
            previous: u32::try_from(*previous).ok()?,
        };
        Some(count.at(ask.rule(), *now_ms))
    };
    let views: Vec<WindowView> = asks.iter().zip(counts).map(view).collect::<Option<_>>()?;
    (views.len() == asks.len()).then(|| WindowLevel::of(*admitted == 1, asks, &views))
}
