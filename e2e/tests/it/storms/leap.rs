//! The clock of a running server leaps by hours or days for some seconds: usage stays on its day, no quota begins anew, and
//! operators see it.

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually};

use super::noon::{DAY_MICROS, Noon, micros};
use super::tally::{assert_counts_agree, rests};
use crate::bodies::{CHAT, Format};
use crate::store;

const HOUR_MICROS: i64 = 3_600_000_000;
const QUOTA: usize = 16;
/// The leaps of the clock, one after the other, in hours.
const LEAPS_HOURS: [i64; 6] = [1, -1, 25, -25, 24 * 35, -24 * 35];

struct LeapingServer {
    gateway: Gateway,
    key: String,
    noon: Noon,
}

impl LeapingServer {
    async fn begin() -> Self {
        let noon = Noon::begin_on_sqlite().await;
        let setup = Setup::mocked().plans(&format!("{{name: sixteen, credits_per_day: {QUOTA}}}"));
        let gateway = Gateway::start_in(Folder::on_sqlite(), noon.clock_of(setup)).await;
        let key = gateway.account("sixteen").await.key;
        Self { gateway, key, noon }
    }

    async fn status_of_a_call(&self) -> u16 {
        let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&self.key);
        self.gateway.call(call).await.status()
    }

    /// Moves the clock, and waits until the server has noticed.
    async fn leaps_by(&self, hours: i64) {
        self.noon.shim.set_ahead(self.noon.ahead() + hours * HOUR_MICROS);
        self.shows_ahead(hours).await;
    }

    async fn shows_ahead(&self, hours: i64) {
        eventually(&format!("the clock is shown as {hours} hours ahead"), async || {
            let ahead = self.gateway.gauge("tollgate_clock_ahead_seconds").await;
            ((ahead - hours * 3_600).abs() < 30).then_some(())
        })
        .await;
    }

    async fn returns(&self) {
        self.noon.shim.set_ahead(self.noon.ahead());
        self.shows_ahead(0).await;
    }
}

#[tokio::test]
async fn usage_stays_on_its_day_and_no_quota_begins_anew_while_the_clock_leaps() {
    let server = LeapingServer::begin().await;
    let day = (micros() + server.noon.ahead()) / DAY_MICROS;
    let mut admitted = 0;
    for hours in LEAPS_HOURS {
        server.leaps_by(hours).await;
        assert_eq!(server.status_of_a_call().await, 200, "{hours} hours ahead");
        server.returns().await;
        assert_eq!(server.status_of_a_call().await, 200, "after {hours} hours");
        admitted += 2;
    }
    while server.status_of_a_call().await == 200 {
        admitted += 1;
    }
    assert_eq!(admitted, QUOTA);
    for hours in [25, -25] {
        server.leaps_by(hours).await;
        assert_eq!(server.status_of_a_call().await, 429, "{hours} hours ahead, with a used quota");
        server.returns().await;
    }
    let gateway = &server.gateway;
    rests(gateway).await;
    let folder = gateway.folder();
    assert_counts_agree(folder).await;
    let of_calls = "SELECT count(*) FROM usage_events WHERE attempts > 0";
    assert_eq!(store::number(folder, of_calls).await, i64::try_from(QUOTA).unwrap());
    assert_eq!(store::number(folder, "SELECT count(DISTINCT day) FROM usage_events").await, 1);
    assert_eq!(store::number(folder, "SELECT max(day) FROM usage_events").await, day);
    // Each event has the time of a clock that did not leap.
    for begun in ["SELECT min(started_at) FROM usage_events", "SELECT max(started_at) FROM usage_events"] {
        let away = (store::number(folder, begun).await - micros() - server.noon.ahead()).abs();
        assert!(away < HOUR_MICROS / 2, "{begun}: {away} µs");
    }
    let leaps = LEAPS_HOURS.len() + 2;
    assert_eq!(gateway.gauge("tollgate_clock_leaps_total").await, i64::try_from(leaps).unwrap());
    let log = gateway.stderr();
    let errors = log.lines().filter(|line| line.contains("clock has leapt") && line.contains("ERROR"));
    assert_eq!(errors.count(), leaps, "{log}");
}

#[tokio::test]
async fn a_clock_that_leaps_back_and_forth_within_a_second_gives_one_quota() {
    let server = LeapingServer::begin().await;
    let mut admitted = 0;
    for nth in 0..2 * QUOTA {
        let hours = LEAPS_HOURS[nth % LEAPS_HOURS.len()] * i64::from(nth % 4 > 0);
        server.noon.shim.set_ahead(server.noon.ahead() + hours * HOUR_MICROS);
        admitted += usize::from(server.status_of_a_call().await == 200);
    }
    server.returns().await;
    assert_eq!(admitted, QUOTA);
    rests(&server.gateway).await;
    let folder = server.gateway.folder();
    assert_eq!(store::number(folder, "SELECT count(DISTINCT day) FROM usage_events").await, 1);
    assert_counts_agree(folder).await;
}

#[tokio::test]
async fn an_audit_reports_usage_on_a_day_in_the_future() {
    let mut noon = Noon::begin_on_sqlite().await;
    // The clock is wrong from the start on, so that no leap shows it.
    noon.set_ahead(3 * DAY_MICROS);
    let gateway = Gateway::start_in(Folder::on_sqlite(), noon.clock_of(Setup::mocked())).await;
    let key = gateway.key().await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key)).await.expect(200);
    rests(&gateway).await;
    let folder = gateway.stop().await.folder;
    let audit = commands::run(&folder, &["audit", "--data", "data"]).await;
    let printed = String::from_utf8_lossy(&[audit.stdout, audit.stderr].concat()).into_owned();
    assert!(!audit.status.success() && printed.contains("future: usage is recorded on days until"), "{printed}");
}
