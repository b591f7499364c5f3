//! Each kind of response obeys each rule of its route, over HTTP/1.1 and HTTP/2.

use bytes::Bytes;
use e2e::{Call, Gateway, ReservedPort, Setup, Upstream, eventually, is_uuid_v7};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;

const PAGE: &str = "https://shop.example.com";
const CORS: &str = "cors: {allowed_origins: ['https://*.example.com'], allowed_headers: [X-A], exposed_headers: [X-Total], \
    allow_credentials: true, max_age: 1h}";
const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

/// One kind of response: a request that gets it, and the status.
struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    path: &'static str,
    status: u16,
}

/// More content than `/large` accepts.
const TOO_LARGE: &str = "more than eight bytes";

const fn kind(name: &'static str, path: &'static str, status: u16) -> Kind {
    Kind { name, arguments: &[], path, status }
}

/// A call of gRPC. Its content is empty, so that curl sends it over HTTP/2 (see [`ask`]).
const GRPC: &[&str] = &["--request", "POST", "--header", "content-type: application/grpc", "--header", "te: trailers"];

/// The arguments of a preflight request, besides its origin.
const PREFLIGHT: &[&str] = &["--request", "OPTIONS", "--header", "access-control-request-method: DELETE"];

static KINDS: [Kind; 14] = [
    kind("relayed", "/relayed", 200),
    kind("unauthorized", "/keyed", 401),
    kind("denied", "/denied", 403),
    Kind { arguments: &["--data", TOO_LARGE], ..kind("too large", "/large", 413) },
    kind("limited", "/limited", 429),
    kind("unreachable", "/down", 502),
    kind("fallback", "/fallback", 503),
    Kind { arguments: GRPC, ..kind("unauthorized call", "/keyed", 200) },
    Kind { arguments: GRPC, ..kind("limited call", "/limited", 200) },
    Kind { arguments: GRPC, ..kind("unreachable call", "/fallback", 200) },
    kind("redirect", "/redirect", 307),
    kind("fixed", "/fixed", 200),
    Kind { arguments: PREFLIGHT, ..kind("preflight", "/keyed", 204) },
    // The limit of the route is reached.
    Kind { arguments: PREFLIGHT, ..kind("preflight of a limited route", "/limited", 204) },
];

/// Returns each kind of response with each protocol that has it: calls of gRPC need HTTP/2.
fn cases() -> impl Iterator<Item = (&'static Kind, &'static str)> {
    let all = KINDS.iter().flat_map(|kind| PROTOCOLS.map(|protocol| (kind, protocol)));
    all.filter(|(kind, protocol)| kind.arguments != GRPC || *protocol == PROTOCOLS[1])
}

/// Returns a configuration with a route for each kind of response, each with these rules.
fn setup(upstream: &Upstream, down: &ReservedPort, rules: &str) -> Setup {
    let backend = |name: &str, address| format!("{{name: {name}, backends: [{{url: \"http://{address}\"}}]}}");
    let upstreams = [backend("fine", upstream.address()), backend("down", down.address())].join(", ");
    let open = format!("auth: {{type: none}}, {rules}");
    let headers = "headers: {X-Own: fixed, Access-Control-Allow-Origin: '*', X-Internal: '1'}";
    let routes = [
        format!("{{path: /relayed, upstreams: fine, {open}}}"),
        format!("{{path: /keyed, upstreams: fine, auth: {{type: key}}, {rules}}}"),
        format!("{{path: /denied, upstreams: fine, addresses: {{allow: [192.0.2.0/24]}}, {open}}}"),
        format!("{{path: /large, upstreams: fine, sizes: {{body: 8B}}, {open}}}"),
        format!("{{path: /limited, upstreams: fine, rate_limits: [{{dimension: ip, limit: 1, window: 1d}}], {open}}}"),
        format!("{{path: /down, upstreams: down, {open}}}"),
        format!("{{path: /fallback, upstreams: down, fallback: {{status: 503, {headers}}}, {open}}}"),
        format!("{{path: /redirect, redirect: {{to: /new}}, {open}}}"),
        format!("{{path: /fixed, respond: {{{headers}}}, {open}}}"),
    ]
    .join(", ");
    Setup::new().section("upstreams", &format!("[{upstreams}]")).section("routes", &format!("[{routes}]"))
}

/// Starts a gateway with [`setup`].
async fn gateway(upstream: &Upstream, down: &ReservedPort, rules: &str) -> Gateway {
    start(setup(upstream, down, rules)).await
}

async fn start(setup: Setup) -> Gateway {
    let gateway = Gateway::start(setup).await;
    // The only request that the limit admits.
    ask(&gateway, PROTOCOLS[0], &kind("admitted", "/limited", 200), &[]).await;
    gateway
}

/// An upstream whose responses have each field that a rule replaces or removes.
async fn upstream() -> Upstream {
    let head = "200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: false\r\n\
        access-control-expose-headers: X-Up\r\nx-request-id: up\r\nx-own: up\r\nx-internal: 1";
    Upstream::answering(head, "fine").await
}

/// The fields of a response, with names in lowercase.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Sends a request, and checks the status. curl 7.88 loses a response over HTTP/2 that precedes the content of the request;
/// other clients receive it (2026-11-25).
async fn ask(gateway: &Gateway, protocol: &str, kind: &Kind, fields: &[&str]) -> Fields {
    if kind.status == 413 && protocol == PROTOCOLS[1] {
        return ask_with_content(gateway, kind, fields).await;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--include", protocol]).args(kind.arguments);
    for field in fields {
        command.args(["--header", field]);
    }
    let output = command.arg(format!("http://{}{}", gateway.proxy, kind.path)).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap();
    assert_eq!(status, kind.status.to_string(), "{} {protocol}: {text}", kind.name);
    let fields = lines.map(|line| line.split_once(':').unwrap());
    Fields(fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect())
}

/// Sends a request with content over HTTP/2 by the crate `h2`, and checks the status.
async fn ask_with_content(gateway: &Gateway, kind: &Kind, fields: &[&str]) -> Fields {
    let stream = TcpStream::connect(gateway.proxy).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let mut request = http::Request::post(format!("http://{}{}", gateway.proxy, kind.path));
    for field in [format!("content-length: {}", TOO_LARGE.len()).as_str()].iter().chain(fields) {
        let (name, value) = field.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let mut requests = requests.ready().await.unwrap();
    let (response, mut content) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    // The gateway may have reset the stream already.
    let _ = content.send_data(Bytes::from_static(TOO_LARGE.as_bytes()), true);
    let response = response.await.unwrap();
    assert_eq!(response.status().as_u16(), kind.status, "{}: {response:?}", kind.name);
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
    };
    Fields(response.headers().iter().map(text).collect())
}

#[tokio::test]
async fn every_kind_of_response_is_shared_as_its_route_says() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let gateway = gateway(&upstream, &down, CORS).await;
    for (kind, protocol) in cases() {
        for origin in [Some(PAGE), Some("https://example.org"), None] {
            let field = origin.map(|origin| format!("origin: {origin}"));
            if kind.status == 204 && origin.is_none() {
                continue;
            }
            let fields: Vec<&str> = field.as_deref().into_iter().collect();
            let fields = ask(&gateway, protocol, kind, &fields).await;
            let case = format!("{} {protocol} {origin:?} {:?}", kind.name, fields.0);
            let is_allowed = origin == Some(PAGE);
            let expected = |values: &[&'static str]| if is_allowed { values.to_vec() } else { Vec::new() };
            assert_eq!(fields.all("access-control-allow-origin"), expected(&[PAGE]), "{case}");
            assert_eq!(fields.all("access-control-allow-credentials"), expected(&["true"]), "{case}");
            let exposed = fields.all("access-control-expose-headers").join(", ");
            assert_eq!(exposed.contains("X-Total") && !exposed.contains("X-Request-Id"), is_allowed, "{case}");
            assert!(!exposed.contains("X-Up"), "{case}");
            assert_eq!(fields.all("vary"), ["Origin"], "{case}");
            let is_preflight = is_allowed && kind.status == 204;
            let expected = |value: &'static str| if is_preflight { vec![value] } else { Vec::new() };
            assert_eq!(fields.all("access-control-allow-methods"), expected("DELETE"), "{case}");
            assert_eq!(fields.all("access-control-allow-headers"), expected("X-A"), "{case}");
            assert_eq!(fields.all("access-control-max-age"), expected("3600"), "{case}");
            check_ids(&fields, &case);
        }
    }
}

#[tokio::test]
async fn every_kind_of_response_has_the_headers_of_its_route() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let rules = "transformations: {response: {remove_headers: [X-Internal, access-control-allow-origin], \
        add_headers: {x-own: 'a ${request_id}', X-Time: '${latency}', X-None: '${header.X-None}'}, \
        append_headers: {X-Own-Too: more}}}";
    let gateway = gateway(&upstream, &down, rules).await;
    for (kind, protocol) in cases() {
        // Without `cors`, OPTIONS is a request like others.
        if kind.status == 204 {
            continue;
        }
        let fields = ask(&gateway, protocol, kind, &[]).await;
        let case = format!("{} {protocol} {:?}", kind.name, fields.0);
        for name in ["x-internal", "x-none", "access-control-allow-origin"] {
            assert!(fields.all(name).is_empty(), "{name} {case}");
        }
        check_ids(&fields, &case);
        assert_eq!(fields.all("x-own"), [format!("a {}", fields.all("x-request-id")[0])], "{case}");
        assert_eq!(fields.all("x-own-too"), ["more"], "{case}");
        let time = fields.all("x-time");
        let digits = time.first().and_then(|time| time.strip_suffix("ms")).unwrap_or_default();
        assert!(time.len() == 1 && digits.parse::<u32>().is_ok(), "{case}");
        assert_eq!(fields.all("date").len(), 1, "{case}");
    }
}

#[tokio::test]
async fn cors_and_the_headers_of_one_route_apply_together() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let rules = format!(
        "{CORS}, transformations: {{response: {{remove_headers: [X-Internal], add_headers: {{X-Own: '${{request_id}}'}}, \
         append_headers: {{Vary: Accept-Language}}}}}}"
    );
    let gateway = gateway(&upstream, &down, &rules).await;
    for (kind, protocol) in cases() {
        for (origin, allowed) in [(PAGE, &[PAGE][..]), ("https://example.org", &[])] {
            let fields = ask(&gateway, protocol, kind, &[&format!("origin: {origin}")]).await;
            let case = format!("{} {protocol} {origin} {:?}", kind.name, fields.0);
            assert_eq!(fields.all("access-control-allow-origin"), allowed, "{case}");
            assert_eq!(fields.all("vary"), ["Origin", "Accept-Language"], "{case}");
            assert!(fields.all("x-internal").is_empty(), "{case}");
            check_ids(&fields, &case);
            assert_eq!(fields.all("x-own"), fields.all("x-request-id"), "{case}");
        }
    }
}

#[tokio::test]
async fn an_origin_of_any_length_is_compared_or_too_large() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let gateway = gateway(&upstream, &down, CORS).await;
    for (length, status) in [(32 * 1024, 200), (64 * 1024, 431)] {
        let origin = format!("https://{}.example.com", "a".repeat(length));
        let call = Call::get("/relayed").header("origin", &origin);
        let answer = gateway.call(call).await.expect(status);
        // A host has at most 253 characters, so no browser sends such an origin.
        assert_eq!(answer.header("access-control-allow-origin"), None, "{length}");
    }
}

/// Checks that the response has one id of the request.
#[track_caller]
fn check_ids(fields: &Fields, case: &str) {
    let ids = fields.all("x-request-id");
    assert!(ids.len() == 1 && is_uuid_v7(ids[0]), "{case}");
    assert_eq!(fields.all("request-id"), ids, "{case}");
}

#[tokio::test]
async fn refused_calls_of_grpc_have_trailers_only() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let gateway = gateway(&upstream, &down, "").await;
    for (kind, protocol) in cases().filter(|(kind, _)| kind.arguments == GRPC) {
        let fields = ask(&gateway, protocol, kind, &[]).await;
        let case = format!("{} {protocol} {:?}", kind.name, fields.0);
        let (status, message, retries) = match kind.path {
            "/keyed" => ("16", "key", false),
            "/limited" => ("8", "the rate limit of 1 requests is reached", true),
            _ => ("14", "cannot be reached", true),
        };
        assert_eq!(fields.all("grpc-status"), [status], "{case}");
        assert!(fields.all("grpc-message")[0].contains(message), "{case}");
        assert_eq!(fields.all("content-type"), ["application/grpc"], "{case}");
        assert_eq!(fields.all("grpc-retry-pushback-ms").is_empty(), retries, "{case}");
        check_ids(&fields, &case);
    }
    // The log has the status of HTTP to which the status of gRPC corresponds.
    for (path, status) in [("/keyed", 401), ("/limited", 429), ("/fallback", 502)] {
        eventually("each refused call is logged", async || {
            let is_logged = |line: &str| {
                line.contains(&format!("\"path\":\"{path}\"")) && line.contains(&format!("\"status\":{status}"))
            };
            gateway.stderr().lines().any(is_logged).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn responses_of_limited_routes_have_their_limit() {
    let upstream = upstream().await;
    let down = ReservedPort::new();
    let limits = "[{dimension: ip, limit: 1000, window: 1d}]";
    let gateway = start(setup(&upstream, &down, "").section("rate_limits", limits).limited()).await;
    for (kind, protocol) in cases() {
        // A preflight request and a client that the route does not accept count in no limit; a refusal of a limit reports that one.
        if matches!(kind.name, "preflight" | "denied" | "too large") || kind.path == "/limited" {
            continue;
        }
        let fields = ask(&gateway, protocol, kind, &[]).await;
        let case = format!("{} {protocol} {:?}", kind.name, fields.0);
        assert_eq!(fields.all("x-ratelimit-limit"), ["1000"], "{case}");
        assert!(fields.all("x-ratelimit-remaining")[0].parse::<u32>().unwrap() < 1_000, "{case}");
        assert_eq!(fields.all("ratelimit-policy"), ["\"ip\";q=1000;w=86400"], "{case}");
    }
}
