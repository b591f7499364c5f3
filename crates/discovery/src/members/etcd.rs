//! Members from etcd: all keys with a prefix, whose values are URLs.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::credentials::issuer::host_and_port;
use base64ct::{Base64, Encoding as _};
use http::Uri;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use super::observed::ObservedSource;
use super::source::{FOUND_MAX, FollowedPrefix, FoundMember};
use crate::etcd::{self, KeyChange, KeyRange, KeyVisitor, StoredKey};
use crate::source_error::SourceError;

/// Maximum number of keys that are kept; a watch that adds more ends with a whole read.
const KEYS_MAX: usize = 2 * FOUND_MAX;
/// Longest URL of a member in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A value that is not only a URL.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenMember {
    url: String,
    weight: Option<u32>,
}

/// The members of the keys that were read.
struct PrefixMembers<'a> {
    members: BTreeMap<String, Result<FoundMember, ()>>,
    observed: &'a ObservedSource,
}

/// Reads the keys and watches them, and reports each list. It ends only when it is dropped.
pub(super) async fn follow(followed: &FollowedPrefix, public: &Arc<ClientConfig>, observed: &ObservedSource) {
    let range = KeyRange::prefix(&followed.prefix, KEYS_MAX);
    let mut members = PrefixMembers { members: BTreeMap::new(), observed };
    etcd::follow(&followed.cluster, &range, public, &mut members).await;
}

impl PrefixMembers<'_> {
    fn report(&self) {
        let invalid = self.members.values().filter(|member| member.is_err()).count();
        let remark = (invalid > 0)
            .then(|| format!("{invalid} values are neither a URL nor {{\"url\": URL, \"weight\": 0 to 1000}}"));
        self.observed.found(self.members.values().filter_map(|member| member.clone().ok()).collect(), remark);
    }
}

impl KeyVisitor for PrefixMembers<'_> {
    fn read(&mut self, keys: Vec<StoredKey>) {
        self.members = keys.into_iter().map(|stored| (stored.key, member(&stored.value))).collect();
        self.report();
    }

    fn changed(&mut self, changes: Vec<KeyChange>) -> bool {
        for change in changes {
            match change {
                KeyChange::Put(stored) => drop(self.members.insert(stored.key, member(&stored.value))),
                KeyChange::Delete { key } => drop(self.members.remove(&key)),
            }
        }
        self.report();
        self.members.len() <= KEYS_MAX
    }

    fn failed(&mut self, error: &SourceError) {
        self.observed.failed(error);
    }
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
    if weight.is_some_and(|weight| weight > 1_000) {
        return Err(());
    }
    let (host, port) = host_of(&url).ok_or(())?;
    Ok(FoundMember { host, port, url: Some(url), is_address: false, name: None, weight })
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
}
