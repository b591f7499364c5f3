//! Prices with start and end days, in the start messages, `check`, `/metrics` and `tollgate prices`.

use std::net::{Ipv4Addr, SocketAddr};

use e2e::setup::Folder;
use e2e::{Gateway, Setup, commands};
use serde_json::Value;

use crate::audit::must;

/// Returns the day that is `later` days after today.
fn day(later: u32) -> access::Day {
    access::Day(access::Clock::system().now().day().0 + later)
}

#[tokio::test]
async fn expiring_prices_are_reported_at_start_by_check_and_by_a_metric() {
    let soon = day(3);
    let late = day(30);
    let prices = format!(
        "[{{model: up/soon, input: '1', output: '2', until: {soon}}}, {{model: up/late, input: '1', output: '2', until: {late}}}]"
    );
    let closed_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let setup = Setup::provider("openai", closed_port).section("prices", &prices);
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup).await;
    let reported = format!("prices of provider up end on {soon}, after that day the cost will be unknown: soon;");
    gateway.logs(&reported).await;
    let metrics = gateway.metrics().await;
    for (model, until) in [("soon", soon), ("late", late)] {
        let end = until.next().start().unix_seconds();
        let line = format!("tollgate_prices_expiring_timestamp_seconds{{provider=\"up\",model=\"{model}\"}} {end}");
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    let checked = commands::run(gateway.folder(), &["check", "tollgate.yaml"]).await;
    assert!(checked.status.success());
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains(&reported) && !checked.contains("unknown: late;"), "{checked}");
}

#[tokio::test]
async fn prices_are_listed_by_day_and_compared_with_a_file() {
    let folder = Folder::on_sqlite();
    let listed = must(&folder, &["prices", "list", "--model", "gemini/gemini-3.6-flash", "--on", "2027-01-01"]).await;
    assert!(listed.starts_with("gemini/gemini-3.6-flash  2027-01-01..  ") && listed.lines().count() == 1, "{listed}");
    assert!(listed.contains("input 1.5, cached_input 0.15, output ") && listed.contains(" more  ("), "{listed}");
    assert!(listed.len() < 120, "{listed}");
    let all = ["prices", "list", "--model", "gemini/gemini-3.6-flash", "--on", "2027-01-01", "--all"];
    assert!(must(&folder, &all).await.len() > listed.len(), "{listed}");
    let json = must(&folder, &["prices", "list", "--model", "openai/gpt-5.6", "--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["prices"][0]["until"], "2026-11-21");
    let row = "{model: openai/gpt-5-mini, input: '0.3', cached_input: '0.03', output: '2'}";
    folder.write("p.yaml", &format!("as_of: 2026-12-01\nsource: a page\nprices:\n  - {row}\n"));
    let diff = must(&folder, &["prices", "diff", "p.yaml"]).await;
    assert!(diff.contains("~ openai/gpt-5-mini  always  input 0.25 -> 0.3, cached_input 0.025 -> 0.03"), "{diff}");
    assert!(diff.ends_with("changed\n"), "{diff}");
    folder.write("p.yaml", "as_of: 2026-12-01\nsource: a page\nprices: [{modl: x, input: '1', output: '2'}]\n");
    let broken = commands::run(&folder, &["prices", "diff", "p.yaml"]).await;
    let reported = String::from_utf8(broken.stderr).unwrap();
    assert!(
        broken.status.code() == Some(2) && reported.starts_with("error[unknown_key]: unknown key `modl`"),
        "{reported}"
    );
    assert!(reported.contains(" --> p.yaml:3:11"), "{reported}");
}
