//! WebSockets: after a response with status 101, both connections pass bytes in both directions.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::frames;
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::wire::{Client, configured, echo, noted};

const OPEN: &str = "GET /api/ws HTTP/1.1\r\nhost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An upstream that opens each tunnel with `accepted`, and then sends each piece back in capitals. It ends the connection
/// after a piece with `bye`.
async fn shouting(accepted: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        let Some(sent) = conn.request().await else { return };
        let fields = ["connection", "upgrade", "sec-websocket-key"].map(|name| {
            let value = sent.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
            value.unwrap_or("-").to_owned()
        });
        conn.note(&format!("{} {}", sent.line, fields.join("|")));
        if !conn.say(accepted).await {
            return;
        }
        let mut piece = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = conn.stream.read(&mut piece).await {
            let shout = piece[..read].to_ascii_uppercase();
            if conn.stream.write_all(&shout).await.is_err() || shout.ends_with(b"BYE") {
                return;
            }
        }
        conn.note("the tunnel has ended");
    })
    .await
}

/// A gateway that permits WebSockets below `/api`.
fn permitting(raw: &Raw, more: &str) -> Gateway {
    permitting_on(raw, "", more)
}

/// The same with further keys of the route.
fn permitting_on(raw: &Raw, route: &str, more: &str) -> Gateway {
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{name: open, path: {{prefix: /api}}, upstreams: backend, auth: {{type: none}}, upgrades: [websocket]{route}}}]\n{more}",
        raw.address
    ))
}

/// A client whose tunnel is open.
async fn opened(gateway: &Gateway) -> Client {
    let mut client = Client::sending(gateway, OPEN).await;
    let received = client.interim_or_final("GET").await.unwrap();
    assert_eq!((received.status, received.one("upgrade")), (101, Some("websocket")), "{received:?}");
    assert_eq!(received.one("connection"), Some("upgrade"));
    assert_eq!(received.one("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((received.one("content-length"), received.one("transfer-encoding")), (None, None));
    client
}

async fn ended(raw: &Raw) {
    for _ in 0..200 {
        if noted(raw).iter().any(|line| line == "the tunnel has ended") {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the upstream's connection is open: {:?}", noted(raw));
}

#[tokio::test]
async fn bytes_pass_in_both_directions_until_the_upstream_ends() {
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "");
    for _ in 0..2 {
        let mut client = opened(&gateway).await;
        for piece in ["a", "GET / HTTP/1.1\r\n\r\n", "\r\n"] {
            client.send(piece).await;
            client.reads(&piece.to_ascii_uppercase()).await;
        }
        client.send("good bye").await;
        client.reads("GOOD BYE").await;
        client.ends().await;
    }
    assert_eq!(noted(&raw)[0], "GET /api/ws HTTP/1.1 upgrade|websocket|dGhlIHNhbXBsZSBub25jZQ==");
    let counted = "tollgate_requests_total{route=\"open\",method=\"GET\",status=\"101\",result=\"succeeded\"} 2";
    assert!(gateway.metrics().contains(counted), "{}", gateway.metrics());
}

#[tokio::test]
async fn a_service_decides_once_about_a_tunnel() {
    let raw = shouting(ACCEPTED).await;
    let service = Raw::start(|mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            let is_known = head.lines().any(|line| line == "cookie: session=ada");
            let status = if is_known { "200 OK" } else { "403 Forbidden" };
            conn.say(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         auth: [{{name: gate, type: forward, url: \"http://{}/verify\"}}]\n\
         upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{name: open, path: {{prefix: /api}}, upstreams: backend, auth: {{type: forward}}, upgrades: [websocket]}}]\n",
        service.address, raw.address
    ));
    let mut stranger = Client::sending(&gateway, OPEN).await;
    assert_eq!(stranger.interim_or_final("GET").await.unwrap().status, 403);
    assert!(noted(&raw).is_empty(), "the upstream gets no request that the service refuses");
    let mut client = Client::sending(&gateway, OPEN.replace("host: x\r\n", "host: x\r\ncookie: session=ada\r\n")).await;
    assert_eq!(client.interim_or_final("GET").await.unwrap().status, 101);
    for piece in ["hello", "again"] {
        client.send(piece).await;
        client.reads(&piece.to_ascii_uppercase()).await;
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 2, "the bytes of a tunnel are not decided about: {asked:?}");
    let heads: Vec<&str> = asked.iter().map(|(_, head)| head.as_str()).collect();
    assert!(heads.iter().all(|head| !head.contains("upgrade")), "the service is not asked to switch: {heads:?}");
}

#[tokio::test]
async fn megabytes_pass_at_once_in_both_directions() {
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "");
    let mut client = opened(&gateway).await;
    let (mut reading, mut writing) = client.stream.split();
    let sent = vec![b'x'; 4 << 20];
    let mut received = vec![0; sent.len()];
    let both = async { tokio::join!(writing.write_all(&sent), reading.read_exact(&mut received)) };
    let (written, read) = timeout(Duration::from_secs(20), both).await.expect("all passes");
    assert!(written.is_ok() && read.is_ok() && received.iter().all(|byte| *byte == b'X'));
}

#[tokio::test]
async fn bytes_beside_the_heads_are_not_lost() {
    let early = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nHELLO ";
    let raw = shouting(early).await;
    let gateway = permitting(&raw, "");
    let mut client = Client::sending(&gateway, format!("{OPEN}early")).await;
    assert_eq!(client.interim_or_final("GET").await.unwrap().status, 101);
    client.reads("HELLO EARLY").await;
}

#[tokio::test]
async fn client_that_leaves_ends_the_tunnel() {
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "");
    let mut client = opened(&gateway).await;
    client.send("a").await;
    client.reads("A").await;
    drop(client);
    ended(&raw).await;
}

#[tokio::test]
async fn idle_tunnel_ends_and_one_that_moves_in_either_direction_does_not() {
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "timeouts: {idle: 1s, first_byte: 1s, total: 1s}\n");
    let mut client = opened(&gateway).await;
    for _ in 0..10 {
        client.send("a").await;
        client.reads("A").await;
        sleep(Duration::from_millis(150)).await;
    }
    timeout(Duration::from_secs(5), client.end()).await.expect("an idle tunnel ends");
    ended(&raw).await;
}

#[tokio::test]
async fn tunnels_end_with_a_close_frame_at_the_timeouts_of_their_route() {
    // An empty ping of a client, which the upstream sends back.
    const PING: &[u8] = &[0x89, 0x80, 1, 2, 3, 4];
    const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];
    for (timeouts, pings) in [("idle: 300ms", 0), ("total: 1s", usize::MAX)] {
        let raw = shouting(ACCEPTED).await;
        // The route's timeouts replace those of all routes.
        let gateway = permitting_on(&raw, &format!(", timeouts: {{{timeouts}}}"), "timeouts: {idle: 1m}\n");
        let mut client = opened(&gateway).await;
        let (mut reading, mut writing) = client.stream.split();
        let pinging = async {
            for _ in 0..pings {
                if writing.write_all(PING).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut received = Vec::new();
        let both = async {
            tokio::select! {
                biased;
                // A ping after the end may reset the connection.
                _ = reading.read_to_end(&mut received) => {}
                () = pinging => {}
            }
        };
        timeout(Duration::from_secs(20), both).await.expect("the tunnel ends");
        let echoed = received.strip_suffix(GOING_AWAY).unwrap_or_else(|| panic!("{timeouts}: {received:x?}"));
        assert!(echoed.chunks(PING.len()).all(|frame| frame == PING), "{timeouts}: {received:x?}");
        assert_eq!(echoed.is_empty(), pings == 0, "{timeouts}: {received:x?}");
        ended(&raw).await;
    }
}

#[tokio::test]
async fn upstream_that_does_not_switch_responds_as_usual() {
    let raw = echo().await;
    let gateway = permitting(&raw, "");
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        client.call(OPEN).await.is_answer("GET /api/ws");
    }
    client.goes_on().await;
}

#[tokio::test]
async fn a_member_with_h2c_gets_no_websocket_and_has_not_failed() {
    let raw = Raw::start(|mut conn: Conn| async move {
        if conn.greet(&[]).await.is_none() {
            return;
        }
        while let Some(stream) = conn.asked().await {
            conn.say(frames::answer(stream, "hello")).await;
        }
    })
    .await;
    let yaml = |members: &str, route: &str| {
        format!(
            "ai: {{enabled: false}}\n\
             etcd: {{urls: [\"http://127.0.0.1:1\"]}}\n\
             upstreams: [{{name: backend, {members}, circuit_breaker: {{failure_threshold: 2, timeout: 1h}}}}]\n\
             routes: [{{name: open, path: {{prefix: /api}}, upstreams: backend, auth: {{type: none}}{route}}}]\n"
        )
    };
    // The members that discovery finds begin with the known backends.
    let gateway = Gateway::plain(&yaml(&format!("backends: [{{url: \"h2c://{}\"}}]", raw.address), ""));
    gateway.reload(&yaml("discover: {etcd: a}", ", upgrades: [websocket]"));
    for _ in 0..2 {
        let received = Client::connect(&gateway).await.call(OPEN).await;
        received.is_refusal(426, "upgrade_required");
        assert_eq!(received.one("upgrade"), Some("HTTP/1.1"));
    }
    let received = Client::connect(&gateway).await.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    received.is_answer("hello");
    assert_eq!(raw.asked(), [(1, "stream 1".to_owned())], "no other connection is opened");
}

#[tokio::test]
async fn a_websocket_gets_a_member_without_h2c_if_there_is_one() {
    let lingering = || Raw::start(|mut conn: Conn| async move { conn.linger().await });
    let h2c = [lingering().await, lingering().await];
    let first = shouting(ACCEPTED).await;
    let second = shouting(ACCEPTED).await;
    let yaml = |members: &str, route: &str| {
        format!(
            "ai: {{enabled: false}}\n\
             etcd: {{urls: [\"http://127.0.0.1:1\"]}}\n\
             upstreams: [{{name: backend, {members}}}]\n\
             routes: [{{name: open, path: {{prefix: /api}}, upstreams: backend, auth: {{type: none}}{route}}}]\n"
        )
    };
    let of = |scheme: &str, raw: &Raw| format!("{{url: \"{scheme}://{}\"}}", raw.address);
    let members = [of("h2c", &h2c[0]), of("http", &first), of("h2c", &h2c[1]), of("http", &second)];
    // The members that discovery finds begin with the known backends.
    let gateway = Gateway::plain(&yaml(&format!("backends: [{}]", members.join(", ")), ""));
    gateway.reload(&yaml("discover: {etcd: a}", ", upgrades: [websocket]"));
    for _ in 0..8 {
        let mut client = opened(&gateway).await;
        client.send("a").await;
        client.reads("A").await;
    }
    assert!(h2c.iter().all(|raw| raw.asked().is_empty()));
    assert!(!noted(&first).is_empty() && !noted(&second).is_empty());
}

#[tokio::test]
async fn upgrade_without_a_response_is_504() {
    let raw = Raw::start(|mut conn: Conn| async move {
        drop(conn.request().await);
        conn.linger().await;
    })
    .await;
    let gateway = permitting(&raw, "timeouts: {first_byte: 300ms}\n");
    let mut client = Client::connect(&gateway).await;
    let received = client.call(OPEN).await;
    assert_eq!(received.status, 504, "{received:?}");
}

#[tokio::test]
async fn switch_to_another_protocol_is_upstream_protocol() {
    for head in
        ["upgrade: h2c\r\nconnection: upgrade", "connection: upgrade", "upgrade: websocket, x\r\nconnection: upgrade"]
    {
        let raw = shouting(Box::leak(format!("HTTP/1.1 101 x\r\n{head}\r\n\r\n").into_boxed_str())).await;
        let gateway = permitting(&raw, "");
        let mut client = Client::connect(&gateway).await;
        client.call(OPEN).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn request_without_a_valid_key_or_version_opens_no_tunnel() {
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "sec-websocket-version: 13\r\n";
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "");
    let bad_requests = [
        OPEN.replace(KEY, ""),
        OPEN.replace(KEY, "sec-websocket-key: \r\n"),
        OPEN.replace(KEY, "sec-websocket-key: dGhlIHNhbXBsZSBub25j\r\n"),
        OPEN.replace(KEY, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ\r\n"),
        OPEN.replace(KEY, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZWVl\r\n"),
        OPEN.replace(KEY, &KEY.repeat(2)),
        OPEN.replace(VERSION, ""),
        OPEN.replace(VERSION, &VERSION.repeat(2)),
    ];
    for request in bad_requests {
        Client::connect(&gateway).await.call(request).await.is_refusal(400, "bad_request");
    }
    for version in ["8", "14", "13, 8"] {
        let request = OPEN.replace("version: 13", &format!("version: {version}"));
        let received = Client::connect(&gateway).await.call(request).await;
        received.is_refusal(426, "upgrade_required");
        assert_eq!(received.one("sec-websocket-version"), Some("13"));
        assert_eq!((received.one("upgrade"), received.options()), (Some("websocket"), vec!["upgrade".to_owned()]));
    }
    assert_eq!(noted(&raw), [""; 0], "the upstream is not asked");
}

#[tokio::test]
async fn switch_without_the_hash_of_the_key_is_upstream_protocol() {
    const HASH: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for accept in [
        "",
        "sec-websocket-accept: \r\n",
        "sec-websocket-accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        HASH.repeat(2).as_str(),
    ] {
        let raw = shouting(Box::leak(ACCEPTED.replace(HASH, accept).into_boxed_str())).await;
        let gateway = permitting(&raw, "");
        Client::connect(&gateway).await.call(OPEN).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn request_without_the_option_or_over_http_1_0_gets_no_tunnel() {
    let raw = echo().await;
    let gateway = permitting(&raw, "");
    for request in [
        "GET /api/ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\r\n",
        "GET /api/ws HTTP/1.0\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "GET /api/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    ] {
        let mut client = Client::connect(&gateway).await;
        client.call(request).await.is_answer("GET /api/ws");
    }
}

#[tokio::test]
async fn unasked_switch_is_upstream_protocol_on_a_route_with_websockets() {
    let raw = shouting(ACCEPTED).await;
    let gateway = permitting(&raw, "");
    let mut client = Client::connect(&gateway).await;
    client.call("GET /api/ws HTTP/1.1\r\nhost: x\r\n\r\n").await.is_refusal(502, "upstream_protocol");
    let raw = shouting(ACCEPTED).await;
    let gateway = configured(&raw, "");
    let mut client = Client::connect(&gateway).await;
    client.call(OPEN).await.is_refusal(426, "upgrade_required");
    assert_eq!(noted(&raw), [""; 0]);
}

#[tokio::test]
async fn last_bytes_of_a_client_that_leaves_reach_the_upstream() {
    let raw = Raw::start(|mut conn: Conn| async move {
        let Some(_) = conn.request().await else { return };
        conn.say(ACCEPTED).await;
        let mut received = Vec::new();
        conn.stream.read_to_end(&mut received).await.unwrap();
        conn.note(&format!("{} bytes", received.len()));
        conn.say("and farewell").await;
    })
    .await;
    let gateway = permitting(&raw, "");
    let mut client = opened(&gateway).await;
    client.send(vec![b'x'; 300_000]).await;
    client.half_close().await;
    client.reads("and farewell").await;
    client.ends().await;
    let mut client = opened(&gateway).await;
    client.send(vec![b'x'; 1000]).await;
    drop(client);
    for _ in 0..200 {
        if noted(&raw).len() == 2 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(noted(&raw), ["300000 bytes", "1000 bytes"]);
}

#[tokio::test]
async fn only_a_get_without_content_asks_for_a_tunnel() {
    let raw = echo().await;
    let gateway = permitting(&raw, "");
    for request in [OPEN.replace("GET", "POST"), OPEN.replace("host: x", "host: x\r\ncontent-length: 2") + "hi"] {
        let mut client = Client::connect(&gateway).await;
        let received = client.call(request).await;
        assert_eq!((received.status, received.one("upgrade")), (200, None), "{received:?}");
    }
    assert_eq!(noted(&raw).len(), 2);
}
