//! `billing.review: signoff`: an invoice waits for the days of its period.

use e2e::{Call, commands, eventually, text};
use serde_json::json;

use super::receipts::{CHARGES, USED};
use super::{EARLIER, Shop};
use crate::bodies::Format;
use crate::store;

const YAML: &str = "plans: [{name: starter, price: \"0 IDR\"}, {name: pro, price: \"150000 IDR\"}]
billing: {enabled: true, fallback_plan: starter, review: signoff}
insights: {signoff: {roles: [auditor]}}
";
/// Approves the days of the invoice for a role; the part before the brackets makes an id.
const APPROVED: &str =
    "INSERT INTO reviews (id, day, scope, role, user_id, approve, figures_version, figures, created_at, updated_at)
    WITH RECURSIVE days(day, until) AS (SELECT usage_first_day, usage_last_day FROM invoices WHERE state = 'review'
        UNION ALL SELECT day + 1, until FROM days WHERE day < until)
    SELECT [id], day, 'all', 'auditor', (SELECT min(id) FROM users), TRUE, 0, '{}', 0, 0 FROM days";

#[tokio::test]
async fn an_invoice_opens_when_the_configured_role_has_approved_its_days() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    shop.has_plan("pro").await;
    let call = Call::json("/v1/chat/completions", &Format::Chat.body("mock", false)).key(&shop.key);
    call.send(shop.gateway.proxy).await.expect(200);
    eventually("the request is stored", async || (shop.count(USED).await == 1).then_some(())).await;
    let folder = shop.gateway.stop().await.folder;
    let rows = folder.data();
    for change in EARLIER.iter().chain([&CHARGES]) {
        store::rows(&folder, &rows).execute(change, change).await;
    }
    let file = folder.write("billing.yaml", YAML).display().to_string();
    let data = folder.data().display().to_string();
    let close = async || {
        let output = commands::run(&folder, &["billing", "close", "--config", &file, "--data", &data]).await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let waits = "1 invoices wait for days that are not signed off in insights\n";
    assert_eq!(close().await, (Some(0), format!("1 new invoices of 1 periods\n{waits}")));
    assert_eq!(close().await, (Some(0), format!("0 new invoices of 0 periods\n{waits}")), "another process waits on");
    let sqlite = APPROVED.replace("[id]", "randomblob(16)");
    let postgres =
        APPROVED.replace("[id]", "gen_random_uuid()").replace("min(id)", "CAST(min(CAST(id AS TEXT)) AS UUID)");
    store::rows(&folder, &rows).execute(&sqlite, &postgres).await;
    let opened = "1 invoices were opened, as all their days are signed off\n";
    assert_eq!(close().await, (Some(0), format!("0 new invoices of 0 periods\n{opened}")));
    assert_eq!(close().await.1, "0 new invoices of 0 periods\n");
    assert_eq!(store::number(&folder, "SELECT count(*) FROM invoices WHERE state = 'open' AND number = 2").await, 1);
}
