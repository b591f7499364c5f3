//! Members from etcd, over the JSON gateway of its API v3: all keys with a prefix, and a watch from their revision.
//!
//! A whole read replaces all members at once. It follows each end of a watch: a compaction, an idle stream, or a connection
//! that ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use access::issuer::host_and_port;
use base64ct::{Base64, Encoding as _};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri, header};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::observed::Observed;
use super::server::{ServerRequest, ServerResponse};
use super::source::{FOUND_MAX, FollowedPrefix, FoundMember, SourceError};

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
/// Maximum number of keys that are kept; a watch that adds more ends with a whole read.
const KEYS_MAX: usize = 2 * FOUND_MAX;
/// Longest URL of a member in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// The keys that were read, and the revision at which they were so.
struct ReadKeys {
    members: BTreeMap<String, Result<FoundMember, ()>>,
    revision: i64,
}

#[derive(Debug, Deserialize)]
struct RangeResponse {
    header: ResponseHeader,
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Debug, Deserialize)]
struct ResponseHeader {
    /// A number of 64 bits, as text.
    revision: String,
}

#[derive(Debug, Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
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
    kv: KeyValue,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    #[default]
    Put,
    Delete,
}

/// A value that is not only a URL.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenMember {
    url: String,
    weight: Option<u32>,
}

/// Reads the keys and watches them, and reports each list. It ends only when it is dropped.
pub(super) async fn follow(followed: &FollowedPrefix, public: &Arc<ClientConfig>, observed: &Observed) {
    let (mut server, mut failures) = (0, 0_u32);
    loop {
        let begun = Instant::now();
        let session = Session { followed, public, server, observed };
        let pause = match session.run().await {
            Ok(()) => {
                failures = 0;
                READ_EVERY
            }
            Err(error) => {
                observed.failed(&error);
                // Another server of the cluster may respond.
                server = (server + 1) % followed.servers.urls.len().max(1);
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
    followed: &'a FollowedPrefix,
    public: &'a Arc<ClientConfig>,
    server: usize,
    observed: &'a Observed,
}

impl Session<'_> {
    /// Reads all keys, and follows their changes until the watch ends.
    async fn run(&self) -> Result<(), SourceError> {
        let token = self.token().await?;
        let mut read = self.read(token.as_deref()).await?;
        self.report(&read);
        let mut watch = self.watch(token.as_deref(), read.revision + 1).await?;
        let mut received = BytesMut::new();
        loop {
            let Ok(part) = timeout(IDLE_MAX, watch.part()).await else { return Ok(()) };
            let Some(part) = part? else { return Ok(()) };
            received.extend_from_slice(&part);
            while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                let line = received.split_to(end + 1);
                if !self.apply(&line, &mut read)? {
                    return Ok(());
                }
            }
            if received.len() > MESSAGE_BYTES_MAX {
                return Err(SourceError::TooLarge);
            }
        }
    }

    /// Applies a message of the watch. Returns whether the watch continues.
    fn apply(&self, line: &[u8], read: &mut ReadKeys) -> Result<bool, SourceError> {
        let message: WatchMessage =
            serde_json::from_slice(line).map_err(|error| SourceError::Protocol(error.to_string()))?;
        let Some(result) = message.result.filter(|result| !result.canceled) else { return Ok(false) };
        if result.events.is_empty() {
            return Ok(true);
        }
        for WatchEvent { r#type, kv } in result.events {
            match r#type {
                EventType::Put => drop(read.members.insert(kv.key, member(&kv.value))),
                EventType::Delete => drop(read.members.remove(&kv.key)),
            }
        }
        self.report(read);
        Ok(read.members.len() <= KEYS_MAX)
    }

    fn report(&self, read: &ReadKeys) {
        let invalid = read.members.values().filter(|member| member.is_err()).count();
        let remark = (invalid > 0)
            .then(|| format!("{invalid} values are neither a URL nor {{\"url\": URL, \"weight\": 0 to 1000}}"));
        self.observed.found(read.members.values().filter_map(|member| member.clone().ok()).collect(), remark);
    }

    /// Returns a token for the configured user.
    async fn token(&self) -> Result<Option<String>, SourceError> {
        let Some((name, password)) = &self.followed.user else { return Ok(None) };
        let content = json!({"name": &**name, "password": password.expose()});
        let response = self.send("/v3/auth/authenticate", &content, None).await?;
        let content: Value = parse(&response.content().await?)?;
        let token = content.get("token").and_then(Value::as_str);
        token.map(|token| Some(token.to_owned())).ok_or(SourceError::Invalid("etcd has returned no token"))
    }

    async fn read(&self, token: Option<&str>) -> Result<ReadKeys, SourceError> {
        let mut content = self.range();
        if let Some(content) = content.as_object_mut() {
            content.insert("limit".to_owned(), KEYS_MAX.to_string().into());
        }
        let response = self.send("/v3/kv/range", &content, token).await?;
        let RangeResponse { header, kvs } = parse(&response.content().await?)?;
        let revision =
            header.revision.parse().map_err(|_| SourceError::Invalid("the revision of etcd is no number"))?;
        let members = kvs.into_iter().take(KEYS_MAX).map(|kv| (kv.key, member(&kv.value))).collect();
        Ok(ReadKeys { members, revision })
    }

    async fn watch(&self, token: Option<&str>, revision: i64) -> Result<ServerResponse, SourceError> {
        let mut create = self.range();
        if let Some(create) = create.as_object_mut() {
            create.insert("start_revision".to_owned(), revision.to_string().into());
        }
        self.send("/v3/watch", &json!({"create_request": create}), token).await
    }

    /// Returns the keys with the prefix, as a range of the API.
    fn range(&self) -> Value {
        let prefix = self.followed.prefix.as_bytes();
        json!({"key": Base64::encode_string(prefix), "range_end": Base64::encode_string(&after(prefix))})
    }

    async fn send(&self, path: &str, content: &Value, token: Option<&str>) -> Result<ServerResponse, SourceError> {
        let content: Bytes = content.to_string().into();
        let (headers, target) = (HeaderMap::new(), path.to_owned());
        let mut request = ServerRequest { method: Method::POST, target, headers, content, head_within: HEAD_MAX };
        if let Some(token) = token {
            request = request.secret(header::AUTHORIZATION, token)?;
        }
        let servers = &self.followed.servers;
        let url = servers.urls.get(self.server).ok_or(SourceError::Invalid("the source has no server"))?;
        request.send(url, servers.tls.as_ref(), self.public).await
    }
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

/// Returns the member that a value in base64 describes.
fn member(value: &str) -> Result<FoundMember, ()> {
    let value = Base64::decode_vec(value).map_err(|_| ())?;
    let text = std::str::from_utf8(&value).map_err(|_| ())?.trim();
    let written = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|_| ())?
    } else {
        WrittenMember { url: text.to_owned(), weight: None }
    };
    let WrittenMember { url, weight } = written;
    let is_weight = weight.is_none_or(|weight| weight <= 1_000);
    let (host, port) = host_of(&url).filter(|_| is_weight).ok_or(())?;
    Ok(FoundMember { host, port, url: Some(url), is_address: false, weight })
}

/// Returns the host and the port of a URL of a member; `None` if it is invalid.
fn host_of(url: &str) -> Option<(String, u16)> {
    if url.len() > URL_BYTES_MAX || url.contains(['?', '#', '@']) {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    let usual = match uri.scheme_str()? {
        "http" | "h2c" => 80,
        "https" => 443,
        _ => return None,
    };
    let (host, port) = host_and_port(uri.authority()?.as_str(), usual)?;
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_urls_with_or_without_a_weight() {
        let read = |value: &str| member(&Base64::encode_string(value.as_bytes()));
        for (value, host, port, weight) in [
            ("http://10.0.0.1:9000", "10.0.0.1", 9000, None),
            (" https://A.internal/v1\n", "a.internal", 443, None),
            ("{\"url\": \"h2c://[::1]:81\", \"weight\": 0}", "::1", 81, Some(0)),
        ] {
            let member = read(value).unwrap();
            assert_eq!((member.host.as_str(), member.port, member.weight), (host, port, weight), "{value}");
        }
        for value in [
            "",
            "10.0.0.1:9000",
            "ftp://h",
            "http://u:p@h",
            "http://h/?a=b",
            "http://h:0",
            "{}",
            "{\"url\": \"http://h\", \"weight\": 1001}",
            "{\"url\": \"http://h\", \"weight\": -1}",
            "{\"url\": \"http://h\", \"name\": \"h\"}",
        ] {
            assert!(read(value).is_err(), "{value}");
        }
        assert!(member("no base64").is_err());
        assert!(read(&format!("http://h/{}", "a".repeat(3_000))).is_err());
    }

    #[test]
    fn a_range_has_all_keys_with_the_prefix() {
        assert_eq!(after(b"/a/"), b"/a0");
        assert_eq!(after(b"a\xff\xff"), b"b");
        assert_eq!(after(b"\xff"), [0]);
        assert_eq!(after(b""), [0]);
    }
}
