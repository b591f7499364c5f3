//! Invoices and usage on machines in different time zones.

use e2e::{Call, Gateway, Setup, commands, eventually, text};
use serde_json::json;

use super::Shop;
use super::receipts::EARLIER;
use crate::bodies::Format;
use crate::store;

/// The time zones that are ahead of UTC and behind it by the most hours.
const ZONES: [&str; 2] = ["Pacific/Kiritimati", "Pacific/Niue"];
/// Requests on another day than the UTC day of their admission. About midnight, a request may be admitted on the next day.
const MOVED: &str = "SELECT count(*) FROM usage_events WHERE day NOT IN
    (started_at / 86400000000, (started_at + 600000000) / 86400000000)";
const COUNTED: &str = "SELECT count(*) FROM usage_events";

#[tokio::test]
async fn no_time_zone_makes_a_second_invoice() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let key = shop.key.clone();
    let folder = shop.gateway.stop().await.folder;
    let data = folder.data();
    let rows = store::rows(&folder, &data);
    for change in EARLIER {
        rows.execute(change, change).await;
    }
    let plans = "[{name: starter, price: \"0 IDR\"}, {name: pro, price: \"150000 IDR\"}]";
    let yaml = format!("plans: {plans}\nbilling: {{enabled: true, fallback_plan: starter}}\n");
    let file = folder.write("billing.yaml", &yaml).display().to_string();
    let data = data.display().to_string();
    let close = ["billing", "close", "--config", &file, "--data", &data, "--last-day", "2999-12-31"];
    let mut printed = Vec::new();
    for zone in [ZONES[0], ZONES[1], "Asia/Jakarta"] {
        let output = commands::run_with(&folder, &close, &[("TZ", zone)]).await;
        printed.push(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let nothing = "0 new invoices of 0 periods\n";
    assert_eq!(printed, ["1 new invoices of 1 periods\n", nothing, nothing]);
    let gateway = Gateway::start_in(folder, Setup::bare().flag("--demo").variable("TZ", ZONES[0])).await;
    let listed = gateway.ask(Call::get("/api/invoices").key(&key)).await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
}

#[tokio::test]
async fn a_time_zone_moves_no_request() {
    for zone in ZONES {
        let shop = Shop::open_with(Setup::bare().flag("--demo").variable("TZ", zone)).await;
        let call = Call::json("/v1/chat/completions", &Format::Chat.body("mock", false)).key(&shop.key);
        call.send(shop.gateway.proxy).await.expect(200);
        eventually("the request is stored", async || (shop.count(COUNTED).await == 1).then_some(())).await;
        assert_eq!(shop.count(MOVED).await, 0, "{zone}");
    }
}
