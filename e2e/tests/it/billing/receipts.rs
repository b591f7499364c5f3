//! Receipts of invoices, verified by `tollgate verify` and by the script of the example.

use std::fs;
use std::path::Path;

use e2e::python::python;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually, kept, text};
use serde_json::json;

use super::Shop;
use crate::bodies::Format;
use crate::store;

/// A charge of 250 rupiah per package of two requests, as plan versions store it.
pub(super) const CHARGES: &str = "UPDATE plan_versions SET charges = '[{\"name\":\"Requests\",\"metric\":\"requests\",\"model\":\"package\",\"size\":2,
    \"unit\":{\"pico\":250000000000000,\"currency\":\"IDR\"}}]' WHERE price = 150000";
/// Moves the subscription and its usage back, so that the period ended some days ago. With the last day of a month as the
/// anchor, the next period ends in the future on every day of a month.
pub(crate) const EARLIER: [&str; 5] = [
    "UPDATE subscriptions SET first_day = first_day - 40, last_day = last_day - 40, anchor_day = 31",
    "UPDATE subscription_days SET first_day = first_day - 40, period_first = period_first - 40, period_last = period_last - 40",
    "UPDATE usage_events SET day = day - 40, started_at = started_at - 3456000000000",
    "UPDATE daily_usage SET day = day - 40",
    "UPDATE daily_models SET day = day - 40",
];
pub(super) const USED: &str = "SELECT CAST(coalesce(sum(requests), 0) AS BIGINT) FROM daily_usage WHERE user_no IN (SELECT no FROM users WHERE id IN (SELECT user_id FROM subscriptions))";

/// Runs `tollgate verify`; returns the exit code and the output.
async fn verify(folder: &Folder, words: &[&str]) -> (Option<i32>, String) {
    let output = commands::run(folder, &[&["verify"], words].concat()).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Runs the script of the example; returns the exit code and the output.
async fn verify_in_python(path: &str) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/billing/verify_receipt.py");
    let script = script.canonicalize().unwrap().display().to_string();
    let output = python("current", &script).arg(path).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Returns a number below `limit`. The sequence is the same in every run.
fn random(state: &mut u64, limit: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % u64::try_from(limit).unwrap()).unwrap()
}

#[tokio::test]
async fn a_receipt_is_verified_without_a_server_and_no_changed_byte_passes() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    for _ in 0..5 {
        let call = Call::json("/v1/chat/completions", &Format::Chat.body("mock", false)).key(&shop.key);
        call.send(shop.gateway.proxy).await.expect(200);
    }
    eventually("the requests are stored", async || (shop.count(USED).await == 5).then_some(())).await;

    let key = shop.key.clone();
    let folder = shop.gateway.stop().await.folder;
    let data = folder.data();
    let rows = store::rows(&folder, &data);
    for change in EARLIER.into_iter().chain([CHARGES]) {
        rows.execute(change, change).await;
    }
    let plans = "[{name: starter, price: \"0 IDR\"}, {name: pro, price: \"150000 IDR\"}]";
    let yaml = format!("plans: {plans}\nbilling: {{enabled: true, fallback_plan: starter}}\n");
    let file = folder.write("billing.yaml", &yaml).display().to_string();
    let data = data.display().to_string();
    let close = ["billing", "close", "--config", &file, "--data", &data, "--last-day", "2999-12-31"];
    let output = commands::run(&folder, &close).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 new invoices of 1 periods\n");

    let gateway = Gateway::start_in(folder, Setup::bare().flag("--demo")).await;
    let listed = gateway.ask(Call::get("/api/invoices").key(&key)).await.expect(200).json();
    let invoice = &listed["items"][0];
    assert_eq!(invoice["subtotal"]["amount"], 150_750, "{invoice}");
    let path = format!("/api/invoices/{}/receipt", text(&invoice["id"]));
    let answer = Call::get(&path).key(&key).send(gateway.control).await.expect(200);
    assert!(answer.whole && answer.header("content-type") == Some("application/zip"));
    let zip = answer.body;
    let again = Call::get(&path).key(&key).send(gateway.control).await.expect(200);
    assert!(again.body == zip, "a later receipt has the same bytes");
    gateway.stop().await;
    kept::keep("receipt.zip", &zip);
    check(&zip, &text(&invoice["number"])).await;
}

/// Verifies a receipt, and copies of it with one changed byte.
async fn check(zip: &[u8], number: &str) {
    let folder = Folder::new();
    let path = folder.path().join("receipt.zip").display().to_string();
    fs::write(&path, zip).unwrap();
    let (code, printed) = verify(&folder, &[&path]).await;
    assert!(code == Some(0) && printed.contains("5 of 1 days add up; 0 days have no requests"), "{code:?} {printed}");
    assert!(printed.contains(number) && printed.contains("total        150750 IDR"), "{printed}");
    let (code, printed) = verify_in_python(&path).await;
    assert!(code == Some(0) && printed.contains("5 requests add up to 150750 IDR"), "{code:?} {printed}");

    let mut state = 0x0074_6f6c_6c67_6174;
    let places: Vec<usize> = (0..60).map(|_| random(&mut state, zip.len())).chain([0, 9, zip.len() - 1]).collect();
    for (nth, at) in places.into_iter().enumerate() {
        let mut changed = zip.to_vec();
        changed[at] ^= 1 << random(&mut state, 8);
        fs::write(&path, &changed).unwrap();
        let (code, printed) = verify(&folder, &[&path]).await;
        assert!(code == Some(1) && printed.contains("export_changed"), "byte {at}: {code:?} {printed}");
        // Each run of Python takes a part of a second.
        if nth % 4 == 0 {
            let (code, printed) = verify_in_python(&path).await;
            assert!(code == Some(1) && printed.contains("error: "), "byte {at}: {code:?} {printed}");
        }
    }
}
