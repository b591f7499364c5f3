//! Members from Consul: the passing instances of a service, by blocking queries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::observed::ObservedSource;
use super::source::{FollowedService, FoundMember, scale};
use crate::server::ServerRequest;
use crate::source_error::SourceError;

/// Maximum time for which a query waits for a change. Consul adds up to a sixteenth.
const WAIT: Duration = Duration::from_secs(30);
/// Maximum time until the head of a response of a query that waits.
const HEAD_MAX: Duration = Duration::from_secs(40);
/// Minimum time between two queries.
const QUERY_EVERY: Duration = Duration::from_millis(500);
/// The pause after a first failure, which grows with each further one, and the longest pause.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);
const INDEX: &str = "x-consul-index";
const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: InstanceNode,
    service: InstanceService,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceNode {
    #[serde(default)]
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceService {
    #[serde(default)]
    address: String,
    port: u16,
    weights: Option<InstanceWeights>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceWeights {
    passing: u32,
}

/// Queries the instances again and again, and reports each list. It ends only when it is dropped.
pub(super) async fn follow(followed: &FollowedService, public: &Arc<ClientConfig>, observed: &ObservedSource) {
    let mut index = 0;
    let mut failures = 0_u32;
    let mut server = 0;
    loop {
        let begun = Instant::now();
        match query(followed, public, server, index).await {
            Ok((members, next, remark)) => {
                failures = 0;
                observed.found(members, remark);
                // An index that falls is of another history, such as that of a restored server.
                index = if next < index { 0 } else { next };
                sleep_until(begun + QUERY_EVERY).await;
            }
            Err(error) => {
                observed.failed(&error);
                index = 0;
                server = (server + 1) % followed.servers.urls.len().max(1);
                failures = failures.saturating_add(1);
                sleep(RETRY_MIN.saturating_mul(failures).min(RETRY_MAX)).await;
            }
        }
    }
}

/// Returns the passing instances and their index. A query with an index above 0 waits until it changes.
async fn query(
    followed: &FollowedService,
    public: &Arc<ClientConfig>,
    server: usize,
    index: u64,
) -> Result<(Vec<FoundMember>, u64, Option<String>), SourceError> {
    let datacenter = followed.datacenter.as_ref().map(|datacenter| format!("&dc={datacenter}")).unwrap_or_default();
    let target = format!(
        "/v1/health/service/{}?passing=true&index={index}&wait={}s{datacenter}",
        followed.service,
        WAIT.as_secs()
    );
    let headers = HeaderMap::new();
    let content = Bytes::new();
    let mut request = ServerRequest { method: Method::GET, target, headers, content, head_within: HEAD_MAX };
    if let Some(token) = &followed.token {
        request = request.secret(TOKEN, token.expose())?;
    }
    let servers = &followed.servers;
    let url = servers.urls.get(server).ok_or(SourceError::Invalid("the source has no server"))?;
    let response = request.send(url, servers.tls.as_ref(), public).await?;
    let next = response.headers.get(INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
    let next: u64 = next.ok_or(SourceError::Invalid("the response has no valid X-Consul-Index"))?;
    let instances: Vec<Instance> =
        serde_json::from_slice(&response.content().await?).map_err(|error| SourceError::Protocol(error.to_string()))?;
    let all = instances.len();
    let mut members: Vec<FoundMember> = instances.into_iter().filter_map(member).collect();
    scale(&mut members);
    let invalid = all - members.len();
    let remark = (invalid > 0).then(|| format!("{invalid} instances have no address or no port"));
    // The documentation of blocking queries asks for an index above 0.
    Ok((members, next.max(1), remark))
}

/// Returns the member of an instance; `None` if it has no address or no port.
fn member(instance: Instance) -> Option<FoundMember> {
    let Instance { node, service } = instance;
    let host = if service.address.is_empty() { node.address } else { service.address };
    let is_written = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    if host.is_empty() || host.len() > 253 || !is_written || service.port == 0 {
        return None;
    }
    let weight = service.weights.map(|weights| weights.passing);
    Some(FoundMember { host, port: service.port, url: None, is_address: false, name: None, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_without_its_own_address_has_that_of_its_node() {
        let read = |text: &str| member(serde_json::from_str(text).unwrap());
        let own = read(r#"{"Node": {"Address": "10.0.0.9"}, "Service": {"Address": "10.0.0.1", "Port": 80}}"#).unwrap();
        assert_eq!((own.host.as_str(), own.port, own.weight), ("10.0.0.1", 80, None));
        let of_node = r#"{"Node": {"Address": "10.0.0.9", "ID": "x"},
            "Service": {"Address": "", "Port": 81, "Weights": {"Passing": 5, "Warning": 1}}}"#;
        let of_node = read(of_node).unwrap();
        assert_eq!((of_node.host.as_str(), of_node.port, of_node.weight), ("10.0.0.9", 81, Some(5)));
        for invalid in [
            r#"{"Node": {}, "Service": {"Port": 80}}"#,
            r#"{"Node": {}, "Service": {"Address": "10.0.0.1", "Port": 0}}"#,
            r#"{"Node": {}, "Service": {"Address": "a b", "Port": 80}}"#,
            r#"{"Node": {}, "Service": {"Address": "a/b", "Port": 80}}"#,
        ] {
            assert_eq!(read(invalid), None, "{invalid}");
        }
    }
}
