//! Routes with `auth: {type: forward}`: what the service learns, and what its response does.

use std::time::Duration;

use spool::Record;

use crate::basic::{self, ARGON2ID};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::tokens::{call, upstream};
use crate::upstream::{Authority, Upstream};
use crate::wire;

/// A service that admits clients with the cookie `session`, under the name that the cookie has.
async fn service(cache: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            let name = head.lines().find_map(|line| line.strip_prefix("cookie: session="));
            let answer = match name {
                Some("big") => format!("HTTP/1.1 403 Forbidden\r\ncontent-length: 70000\r\n\r\n{}", "x".repeat(70_000)),
                Some("slow") => return std::future::pending().await,
                Some("refused") => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
                Some("nameless") => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
                Some(name) => format!(
                    "HTTP/1.1 204 No Content\r\nX-User: {name}\r\nX-Groups: a\r\nX-Groups: b\r\nX-Secret: 1\r\n{cache}\r\n"
                ),
                None => "HTTP/1.1 302 Found\r\nLocation: https://login.example/?a=b\r\nSet-Cookie: x=1\r\nSet-Cookie: y=2\r\n\
                    Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n0\r\n\r\n"
                    .to_owned(),
            };
            conn.say(&answer).await;
        }
    })
    .await
}

fn yaml(raw: &Raw, service: &str, more: &str) -> String {
    format!(
        "rate_limits: []
auth:
  - {{name: gate, type: forward, url: \"http://{service}/verify?a=b\", headers_to_upstream: [X-User, X-Groups], subject: X-User{more}}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: app, path: {{prefix: /app}}, events: rows, auth: {{type: forward, use: gate}}, upstreams: backend}}
  - {{name: any, path: {{prefix: /any}}, auth: {{any: [{{type: key}}, {{type: forward}}]}}, upstreams: backend}}
",
        raw.address
    )
}

#[tokio::test]
async fn a_service_admits_a_request_and_names_its_subject() {
    let reporting = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    let raw = reporting.await;
    let service = service("").await;
    let mut gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), ""));
    let spoofed = "x-user: root\r\nX_User: root\r\nx-groups: root\r\nauthorization: Bearer t\r\nx-other: 1\r\n";
    for _ in 0..2 {
        let (status, answer) = call(&gateway, "/app/a?b=c", &format!("{spoofed}cookie: session=ada\r\n")).await;
        let report = answer.to_ascii_lowercase();
        assert_eq!(status, 200, "{answer}");
        assert!(
            ["x-user=ada", "x-groups=a", "x-groups=b", "x-other=1", "cookie="]
                .iter()
                .all(|field| report.contains(field)),
            "{answer}"
        );
        assert!(!["root", "x-secret", "authorization"].iter().any(|field| report.contains(field)), "{answer}");
    }
    assert_eq!(service.asked().len(), 2, "without `max-age`, each request is decided");
    let asked = service.asked()[0].1.clone();
    for line in [
        "get /verify?a=b http/1.1",
        "x-forwarded-method: get",
        "x-forwarded-uri: /app/a?b=c",
        "x-forwarded-host: h",
        "x-forwarded-proto: http",
        "x-forwarded-for: 127.0.0.1",
        "authorization: bearer t",
        "cookie: session=ada",
    ] {
        assert!(asked.lines().any(|found| found == line), "{line} {asked}");
    }
    let records = gateway.stop().await;
    let subjects: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let Record::Event(event) = record else { return None };
            event.subject.name().map(|name| (name.issuer.to_owned(), name.name.to_owned()))
        })
        .collect();
    assert_eq!(subjects, vec![("gate".to_owned(), "ada".to_owned()); 2]);
}

#[tokio::test]
async fn a_service_gets_the_method_and_no_body() {
    let raw = upstream().await;
    let service = service("").await;
    let gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), ""));
    let fields = "cookie: session=ada\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nif-none-match: x\r\nrange: bytes=0-1\r\n\
        x-forwarded-for: 203.0.113.9\r\nX_Forwarded_Uri: /x\r\n";
    assert_eq!(call(&gateway, "/app", fields).await.0, 200);
    let asked = service.asked()[0].1.clone();
    for part in ["content-", "if-none-match", "range", "203.0.113.9", "x_forwarded"] {
        assert!(!asked.contains(part), "{part} {asked}");
    }
}

/// Names that a receiver may trust, as a client forges them.
const FORGED: &str = "remote-user: root\r\nRemote_User: root\r\nx-original-url: /root\r\nx-original-method: root\r\n\
    x_original_method: root\r\nx-user: root\r\nX_Groups: root\r\nx-ssl-client-s-dn: CN=root\r\nx-auth-request-email: root\r\n\
    client-cert: root\r\n";

#[tokio::test]
async fn a_service_gets_no_header_by_which_a_client_could_name_itself() {
    let raw = upstream().await;
    let service = service("").await;
    let text = yaml(&raw, &service.address.to_string(), "");
    let gateway = Gateway::plain(&text.replace("events: rows", "allow_headers: [Remote-User, X-User]"));
    let fields = format!("{FORGED}cookie: session=ada\r\nx-other: 1\r\n");
    assert_eq!(call(&gateway, "/app", &fields).await.0, 200);
    let asked = service.asked()[0].1.clone();
    assert!(!asked.contains("root") && asked.contains("\r\nx-other: 1\r\n"), "{asked}");
    // A trusted proxy names the client, but no header of the service's response.
    gateway.reload(&format!("{text}trusted_proxies: [127.0.0.1]\n"));
    assert_eq!(call(&gateway, "/app", &fields).await.0, 200);
    let asked = service.asked()[1].1.clone();
    assert!(asked.contains("\r\nremote-user: root\r\n"), "{asked}");
    assert!(!asked.contains("\r\nx-user:") && !asked.contains("\r\nx_groups:"), "{asked}");
}

#[tokio::test]
async fn any_other_response_goes_to_the_client() {
    let raw = upstream().await;
    let service = service("").await;
    let gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), ""));
    for path in ["/app", "/any"] {
        let (status, answer) = call(&gateway, path, "").await;
        assert_eq!(status, 302, "{answer}");
        for line in ["location: https://login.example/?a=b", "set-cookie: x=1", "set-cookie: y=2", "content-length: 5"]
        {
            assert!(answer.to_ascii_lowercase().lines().any(|found| found == line), "{line} {answer}");
        }
        assert!(answer.ends_with("\r\n\r\nlogin") && !answer.to_ascii_lowercase().contains("chunked"), "{answer}");
    }
    let key = gateway.caller().authorization();
    assert_eq!(call(&gateway, "/any", &format!("authorization: {key}\r\n")).await.0, 200, "the key decides");
    assert_eq!((raw.asked().len(), service.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_service_that_does_not_decide_is_no_admission() {
    let raw = upstream().await;
    let service = service("").await;
    let gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), ", timeout: 200ms"));
    for session in ["big", "slow", "nameless"] {
        let (status, answer) = call(&gateway, "/app", &format!("cookie: session={session}\r\n")).await;
        assert!(status == 503 && answer.contains("\"code\":\"auth_unavailable\""), "{session} {answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    gateway.reload(&yaml(&raw, "127.0.0.1:1", ""));
    assert_eq!(call(&gateway, "/app", "cookie: session=ada\r\n").await.0, 503);
    assert_eq!(raw.asked().len(), 0);
}

#[tokio::test]
async fn a_decision_is_cached_only_with_max_age_and_by_the_named_headers() {
    let raw = upstream().await;
    for (cache, by, expected) in [
        ("Cache-Control: max-age=60\r\n", ", cache_by: [Cookie]", 1),
        ("Cache-Control: private, Max-Age=\"60\"\r\n", ", cache_by: [Cookie, X-Other]", 1),
        ("Cache-Control: max-age=60\r\n", "", 2),
        ("Cache-Control: max-age=60\r\n", ", cache_by: [X-Other]", 2),
        ("Cache-Control: max-age=60, no-store\r\n", ", cache_by: [Cookie]", 2),
        ("Cache-Control: max-age=0\r\n", ", cache_by: [Cookie]", 2),
        ("Cache-Control: max-age=60\r\nVary: cookie,\r\n", ", cache_by: [Cookie]", 1),
        ("Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n", ", cache_by: [Cookie]", 1),
        ("Cache-Control: max-age=60\r\nVary: Cookie, X-Forwarded-Uri\r\n", ", cache_by: [Cookie]", 2),
        ("Cache-Control: max-age=60\r\nVary: *\r\n", ", cache_by: [Cookie]", 2),
        ("", ", cache_by: [Cookie]", 2),
    ] {
        let service = service(cache).await;
        let gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), by));
        for session in ["ada", "ada", "bob"] {
            assert_eq!(call(&gateway, "/app", &format!("cookie: session={session}\r\n")).await.0, 200);
        }
        assert_eq!(service.asked().len(), expected + 1, "{cache} {by}");
        gateway.clock().advance(Duration::from_secs(60));
        assert_eq!(call(&gateway, "/app", "cookie: session=ada\r\n").await.0, 200);
        assert_eq!(service.asked().len(), expected + 2, "{cache} {by}");
        call(&gateway, "/app", "x-other: 1\r\n").await;
        call(&gateway, "/app", "x-other: 1\r\n").await;
        assert_eq!(service.asked().len(), expected + 4, "a refusal is not cached");
    }
}

#[tokio::test]
async fn a_service_over_tls_is_verified_with_its_private_roots() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let raw = upstream().await;
    let service = Upstream::start(authority.server("localhost")).await;
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.path().join("other.pem"), Authority::new().pem()).unwrap();
    for (tls, expected, asked) in [
        (", tls: {ca: FOLDER/ca.pem}", 200, 1),
        (", tls: {ca: FOLDER/ca.pem, server_name: other.internal}", 503, 1),
        (", tls: {ca: FOLDER/other.pem}", 503, 1),
        ("", 503, 1),
    ] {
        let tls = tls.replace("FOLDER", &folder.path().display().to_string());
        let url = format!("https://localhost:{}", service.address.port());
        let text = yaml(&raw, "URL", &tls).replace("http://URL", &url).replace(", subject: X-User", "");
        let gateway = Gateway::plain(&text.replace("headers_to_upstream", "timeout: 5s, headers_to_upstream"));
        let (status, answer) = call(&gateway, "/app", "").await;
        assert_eq!(status, expected, "{tls} {answer}");
        assert_eq!(service.notes().requests.len(), asked, "{tls}");
    }
    assert_eq!(raw.asked().len(), 1);
}

#[tokio::test]
async fn a_trusted_proxy_sets_no_header_of_a_service() {
    const ROUTES: &str = "  - {name: keys, path: {prefix: /keys}, auth: {type: key}, upstreams: backend}
  - {name: listed, path: {prefix: /listed}, auth: {type: key, use: listed}, upstreams: backend}
  - {name: ops, path: {prefix: /ops}, auth: {type: basic, use: ops}, upstreams: backend}
  - {name: allowed, path: {prefix: /allowed}, auth: {type: key}, allow_headers: [X-User], upstreams: backend}
trusted_proxies: [127.0.0.1]
";
    let reporting = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    let raw = reporting.await;
    let service = service("").await;
    let entries = format!(
        "auth:
  - {{name: listed, type: key, keys: [{{name: acme, value: a-key-of-a-partner}}]}}
  - {{name: ops, type: basic, users: [{{name: ada, hash: \"{ARGON2ID}\"}}]}}
"
    );
    let text = yaml(&raw, &service.address.to_string(), "").replace("auth:\n", &entries);
    let gateway = Gateway::plain(&format!("{text}{ROUTES}"));
    let key = gateway.caller().authorization();
    let ada = basic::authorization_line("ada", "open sesame");
    let key = format!("authorization: {key}\r\n");
    let forged = "x-user: root\r\nX_Groups: root\r\nx-other: 1\r\n";
    for (path, credential) in [
        ("/any", key.as_str()),
        ("/keys", key.as_str()),
        ("/listed", "x-api-key: a-key-of-a-partner\r\n"),
        ("/ops", ada.as_str()),
    ] {
        let (status, answer) = call(&gateway, path, &format!("{credential}{forged}")).await;
        assert!(status == 200 && answer.contains("x-other=1") && !answer.contains("root"), "{path}: {answer}");
    }
    let (_, answer) = call(&gateway, "/allowed", &format!("{key}{forged}")).await;
    assert_eq!(answer.matches("root").count(), 1, "the route allows one of them: {answer}");
    assert_eq!(service.asked().len(), 0, "the key decides");
}

#[tokio::test]
async fn a_refusal_of_a_service_has_the_challenges_of_the_other_alternatives() {
    let raw = upstream().await;
    let service = service("").await;
    let gateway = Gateway::plain(&yaml(&raw, &service.address.to_string(), ""));
    let (status, answer) = call(&gateway, "/any", "cookie: session=refused\r\n").await;
    assert!(status == 401 && answer.to_ascii_lowercase().contains("\r\nwww-authenticate: bearer\r\n"), "{answer}");
    let (status, answer) = call(&gateway, "/app", "cookie: session=refused\r\n").await;
    assert!(status == 401 && !answer.to_ascii_lowercase().contains("www-authenticate"), "{answer}");
}

/// A browser sends the cookies of control, whose host may be that of the proxy, to each route.
#[tokio::test]
async fn cookies_of_control_reach_no_upstream_and_no_service_and_none_sets_them() {
    const SET: &str = "Set-Cookie: tollgate_session=evil; Path=/\r\nSet-Cookie: __Host-tollgate_refresh=; Max-Age=0\r\nSet-Cookie: x=1\r\n";
    let answering = |status: &'static str| {
        Raw::start(move |mut conn: Conn| async move {
            while let Some(head) = conn.whole_head().await {
                let status = if head.contains("admit=1") { "200 OK" } else { status };
                conn.say(format!("HTTP/1.1 {status}\r\n{SET}X-User: ada\r\ncontent-length: 0\r\n\r\n")).await;
            }
        })
    };
    let raw = answering("200 OK").await;
    let service = answering("401 Unauthorized").await;
    let open = "  - {path: {prefix: /open}, auth: {type: none}, upstreams: backend}\n";
    let gateway = Gateway::plain(&format!("{}{open}", yaml(&raw, &service.address.to_string(), "")));
    let own = "tollgate_session=a.b.c; __Host-tollgate_refresh=tgr_d; tollgate_known=e";
    for (path, cookies, status, sent) in [
        ("/open", own.to_owned(), 200, None),
        ("/open", format!("a=1; {own}; b=2"), 200, Some("cookie: a=1; b=2")),
        ("/app", format!("{own}; admit=1"), 200, Some("cookie: admit=1")),
        ("/app", own.to_owned(), 401, None),
    ] {
        let (found, answer) = call(&gateway, path, &format!("cookie: {cookies}\r\n")).await;
        let answer = answer.to_ascii_lowercase();
        assert_eq!(found, status, "{answer}");
        let set: Vec<&str> = answer.lines().filter(|line| line.starts_with("set-cookie")).collect();
        assert_eq!(set, ["set-cookie: x=1"], "{path} {cookies}");
        let receivers = [(path == "/app").then_some(&service), (status == 200).then_some(&raw)];
        for receiver in receivers.into_iter().flatten() {
            let (_, head) = receiver.asked().pop().unwrap();
            assert_eq!(head.lines().find(|line| line.starts_with("cookie")), sent, "{path} {cookies}");
        }
    }
}
