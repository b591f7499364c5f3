//! The compression of responses: `routes[].compression`.

use std::io::Read as _;

use e2e::{Answer, Call, Exchange, Gateway, Piece, Setup, Turn, Upstream, Wire};
use flate2::read::GzDecoder;
use tokio::process::Command;

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}, compression: [zstd, br, gzip]}, \
    {path: {prefix: /k}, upstreams: backend, compression: [gzip]}, \
    {path: {prefix: /plain}, upstreams: backend, auth: {type: none}}";
const JSON: &str = "200 OK\r\ncontent-type: application/json";

fn text(bytes: usize) -> String {
    "{\"name\": \"value\"} ".chars().cycle().take(bytes).collect()
}

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(Setup::routed(upstream.address(), ROUTES)).await
}

fn decoded(answer: &Answer) -> String {
    let mut content = Vec::new();
    match answer.header("content-encoding") {
        Some("gzip") => GzDecoder::new(&*answer.body).read_to_end(&mut content).unwrap(),
        Some("zstd") => zstd::stream::read::Decoder::new(&*answer.body).unwrap().read_to_end(&mut content).unwrap(),
        Some(other) => panic!("{other}"),
        None => return answer.text(),
    };
    String::from_utf8(content).unwrap()
}

#[tokio::test]
async fn the_coding_is_the_first_of_the_route_that_the_client_accepts() {
    let content = text(300_000);
    let upstream =
        Upstream::answering(&format!("{JSON}\r\netag: \"a\"\r\naccept-ranges: bytes\r\ndigest: x=y"), &content).await;
    let gateway = gateway(&upstream).await;
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip", Some("gzip")),
        ("zstd;q=0, gzip;q=0.5", Some("gzip")),
        ("identity", None),
        ("gzip;q=0", None),
    ] {
        let answer = gateway.call(Call::get("/o/a").header("accept-encoding", accepted)).await.expect(200);
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{accepted}");
        assert!(decoded(&answer) == content, "{accepted}");
        let (tag, ranges) = if coding.is_some() { ("W/\"a\"", None) } else { ("\"a\"", Some("bytes")) };
        assert_eq!((answer.header("etag"), answer.header("accept-ranges")), (Some(tag), ranges), "{accepted}");
        assert_eq!(answer.header("digest").is_some(), coding.is_none(), "{accepted}");
        if coding.is_some() {
            assert!(answer.body.len() < content.len() / 20, "{accepted} {}", answer.body.len());
            assert_eq!(answer.header("content-length"), None, "{accepted}");
        }
        let head = gateway.call(Call::new("HEAD", "/o/a").header("accept-encoding", accepted)).await.expect(200);
        for name in ["content-encoding", "vary", "etag"] {
            assert_eq!(head.header(name), answer.header(name), "{name} {accepted}");
        }
    }
    let plain = gateway.call(Call::get("/plain").header("accept-encoding", "gzip")).await.expect(200);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, None));
}

#[tokio::test]
async fn what_must_not_be_compressed_is_not() {
    let long = text(5_000);
    for (head, content, target) in [
        ("200 OK\r\ncontent-type: text/plain", text(1_023), "/o"),
        ("200 OK\r\ncontent-type: image/png", long.clone(), "/o"),
        ("200 OK", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: text/event-stream", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: application/grpc", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: application/grpc+json", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: text/plain\r\ncache-control: max-age=5, no-transform", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: br", long.clone(), "/o"),
        ("206 Partial Content\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-4999/9999", long.clone(), "/o"),
        ("200 OK\r\ncontent-type: text/plain\r\nset-cookie: a=b", long.clone(), "/k"),
    ] {
        let upstream = Upstream::answering(head, &content).await;
        let gateway = gateway(&upstream).await;
        let call = Call::get(target).key(&gateway.key().await).header("accept-encoding", "gzip, zstd");
        let answer = gateway.call(call).await;
        assert_eq!(answer.header("content-length"), Some(&*content.len().to_string()), "{head}");
        assert_eq!(answer.text(), content, "{head}");
        // A part varies as the whole response does.
        assert!(!head.starts_with("206") || answer.header("vary") == Some("Accept-Encoding"), "{:?}", answer.head);
    }
    // A cookie is no secret of a client that has not authenticated.
    let upstream = Upstream::answering("200 OK\r\ncontent-type: text/plain\r\nset-cookie: a=b", &long).await;
    let gateway = gateway(&upstream).await;
    let answer = gateway.call(Call::get("/o").header("accept-encoding", "gzip")).await.expect(200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    // A response that its client has stored keeps the tag that the client knows.
    let upstream = Upstream::start(|mut turn: Turn| async move {
        let fields = "etag: \"a==\"\r\naccept-ranges: bytes\r\ncontent-length: 5000";
        turn.write(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n\r\n").as_bytes()).await;
        Some(turn)
    })
    .await;
    let gateway = self::gateway(&upstream).await;
    for (known, tag, ranges, length) in
        [("W/\"a==\"", "W/\"a==\"", None, None), ("\"a==\"", "\"a==\"", Some("bytes"), Some("5000"))]
    {
        let call = Call::get("/o").header("accept-encoding", "gzip").header("if-none-match", known);
        let answer = gateway.call(call).await.expect(304);
        let of_content = (answer.header("accept-ranges"), answer.header("content-length"));
        assert_eq!((answer.header("etag"), of_content), (Some(tag), (ranges, length)), "{known}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{known}");
    }
}

#[tokio::test]
async fn each_piece_reaches_the_client_before_the_next_one_exists() {
    let (go, wait) = tokio::sync::watch::channel(0);
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut wait = wait.clone();
        async move {
            turn.stream(JSON).await;
            for number in 1..4 {
                turn.chunk(format!("piece {number};").as_bytes()).await;
                wait.wait_for(|reached| *reached >= number).await.ok()?;
            }
            turn.write(b"0\r\n\r\n").await;
            Some(turn)
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    let call = Call::get("/o").header("accept-encoding", "gzip");
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(&call.bytes(gateway.proxy)).await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    let mut exchange = Exchange::new(wire, head, "GET");
    let mut received = Vec::new();
    let mut expected = String::new();
    for number in 1..4 {
        expected.push_str(&format!("piece {number};"));
        let mut text = Vec::new();
        while text.len() < expected.len() {
            match exchange.next().await {
                Piece::Data(data) => received.extend_from_slice(&data),
                other @ (Piece::End | Piece::Cut) => panic!("{other:?}"),
            }
            text.clear();
            let _ = GzDecoder::new(&*received).read_to_end(&mut text);
        }
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        go.send_replace(number);
    }
}

#[tokio::test]
async fn curl_decodes_each_coding_over_http2() {
    let content = text(200_000);
    let upstream = Upstream::answering(JSON, &content).await;
    let gateway = gateway(&upstream).await;
    let url = format!("http://{}/o/a", gateway.proxy);
    for protocol in ["--http2-prior-knowledge", "--http1.1", "--http1.0"] {
        for coding in ["gzip", "br", "zstd"] {
            let output = Command::new("curl")
                .args([protocol, "--silent", "--show-error", "--max-time", "20", "--compressed"])
                .args(["--header", &format!("accept-encoding: {coding}"), "--dump-header", "-", &url])
                .output()
                .await
                .unwrap();
            assert!(output.status.success(), "{coding} {output:?}");
            let printed = String::from_utf8(output.stdout).unwrap();
            let (head, body) = printed.split_once("\r\n\r\n").unwrap();
            assert!(head.to_lowercase().contains(&format!("content-encoding: {coding}")), "{head}");
            assert!(body == content, "{protocol} {coding} {}", body.len());
        }
    }
}
