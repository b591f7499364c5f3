//! Changes of headers and statuses that a route makes: `transformations`.

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, Upstream};

const OPEN: &str = "auth: {type: none}";

/// Starts a gateway with one open route of `/users/{id}` with these transformations.
async fn gateway(upstream: &Upstream, transformations: &str) -> Gateway {
    let route =
        format!("{{path: '/users/{{id}}', upstreams: backend, {OPEN}, transformations: {{{transformations}}}}}");
    Gateway::start(Setup::routed(upstream.address(), &route)).await
}

#[tokio::test]
async fn a_request_is_changed_after_all_other_edits() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let rules = "request: {remove_headers: [X-Internal, X-Forwarded-For, Cookie], \
        add_headers: {X-Gateway: 'rust gateway', X-User: 'id=${path.id}', X-Copy: '${header.X-A}', X-None: '${header.X-B}', \
            X-Forwarded-Host: public.example, X-Id: '${request_id}', Authorization: 'Bearer backend'}, \
        append_headers: {X-List: own, X-Copies: '<${header.x-a}>'}}";
    let gateway = gateway(&upstream, rules).await;
    let call = Call::get("/users/a%0d%0aX-Evil:1")
        .header("x-internal", "1")
        .header("X_INTERNAL", "2")
        .header("X-GATEWAY", "spoofed")
        .header("x-none", "spoofed")
        .header("x-a", "1")
        .header("X-A", "2")
        .header("x-list", "theirs")
        .header("authorization", "Bearer mine")
        .header("cookie", "a=b");
    let answer = gateway.call(call).await.expect(200);
    let head = upstream.only().head;
    for (name, expected) in [
        ("x-internal", &[][..]),
        ("x_internal", &[]),
        ("x-forwarded-for", &[]),
        ("cookie", &[]),
        ("x-none", &[]),
        ("x-evil", &[]),
        ("x-gateway", &["rust gateway"]),
        ("x-user", &["id=a%0d%0aX-Evil:1"]),
        ("x-copy", &["1, 2"]),
        ("x-copies", &["<1, 2>"]),
        ("x-list", &["theirs", "own"]),
        ("x-forwarded-host", &["public.example"]),
        ("authorization", &["Bearer backend"]),
        ("x-id", &[answer.header("x-request-id").unwrap()]),
    ] {
        assert_eq!(head.all(name), expected, "{name} {head:?}");
    }
    // A value that is too long is not sent, and neither is that of the client.
    let long = Call::get("/users/1").header("x-a", &"a".repeat(9_000)).header("x-copy", "spoofed");
    gateway.call(long).await.expect(200);
    assert_eq!(upstream.seen()[1].head.all("x-copy"), [""; 0]);
}

#[tokio::test]
async fn the_value_of_a_header_may_be_a_file_or_a_variable() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let folder = Folder::new();
    let secret = folder.write("secret", "Basic S3CRET\n");
    let rules = format!(
        "request: {{add_headers: {{Authorization: 'file:{}', X-Env: 'a ${{OF_BACKEND}} ${{UNSET:-b}}'}}}}",
        secret.display()
    );
    let route = format!("{{path: /a, upstreams: backend, {OPEN}, transformations: {{{rules}}}}}");
    let setup = Setup::routed(upstream.address(), &route).variable("OF_BACKEND", "${latency}");
    let gateway = Gateway::start_in(folder, setup).await;
    gateway.call(Call::get("/a")).await.expect(200);
    let head = upstream.only().head;
    assert_eq!(head.all("authorization"), ["Basic S3CRET"]);
    // The content of a variable is not read again.
    assert_eq!(head.all("x-env"), ["a ${latency} b"]);
}

#[tokio::test]
async fn statuses_of_the_upstream_become_others() {
    let upstream = Upstream::answering("418 I am a teapot", "short").await;
    let gateway = gateway(&upstream, "response: {status: {418: 400}}").await;
    let answer = gateway.call(Call::get("/users/1")).await.expect(400);
    assert_eq!((answer.head.first.as_str(), answer.text().as_str()), ("HTTP/1.1 400 Bad Request", "short"));
}
