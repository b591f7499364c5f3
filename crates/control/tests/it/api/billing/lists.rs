//! `GET /api/billing/invoices`, `GET /api/billing/invoices/{id}`, and `GET /api/billing/payments`, `/postings` and `/periods`.

use std::time::Duration;

use access::Role;
use serde_json::{Value, json};

use super::finance::{finance, paid};
use super::{SUBSCRIPTION, Shop};
use crate::client::{get, post};

const INVOICES: &str = "/api/billing/invoices";
const PAYMENTS: &str = "/api/billing/payments";
const POSTINGS: &str = "/api/billing/postings";
const PERIODS: &str = "/api/billing/periods";

#[tokio::test]
async fn finance_sees_the_invoices_of_all_users() {
    let shop = Shop::open().await;
    let path = shop.invoice().await;
    let id = path.rsplit('/').next().unwrap();
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await;
    let read = async |path: &str| get(shop.world.address, path, &[&root.bearer()]).await;
    let listed = read(INVOICES).await.json();
    assert_eq!(listed["items"][0]["invoice"]["id"], json!(id), "{listed}");
    assert_eq!(listed["items"][0]["user"]["id"], json!(shop.ada.user), "{listed}");
    assert!(listed["items"][0]["user"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{listed}");
    let none = read("/api/billing/invoices?state=review").await.json();
    assert_eq!((&none["items"], &none["next"]), (&json!([]), &json!(null)));
    let open = read("/api/billing/invoices?state=open&limit=1").await.json();
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
    read("/api/billing/invoices?state=draft").await.refuses(400, "bad_request");
    read("/api/billing/invoices?limit=0").await.refuses(400, "bad_request");
    let shown = read(&format!("{INVOICES}/{id}")).await.json();
    assert_eq!(shown, shop.get(&path).await.json());
    read(&format!("{INVOICES}/0199aa00-0000-7000-8000-00000000ffff")).await.refuses(404, "not_found");
    read(&format!("{INVOICES}/none")).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_payment_that_the_bank_took_back_is_listed_for_finance() {
    let shop = Shop::open().await;
    let invoice = shop.invoice().await;
    let paying = shop.post(&format!("{invoice}/pay"), &json!({"method": "va", "bank": "permata"})).await.json();
    let order = paying["payment"]["order_id"].as_str().unwrap().to_owned();
    let root = shop.world.person_with("root", Role::Admin).await;
    let root = shop.world.sign_in(&root).await;
    let read = async || get(shop.world.address, PAYMENTS, &[&root.bearer()]).await.json();
    for (action, odd) in [("pay", 0), ("reversal", 1)] {
        shop.play(&format!("/_stub/{action}/{order}")).await;
        let payment = ledger::billing::payments::of_order(&shop.world.store, &order, "").await.unwrap().unwrap();
        shop.books().refresh(&payment).await.unwrap();
        let listed = read().await;
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(odd), "{action}: {listed}");
    }
    let listed = read().await;
    assert_eq!(listed["items"][0]["payment"]["state"], "reversed", "{listed}");
    assert!(invoice.ends_with(listed["items"][0]["invoice_id"].as_str().unwrap()), "{listed}");
}

#[tokio::test]
async fn finance_finds_payments_by_user_and_state() {
    let shop = Shop::open().await;
    paid(&shop, json!({"method": "qris"})).await;
    let fin = finance(&shop).await;
    let bob = shop.world.holder("bob", "starter").await;
    let topup = json!({"amount": 20_000, "method": "qris"}).to_string();
    let begun = post(shop.world.address, "/api/wallet/topups", &[&bob.bearer()], &topup).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let found = async |query: &str| {
        let items = pages(&shop, &fin, &format!("{PAYMENTS}{query}"), 1).await;
        let figures = |of: &Value| json!([of["user"]["id"], of["user"]["name"], of["payment"]["state"]]);
        items.iter().map(figures).collect::<Vec<_>>()
    };
    let name = |user: &Value| user[1].as_str().is_some_and(|name| !name.is_empty());
    let [ada, bob] = [shop.ada.user, bob.user].map(|user| json!(user));
    for (query, user, state) in [
        ("?state=paid".to_owned(), &ada, "paid"),
        ("?state=pending".to_owned(), &bob, "pending"),
        (format!("?user_id={}", shop.ada.user), &ada, "paid"),
        (format!("?user_id={}&state=paid", shop.ada.user), &ada, "paid"),
    ] {
        let items = found(&query).await;
        assert!(items.len() == 1 && name(&items[0]), "{query}: {items:?}");
        assert_eq!((&items[0][0], &items[0][2]), (user, &json!(state)), "{query}");
    }
    for query in ["", "?state=failed", "?user_id=0199aa00-0000-7000-8000-00000000dead"] {
        assert!(found(query).await.is_empty(), "{query}");
    }
    assert!(found(&format!("?user_id={}&state=pending", shop.ada.user)).await.is_empty());
    for query in ["state=", "state=odd", "user_id=1", "limit=0", "cursor=x", "method=qris"] {
        get(shop.world.address, &format!("{PAYMENTS}?{query}"), &[&fin]).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn other_users_see_no_list() {
    let shop = Shop::open().await;
    let path = shop.invoice().await;
    let own = path.replace("/api/", "/api/billing/");
    let eve = shop.world.person("eve").await;
    let eve = shop.world.sign_in(&eve).await.bearer();
    for path in [INVOICES, PAYMENTS, POSTINGS, PERIODS, own.as_str()] {
        shop.get(path).await.refuses(403, "forbidden");
        get(shop.world.address, path, &[&eve]).await.refuses(403, "forbidden");
        get(shop.world.address, path, &[]).await.refuses(401, "unauthorized");
    }
}

/// Reads a list page by page.
async fn pages(shop: &Shop, fin: &str, list: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let separator = if list.contains('?') { '&' } else { '?' };
        let path = format!("{list}{separator}limit={limit}{cursor}");
        let page = get(shop.world.address, &path, &[fin]).await.json();
        let found = page["items"].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
        assert!(found.len() <= limit, "{page}");
        items.extend(found.iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        assert_eq!(found.len(), limit, "{page}");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn finance_sees_the_postings_of_all_users() {
    let shop = Shop::open().await;
    let invoice = paid(&shop, json!({"method": "va", "bank": "bca"})).await;
    let invoice = invoice.rsplit('/').next().unwrap();
    let fin = finance(&shop).await;
    let bob = shop.world.holder("bob", "starter").await;
    let body = json!({"plan": "endless"}).to_string();
    let opened = post(shop.world.address, SUBSCRIPTION, &[&bob.bearer()], &body).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    let all = pages(&shop, &fin, POSTINGS, 200).await;
    let figures = |posting: &Value| {
        let amount = posting["amount"]["amount"].as_i64().unwrap();
        (posting["reason"].as_str().unwrap().to_owned(), posting["account"].as_str().unwrap().to_owned(), amount)
    };
    let mut found: Vec<_> = all.iter().map(figures).collect();
    found.sort();
    let expected = [
        ("invoice.opened", "receivable", 150_000),
        ("invoice.opened", "receivable", 150_000),
        ("invoice.opened", "revenue", -150_000),
        ("invoice.opened", "revenue", -150_000),
        ("payment.received", "clearing", 150_000),
        ("payment.received", "receivable", -150_000),
    ];
    assert_eq!(found, expected.map(|(reason, account, amount)| (reason.to_owned(), account.to_owned(), amount)));
    let mut sums = std::collections::BTreeMap::new();
    for posting in &all {
        assert_eq!((&posting["amount"]["currency"], posting["user"]["name"].is_string()), (&json!("IDR"), true));
        *sums.entry(posting["transaction_id"].as_str().unwrap()).or_insert(0) += figures(posting).2;
    }
    assert!(sums.len() == 3 && sums.values().all(|sum| *sum == 0), "{sums:?}");
    let ids = |items: &[Value]| items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(ids(&all).is_sorted_by(|newer, older| newer > older), "the newest is the first");
    assert_eq!(ids(&pages(&shop, &fin, POSTINGS, 1).await), ids(&all));
    let of_bob = pages(&shop, &fin, &format!("{POSTINGS}?user_id={}", bob.user), 1).await;
    assert!(of_bob.len() == 2 && of_bob.iter().all(|of| of["user"]["id"] == json!(bob.user)), "{of_bob:?}");
    let of_invoice = pages(&shop, &fin, &format!("{POSTINGS}?invoice_id={invoice}"), 3).await;
    assert!(of_invoice.len() == 4 && of_invoice.iter().all(|of| of["invoice_id"] == invoice), "{of_invoice:?}");
    assert_eq!(of_invoice.iter().filter(|of| of["payment_id"].is_string()).count(), 2);
    for (user, count) in [(&shop.ada.user, 4), (&bob.user, 0)] {
        let both = format!("{POSTINGS}?invoice_id={invoice}&user_id={user}");
        assert_eq!(pages(&shop, &fin, &both, 2).await.len(), count);
    }
    for query in ["limit=0", "limit=201", "cursor=x", "user_id=1", "invoice_id=%00", "account=revenue"] {
        get(shop.world.address, &format!("{POSTINGS}?{query}"), &[&fin]).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn finance_sees_which_periods_have_ended_and_what_closed_them() {
    let shop = Shop::open().await;
    paid(&shop, json!({"method": "qris"})).await;
    let root = shop.world.person_with("root", Role::Admin).await;
    let bob = shop.world.holder("bob", "starter").await;
    let body = json!({"plan": "starter"}).to_string();
    assert_eq!(post(shop.world.address, SUBSCRIPTION, &[&bob.bearer()], &body).await.status, 201);
    // The clock passes the end of access tokens.
    let list = async |query: &str| {
        let admin = shop.world.sign_in(&root).await.bearer();
        pages(&shop, &admin, &format!("{PERIODS}{query}"), 1).await
    };
    let days = |first: &str, last: &str| json!({"first_day": first, "last_day": last});
    let current = list("").await;
    let figures = |of: &Value| [of["plan"].clone(), of["state"].clone(), of["period"].clone(), of["invoice"].clone()];
    let figures = |items: &[Value]| items.iter().map(figures).collect::<Vec<_>>();
    let first = days("2026-11-20", "2026-12-19");
    let of = |plan: &str, state: &str, days: &Value, invoice: &Value| {
        [json!(plan), json!(state), days.clone(), invoice.clone()]
    };
    let none = Value::Null;
    assert_eq!(figures(&current), [of("starter", "current", &first, &none), of("endless", "current", &first, &none)]);
    assert_eq!((&current[0]["user"]["name"], &current[1]["version"]), (&json!("bob"), &json!(1)));
    assert_eq!(list("?state=current").await, current);
    assert_eq!((list("?state=waiting").await.len(), list("?state=closed").await.len()), (0, 0));

    // The periods have ended, and wait.
    shop.world.clock.advance(Duration::from_hours(24 * 35));
    let waiting = list("?state=waiting").await;
    assert_eq!(figures(&waiting), [of("starter", "waiting", &first, &none), of("endless", "waiting", &first, &none)]);
    assert_eq!(list("?state=current").await.len(), 0);
    assert_eq!(shop.books().close_periods(None).await.unwrap().closed, 2);
    let invoice = &shop.get("/api/invoices?limit=1").await.json()["items"][0];
    let invoice = json!({"id": invoice["id"], "number": invoice["number"], "state": "open"});
    assert_eq!(invoice["number"].as_str().map(|number| number.ends_with("000002")), Some(true), "{invoice}");
    let closed = list("?state=closed").await;
    // A period of a free plan without charges has no invoice.
    assert_eq!(figures(&closed), [of("starter", "closed", &first, &none), of("endless", "closed", &first, &invoice)]);
    let second = days("2026-12-20", "2027-01-19");
    let current = list("?state=current").await;
    let mut expected = vec![of("endless", "current", &second, &none), of("starter", "current", &second, &none)];
    let mut found = figures(&current);
    expected.sort_by_key(|of| of[0].to_string());
    found.sort_by_key(|of| of[0].to_string());
    assert_eq!(found, expected);

    let user = format!("?user_id={}", shop.ada.user);
    assert_eq!(list(&user).await.len(), 2);
    for (state, count) in [("current", 1), ("waiting", 0), ("closed", 1)] {
        let of_ada = list(&format!("{user}&state={state}")).await;
        assert!(of_ada.len() == count && of_ada.iter().all(|of| of["plan"] == "endless"), "{state}: {of_ada:?}");
    }
    // A cancellation ends the period on its day; the close of its usage follows.
    assert_eq!(shop.post(&format!("{SUBSCRIPTION}/cancel"), &json!({"at": "now"})).await.status, 200);
    let ends = days("2026-12-20", "2026-12-25");
    assert_eq!(figures(&list(&format!("{user}&state=current")).await), [of("endless", "current", &ends, &none)]);
    shop.world.clock.advance(Duration::from_hours(24));
    assert_eq!(figures(&list(&format!("{user}&state=waiting")).await), [of("endless", "waiting", &ends, &none)]);
    assert_eq!(shop.books().close_periods(None).await.unwrap().closed, 1);
    let ended = list(&format!("{user}&state=closed")).await;
    assert_eq!(figures(&ended), [of("endless", "closed", &ends, &none), of("endless", "closed", &first, &invoice)]);
    let admin = shop.world.sign_in(&root).await.bearer();
    for query in ["limit=0", "limit=201", "cursor=x", "user_id=1", "state=open", "state=", "since=2026-11-20"] {
        get(shop.world.address, &format!("{PERIODS}?{query}"), &[&admin]).await.refuses(400, "bad_request");
    }
}
