//! A client of etcd over the JSON gateway of its API v3: it reads keys, and watches them from their revision.
//!
//! A whole read replaces all at once. It follows each end of a watch: a compaction, an idle stream, or a connection that
//! ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use base64ct::{Base64, Encoding as _};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::server::{ServerRequest, ServerResponse, SourceServers};
use crate::source_error::SourceError;

/// Maximum time until the head of a response.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// The time without a message after which a watch is no longer trusted.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Minimum time between two whole reads.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Maximum time until the next attempt after a failure.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Maximum size of one message of a watch in bytes.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An etcd cluster, and the user as whom it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdCluster {
    /// The servers of the cluster.
    pub servers: SourceServers,
    /// The user's name and password, if the cluster requires them.
    pub user: Option<(Arc<str>, Secret)>,
}

impl fmt::Debug for EtcdCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdCluster").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// The keys that are read and watched.
pub(crate) struct KeyRange {
    first: String,
    /// The first key behind the range; `None` if it is one key.
    end: Option<Vec<u8>>,
    /// Maximum number of keys that are read.
    keys_max: usize,
}

/// What takes over the keys of a range.
pub(crate) trait KeyVisitor {
    /// Takes over a whole read.
    fn read(&mut self, keys: Vec<StoredKey>);

    /// Takes over changes since then. Returns whether the watch continues; otherwise a whole read follows.
    fn changed(&mut self, changes: Vec<KeyChange>) -> bool;

    /// Takes note of a failure.
    fn failed(&mut self, error: &SourceError);
}

/// A key with its value.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredKey {
    /// The key in base64.
    pub(crate) key: String,
    /// The value in base64.
    #[serde(default)]
    pub(crate) value: String,
    /// The revision of the cluster at which the value was written: a number of 64 bits, as text.
    #[serde(default)]
    pub(crate) mod_revision: String,
}

/// A change of a key.
#[derive(Debug)]
pub(crate) enum KeyChange {
    /// The key has a value.
    Put(StoredKey),
    /// The key was deleted, or its lease has expired.
    Delete {
        /// The key in base64.
        key: String,
    },
}

#[derive(Debug, Deserialize)]
struct RangeResponse {
    header: ResponseHeader,
    #[serde(default)]
    kvs: Vec<StoredKey>,
}

#[derive(Debug, Deserialize)]
struct ResponseHeader {
    /// A number of 64 bits, as text.
    revision: String,
}

#[derive(Debug, Deserialize)]
struct WatchMessage {
    result: Option<WatchResult>,
}

#[derive(Debug, Deserialize)]
struct WatchResult {
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    events: Vec<WatchEvent>,
}

#[derive(Debug, Deserialize)]
struct WatchEvent {
    #[serde(default)]
    r#type: EventType,
    kv: StoredKey,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    #[default]
    Put,
    Delete,
}

/// Reads the keys and watches them. It ends only when it is dropped. `public` is the TLS of servers without their own.
pub(crate) async fn follow(
    cluster: &EtcdCluster,
    range: &KeyRange,
    public: &Arc<ClientConfig>,
    visitor: &mut impl KeyVisitor,
) {
    let mut server = 0;
    let mut failures = 0_u32;
    loop {
        let begun = Instant::now();
        let session = Session { cluster, range, public, server };
        let pause = match session.run(visitor).await {
            Ok(()) => {
                failures = 0;
                READ_EVERY
            }
            Err(error) => {
                visitor.failed(&error);
                // Another server of the cluster may respond.
                server = (server + 1) % cluster.servers.urls.len().max(1);
                failures = failures.saturating_add(1);
                READ_EVERY.saturating_mul(failures).min(RETRY_MAX)
            }
        };
        sleep_until(begun + pause).await;
        if failures > 0 && begun.elapsed() > RETRY_MAX {
            sleep(READ_EVERY).await;
        }
    }
}

/// One whole read, and the watch after it.
struct Session<'a> {
    cluster: &'a EtcdCluster,
    range: &'a KeyRange,
    public: &'a Arc<ClientConfig>,
    server: usize,
}

impl Session<'_> {
    /// Reads all keys, and follows their changes until the watch ends.
    async fn run(&self, visitor: &mut impl KeyVisitor) -> Result<(), SourceError> {
        let token = self.token().await?;
        let revision = self.read(token.as_deref(), visitor).await?;
        let mut watch = self.watch(token.as_deref(), revision + 1).await?;
        let mut received = BytesMut::new();
        loop {
            let Ok(part) = timeout(IDLE_MAX, watch.part()).await else { return Ok(()) };
            let Some(part) = part? else { return Ok(()) };
            received.extend_from_slice(&part);
            while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                let line = received.split_to(end + 1);
                if !apply(&line, visitor)? {
                    return Ok(());
                }
            }
            if received.len() > MESSAGE_BYTES_MAX {
                return Err(SourceError::TooLarge);
            }
        }
    }

    /// Returns a token for the configured user.
    async fn token(&self) -> Result<Option<String>, SourceError> {
        let Some((name, password)) = &self.cluster.user else { return Ok(None) };
        let content = json!({"name": &**name, "password": password.expose()});
        let response = self.send("/v3/auth/authenticate", &content, None).await?;
        let content: Value = parse(&response.content().await?)?;
        let token = content.get("token").and_then(Value::as_str);
        token.map(|token| Some(token.to_owned())).ok_or(SourceError::Invalid("etcd has returned no token"))
    }

    /// Reads all keys, and returns the revision at which they were read.
    async fn read(&self, token: Option<&str>, visitor: &mut impl KeyVisitor) -> Result<i64, SourceError> {
        let mut content = self.range.to_json();
        if let Some(content) = content.as_object_mut() {
            content.insert("limit".to_owned(), self.range.keys_max.to_string().into());
        }
        let response = self.send("/v3/kv/range", &content, token).await?;
        let RangeResponse { header, mut kvs } = parse(&response.content().await?)?;
        let revision =
            header.revision.parse().map_err(|_| SourceError::Invalid("the revision of etcd is no number"))?;
        kvs.truncate(self.range.keys_max);
        visitor.read(kvs);
        Ok(revision)
    }

    async fn watch(&self, token: Option<&str>, revision: i64) -> Result<ServerResponse, SourceError> {
        let mut create = self.range.to_json();
        if let Some(create) = create.as_object_mut() {
            create.insert("start_revision".to_owned(), revision.to_string().into());
        }
        self.send("/v3/watch", &json!({"create_request": create}), token).await
    }

    async fn send(&self, path: &str, content: &Value, token: Option<&str>) -> Result<ServerResponse, SourceError> {
        let content: Bytes = content.to_string().into();
        let headers = HeaderMap::new();
        let target = path.to_owned();
        let mut request = ServerRequest { method: Method::POST, target, headers, content, head_within: HEAD_MAX };
        if let Some(token) = token {
            request = request.secret(header::AUTHORIZATION, token)?;
        }
        let servers = &self.cluster.servers;
        let url = servers.urls.get(self.server).ok_or(SourceError::Invalid("the source has no server"))?;
        request.send(url, servers.tls.as_ref(), self.public).await
    }
}

impl KeyRange {
    /// Returns the range of all keys with a prefix, of which at most `keys_max` are read.
    pub(crate) fn prefix(prefix: &str, keys_max: usize) -> Self {
        Self { first: prefix.to_owned(), end: Some(after(prefix.as_bytes())), keys_max }
    }

    /// Returns the range of one key.
    pub(crate) fn key(key: &str) -> Self {
        Self { first: key.to_owned(), end: None, keys_max: 1 }
    }

    /// Returns the range as the API has it.
    fn to_json(&self) -> Value {
        let key = Base64::encode_string(self.first.as_bytes());
        match &self.end {
            Some(end) => json!({"key": key, "range_end": Base64::encode_string(end)}),
            None => json!({"key": key}),
        }
    }
}

/// Applies a message of the watch. Returns whether the watch continues.
fn apply(line: &[u8], visitor: &mut impl KeyVisitor) -> Result<bool, SourceError> {
    let message: WatchMessage = parse(line)?;
    let Some(result) = message.result.filter(|result| !result.canceled) else { return Ok(false) };
    if result.events.is_empty() {
        return Ok(true);
    }
    let change = |WatchEvent { r#type, kv }| match r#type {
        EventType::Put => KeyChange::Put(kv),
        EventType::Delete => KeyChange::Delete { key: kv.key },
    };
    Ok(visitor.changed(result.events.into_iter().map(change).collect()))
}

fn parse<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, SourceError> {
    serde_json::from_slice(content).map_err(|error| SourceError::Protocol(error.to_string()))
}

/// Returns the first key behind all keys with this prefix; a zero byte means all keys.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;
    use crate::server::SourceUrl;

    /// A visitor that notes the keys of changes, and needs a whole read after a certain number.
    struct Noted {
        changes: Vec<String>,
        most: usize,
    }

    impl KeyVisitor for Noted {
        fn read(&mut self, _: Vec<StoredKey>) {}

        fn changed(&mut self, changes: Vec<KeyChange>) -> bool {
            self.changes.extend(changes.into_iter().map(|change| match change {
                KeyChange::Put(stored) => format!("put {} {}", stored.key, stored.value),
                KeyChange::Delete { key } => format!("delete {key}"),
            }));
            self.changes.len() <= self.most
        }

        fn failed(&mut self, _: &SourceError) {}
    }

    #[test]
    fn a_watch_ends_with_a_compaction_an_error_or_too_many_changes() {
        let mut noted = Noted { changes: Vec::new(), most: 3 };
        let put = r#"{"kv": {"key": "YQ==", "value": "Yg=="}}"#;
        let delete = r#"{"type": "DELETE", "kv": {"key": "YQ=="}}"#;
        for (line, continues) in [
            (r#"{"result": {"created": true}}"#.to_owned(), true),
            // Progress without a change.
            (r#"{"result": {"header": {"revision": "9"}}}"#.to_owned(), true),
            (format!(r#"{{"result": {{"events": [{put}, {delete}]}}}}"#), true),
            // The events before a compaction are not complete, so they are not applied.
            (format!(r#"{{"result": {{"canceled": true, "compact_revision": "12", "events": [{put}]}}}}"#), false),
            (r#"{"error": {"grpc_code": 14, "message": "etcdserver: no leader"}}"#.to_owned(), false),
            (format!(r#"{{"result": {{"events": [{put}, {put}]}}}}"#), false),
        ] {
            assert_eq!(apply(line.as_bytes(), &mut noted), Ok(continues), "{line}");
        }
        assert_eq!(noted.changes, ["put YQ== Yg==", "delete YQ==", "put YQ== Yg==", "put YQ== Yg=="]);
        for invalid in ["", "[]", "{\"result\": {\"events\": [{}]}}", "{\"result\": {\"events\": 1}}"] {
            assert!(matches!(apply(invalid.as_bytes(), &mut noted), Err(SourceError::Protocol(_))), "{invalid}");
        }
    }

    /// A visitor that reports each whole read, change and failure.
    struct Reported(mpsc::Sender<String>);

    impl KeyVisitor for Reported {
        fn read(&mut self, keys: Vec<StoredKey>) {
            self.0.try_send(format!("read {}", keys[0].value)).unwrap();
        }

        fn changed(&mut self, changes: Vec<KeyChange>) -> bool {
            self.0.try_send(format!("{} changed", changes.len())).unwrap();
            true
        }

        fn failed(&mut self, error: &SourceError) {
            self.0.try_send(error.to_string()).unwrap();
        }
    }

    /// Serves whole reads, whose value is the number of the read, and watches, which are idle after one change.
    async fn serve(listener: TcpListener) {
        let mut watches = Vec::new();
        let mut reads = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut received = Vec::new();
            while !received.ends_with(b"}") {
                assert!(stream.read_buf(&mut received).await.unwrap() > 0, "the request is not complete");
            }
            if received.starts_with(b"POST /v3/watch") {
                let line = "{\"result\": {\"events\": [{\"kv\": {\"key\": \"YQ==\"}}]}}\n";
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(format!("{head}{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
                watches.push(stream);
                continue;
            }
            reads += 1;
            let keys = json!({"header": {"revision": "7"}, "kvs": [{"key": "YQ==", "value": reads.to_string()}]});
            let keys = keys.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", keys.len());
            stream.write_all([head, keys].concat().as_bytes()).await.unwrap();
        }
    }

    /// Moves the time forward while the tasks wait for the network.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn a_watch_that_is_idle_for_30_seconds_is_followed_by_a_whole_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = "127.0.0.1".to_owned();
        let authority = format!("127.0.0.1:{port}");
        let path = String::new();
        let urls = vec![SourceUrl { is_tls: false, host, port, authority, path }];
        let cluster = EtcdCluster { servers: SourceServers { urls, tls: None }, user: None };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let public = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let public = Arc::new(public.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        let (report, mut reported) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener));
        tasks.spawn(async move {
            follow(&cluster, &KeyRange::key("a"), &public, &mut Reported(report)).await;
        });
        // The change has arrived, so the watch waits for the next message.
        for expected in ["read 1", "1 changed"] {
            assert_eq!(reported.recv().await.unwrap(), expected);
        }
        let since = Instant::now();
        pass(IDLE_MAX - Duration::from_secs(5)).await;
        assert!(reported.try_recv().is_err(), "the watch is trusted for {IDLE_MAX:?}");
        pass(Duration::from_secs(5)).await;
        for expected in ["read 2", "1 changed"] {
            assert_eq!(reported.recv().await.unwrap(), expected);
        }
        assert!(since.elapsed() >= IDLE_MAX, "{:?}", since.elapsed());
    }

    #[test]
    fn a_range_has_all_keys_with_the_prefix_or_one_key() {
        assert_eq!(after(b"/a/"), b"/a0");
        assert_eq!(after(b"a\xff\xff"), b"b");
        assert_eq!(after(b"\xff"), [0]);
        assert_eq!(after(b""), [0]);
        assert_eq!(KeyRange::prefix("/a/", 7).to_json(), json!({"key": "L2Ev", "range_end": "L2Ew"}));
        assert_eq!(KeyRange::key("/a").to_json(), json!({"key": "L2E="}));
    }
}
