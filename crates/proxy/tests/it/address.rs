//! The client's address that an upstream receives.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tokio::io::AsyncReadExt;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

async fn told(trusted: &str, said: &[&str]) -> String {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let raw = Raw::start(move |mut conn: Conn| {
        let heard = heard.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(conn.stream.read_u8().await.unwrap());
            }
            *heard.lock().unwrap() = head;
            conn.say("HTTP/1.1 204 No Content\r\n\r\n").await;
            conn.linger().await;
        }
    })
    .await;
    let yaml = format!(
        "trusted_proxies: {trusted}\nupstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\nroutes: [{{path: /users, upstreams: backend}}]\n",
        raw.address
    );
    let gateway = Gateway::sharing(&yaml, None);
    let mut request = Request::builder().method(Method::GET).uri("/users");
    for value in said {
        request = request.header("x-forwarded-for", *value);
    }
    let answer = got(gateway.caller().send_request(request, Full::new(Bytes::new())).await).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let head = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    let lines = head.lines().filter_map(|line| line.strip_prefix("x-forwarded-for: "));
    lines.collect::<Vec<_>>().join(" and ")
}

#[tokio::test]
async fn an_upstream_is_told_the_addresses_of_a_trusted_proxy_and_the_proxy() {
    for (trusted, said, expected) in [
        ("[]", &["192.0.2.1"][..], "127.0.0.1"),
        ("127.0.0.1", &[], "127.0.0.1"),
        ("127.0.0.1", &["192.0.2.1"], "192.0.2.1, 127.0.0.1"),
        ("127.0.0.1", &["9.9.9.9", "192.0.2.1, 127.0.0.1"], "9.9.9.9, 192.0.2.1, 127.0.0.1, 127.0.0.1"),
        ("127.0.0.1", &["evil: 1"], "evil: 1, 127.0.0.1"),
    ] {
        assert_eq!(told(trusted, said).await, expected, "{trusted} {said:?}");
    }
}
