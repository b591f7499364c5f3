//! The host that a backend receives.

use e2e::{Call, Gateway, Setup, Upstream, Wire};

#[tokio::test]
async fn a_backend_over_http_receives_the_clients_host_unless_its_route_has_another() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let route = |path: &str, host: &str| {
        format!(
            "{{path: {path}, upstreams: backend, auth: none, transformations: {{request: {{rewrite: {{{host}}}}}}}}}"
        )
    };
    let routes = [
        route("/usual", ""),
        route("/kept", "host: preserve"),
        route("/own", "host: backend"),
        route("/named", "host: 'b.example:81'"),
    ];
    let gateway = Gateway::start(Setup::routed(upstream.address(), &routes.join(", "))).await;
    let own = upstream.address().to_string();
    for (path, expected) in [
        ("/usual", "api.example.com:8443"),
        ("/kept", "api.example.com:8443"),
        ("/own", &own),
        ("/named", "b.example:81"),
    ] {
        gateway.call(Call::get(path).header("host", "api.example.com:8443")).await.expect(200);
        let head = upstream.seen().last().unwrap().head.clone();
        assert_eq!(head.all("host"), [expected], "{path}");
        assert_eq!(head.all("x-forwarded-host"), ["api.example.com:8443"], "{path}");
    }
    // The host of the target precedes `Host` (RFC 9112, 3.2.2).
    let absolute = Call::get("http://absolute.example/usual").header("host", "absolute.example");
    gateway.call(absolute).await.expect(200);
    assert_eq!(upstream.seen().last().unwrap().head.all("host"), ["absolute.example"]);
    // A request without a host.
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(b"GET /usual HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(wire.head().await.unwrap().word(1), "200");
    assert_eq!(upstream.seen().last().unwrap().head.all("host"), [own.as_str()]);
}
