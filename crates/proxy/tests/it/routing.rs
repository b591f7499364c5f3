//! The choice of a route by headers, query parameters, templates and regular expressions, and of its upstream by weight.

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gateway::{Caller, Gateway};
use crate::raw::{Conn, Raw, got};

/// Returns a backend that responds with the target that it received.
async fn backend() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.head().await.is_some() {
            let target = conn.last_target();
            if !conn.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{target}", target.len())).await {
                break;
            }
        }
    })
    .await
}

/// Sends a request, and returns the status and the content of the response.
async fn send(caller: &Caller, method: Method, target: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let request = Request::builder().method(method).uri(target);
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = caller.send_request(request, Full::default()).await;
    let status = response.status().as_u16();
    let content = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&content).into_owned())
}

#[tokio::test]
async fn each_kind_of_match_selects_its_route() {
    let route = |matches: &str, name: &str| format!("  - {{{matches}, respond: {{body: {name}}}}}\n");
    let yaml: String = [
        route("path: '/users/{id}'", "user"),
        route("path: '/users/{id}', headers: {X-Tenant: acme}", "acme"),
        route("path: '/users/{id}', query: {preview: {present: true}}", "preview"),
        route("path: '/users/{id}', methods: [DELETE], headers: {X-Role: {regex: ^adm}}", "delete"),
        route("path: /users/me", "me"),
        route("path: '/users/{*rest}'", "rest"),
        route("path: {prefix: /users}", "prefix"),
        route("path: {regex: '^/v[0-9]+/'}", "version"),
        route("path: /post, methods: [POST], headers: {X-A: '1'}", "post"),
    ]
    .concat();
    let gateway = Gateway::plain(&format!("ai: {{enabled: false}}\nroutes:\n{yaml}"));
    let caller = gateway.caller();
    for (method, target, fields, expected) in [
        (Method::GET, "/users/7", &[][..], "user"),
        (Method::GET, "/users/7", &[("x-tenant", "acme")], "acme"),
        (Method::GET, "/users/7?a=1&preview", &[], "preview"),
        (Method::GET, "/users/7?preview", &[("x-tenant", "acme")], "acme"),
        (Method::DELETE, "/users/7", &[("x-tenant", "acme"), ("x-role", "admin")], "delete"),
        (Method::DELETE, "/users/7", &[("x-role", "user")], "user"),
        (Method::GET, "/users/me", &[("x-tenant", "acme")], "me"),
        (Method::GET, "/users/7", &[("x_tenant", "acme")], "acme"),
        (Method::GET, "/%75sers/%6d%65", &[], "me"),
        (Method::GET, "/%7612/x", &[], "version"),
        (Method::GET, "/users/7/posts", &[], "rest"),
        (Method::GET, "/users", &[], "prefix"),
        (Method::GET, "/users/a%2Fb", &[], "user"),
        (Method::GET, "/v12/x", &[], "version"),
        (Method::POST, "/post", &[("x-a", "1")], "post"),
    ] {
        let found = send(&caller, method, target, fields).await;
        assert_eq!(found, (200, expected.to_owned()), "{target} {fields:?}");
    }
    for fields in [[("x-tenant", "acme"), ("x-tenant", "evil")], [("x_tenant", "evil"), ("x-tenant", "acme")]] {
        let (status, refusal) = send(&caller, Method::GET, "/users/7", &fields).await;
        assert!(status == 400 && refusal.contains("the header x-tenant has several values"), "{refusal}");
        assert_eq!(send(&caller, Method::GET, "/users/me", &fields).await, (200, "me".to_owned()));
    }
    assert_eq!(send(&caller, Method::GET, "/vx/x", &[]).await.0, 404);
    assert_eq!(send(&caller, Method::POST, "/post", &[]).await.0, 404, "the header is missing");
    let request = Request::builder().method(Method::GET).uri("/post").header("x-a", "1");
    let refused = caller.send_request(request, Full::default()).await;
    assert_eq!(refused.headers()["allow"], "POST");
    got(refused).await.is_refusal(405, "method_not_allowed");
}

#[tokio::test]
async fn weights_divide_the_requests_among_upstreams() {
    let stable = backend().await;
    let canary = backend().await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         upstreams:\n\
         \x20 - {{name: stable, backends: [{{url: \"http://{}\"}}]}}\n\
         \x20 - {{name: canary, backends: [{{url: \"http://{}\"}}]}}\n\
         \x20 - {{name: off, backends: [{{url: \"http://127.0.0.1:1\"}}]}}\n\
         routes:\n\
         \x20 - path: {{prefix: /api}}\n\
         \x20   upstreams: [{{name: stable, weight: 9}}, {{name: canary}}, {{name: off, weight: 0}}]\n",
        stable.address, canary.address
    ));
    let caller = gateway.caller();
    for _ in 0..40 {
        assert_eq!(send(&caller, Method::GET, "/api/x", &[]).await, (200, "/api/x".to_owned()));
    }
    assert_eq!((stable.asked().len(), canary.asked().len()), (36, 4));
}

#[tokio::test]
async fn targets_are_rewritten_for_the_upstream() {
    let upstream = backend().await;
    let route = |path: &str, rewrite: &str| {
        format!("  - path: {path}\n    upstreams: up\n    transformations: {{request: {{rewrite: {rewrite}}}}}\n")
    };
    let routes = [
        route("'/users/{id}'", "{path: '/v2/users/{id}', query: {add: {source: gateway}, remove: [debug]}}"),
        route("{prefix: /api}", "{path: {prefix: /internal}}"),
        route("{regex: '^/v[0-9]+/'}", "{path: {regex: '^/v([0-9]+)/', to: /api-$1/}}"),
        route("'/caf%C3%A9/{id}'", "{path: '/x/{id}'}"),
        route("{prefix: /join}", "{path: {regex: '^/join/(.*)$', to: /x/.$1}}"),
    ]
    .concat();
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\nupstreams: [{{name: up, backends: [{{url: \"http://{}/base\"}}]}}]\nroutes:\n{routes}",
        upstream.address
    ));
    let caller = gateway.caller();
    for (target, expected) in [
        ("/users/7", "/base/v2/users/7?source=gateway"),
        ("/users/a%2fb?debug=1&x=%20", "/base/v2/users/a%2fb?x=%20&source=gateway"),
        ("/%75sers/%37?source=evil&%73ource=evil", "/base/v2/users/7?source=gateway"),
        ("/users/caf%c3%A9", "/base/v2/users/caf%c3%a9?source=gateway"),
        ("/caf%c3%A9/%61%c3", "/base/x/a%c3"),
        ("/caf%C3%a9/%c3?b=%c3", "/base/x/%c3?b=%c3"),
        ("/api", "/base/internal"),
        ("/api/a/b?c", "/base/internal/a/b?c"),
        ("/v7/a?b", "/base/api-7/a?b"),
        ("/join/a", "/base/x/.a"),
    ] {
        assert_eq!(send(&caller, Method::GET, target, &[]).await, (200, expected.to_owned()), "{target}");
    }
    let request = Request::builder().method(Method::GET).uri("/join/");
    got(caller.send_request(request, Full::default()).await).await.is_refusal(400, "bad_request");
    assert_eq!(upstream.asked().len(), 10, "a path with a dot segment is not sent");
}

#[tokio::test]
async fn a_redirect_keeps_parameters_of_the_path_and_never_leaves_the_host() {
    let gateway = Gateway::plain(
        "ai: {enabled: false}\n\
         routes:\n\
         \x20 - {path: '/old/{id}', redirect: {to: '/new/{id}'}}\n\
         \x20 - {path: '/to/{*rest}', redirect: {to: '/{rest}'}}\n",
    );
    let caller = gateway.caller();
    for (target, expected) in
        [("/old/7?a", "/new/7?a"), ("/to/a/b", "/a/b"), ("/to//evil.example/a", "/evil.example/a")]
    {
        let request = Request::builder().method(Method::GET).uri(target);
        let response = caller.send_request(request, Full::default()).await;
        assert_eq!(response.headers()["location"], expected, "{target}");
    }
}

/// Sends a GET request without a key, and returns the status and the content of the response.
async fn anonymous(caller: &Caller, target: &str) -> (u16, String) {
    let mut stream = caller.connect().await;
    let head = format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, content) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), content.to_owned())
}

/// A backend that merges slashes, decodes `%2F` or ignores what follows `;` serves `/admin` for these.
#[tokio::test]
async fn an_open_route_beside_a_protected_one_refuses_other_spellings_of_its_paths() {
    let raw = backend().await;
    let yaml = |paths: &str| {
        format!(
            "{paths}
upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{path: {{prefix: /admin}}, upstreams: u, auth: {{type: key}}}}
  - {{path: {{prefix: /}}, upstreams: u, auth: {{type: none}}}}
",
            raw.address
        )
    };
    let usual = Gateway::plain(&yaml(""));
    let merging = Gateway::plain(&yaml("paths: {merge_slashes: true}"));
    let keeping = yaml("paths: {merge_slashes: false, encoded_slashes: keep, semicolons: keep}");
    let keeping = Gateway::plain(&keeping);
    for (target, expected) in [
        ("/a/b?c=//%2f;", [200, 200, 200]),
        ("/admin", [401, 401, 401]),
        ("//admin", [400, 401, 200]),
        ("/a//b", [200, 200, 200]),
        ("/%2fadmin", [400, 400, 200]),
        ("/%5Cadmin", [400, 400, 200]),
        ("/a%5Cadmin", [200, 200, 200]),
        ("/;/admin", [400, 400, 200]),
        ("/admin;x", [400, 400, 200]),
        ("/ADMIN", [400, 400, 400]),
        ("/admin%20", [400, 400, 400]),
        ("/%2561dmin", [400, 400, 400]),
        ("/Other/%40%2561%20", [200, 200, 200]),
    ] {
        let mut found = Vec::new();
        for gateway in [&usual, &merging, &keeping] {
            found.push(anonymous(&gateway.caller(), target).await.0);
        }
        assert_eq!(found, expected, "{target}");
    }
    let found = anonymous(&merging.caller(), "/a///b//?c=//d").await;
    assert_eq!(found, (200, "/a/b/?c=//d".to_owned()), "the upstream receives the path that was routed");
}

/// Hex digits of escapes have no case (RFC 3986, 6.2.2.1).
#[tokio::test]
async fn each_spelling_of_an_escape_meets_the_same_route_address_and_limit() {
    let raw = backend().await;
    let gateway = Gateway::plain(&format!(
        "upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{path: {{prefix: \"/caf%C3%A9\"}}, upstreams: u, auth: {{type: key}}}}
  - {{path: {{prefix: \"/t%c3%aa\"}}, upstreams: u, auth: none, addresses: {{allow: [203.0.113.0/24]}}}}
  - {{path: {{regex: \"^/r%C3%AA$\"}}, upstreams: u, auth: {{type: key}}}}
  - {{path: \"/l%c3%AA\", upstreams: u, auth: none, rate_limit: {{requests: 1, window: 60s}}}}
  - {{path: {{prefix: /}}, upstreams: u, auth: {{type: none}}}}
",
        raw.address
    ));
    let caller = gateway.caller();
    for (target, expected) in [
        ("/caf%C3%A9", 401),
        ("/caf%c3%a9/x", 401),
        ("/c%61f%C3%a9/x", 401),
        ("/t%C3%AA", 403),
        ("/t%c3%aa/x", 403),
        ("/r%c3%aa", 401),
        ("/l%C3%AA", 200),
        ("/l%c3%aa", 429),
        ("/other%c3%a9", 200),
    ] {
        let (status, content) = anonymous(&caller, target).await;
        assert_eq!(status, expected, "{target}");
        // The backend responds in lowercase.
        assert!(status != 200 || content == target.to_ascii_lowercase(), "the upstream receives the path: {content}");
    }
}
