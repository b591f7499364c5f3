//! Sources that send too much, nothing, or something else than their API has: the last list remains, and the source shows an error.

use std::sync::{Arc, Mutex, PoisonError};

use base64ct::{Base64, Encoding as _};
use e2e::{Call, Gateway, Setup, Turn, Upstream};
use serde_json::{Value, json};

use super::{address, admin, backends, has, served, source_reports};

/// What a source responds with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Members,
    HundredMegabytes,
    Silence,
    InvalidJson,
    OtherJson,
    Redirect,
    NoIndex,
}

/// The replies that are no lists of members, and what the source shows then.
const LIES: [(Reply, &str); 5] = [
    (Reply::HundredMegabytes, "the response is too large"),
    (Reply::Silence, "no response within 10 s"),
    (Reply::InvalidJson, "the response is invalid or incomplete"),
    (Reply::OtherJson, "the response is invalid or incomplete"),
    (Reply::Redirect, "the status of the response is 302, not 200"),
];

/// A server that is a Consul or an etcd, as its paths are used.
struct LyingSource {
    server: Upstream,
    reply: Arc<Mutex<Reply>>,
}

impl LyingSource {
    /// Starts a source whose members are at these URLs' hosts and ports.
    async fn start(members: &[(String, u16)]) -> Self {
        let reply = Arc::new(Mutex::new(Reply::Members));
        let told = reply.clone();
        let members = members.to_vec();
        let server = Upstream::start(move |mut turn: Turn| {
            let reply = *told.lock().unwrap_or_else(PoisonError::into_inner);
            let members = members.clone();
            async move {
                turn.read_body().await;
                respond(&mut turn, reply, &members).await;
                Some(turn)
            }
        })
        .await;
        Self { server, reply }
    }

    fn tells(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// Tells each lie, and the truth after it.
    async fn tells_lies(&self, lies: &[(Reply, &str)], gateway: &Gateway, hosts: &[String], urls: &[String]) {
        let token = admin(gateway, "root").await.token;
        for (lie, error) in lies {
            self.tells(*lie);
            source_reports(gateway, &token, error).await;
            has(gateway, &token, urls).await;
            assert_eq!(served(gateway, 12).await, hosts, "{lie:?}");
            self.tells(Reply::Members);
            source_reports(gateway, &token, "").await;
        }
        assert!(
            self.server.seen().iter().all(|seen| !seen.head.first.contains("/elsewhere")),
            "no redirect is followed"
        );
    }
}

async fn respond(turn: &mut Turn, reply: Reply, members: &[(String, u16)]) {
    const OK: &str = "200 OK\r\nx-consul-index: 7";
    match reply {
        Reply::Members => {
            let content = list(&turn.head.first, members);
            turn.answer(OK, content.as_bytes()).await;
        }
        Reply::HundredMegabytes => {
            let part = vec![b' '; 1 << 20];
            let mut is_open = turn.stream(OK).await;
            for _ in 0..100 {
                is_open = is_open && turn.chunk(&part).await;
            }
        }
        Reply::Silence => {
            turn.write(format!("HTTP/1.1 {OK}\r\ncontent-length: 100\r\n\r\n[").as_bytes()).await;
            std::future::pending::<()>().await;
        }
        Reply::InvalidJson => {
            turn.answer(OK, b"{\"header\": ").await;
        }
        Reply::OtherJson => {
            turn.answer(OK, b"\"members\"").await;
        }
        Reply::Redirect => {
            turn.answer("302 Found\r\nlocation: /elsewhere", b"").await;
        }
        Reply::NoIndex => {
            let content = list(&turn.head.first, members).replace("\"revision\":\"7\"", "\"revision\":\"none\"");
            turn.answer("200 OK", content.as_bytes()).await;
        }
    }
}

/// Returns the members as the API has them whose request this is. The watch of etcd ends at once, and is followed by a whole read.
fn list(request: &str, members: &[(String, u16)]) -> String {
    if request.contains("/v3/watch") {
        return String::new();
    }
    if request.contains("/v3/kv/range") {
        let key = |(host, port): &(String, u16)| {
            let url = format!("http://{host}:{port}");
            json!({"key": Base64::encode_string(url.as_bytes()), "value": Base64::encode_string(url.as_bytes())})
        };
        return json!({"header": {"revision": "7"}, "kvs": members.iter().map(key).collect::<Vec<_>>()}).to_string();
    }
    let instance = |(host, port): &(String, u16)| json!({"Node": {}, "Service": {"Address": host, "Port": port}});
    Value::from_iter(members.iter().map(instance)).to_string()
}

/// Returns two members with their hosts and URLs, and the servers there.
async fn members(net: u8) -> (Vec<Upstream>, Vec<(String, u16)>, Vec<String>, Vec<String>) {
    let servers = backends(net, 2).await;
    let port = servers[0].address().port();
    let hosts = vec![address(net, 1), address(net, 2)];
    let urls = hosts.iter().map(|host| format!("http://{host}:{port}")).collect();
    (servers, hosts.iter().map(|host| (host.clone(), port)).collect(), hosts, urls)
}

async fn start(setup: Setup) -> Gateway {
    let gateway = Gateway::start(setup).await;
    gateway.call(Call::get("/x")).await.expect(200);
    gateway
}

#[tokio::test]
async fn lies_of_a_consul_keep_the_last_list() {
    let (_servers, members, hosts, urls) = members(99).await;
    let source = LyingSource::start(&members).await;
    let consul = format!("{{url: \"http://{}\"}}", source.server.address());
    let setup = super::sourced("discover: {consul: user-service}").section("consul", &consul);
    let gateway = start(setup).await;
    let lies: Vec<_> = LIES.into_iter().chain([(Reply::NoIndex, "no valid X-Consul-Index")]).collect();
    source.tells_lies(&lies, &gateway, &hosts, &urls).await;
}

#[tokio::test]
async fn lies_of_an_etcd_keep_the_last_list() {
    let (_servers, members, hosts, urls) = members(100).await;
    let source = LyingSource::start(&members).await;
    let etcd = format!("{{urls: [\"http://{}\"]}}", source.server.address());
    let gateway = start(super::sourced("discover: {etcd: /services/user/}").section("etcd", &etcd)).await;
    let lies: Vec<_> = LIES.into_iter().chain([(Reply::NoIndex, "the revision of etcd is no number")]).collect();
    source.tells_lies(&lies, &gateway, &hosts, &urls).await;
}
