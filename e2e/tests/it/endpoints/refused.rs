//! Refusals at every endpoint, in the format of its clients.

use e2e::{Call, Exchange, Gateway, Mock, Setup, Wire, commands, eventually, setup};

use super::asks::{ALL, Ask, Dialect};

/// The error words for clients of OpenAI, Anthropic and Google.
type DialectWords = [&'static str; 3];

fn word(dialect: Dialect, words: DialectWords) -> &'static str {
    let [openai, anthropic, google] = words;
    match dialect {
        Dialect::OpenAi | Dialect::Azure => openai,
        Dialect::Anthropic => anthropic,
        Dialect::Google => google,
    }
}

/// Asserts that each request that `call` builds is refused with this status, code and word.
async fn check(gateway: &Gateway, status: u16, code: &str, words: DialectWords, call: impl Fn(&Ask) -> Call) {
    for ask in &ALL {
        let answer = gateway.call(call(ask)).await;
        ask.dialect.check(&answer, status, code, word(ask.dialect, words));
    }
}

const UNAUTHORIZED: DialectWords = ["invalid_api_key", "authentication_error", "UNAUTHENTICATED"];

#[tokio::test]
async fn no_key_and_bad_keys_are_401_everywhere() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let unknown = format!("tollgate_{}", "0123456789abcdef".repeat(2));
    let revoked = gateway.key().await;
    let id = gateway.validate(&revoked).await["key"]["id"].as_str().unwrap().to_owned();
    commands::keys_revoke(gateway.folder(), &id).await;
    check(&gateway, 401, "unauthorized", UNAUTHORIZED, |ask| ask.call("mock")).await;
    check(&gateway, 401, "key_malformed", UNAUTHORIZED, |ask| ask.with_key("mock", "AIza-of-somebody-else")).await;
    check(&gateway, 401, "key_unknown", UNAUTHORIZED, |ask| ask.with_key("mock", &unknown)).await;
    check(&gateway, 401, "key_revoked", UNAUTHORIZED, |ask| ask.with_key("mock", &revoked)).await;
    assert_eq!(gateway.mock().requests("mock").await, 0);
}

#[tokio::test]
async fn unknown_model_is_404_everywhere() {
    let mock = Mock::start().await;
    let two = [setup::provider("one", "mock", mock.address()), setup::provider("two", "mock", mock.address())];
    let gateway = Gateway::start(Setup::new().section("providers", &format!("[{}]", two.join(", ")))).await;
    let key = gateway.key().await;
    let words = ["model_not_found", "not_found_error", "NOT_FOUND"];
    check(&gateway, 404, "model_not_found", words, |ask| ask.with_key("nobodys", &key)).await;
    assert_eq!((mock.requests("nobodys").await, gateway.used(&key).await), (0, 0));
}

/// `quota_status`: clients differ in the statuses that they treat as final.
#[tokio::test]
async fn a_configured_quota_status_is_returned_in_each_dialect() {
    for (status, words) in [
        (402, ["insufficient_quota", "billing_error", "FAILED_PRECONDITION"]),
        (403, ["insufficient_quota", "permission_error", "PERMISSION_DENIED"]),
    ] {
        let setup = Setup::mocked()
            .plans("{name: nothing, credits_per_day: 0}, {name: little, budgets: [{tokens: 1, per: day}]}")
            .section("quota_status", &status.to_string());
        let gateway = Gateway::start(setup).await;
        let key = gateway.account("nothing").await.key;
        let little = gateway.account("little").await.key;
        for ask in ALL.iter().filter(|ask| !ask.free) {
            let answer = gateway.call(ask.with_key("mock", &key)).await;
            ask.dialect.check(&answer, status, "quota_exceeded", word(ask.dialect, words));
            assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
        }
        let ask = Ask::named("chat");
        let answer = gateway.call(ask.with_key("mock", &little)).await;
        ask.dialect.check(&answer, status, "budget_exceeded", word(ask.dialect, words));
        // Other refusals keep their status.
        gateway.call(ask.call("mock")).await.expect(401);
    }
}

/// `quota_status: auto`: the status after which the client repeats the fewest requests.
#[tokio::test]
async fn an_automatic_quota_status_depends_on_the_program_of_the_client() {
    let setup = Setup::mocked().plans("{name: nothing, credits_per_day: 0}").section("quota_status", "auto");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("nothing").await.key;
    for (agent, status) in [
        ("codex_exec/0.169.0 (Debian 13.0.0; x86_64) xterm-256color", 429),
        ("claude-cli/2.1.197 (external, cli)", 429),
        ("OpenAI/JS 7.55.0", 402),
        ("QwenCode/0.15.10 (linux; x64)", 402),
        ("Continue/1.5.47", 402),
        ("pi/0.30.2", 402),
        ("OpenAI/Python 3.51.0", 402),
        ("ai/6.0.326 ai-sdk/openai/3.0.1 runtime/node.js/22", 402),
        ("opencode/1.0.0 ai-sdk/provider-utils/3.0.1", 402),
        ("GeminiCLI/0.24.0/gemini-2.5-pro (linux; x64)", 402),
        ("google-genai-sdk/1.75.0 gl-python/3.12 langchain-google-genai/4.4.1", 402),
        ("curl/8.14.1", 429),
    ] {
        let answer = gateway.call(Ask::named("chat").with_key("mock", &key).header("user-agent", agent)).await;
        let words = ["insufficient_quota", "billing_error", "FAILED_PRECONDITION"];
        Ask::named("chat").dialect.check(&answer, status, "quota_exceeded", word(Dialect::OpenAi, words));
    }
    // A client without a User-Agent is unknown.
    gateway.call(Ask::named("chat").with_key("mock", &key)).await.expect(429);
}

#[tokio::test]
async fn used_up_quota_is_429_everywhere_except_for_free_requests() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: nothing, credits_per_day: 0}")).await;
    let key = gateway.account("nothing").await.key;
    let words = ["insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"];
    for ask in &ALL {
        let answer = gateway.call(ask.with_key("mock", &key)).await;
        if ask.free {
            answer.expect(200);
            continue;
        }
        ask.dialect.check(&answer, 429, "quota_exceeded", word(ask.dialect, words));
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
    }
}

#[tokio::test]
async fn rate_limit_is_429_everywhere_with_a_retry_time() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: one, requests_per_minute: 1}")).await;
    let key = gateway.account("one").await.key;
    gateway.call(Ask::named("chat").with_key("mock", &key)).await.expect(200);
    let words = ["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"];
    for ask in ALL.iter().filter(|ask| !ask.free) {
        let answer = gateway.call(ask.with_key("mock", &key)).await;
        ask.dialect.check(&answer, 429, "rate_limited", word(ask.dialect, words));
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after) && answer.header("x-should-retry").is_none(), "{}", ask.name);
    }
}

#[tokio::test]
async fn body_over_its_maximum_is_413_everywhere_before_it_is_read() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 10KiB}")).await;
    let key = gateway.key().await;
    let words = ["payload_too_large", "request_too_large", "INVALID_ARGUMENT"];
    for ask in &ALL {
        let call = ask.with_key("mock", &key).body("").header("content-length", "10241");
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
        let head = wire.head().await.unwrap();
        let answer = Exchange::new(wire, head, "POST").rest().await;
        ask.dialect.check(&answer, 413, "payload_too_large", word(ask.dialect, words));
    }
}

#[tokio::test]
async fn other_codings_are_415_everywhere_with_the_supported_ones() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let words = ["unsupported_media_type", "invalid_request_error", "INVALID_ARGUMENT"];
    for ask in &ALL {
        for coding in ["br", "gzip, zstd"] {
            let answer = gateway.call(ask.with_key("mock", &key).header("content-encoding", coding)).await;
            ask.dialect.check(&answer, 415, "unsupported_media_type", word(ask.dialect, words));
            assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"), "{}", ask.name);
        }
    }
    assert_eq!(gateway.mock().requests("mock").await, 0);
}

#[tokio::test]
async fn a_body_without_free_memory_is_503_everywhere() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 64KiB, buffered: 256KiB}")).await;
    let key = gateway.key().await;
    // An incomplete body keeps its buffer reserved.
    let first = Ask::named("chat").with_key("mock", &key).body("").header("content-length", "65536");
    let mut half = Wire::connect(gateway.proxy).await.unwrap();
    half.write(first.head(gateway.proxy).as_bytes()).await.unwrap();
    half.write(&vec![b' '; 65_530]).await.unwrap();
    eventually("the received bytes are buffered", async || {
        (gateway.gauge("tollgate_buffered_bytes").await == 65_530).then_some(())
    })
    .await;
    let words = ["overloaded", "overloaded_error", "UNAVAILABLE"];
    check(&gateway, 503, "overloaded", words, |ask| ask.with_key("mock", &key)).await;
    drop(half);
}

#[tokio::test]
async fn unreachable_upstream_is_502_and_costs_nothing_and_its_counts_are_estimates() {
    let closed_port = e2e::ReservedPort::new();
    let gateway = Gateway::start(Setup::provider("mock", closed_port.address())).await;
    let key = gateway.key().await;
    let words = ["upstream_connect", "api_error", "UNAVAILABLE"];
    for ask in &ALL {
        let answer = gateway.call(ask.with_key("up/m", &key)).await;
        if ask.free {
            answer.expect(200);
        } else {
            ask.dialect.check(&answer, 502, "upstream_connect", word(ask.dialect, words));
        }
    }
    assert_eq!(gateway.used(&key).await, 0);
}
