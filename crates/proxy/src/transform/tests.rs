mod endpoints;
mod forwarded;
mod provider_credentials;

use access::Secret;
use bytes::Bytes;
use config::snapshot::Origin;
use http1::{HeadLimits, ResponseParser};
use uuid_of::id;

use super::*;
use crate::client::head::tests::{get, head};
use crate::client::trusted::Trust;
use crate::upstream::destination::{provider_edits, upstream_edits};
use crate::upstream::response_head::UpstreamHead;

mod uuid_of {
    use access::{Clock, Ids, RequestId, Timestamp};

    pub(super) fn id() -> RequestId {
        RequestId(Ids::new(Clock::manual(Timestamp(1))).next_uuid())
    }
}

/// The fields that are written for a head with these edits, with names in lower case, sorted by name.
#[derive(Debug)]
struct Written(Vec<(String, String)>);

impl Written {
    fn new(head: &Head, edits: &HeadEdits) -> Self {
        let text = |field: http1::Field<'_>| {
            (
                String::from_utf8(field.name.to_ascii_lowercase()).unwrap(),
                String::from_utf8(field.value.to_vec()).unwrap(),
            )
        };
        let mut fields: Vec<_> = edits.kept(head.fields()).chain(edits.added()).map(text).collect();
        fields.sort();
        Self(fields)
    }

    /// The value of the only field of this name.
    #[track_caller]
    fn value(&self, name: &str) -> &str {
        let [value] = self.values(name)[..] else { panic!("not one {name}: {self:?}") };
        value
    }

    fn values(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn origin() -> Origin {
    let host = "up.example".to_owned();
    let authority = "up.example".to_owned();
    Origin {
        scheme: config::snapshot::Scheme::Http,
        host,
        port: 80,
        authority,
        path: String::new(),
        allow_link_local: false,
    }
}

fn to_upstream(fields: &[(&str, &str)]) -> Written {
    trusting(fields, Trust::Route(&[]))
}

fn trusting(fields: &[(&str, &str)], trust: Trust<'_>) -> Written {
    from_client(fields, client(trust, &origin_of("192.0.2.1", "http")))
}

fn from_client(fields: &[(&str, &str)], client: ForwardedClient<'_>) -> Written {
    let head = get(fields);
    Written::new(&head, &upstream_edits_of(&head, client))
}

fn upstream_edits_of(head: &Head, client: ForwardedClient<'_>) -> HeadEdits {
    let destination = &upstream_edits();
    let receiver = Receiver::Upstream(client);
    RequestEdits { trace: &TraceContext::from_head(head, id(), None), destination, receiver }
        .head_edits(head, Vec::new())
        .unwrap()
}

fn origin_of(address: &str, scheme: &'static str) -> ClientOrigin {
    ClientOrigin::new(address.parse().unwrap(), scheme)
}

fn client<'a>(trust: Trust<'a>, origin: &'a ClientOrigin) -> ForwardedClient<'a> {
    let options = ForwardingOptions::default();
    let trust = TrustRule { trust, claim_headers: &[], withholds_claims: false, certificate: None };
    let withheld = WithheldHeaders::default();
    let upgrades = false;
    let token = None;
    let service = None;
    ForwardedClient {
        origin,
        host: b"up.example",
        options,
        id_text: b"ours",
        upgrades,
        withheld,
        control_cookies: ControlCookies::from_key_prefix("tollgate"),
        trust,
        token,
        service,
        headers: None,
    }
}

fn to_provider(fields: &[(&str, &str)], kind: ProviderKind, dialect: Dialect) -> Written {
    with_credential(fields, kind, dialect, None)
}

fn with_credential(
    fields: &[(&str, &str)],
    kind: ProviderKind,
    dialect: Dialect,
    credential: Option<&Secret>,
) -> Written {
    let head = get(fields);
    let edits = provider_edits(&origin()).unwrap();
    let credential = credential.map(SentCredential::Secret);
    let receiver = Receiver::Provider(ProviderTarget {
        kind,
        dialect,
        is_translated: false,
        surface: ai::ClaudeSurface::Anthropic,
        credential,
    });
    let trace = &TraceContext::from_head(&head, id(), None);
    let edits = RequestEdits { trace, destination: &edits, receiver }.head_edits(&head, Vec::new()).unwrap();
    assert!(!format!("{edits:?}").contains("sk-real"));
    Written::new(&head, &edits)
}

/// The head of a response with these fields.
fn response(fields: &[(&str, &str)]) -> UpstreamHead {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let bytes = Bytes::from(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    let parsed = ResponseParser::new(HeadLimits::default()).parse(&bytes).unwrap().unwrap();
    UpstreamHead::new(bytes, parsed)
}

/// The names of the fields of a response with these edits, sorted.
fn names(head: &UpstreamHead, edits: &HeadEdits) -> Vec<String> {
    let fields = edits.kept(head.fields()).chain(edits.added());
    let mut names: Vec<String> = fields.map(|field| String::from_utf8(field.name.to_vec()).unwrap()).collect();
    names.sort();
    names
}

#[test]
fn hop_by_hop_fields_and_those_that_connection_names_are_removed_from_responses() {
    let head = response(&[
        ("connection", "keep-alive, X-Once"),
        ("x-once", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic x"),
        ("x-kept", "2"),
        ("connection", "\u{ff}, x-hop"),
        ("x-hop", "1"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
    ]);
    assert_eq!(names(&head, &HeadEdits::for_forwarding()), ["x-kept"]);
}

#[test]
fn hop_by_hop_fields_and_those_that_connection_names_are_removed_from_requests() {
    let written = to_upstream(&[
        ("Connection", "keep-alive, X-Once"),
        ("X-Once", "1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic x"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("Expect", "100-continue"),
        ("Connection", "\u{ff}, x-hop"),
        ("X-Hop", "1"),
        ("X-Kept", "2"),
    ]);
    let expected = ["host", "traceparent", "x-forwarded-for", "x-forwarded-proto", "x-kept", "x-request-id"];
    assert_eq!(written.names(), expected);
}

#[test]
fn an_ordinary_upstream_receives_the_client_which_no_client_forges() {
    let written = to_upstream(&[
        ("Host", "api.example.com"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Port", "6"),
        ("X-Forwarded-Server", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x_real_ip", "6.6.6.6"),
        ("X-Request-Id", "mine"),
        ("x_request_id", "mine"),
        ("X-Correlation-Id", "other"),
        ("Cookie", "session=1"),
        ("Authorization", "Basic dXNlcg=="),
    ]);
    let expected = [
        ("authorization", "Basic dXNlcg=="),
        ("cookie", "session=1"),
        ("host", "up.example"),
        ("x-correlation-id", "mine"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "ours"),
    ];
    for (name, value) in expected {
        assert_eq!(written.value(name), value, "{name}");
    }
    assert_eq!(written.0.len(), expected.len() + 1, "and the trace: {written:?}");
    // Without an id of the client's own, its correlation id is an ordinary header.
    assert_eq!(to_upstream(&[("X-Correlation-Id", "other")]).value("x-correlation-id"), "other");
}

/// Headers that backends trust.
const TRUSTED: [&str; 26] = [
    "client-cert",
    "proxy",
    "x-original-url",
    "x-rewrite-url",
    "x_rewrite_url",
    "x-original-host",
    "x-original-method",
    "x-http-method-override",
    "x_http_method_override",
    "x-http-method",
    "x-method-override",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "remote-user",
    "remote_user",
    "x-remote-user",
    "x-remote-addr",
    "x-auth-request-email",
    "x-goog-authenticated-user-email",
    "x-amzn-oidc-identity",
    "x-ms-client-principal-name",
    "x-ssl-client-verify",
    "x-envoy-original-path",
];

/// Headers that are like those, and are everybody's.
const ORDINARY: [&str; 7] =
    ["x-tenant", "x-hosted", "proxied", "true-client", "cf-ray", "x-ms-client-request-id", "x-original"];

#[test]
fn headers_that_backends_trust_are_a_trusted_proxys_or_those_of_the_route() {
    let sent: Vec<_> = TRUSTED.iter().chain(&ORDINARY).map(|name| (*name, "forged")).collect();
    let forged = |trust| {
        let written = trusting(&sent, trust);
        let forged = written.0.iter().filter(|(_, value)| value == "forged").map(|(name, _)| name.clone());
        assert!(ORDINARY.iter().all(|name| written.has(name)), "{written:?}");
        forged.filter(|name| !ORDINARY.contains(&name.as_str())).collect::<Vec<_>>()
    };
    assert!(forged(Trust::Route(&[])).is_empty());
    assert_eq!(forged(Trust::Peer(&[])).len(), TRUSTED.len());
    assert_eq!(forged(Trust::Route(&["x-http-method-override".into()])), ["x-http-method-override"]);
    let uppercase: Vec<_> = TRUSTED.iter().map(|name| name.to_ascii_uppercase()).collect();
    let uppercase: Vec<_> = uppercase.iter().map(|name| (name.as_str(), "forged")).collect();
    let allowed = trusting(&uppercase, Trust::Route(&["remote-user".into()]));
    assert_eq!(allowed.0.iter().filter(|(_, value)| value == "forged").count(), 1, "{allowed:?}");
    assert!(allowed.has("remote-user"));
    // No route allows the headers that the gateway writes itself.
    let written = trusting(
        &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-user", "root"), ("x-real-ip", "6.6.6.6")],
        Trust::Route(&["x-forwarded-user".into(), "x-real-ip".into()]),
    );
    assert!(!written.has("x-forwarded-user") && !written.has("x-real-ip"));
    assert_eq!(written.value("x-forwarded-for"), "192.0.2.1");
}

#[test]
fn a_head_full_of_headers_that_backends_trust_loses_all_of_them() {
    let names: Vec<_> = (0..200).map(|number| format!("x-azure-{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "forged")).collect();
    let written = to_upstream(&fields);
    assert!(written.0.iter().all(|(_, value)| value != "forged"), "{written:?}");
}

#[test]
fn a_provider_gets_the_headers_of_its_format_and_no_others() {
    let common = ["accept", "user-agent", "x-request-id", "x-stainless-lang"];
    let gone = [
        "openai-organization",
        "openai_organization",
        "openai-project",
        "anthropic-workspace-id",
        "x-goog-user-project",
        "x_goog_user_project",
        "x-goog-encode-response-if-executable",
        "content-encoding",
        "content-length",
        "expect",
        "cookie",
        "x-kept-nowhere",
    ];
    let formats = [
        (ProviderKind::OpenAi, Dialect::OpenAi, ["openai-beta", "x-codex-window-id"]),
        (ProviderKind::Anthropic, Dialect::Anthropic, ["anthropic-beta", "anthropic-version"]),
        (ProviderKind::Gemini, Dialect::Google, ["x-goog-api-client", "x-server-timeout"]),
    ];
    let own = formats.map(|(_, _, own)| own);
    let sent = common.iter().chain(own.iter().flatten()).chain(&gone).chain(&TRUSTED).chain(&ORDINARY);
    let sent: Vec<_> = sent.map(|name| (*name, "1")).collect();
    for (kind, dialect, own) in formats {
        let fields = to_provider(&sent, kind, dialect);
        let written = ["accept-encoding", "host", "traceparent"];
        let mut expected: Vec<_> = common.iter().chain(&own).chain(&written).copied().collect();
        expected.sort_unstable();
        assert_eq!(fields.names(), expected, "{dialect:?}");
    }
    // A header that `Connection` names belongs to the client's connection, also if the list has it.
    let received = [("connection", "x-stainless-lang"), ("x-stainless-lang", "js"), ("user-agent", "x")];
    let fields = to_provider(&received, ProviderKind::OpenAi, Dialect::OpenAi);
    assert_eq!(fields.names(), ["accept-encoding", "host", "traceparent", "user-agent"]);
}

#[test]
fn our_keys_are_never_forwarded() {
    let key = "tollgate_0123456789abcdef0123456789abcdef";
    for (name, value) in
        [("authorization", format!("Bearer {key}")), ("x-api-key", key.into()), ("api-key", key.into())]
    {
        let written = to_upstream(&[(name, &value), ("x-kept", "1")]);
        assert!(written.0.iter().all(|(_, value)| !value.contains("0123456789abcdef")), "{name}");
        assert!(written.has("x-kept"));
    }
    for name in ["X_API_Key", "x-api_key", "api_key", "x_goog_api_key"] {
        let sent = [(name, key), ("X_Kept", key), ("Api_Key", "other")];
        for trust in [Trust::Peer(&[]), Trust::Route(&["x-api-key".into()])] {
            let written = trusting(&sent, trust);
            let keys = written.0.iter().filter(|(_, value)| value == key).map(|(name, _)| name.as_str());
            assert_eq!(keys.collect::<Vec<_>>(), ["x_kept"], "{name}");
            assert_eq!(written.values("api_key"), ["other"]);
        }
    }
    let twice = to_upstream(&[("authorization", "Basic dXNlcg=="), ("Authorization", &format!("Bearer {key}"))]);
    assert!(!twice.has("authorization"));
}

#[test]
fn credentials_of_the_route_are_not_forwarded() {
    let received = [("Authorization", "Basic eDp5"), ("X-Api-Key", "k"), ("api_key", "k"), ("x-kept", "1")];
    let origin = origin_of("192.0.2.1", "http");
    let check = |authorization, keys, expected: &[&str]| {
        let withheld = WithheldHeaders { authorization, keys, claims: false };
        let written = from_client(&received, ForwardedClient { withheld, ..client(Trust::Route(&[]), &origin) });
        let names = ["authorization", "x-api-key", "api_key", "x-kept"];
        assert_eq!(names.into_iter().filter(|name| written.has(name)).collect::<Vec<_>>(), expected);
    };
    check(false, false, &["authorization", "x-api-key", "api_key", "x-kept"]);
    check(true, false, &["x-api-key", "api_key", "x-kept"]);
    check(true, true, &["x-kept"]);
}

#[test]
fn a_credential_that_could_end_its_line_is_an_error() {
    let edits = provider_edits(&origin()).unwrap();
    let secret = Secret::new("sk\r\nx: y".to_owned());
    let kind = ProviderKind::OpenAi;
    let dialect = Dialect::OpenAi;
    let credential = Some(SentCredential::Secret(&secret));
    let receiver = Receiver::Provider(ProviderTarget {
        kind,
        dialect,
        is_translated: false,
        surface: ai::ClaudeSurface::Anthropic,
        credential,
    });
    let head = get(&[]);
    let edits = RequestEdits { trace: &TraceContext::from_head(&head, id(), None), destination: &edits, receiver };
    assert_eq!(edits.head_edits(&head, Vec::new()).err(), Some(InvalidPart::Value));
}

#[test]
fn the_shared_account_is_not_told() {
    let head = response(&[
        ("set-cookie", "a=1"),
        ("openai-organization", "org"),
        ("openai-project", "proj_1"),
        ("anthropic-organization-id", "org"),
        ("X-RateLimit-Remaining-Tokens", "1"),
        ("x-ratelimit-limit", "1"),
        ("ratelimitbysize-remaining", "1"),
        ("x-ratelimitbysize-remaining-month", "1"),
        ("anthropic-ratelimit-tokens-reset", "1"),
        ("Access-Control-Allow-Origin", "*"),
        ("access-control-expose-headers", "x"),
        ("request-id", "req_1"),
        ("retry-after", "3"),
        ("openai-version", "2020-10-01"),
    ]);
    let mut relayed = RelayedHead::new(head);
    let upstream_id = upstream_id(&relayed.head);
    from_provider(&mut relayed).unwrap();
    assert_eq!(upstream_id.as_deref(), Some("req_1"));
    assert_eq!(names(&relayed.head, &relayed.edits), ["openai-version", "retry-after", "x-accel-buffering"]);
}

#[test]
fn a_valid_trace_goes_on_and_an_invalid_one_begins_anew() {
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let carried = |value: &str| {
        let written = to_upstream(&[("Traceparent", value), ("Tracestate", "a=1")]);
        (written.value("traceparent").to_owned(), written.has("tracestate"))
    };
    let (value, state) = carried(&format!("00-{trace_id}-00f067aa0ba902b7-01"));
    assert!(value.starts_with(&format!("00-{trace_id}-")) && value.ends_with("-01") && state, "{value}");
    assert!(!value.contains("00f067aa0ba902b7"));
    for bad in [
        String::new(),
        format!("00-{trace_id}-00f067aa0ba902b7"),
        format!("ff-{trace_id}-00f067aa0ba902b7-01"),
        format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        format!("00-{}-00f067aa0ba902b7-01", trace_id.to_uppercase()),
        format!("00-{trace_id}-00f067aa0ba902b7-01-x"),
    ] {
        let (value, state) = carried(&bad);
        assert!(!value.contains(trace_id) && value.ends_with("-00") && !state, "{bad} {value}");
    }
}

#[test]
fn hosts_of_claude_get_the_features_that_they_take() {
    const SENT: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,later-2030-01-01";
    let sent = |surface, fields: &[(&str, &str)]| {
        let head = get(fields);
        let edits = provider_edits(&origin()).unwrap();
        let kind = ProviderKind::Vertex;
        let dialect = Dialect::Anthropic;
        let receiver =
            Receiver::Provider(ProviderTarget { kind, dialect, is_translated: false, surface, credential: None });
        let trace = &TraceContext::from_head(&head, id(), None);
        let edits = RequestEdits { trace, destination: &edits, receiver }.head_edits(&head, Vec::new()).unwrap();
        Written::new(&head, &edits).values("anthropic-beta").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let thinking = "interleaved-thinking-2025-05-14";
    for (surface, expected) in [
        (ClaudeSurface::Anthropic, vec![SENT.to_owned()]),
        (ClaudeSurface::Vertex, vec![thinking.to_owned()]),
        (ClaudeSurface::BedrockMantle, vec![format!("claude-code-20250219,{thinking}")]),
        (ClaudeSurface::BedrockRuntime, Vec::new()),
    ] {
        assert_eq!(sent(surface, &[("anthropic-beta", SENT)]), expected, "{surface:?}");
        assert_eq!(sent(surface, &[]), Vec::<String>::new(), "{surface:?}");
    }
    assert!(sent(ClaudeSurface::Vertex, &[("anthropic-beta", "later-2030-01-01")]).is_empty());
}
