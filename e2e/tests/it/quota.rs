//! The quota of a plan is exact for any number of concurrent requests.

use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Call, Gateway, ReservedPort, Setup, Upstream, commands};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::bodies::{CHAT, Format, MESSAGES};
use crate::store;

const AT_ONCE: usize = 1_000;
/// After half a second unused credits of a key are released in any case, so a slower round proves nothing.
const SHOWN_WITHIN: Duration = Duration::from_millis(300);
/// Maximum number of rounds, because a busy machine may be too slow in some.
const ROUNDS_MAX: usize = 20;

/// Raises the descriptor limit to the maximum: each request needs one socket here and one in the server, which
/// inherits the limit.
fn many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn of_1000_at_once_exactly_the_plans_100_pass() {
    many_files();
    let setup = Setup::mocked()
        .plans("{name: hundred, credits_per_day: 100}")
        .section("connections", "{max: 5000, per_address: 5000, in_flight_per_address: 2000}");
    let gateway = Gateway::start(setup).await;
    let account = gateway.account("hundred").await;
    // The quota belongs to the user and includes all keys.
    let other = commands::keys_create(gateway.folder(), &account.email, "second").await;
    let mut calls = JoinSet::new();
    for n in 0..AT_ONCE {
        let key = if n % 2 == 0 { &account.key } else { &other };
        let format = Format::ALL[n % 3];
        let call = Call::json(format.path(), &format.body("mock/tokens-1", false)).key(key);
        let to = gateway.proxy;
        calls.spawn(async move { (format, call.send(to).await) });
    }
    let mut passed = 0;
    let mut refused = 0;
    for (format, answer) in calls.join_all().await {
        match answer.status() {
            200 => passed += 1,
            429 => {
                let error = &answer.json()["error"];
                let word = if format == Format::Messages { "quota_exceeded" } else { "insufficient_quota" };
                assert_eq!(error["code"], word, "{error}");
                refused += 1;
            }
            _ => panic!("{} {}", answer.head.first, answer.text()),
        }
    }
    assert_eq!((passed, refused), (100, 900));
    assert_eq!(gateway.mock().requests("tokens-1").await, 100);
    let usage = gateway.counted(&account.key, 100).await;
    assert_eq!(usage["credits"], 100);
    assert_eq!((&usage["limit"], &usage["remaining"]), (&json!(100), &json!(0)));
    let by_key = usage["by_key"].as_array().unwrap();
    assert_eq!(by_key.len(), 2, "{usage}");
    assert_eq!(by_key.iter().map(|key| key["requests"].as_u64().unwrap()).sum::<u64>(), 100);

    // The store keeps the usage over a restart.
    let ended = gateway.stop().await;
    let setup = Setup::mocked().plans("{name: hundred, credits_per_day: 100}");
    let again = Gateway::start_in(ended.folder, setup).await;
    again.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&account.key)).await.expect(429);
    assert_eq!(again.usage(&other).await["requests"], 100);
}

#[tokio::test]
async fn counted_usage_and_the_quota_survive_a_crash() {
    let setup = || Setup::mocked().plans("{name: twenty, credits_per_day: 20}");
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("twenty").await.key;
    let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    for _ in 0..20 {
        gateway.call(call.clone()).await.expect(200);
    }
    let again = Gateway::start_in(gateway.crash().folder, setup()).await;
    // At once: usage in the spool counts too.
    again.call(call).await.expect(429);
    let usage = again.counted(&key, 20).await;
    assert_eq!((&usage["credits"], &usage["remaining"]), (&json!(20), &json!(0)));
}

#[tokio::test]
async fn a_clock_that_is_a_day_behind_at_the_start_frees_no_quota() {
    let setup = || Setup::mocked().plans("{name: two, credits_per_day: 2}");
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup()).await;
    let key = gateway.account("two").await.key;
    let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    for status in [200, 200, 429] {
        gateway.call(call.clone()).await.expect(status);
    }
    gateway.counted(&key, 2).await;
    let folder = gateway.stop().await.folder;
    // This shows the rows as a clock that is one day late would.
    let tomorrow = "UPDATE daily_usage SET day = day + 1";
    store::rows(&folder, &folder.data()).execute(tomorrow, tomorrow).await;
    let again = Gateway::start_in(folder, setup()).await;
    again.call(call).await.expect(429);
}

#[tokio::test]
async fn a_request_counts_when_it_is_sent_and_not_before() {
    let failing = Upstream::answering("500 Oh\r\ncontent-type: application/json", "{\"error\":{}}").await;
    let closed_port = e2e::ReservedPort::new();
    let providers = [
        e2e::setup::provider("failing", "openai", failing.address()),
        e2e::setup::provider("nobody", "anthropic", closed_port.address()),
    ];
    let setup = Setup::new().section("providers", &format!("[{}]", providers.join(", ")));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let call = async |call: Call, status: u16| {
        gateway.call(call.key(&key)).await.expect(status);
    };
    // Not counted: requests without a connection, refusals, and free requests.
    call(Call::json(MESSAGES, &Format::Messages.body("m", false)), 502).await;
    call(Call::post(CHAT, "{"), 400).await;
    call(Call::get("/v1/models"), 200).await;
    call(Call::get("/"), 200).await;
    // Counted: a failure of the provider.
    call(Call::json(CHAT, &Format::Chat.body("failing/m", false)), 500).await;
    let usage = gateway.counted(&key, 1).await;
    assert_eq!(usage["credits"], 1);
    assert_eq!(gateway.used(&key).await, 1);
}

#[tokio::test]
async fn credits_pre_logged_by_one_key_are_available_to_another() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let routes = "{path: /one, upstreams: backend}, {path: /most, upstreams: backend, credits: 2549}";
    let setup = Setup::routed(upstream.address(), routes).plans("{name: advance, credits_per_day: 2560}");
    let gateway = Gateway::start(setup).await;
    for _ in 0..ROUNDS_MAX {
        let account = gateway.account("advance").await;
        let other = commands::keys_create(gateway.folder(), &account.email, "other").await;
        let begun = Instant::now();
        gateway.call(Call::get("/one").key(&account.key)).await.expect(200);
        gateway.call(Call::get("/most").key(&other)).await.expect(200);
        let mut left = 10;
        while left > 0 && begun.elapsed() < SHOWN_WITHIN {
            match gateway.call(Call::get("/one").key(&other)).await.status() {
                200 => left -= 1,
                429 => sleep(Duration::from_millis(2)).await,
                status => panic!("{status}"),
            }
        }
        if left == 0 {
            return;
        }
    }
    panic!("the credits were never released to the other key within {SHOWN_WITHIN:?}");
}

#[tokio::test]
async fn requests_that_are_not_sent_hold_no_credits() {
    let port = ReservedPort::new();
    let gateway = Gateway::start(Setup::routed(port.address(), "{path: /down, upstreams: backend, credits: 3}")).await;
    let key = gateway.key().await;
    for _ in 0..5 {
        gateway.call(Call::get("/down").key(&key)).await.expect(502);
    }
    gateway.at_rest().await;
    assert_eq!(gateway.gauge("tollgate_meter_in_flight").await, 0);
    assert_eq!(gateway.gauge("tollgate_meter_released_total").await, 5);
    assert_eq!(gateway.used(&key).await, 0);
}
