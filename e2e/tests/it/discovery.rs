//! Members of upstreams from real sources, which change, fail and return while clients send requests.

mod changes;
mod consul;
mod dns;
mod etcd;
mod lying;

use std::net::SocketAddr;

use e2e::{Call, Gateway, Setup, Turn, Upstream, eventually};
use serde_json::Value;

use crate::people::admin;

/// Starts a backend at 127.`net`.0.`host` that responds with its address.
async fn backend(net: u8, host: u8, port: u16) -> Upstream {
    Upstream::start_at(SocketAddr::from(([127, net, 0, host], port)), move |mut turn: Turn| async move {
        turn.read_body().await;
        turn.answer("200 OK", format!("127.{net}.0.{host}").as_bytes()).await;
        Some(turn)
    })
    .await
}

/// Starts backends at 127.`net`.0.1 and the following addresses, all at the same port.
async fn backends(net: u8, count: u8) -> Vec<Upstream> {
    let mut started = vec![backend(net, 1, 0).await];
    let port = started[0].address().port();
    for host in 2..=count {
        started.push(backend(net, host, port).await);
    }
    started
}

fn address(net: u8, host: u8) -> String {
    format!("127.{net}.0.{host}")
}

/// Returns the settings of a gateway whose only upstream has these keys.
fn setup(upstream: &str, dns: &str) -> Setup {
    sourced(upstream).section("dns", dns)
}

/// Returns the settings of a gateway whose only upstream has these keys, without those of its source.
fn sourced(upstream: &str) -> Setup {
    Setup::bare()
        .section("signup", "open")
        .section("providers", "[{name: up, kind: openai, base_url: \"http://127.0.0.1:9/v1\", credential: vault}]")
        .section("upstreams", &format!("[{{name: users, slow_start: 0s, {upstream}}}]"))
        .section("routes", "[{path: /x, upstreams: users, auth: {type: none}}]")
}

/// Returns the state of the upstream in `GET /api/upstreams`.
async fn shown(gateway: &Gateway, token: &str) -> Value {
    let list = gateway.ask(Call::get("/api/upstreams").key(token)).await.expect(200).json();
    list["items"].as_array().unwrap().iter().find(|upstream| upstream["name"] == "users").unwrap().clone()
}

/// Waits until the upstream has backends with these URLs.
async fn has(gateway: &Gateway, token: &str, urls: &[String]) {
    eventually(&format!("backends {urls:?}"), async || {
        let upstream = shown(gateway, token).await;
        let found: Vec<&str> =
            upstream["backends"].as_array().unwrap().iter().map(|backend| backend["url"].as_str().unwrap()).collect();
        (found == urls).then_some(())
    })
    .await;
}

/// Waits until the error of the upstream's only source contains a text; an empty one means no error.
async fn source_reports(gateway: &Gateway, token: &str, error: &str) {
    eventually(&format!("the source reports {error:?}"), async || {
        let upstream = shown(gateway, token).await;
        let reported = upstream["sources"][0]["error"].as_str().unwrap_or_default();
        (if error.is_empty() { reported.is_empty() } else { reported.contains(error) }).then_some(())
    })
    .await;
}

/// Sends requests, which all succeed, and returns the addresses that have responded, each once.
async fn served(gateway: &Gateway, count: usize) -> Vec<String> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        addresses.push(gateway.call(Call::get("/x")).await.expect(200).text());
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
