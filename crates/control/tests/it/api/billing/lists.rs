//! `GET /api/billing/invoices`, `GET /api/billing/invoices/{id}` and `GET /api/billing/payments`.

use access::Role;
use serde_json::json;

use super::Shop;
use crate::client::get;

const INVOICES: &str = "/api/billing/invoices";
const PAYMENTS: &str = "/api/billing/payments";

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
async fn other_users_see_no_list() {
    let shop = Shop::open().await;
    let path = shop.invoice().await;
    let own = path.replace("/api/", "/api/billing/");
    for path in [INVOICES, PAYMENTS, own.as_str()] {
        shop.get(path).await.refuses(403, "forbidden");
    }
}
