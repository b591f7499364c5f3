//! Routes with several hosts and paths, of some listeners, redirects of parts, and changes of single upstreams.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, Upstream};
use rcgen::{CertificateParams, KeyPair};
use tokio::process::Command;

const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2"];

#[tokio::test]
async fn a_route_serves_its_hosts_and_paths_on_its_listeners() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let routes = "{path: [/a, {prefix: /b}], host: [one.example, '*.two.example'], upstreams: backend, auth: none}, \
        {path: {prefix: /b}, listen: [second], auth: none, redirect: {scheme: https, status: 301}}";
    let listen = "[{address: '127.0.0.1:0', name: first}, {address: '127.0.0.1:0', name: second}]";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes).section("listen", listen)).await;
    let [first, second] = gateway.listeners[..] else { panic!("two listeners") };
    let get = |host: &str, path: &str| Call::get(path).header("host", host);
    for (host, path, status) in [
        ("one.example", "/a", 200),
        ("ONE.example:81", "/b/c", 200),
        ("x.two.example", "/a", 200),
        ("two.example", "/a", 404),
        ("one.example", "/c", 404),
        ("other.example", "/b", 404),
    ] {
        get(host, path).send(first).await.expect(status);
    }
    // An exact host precedes routes of all hosts.
    get("one.example", "/b").send(second).await.expect(200);
    let redirected = get("other.example:8080", "/b/c?d=%2F").send(second).await.expect(301);
    assert_eq!(redirected.header("location"), Some("https://other.example/b/c?d=%2F"));
    // HTTP/1.0 without a host: there is no address to which the request could be redirected.
    let mut wire = e2e::Wire::connect(second).await.unwrap();
    wire.write(b"GET /b HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(wire.head().await.unwrap().word(1), "400");
}

#[tokio::test]
async fn an_upstream_of_a_route_has_its_own_changes() {
    let stable = Upstream::answering("418 Teapot", "s").await;
    let canary = Upstream::answering("418 Teapot", "c").await;
    let backend = |name: &str, upstream: &Upstream| {
        format!("{{name: {name}, backends: [{{url: 'http://{}'}}]}}", upstream.address())
    };
    let upstreams = format!("[{}, {}]", backend("stable", &stable), backend("canary", &canary));
    let own = "{request: {rewrite: {path: {prefix: /v2}, host: canary.example}}, \
        response: {add_headers: {X-Of: canary}, status: {418: 400}}}";
    let routes = format!(
        "[{{path: {{prefix: /api}}, auth: none, upstreams: [stable, {{name: canary, transformations: {own}}}], \
         transformations: {{request: {{add_headers: {{X-Gateway: '1'}}}}, response: {{add_headers: {{X-Of: route}}}}}}}}]"
    );
    // Each worker divides its own requests.
    let setup = Setup::new().section("upstreams", &upstreams).section("routes", &routes).section("workers", "1");
    let gateway = Gateway::start(setup).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = gateway.call(Call::get("/api/x").header("host", "api.example")).await;
        seen.push((answer.status(), answer.text(), answer.header("x-of").unwrap().to_owned()));
    }
    seen.sort();
    let of = |status: u16, body: &str, name: &str| (status, body.to_owned(), name.to_owned());
    assert_eq!(seen, [of(400, "c", "canary"), of(400, "c", "canary"), of(418, "s", "route"), of(418, "s", "route")]);
    for (upstream, target, host) in [(&stable, "/api/x", "api.example"), (&canary, "/v2/x", "canary.example")] {
        let head = upstream.seen()[0].head.clone();
        assert_eq!((head.word(1), head.all("host"), head.all("x-gateway")), (target, vec![host], vec!["1"]));
    }
}

/// Writes a certificate for this name, signed by itself, and returns its entry in `certificates`.
pub(crate) fn certificate(folder: &Path, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let lines: Vec<String> = Base64::encode_string(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let cert = folder.join(format!("{name}.pem"));
    let private = folder.join(format!("{name}.key"));
    fs::write(&cert, pem("CERTIFICATE", certificate.der())).unwrap();
    fs::write(&private, pem("PRIVATE KEY", &key.serialize_der())).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    format!("{{cert: {}, key: {}}}", cert.display(), private.display())
}

#[tokio::test]
async fn a_request_for_the_host_of_another_certificate_is_misdirected() {
    let folder = Folder::new();
    let certificates =
        ["a.example", "*.b.example", "*.c.example"].map(|name| certificate(folder.path(), name)).join(", ");
    let listen = format!(
        "[{{address: '127.0.0.1:0', tls: {{certificates: [{certificates}]}}}}, {{name: internal, address: '127.0.0.1:0'}}]"
    );
    let route = "[{host: [a.example, '*.b.example', unknown.example, bound.c.example], path: /x, auth: none, respond: {body: fine}}, \
                  {host: hidden.c.example, path: /x, listen: [internal], auth: none, respond: {body: hidden}}]";
    let gateway = Gateway::start_in(folder, Setup::new().section("listen", &listen).section("routes", route)).await;
    for protocol in PROTOCOLS {
        for (server_name, host, status) in [
            ("a.example", "a.example", "200"),
            ("a.example", "A.example:8443", "200"),
            ("a.example", "x.b.example", "421"),
            ("x.b.example", "y.b.example", "200"),
            ("x.b.example", "a.example", "421"),
            ("a.example", "unknown.example", "200"),
            ("x.c.example", "bound.c.example", "200"),
            ("x.c.example", "hidden.c.example", "421"),
            ("x.c.example", "no-route.c.example", "404"),
            // Without a server name, the client has chosen no certificate.
            ("127.0.0.1", "x.b.example", "200"),
        ] {
            let port = gateway.proxy.port();
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--include", protocol])
                .args(["--connect-to", &format!("{server_name}:{port}:127.0.0.1:{port}")])
                .args(["--header", &format!("host: {host}"), &format!("https://{server_name}:{port}/x")])
                .output()
                .await
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let case = format!("{protocol} {server_name} {host}: {text} {output:?}");
            assert_eq!(text.split(' ').nth(1), Some(status), "{case}");
            assert_eq!(text.contains("\"misdirected_request\""), status == "421", "{case}");
        }
    }
}
