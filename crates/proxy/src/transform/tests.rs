use access::Secret;
use uuid_of::id;

use super::*;

mod uuid_of {
    use access::{Clock, Ids, RequestId, Timestamp};

    pub(super) fn id() -> RequestId {
        RequestId(Ids::new(Clock::manual(Timestamp(1))).next_uuid())
    }
}

const HOST: HeaderValue = HeaderValue::from_static("up.example");
const FORWARDED_FOR: HeaderValue = HeaderValue::from_static("192.0.2.1");
const ID: HeaderValue = HeaderValue::from_static("ours");

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

fn to_upstream(headers: &mut HeaderMap, correlation: Option<&HeaderValue>) {
    trusting(headers, correlation, Trust::Route(&[]));
}

fn trusting(headers: &mut HeaderMap, correlation: Option<&HeaderValue>, trust: Trust<'_>) {
    let asker = ForwardedClient { forwarded_for: &FORWARDED_FOR, id: id(), id_value: &ID, correlation, trust };
    super::to_upstream(headers, &HOST, &asker);
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn hop_by_hop_fields_and_what_connection_names_go() {
    let mut map = headers(&[
        ("connection", "keep-alive, X-Once"),
        ("x-once", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic x"),
        ("x-kept", "2"),
    ]);
    let not_text = HeaderValue::from_bytes(b"\xff, x-hop").unwrap();
    map.append("connection", not_text);
    map.insert("x-hop", HeaderValue::from_static("1"));
    map.insert("http2-settings", HeaderValue::from_static("AAMAAABkAAQAAP__"));
    to_caller(&mut map);
    assert_eq!(names(&map), ["x-kept"]);
}

#[test]
fn an_ordinary_upstream_learns_who_asks_and_nobody_forges_it() {
    let correlation = HeaderValue::from_static("mine");
    let mut map = headers(&[
        ("host", "api.example.com"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-request-id", "mine"),
        ("cookie", "session=1"),
        ("authorization", "Basic dXNlcg=="),
    ]);
    to_upstream(&mut map, Some(&correlation));
    assert_eq!(map["host"], "up.example");
    assert_eq!(map["x-forwarded-for"], "192.0.2.1");
    assert_eq!(map["x-forwarded-host"], "api.example.com");
    assert_eq!(map["x-correlation-id"], "mine");
    assert_eq!(
        (&map["cookie"], &map["authorization"]),
        (&"session=1".parse().unwrap(), &"Basic dXNlcg==".parse().unwrap())
    );
    assert!(!map.contains_key("forwarded") && !map.contains_key("x-real-ip"));
    assert_eq!(map["x-request-id"], "ours");
}

/// Headers that backends trust.
const TRUSTED: [&str; 24] = [
    "proxy",
    "x-original-url",
    "x-rewrite-url",
    "x_rewrite_url",
    "x-original-host",
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
    let sent = || headers(&TRUSTED.iter().chain(&ORDINARY).map(|name| (*name, "forged")).collect::<Vec<_>>());
    let forged = |trust| {
        let mut map = sent();
        trusting(&mut map, None, trust);
        let names: Vec<_> =
            map.iter().filter(|(_, value)| *value == "forged").map(|(name, _)| name.to_string()).collect();
        assert!(ORDINARY.iter().all(|name| map.contains_key(*name)), "{names:?}");
        names.into_iter().filter(|name| !ORDINARY.contains(&name.as_str())).collect::<Vec<_>>()
    };
    assert!(forged(Trust::Route(&[])).is_empty());
    assert_eq!(forged(Trust::Peer).len(), TRUSTED.len());
    assert_eq!(forged(Trust::Route(&["x-http-method-override".into()])), ["x-http-method-override"]);
    // What the gateway writes itself no route allows.
    let mut map = headers(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-user", "root"), ("x-real-ip", "6.6.6.6")]);
    trusting(&mut map, None, Trust::Route(&["x-forwarded-user".into(), "x-real-ip".into()]));
    assert!(!map.contains_key("x-forwarded-user") && !map.contains_key("x-real-ip"));
    assert_eq!(map["x-forwarded-for"], "192.0.2.1");
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
    let sent: Vec<_> = sent.map(|name| (*name, "x")).collect();
    for (kind, dialect, own) in formats {
        let mut map = headers(&sent);
        to_provider(&mut map, &ProviderTarget { host: &HOST, kind, dialect, credential: None }, id());
        let written = ["accept-encoding", "host", "traceparent"];
        let mut expected: Vec<_> = common.iter().chain(&own).chain(&written).copied().collect();
        expected.sort_unstable();
        assert_eq!(names(&map), expected, "{dialect:?}");
    }
    // A header that `Connection` names belongs to the client's connection, also if the list has it.
    let mut map = headers(&[("connection", "x-stainless-lang"), ("x-stainless-lang", "js"), ("user-agent", "x")]);
    let addressed =
        ProviderTarget { host: &HOST, kind: ProviderKind::OpenAi, dialect: Dialect::OpenAi, credential: None };
    to_provider(&mut map, &addressed, id());
    assert_eq!(names(&map), ["accept-encoding", "host", "traceparent", "user-agent"]);
}

#[test]
fn our_keys_are_never_forwarded() {
    let key = "tollgate_0123456789abcdef0123456789abcdef";
    for (name, value) in
        [("authorization", format!("Bearer {key}")), ("x-api-key", key.into()), ("api-key", key.into())]
    {
        let mut map = headers(&[(name, &value), ("x-kept", "1")]);
        to_upstream(&mut map, None);
        assert!(map.values().all(|value| !value.to_str().unwrap().contains("0123456789abcdef")), "{name}");
    }
    let mut twice = headers(&[("authorization", "Basic dXNlcg==")]);
    twice.append("authorization", format!("Bearer {key}").parse().unwrap());
    to_upstream(&mut twice, None);
    assert!(!twice.contains_key("authorization"));
}

#[test]
fn a_provider_gets_its_own_credential_and_none_of_the_callers() {
    let secret = Secret::new("sk-real".to_owned());
    let (openai, anthropic, google) = (Dialect::OpenAi, Dialect::Anthropic, Dialect::Google);
    for (kind, dialect, header, value) in [
        (ProviderKind::OpenAi, openai, "authorization", "Bearer sk-real"),
        (ProviderKind::Anthropic, anthropic, "x-api-key", "sk-real"),
        (ProviderKind::Gemini, google, "x-goog-api-key", "sk-real"),
        (ProviderKind::Mock, openai, "authorization", "Bearer sk-real"),
        (ProviderKind::Mock, anthropic, "x-api-key", "sk-real"),
        (ProviderKind::Mock, google, "x-goog-api-key", "sk-real"),
    ] {
        let mut map = headers(&[
            ("authorization", "Bearer caller"),
            ("x-api-key", "caller"),
            ("api-key", "caller"),
            ("cookie", "c=1"),
            ("accept-encoding", "gzip"),
            ("x-stainless-lang", "js"),
            ("x-request-id", "theirs"),
        ]);
        to_provider(&mut map, &ProviderTarget { host: &HOST, kind, dialect, credential: Some(&secret) }, id());
        assert!(map[header].is_sensitive() && !format!("{map:?}").contains("sk-real"));
        assert_eq!(map[header], value);
        assert_eq!(
            (&map["accept-encoding"], &map["x-stainless-lang"]),
            (&"identity".parse().unwrap(), &"js".parse().unwrap())
        );
        assert_eq!(map["x-request-id"], "theirs");
        assert!(map.values().all(|value| !value.to_str().unwrap().contains("caller")));
        assert!(!map.contains_key("cookie"));
    }
}

#[test]
fn the_shared_account_is_not_told() {
    let mut map = headers(&[
        ("set-cookie", "a=1"),
        ("openai-organization", "org"),
        ("anthropic-organization-id", "org"),
        ("x-ratelimit-remaining-tokens", "1"),
        ("anthropic-ratelimit-tokens-reset", "1"),
        ("request-id", "req_1"),
        ("retry-after", "3"),
        ("openai-version", "2020-10-01"),
    ]);
    assert_eq!(from_provider(&mut map).as_deref(), Some("req_1"));
    assert_eq!(names(&map), ["openai-version", "retry-after", "x-accel-buffering"]);
}

#[test]
fn a_valid_trace_goes_on_and_an_invalid_one_begins_anew() {
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let carried = |value: &str| {
        let mut map = headers(&[("traceparent", value), ("tracestate", "a=1")]);
        trace(&mut map, id());
        (map["traceparent"].to_str().unwrap().to_owned(), map.contains_key("tracestate"))
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
fn path_and_query_are_passed_on_as_they_were_written() {
    let check = |asked: &str, prefix, base, target: Option<&str>| {
        let found = super::target(&asked.parse().unwrap(), prefix, base);
        assert_eq!(found.map(|uri| uri.to_string()).as_deref(), target, "{asked}");
    };
    check("/v1/messages?beta=true&x=%2F", "", "", Some("/v1/messages?beta=true&x=%2F"));
    check("/v1/messages?beta=true&x=%2F", "", "/base", Some("/base/v1/messages?beta=true&x=%2F"));
    check("/llm/v1/messages?x", "/llm", "/base", Some("/base/v1/messages?x"));
    check("http://absolute.example/a%20b?", "", "", Some("/a%20b?"));
    check("/v1", "/llm", "", None);
}
