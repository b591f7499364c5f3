//! The day of a million requests, and 10 million requests over 400 days.

use std::time::Duration;

use e2e::database::on_postgres;
use e2e::setup::Folder;
use e2e::{Call, Canary, Gateway, Setup, is_long, timed};
use serde_json::{Value, json};

use super::fill::{self, DAYS_AT_ONCE};
use super::{Load, download, percentile, verify, within};
use crate::bodies::{CHAT, Format};
use crate::hostile::say;
use crate::store;

/// Requests through the server, which are copied.
pub(super) const REQUESTS: u32 = 3;
/// Maximum time of each view of 10 million requests.
const VIEW_MAX: Duration = Duration::from_secs(2);
/// Maximum time of a brief per million requests of the day.
const BRIEF_MAX: Duration = Duration::from_secs(2);
/// Maximum time of 99% of the responses that are cached.
const CACHED_MAX: Duration = Duration::from_millis(10);
/// Maximum growth of a server's memory by its first export, the brief in it included.
const EXPORT_BYTES_MAX: u64 = 100 << 20;

/// Maximum time until requests at a constant rate are stored while briefs are computed, compared to the time without briefs.
const INGEST_SLOWER_MAX: f64 = 1.05;
/// The number of briefs that are computed beside ingest.
const BRIEFS: u32 = 5;

pub(super) fn setup() -> Setup {
    cached_for("1m")
}

fn cached_for(today: &str) -> Setup {
    let setup = Setup::mocked().section("insights", &format!("{{cache: {{today: {today}}}}}"));
    setup.section("retention", "{events: forever, raw_usage: forever}")
}

/// Starts a server on copies of some requests of one user, which `fill` makes. Returns the user's key too.
pub(super) async fn filled(fill: impl AsyncFnOnce(&Folder)) -> (Gateway, String) {
    let gateway = Gateway::start(setup()).await;
    let key = gateway.key().await;
    for _ in 0..REQUESTS {
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    }
    gateway.counted(&key, REQUESTS.into()).await;
    store::events(gateway.folder(), 3).await;
    let folder = gateway.stop().await.folder;
    let ((), took) = timed(fill(&folder)).await;
    say(&format!("the store is filled in {took:?}"));
    (Gateway::start_in(folder, setup()).await, key)
}

async fn read(gateway: &Gateway, key: &str, path: &str) -> Value {
    gateway.ask(Call::get(path).key(key)).await.expect(200).json()
}

/// Sends requests at a constant rate, and waits until they are stored beside `stored` others. Returns the number of all.
async fn ingest(gateway: &Gateway, key: &str, stored: u64) -> u64 {
    let body = Format::Chat.body("mock", false).to_string();
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
    let post = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{fields}\r\n\r\n{body}");
    let (per_second, requests) = if is_long() { (200, 4_000) } else { (50, 10) };
    Load { per_second, requests, connections: 16 }.run(gateway.proxy, post).await;
    let all = stored + u64::from(requests);
    gateway.counted(key, all).await;
    all
}

/// Requests are stored in the same time without briefs and beside briefs of the same day, of which none is cached.
async fn briefs_do_not_slow_ingest(folder: Folder, key: &str, stored: u64) {
    let gateway = Gateway::start_in(folder, cached_for("0s")).await;
    let (stored, alone) = timed(ingest(&gateway, key, stored)).await;
    let canary = Canary::new();
    let briefs = async {
        for _ in 0..BRIEFS {
            read(&gateway, key, "/brief/today").await;
        }
    };
    let ((_, beside), ()) = tokio::join!(timed(ingest(&gateway, key, stored)), briefs);
    say(&format!("ingest without briefs: {alone:?}"));
    within(&canary, &format!("ingest beside {BRIEFS} briefs"), beside, alone.mul_f64(INGEST_SLOWER_MAX));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_million_requests_is_explained_exported_and_cached() {
    if on_postgres() {
        return;
    }
    let doublings = if is_long() { 19 } else { 6 };
    let requests = u64::from(REQUESTS) << doublings;
    let (gateway, key) = filled(async |folder: &Folder| fill::double(folder, doublings).await).await;
    let canary = Canary::new();
    let (brief, took) = timed(read(&gateway, &key, "/brief/today")).await;
    assert_eq!((&brief["spend"]["requests"], &brief["classes"][0]["requests"]), (&json!(requests), &json!(requests)));
    let brief_max = BRIEF_MAX.mul_f64(requests as f64 / 1e6).max(BRIEF_MAX);
    within(&canary, &format!("brief of {requests} requests"), took, brief_max);

    let canary = Canary::new();
    let get = format!("GET /brief/today HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n");
    let (per_second, seconds) = if is_long() { (1_000, 10) } else { (50, 1) };
    let load = Load { per_second, requests: per_second * seconds, connections: 16 };
    let durations = load.run(gateway.control, get).await;
    say(&format!("cached briefs, {per_second}/s: median {:?}", percentile(&durations, 50)));
    within(&canary, "99th percentile of cached briefs", percentile(&durations, 99), CACHED_MAX);

    // The peak of an earlier response would hide that of the export.
    let gateway = Gateway::start_in(gateway.stop().await.folder, setup()).await;
    let before = gateway.vitals().memory_bytes();
    let line = format!("POST /export/{}", brief["id"].as_str().unwrap());
    let (zip, took) = timed(download(gateway.control, &line, &key)).await;
    let used = gateway.vitals().peak_bytes().saturating_sub(before);
    say(&format!(
        "export of {requests} requests: {took:?}, {} bytes, {used} bytes of memory beside {before}",
        zip.len()
    ));
    assert!(used <= EXPORT_BYTES_MAX, "{used} bytes");
    let folder = gateway.stop().await.folder;
    verify(&canary, &format!("an export of {requests} requests"), &zip).await;
    briefs_do_not_slow_ingest(folder, &key, requests).await;
}

#[tokio::test]
async fn ten_million_requests_of_four_hundred_days_are_read_by_totals() {
    if on_postgres() {
        return;
    }
    let (doublings, times) = if is_long() { (13, 20) } else { (2, 1) };
    let of_a_day = u64::from(REQUESTS) << doublings;
    let days = DAYS_AT_ONCE * times + 1;
    let (gateway, key) = filled(async |folder: &Folder| {
        fill::double(folder, doublings).await;
        fill::add_days(folder, times).await;
    })
    .await;
    let stored = store::number(gateway.folder(), "SELECT count(*) FROM usage_events").await;
    assert_eq!(u64::try_from(stored).unwrap(), of_a_day * u64::from(days));
    let first = store::number(gateway.folder(), "SELECT min(day) FROM daily_usage").await;
    let first = access::Day(u32::try_from(first).unwrap());
    let since = access::Day(first.0 + days.saturating_sub(366));
    let middle = access::Day(first.0 + days / 2);
    let canary = Canary::new();
    let brief = format!("/brief/{first}");
    let series = format!("/api/usage/series?step=day&since={since}T00:00:00Z");
    for (path, requests, pointer) in [
        (brief.clone(), of_a_day, "/spend/requests"),
        (format!("/brief/{middle}"), of_a_day, "/spend/requests"),
        ("/classify/today".to_owned(), of_a_day, "/requests"),
        (series.clone(), of_a_day, "/series/0/points/0/requests"),
        (format!("{series}&by=model"), of_a_day, "/series/0/points/0/requests"),
        (format!("{series}&by=label:team"), of_a_day, "/series/0/points/0/requests"),
    ] {
        let (found, took) = timed(read(&gateway, &key, &path)).await;
        assert_eq!(found.pointer(pointer), Some(&json!(requests)), "{path}");
        within(&canary, &path, took, VIEW_MAX);
    }
    let page = format!("/api/usage/requests?limit=200&until={middle}T23:59:59Z");
    let (found, took) = timed(read(&gateway, &key, &page)).await;
    let expected = usize::try_from(of_a_day.min(200)).unwrap();
    assert!(found["items"].as_array().unwrap().len() >= expected, "{found}");
    within(&canary, "a page of requests in the middle", took, VIEW_MAX);
    say(&format!("{stored} requests: {} bytes of memory at most", gateway.vitals().peak_bytes()));
}
