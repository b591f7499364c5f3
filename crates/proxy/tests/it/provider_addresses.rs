//! A provider whose name has several addresses.

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";
const CALL: &str = r#"{"model":"far/m","messages":[{"role":"user","content":"a"}]}"#;

/// Starts a server of the provider.
async fn server() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let body = r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
            conn.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        }
    })
    .await
}

#[tokio::test]
async fn calls_go_to_all_addresses_of_a_name_and_pass_over_one_that_is_down() {
    let [first, second] = [server().await, server().await];
    let gateway = Gateway::plain(
        "timeouts: {connect: 1s}\n\
         providers: [{name: far, kind: openai, base_url: 'http://model.internal:9/v1', credential: k, dns: true}]\n",
    );
    gateway.found(&[first.address, second.address]);
    for _ in 0..4 {
        assert_eq!(got(gateway.post(CHAT, CALL).await).await.status, 200);
    }
    let [of_first, of_second] = [&first, &second].map(|server| server.asked().len());
    assert!(of_first > 0 && of_second > 0 && of_first + of_second == 4, "{of_first} {of_second}");
    // Nothing listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    gateway.found(&[closed, second.address]);
    for _ in 0..4 {
        assert_eq!(got(gateway.post(CHAT, CALL).await).await.status, 200);
    }
    assert_eq!(second.asked().len(), of_second + 4);
}
