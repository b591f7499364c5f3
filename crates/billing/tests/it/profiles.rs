//! The customer on documents.

use billing::books::BillingProfileChange;
use ledger::billing::profiles;
use store::Actor;

use crate::shop::Shop;

#[tokio::test]
async fn of_two_changes_at_once_each_keeps_the_values_of_the_other() {
    let shop = Shop::open("2026-12-01").await;
    let ada = shop.user("ada").await;
    let change = async |change: BillingProfileChange| shop.books.change_profile(&Actor::COMMAND, ada, change).await;
    for nth in 0..10 {
        let name = format!("PT Contoh {nth}");
        let number = format!("01.000.{nth}");
        let (one, other) = tokio::join!(
            change(BillingProfileChange { name: Some(name.clone()), ..BillingProfileChange::default() }),
            change(BillingProfileChange { tax_number: Some(number.clone()), ..BillingProfileChange::default() }),
        );
        assert_eq!((one.unwrap().name, other.unwrap().tax_number), (name.clone(), number.clone()));
        let stored = profiles::of_user(shop.store(), ada).await.unwrap();
        assert_eq!((stored.name, stored.tax_number, stored.language.as_str()), (name, number, "en"));
    }
}
