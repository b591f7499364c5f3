//! Money that arrives late or twice, and money that is taken back.

use access::{UserId, UserStatus};
use billing::BillingError;
use billing::books::{CancelAt, CreditedLine, NewCreditNote, NewRefund, PaymentOutcome, RefundWay};
use billing::rules::payment::PaymentState;
use ledger::billing::payments::{self, ChargeOutcome};
use ledger::billing::{StoredPayment, invoices, mails, subscriptions};
use serde_json::json;
use store::{Actor, UserChange, UserRef};
use uuid::Uuid;

use crate::provider::Provider;
use crate::shop::{Shop, day};

const BY: &Actor = &Actor::COMMAND;

async fn payment(shop: &Shop, id: Uuid) -> StoredPayment {
    payments::present(shop.store(), id).await.unwrap().unwrap()
}

/// Reports a returned amount.
async fn returned(shop: &Shop, id: Uuid, status: &str, refunded: i64) -> PaymentOutcome {
    shop.try_returned(id, status, refunded).await.unwrap()
}

/// A user whose wallet has an amount: it was paid after the first invoice was void.
async fn saver(shop: &Shop, amount: i64) -> (UserId, Uuid) {
    let user = shop.user("saver").await;
    let invoice = shop.subscribe(user, "pro").await.unwrap();
    let late = shop.begin(&shop.invoice(invoice).await, "permata", amount).await;
    shop.books.cancel(BY, user, CancelAt::Now).await.unwrap();
    shop.report(late, "settlement").await;
    assert_eq!(shop.wallet_of(user).await, amount);
    (user, late)
}

#[tokio::test]
async fn a_card_that_is_captured_after_the_payment_failed_here_is_paid() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let id = shop.begin(&shop.invoice(invoice).await, "card", 150_000).await;
    // The customer had chosen no card in time: the payment knows no transaction.
    let failed = StoredPayment { state: PaymentState::Failed, ..payment(&shop, id).await };
    let mut tx = shop.store().begin_quiet().await.unwrap();
    payments::set_state(shop.store(), &mut tx, &failed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(shop.report(id, "capture").await, PaymentOutcome::Changed(PaymentState::Paid));
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.plan_of(ada).await.as_str()), ("paid", "pro"));
    shop.agrees().await;
}

#[tokio::test]
async fn the_wallet_part_of_a_first_invoice_that_lapses_goes_back() {
    let shop = Shop::open("2026-11-20").await;
    let (ada, _) = saver(&shop, 50_000).await;
    let lapsed = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!((shop.invoice(lapsed).await.remaining, shop.wallet_of(ada).await), (100_000, 0));
    shop.move_to("2026-11-28");
    shop.books.dun().await.unwrap();
    assert_eq!((shop.state_of(ada).await.as_str(), shop.invoice(lapsed).await.state.as_str()), ("cancelled", "void"));
    assert_eq!(shop.wallet_of(ada).await, 50_000);
    let cancelled = shop.subscribe(ada, "pro").await.unwrap();
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    assert_eq!((shop.invoice(cancelled).await.state.as_str(), shop.wallet_of(ada).await), ("void", 50_000));
    shop.agrees().await;
}

#[tokio::test]
async fn money_that_was_spent_from_the_wallet_is_owed_again_when_the_bank_takes_it_back() {
    let shop = Shop::open("2026-11-20").await;
    let (ada, late) = saver(&shop, 150_000).await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.plan_of(ada).await.as_str()), ("paid", "pro"));
    shop.report(late, "deny").await;
    let open = shop.invoice(invoice).await;
    assert_eq!((open.state.as_str(), open.remaining), ("open", 150_000));
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("limited", "free"));
    shop.agrees().await;
    shop.pay(invoice).await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.wallet_of(ada).await), ("active", 0));
    shop.agrees().await;
}

#[tokio::test]
async fn a_surplus_that_is_charged_back_leaves_the_paid_invoice() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.subscriber("ada", "pro").await;
    let invoice = shop.invoices_of(ada).await.remove(0);
    let second = shop.begin(&invoice, "card", 150_000).await;
    shop.report(second, "capture").await;
    assert_eq!(shop.wallet_of(ada).await, 150_000);
    shop.report(second, "chargeback").await;
    assert_eq!((shop.invoice(invoice.id).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 0));
    assert_eq!(shop.state_of(ada).await, "active");
    shop.agrees().await;
}

#[tokio::test]
async fn a_payment_above_the_rest_is_taken_back_from_both() {
    let shop = Shop::open("2026-11-20").await;
    let (ada, _) = saver(&shop, 50_000).await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let above = shop.begin(&shop.invoice(invoice).await, "card", 150_000).await;
    shop.report(above, "capture").await;
    assert_eq!((shop.state_of(ada).await.as_str(), shop.wallet_of(ada).await), ("active", 50_000));
    shop.report(above, "chargeback").await;
    let open = shop.invoice(invoice).await;
    assert_eq!((open.state.as_str(), open.remaining, shop.wallet_of(ada).await), ("open", 100_000, 0));
    shop.agrees().await;
}

#[tokio::test]
async fn a_partial_chargeback_opens_its_part_and_a_later_one_the_rest() {
    let shop = Shop::open("2026-11-20").await;
    let (ada, invoice, card) = shop.cardholder().await;
    assert_eq!(returned(&shop, card, "partial_chargeback", 0).await, PaymentOutcome::Mismatch, "the amount is missing");
    for _ in 0..2 {
        returned(&shop, card, "partial_chargeback", 40_000).await;
        assert_eq!(shop.invoice(invoice).await.remaining, 40_000);
        shop.agrees().await;
    }
    assert_eq!(shop.state_of(ada).await, "limited");
    returned(&shop, card, "chargeback", 0).await;
    let open = shop.invoice(invoice).await;
    assert_eq!((open.state.as_str(), open.remaining), ("open", 150_000));
    shop.agrees().await;
}

#[tokio::test]
async fn a_refund_without_an_amount_returns_the_whole_payment() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.subscriber("ada", "pro").await;
    let invoice = shop.invoices_of(ada).await.remove(0);
    let surplus = shop.begin(&invoice, "qris", 150_000).await;
    shop.report(surplus, "settlement").await;
    assert_eq!(returned(&shop, surplus, "partial_refund", 0).await, PaymentOutcome::Mismatch);
    assert_eq!(returned(&shop, surplus, "refund", 0).await, PaymentOutcome::Changed(PaymentState::Refunded));
    assert_eq!((payment(&shop, surplus).await.refunded, shop.wallet_of(ada).await), (150_000, 0));
    shop.agrees().await;
}

#[tokio::test]
async fn credit_notes_do_not_return_money_that_the_provider_has_returned() {
    // The second note exceeds the returned amount by 40,000.
    for (status, amount, kept) in [("refund", 0, [0, 0]), ("partial_refund", 60_000, [0, 40_000])] {
        let shop = Shop::open("2026-11-20").await;
        let (ada, invoice, card) = shop.cardholder().await;
        returned(&shop, card, status, amount).await;
        for kept in kept {
            let line = [CreditedLine { no: 1, amount: Some(50_000) }];
            shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
            assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.wallet_of(ada).await), ("paid", kept));
            shop.agrees().await;
        }
    }
    let shop = Shop::open("2026-11-20").await;
    let (ada, invoice, card) = shop.cardholder().await;
    returned(&shop, card, "refund", 0).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    let notes = invoices::credit_notes(shop.store(), invoice).await.unwrap();
    assert_eq!((notes[0].total, shop.wallet_of(ada).await), (145_000, 0));
    shop.agrees().await;
}

#[tokio::test]
async fn a_credit_note_explains_a_returned_payment_whose_money_paid_through_the_wallet() {
    for is_top_up in [false, true] {
        let shop = Shop::open("2026-11-20").await;
        let (ada, returned_payment) = if is_top_up {
            let ada = shop.user("ada").await;
            let top_up = shop.begin_top_up(ada, 200_000).await;
            shop.report(top_up, "settlement").await;
            (ada, top_up)
        } else {
            saver(&shop, 200_000).await
        };
        let invoice = shop.subscribe(ada, "pro").await.unwrap();
        assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 50_000));
        returned(&shop, returned_payment, "refund", 0).await;
        assert_eq!(shop.wallet_of(ada).await, 0);
        shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
        let notes = invoices::credit_notes(shop.store(), invoice).await.unwrap();
        assert_eq!((notes[0].total, shop.wallet_of(ada).await), (145_000, 0), "top-up: {is_top_up}");
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_card_payment_that_finance_cancels_is_refunded() {
    let shop = Shop::open("2026-11-20").await;
    let (ada, invoice, card) = shop.cardholder().await;
    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
    for _ in 0..2 {
        shop.report(card, "cancel").await;
        let stored = payment(&shop, card).await;
        assert_eq!((stored.state.as_str(), stored.refunded), ("refunded", 150_000));
        assert_eq!((shop.invoice(invoice).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 0));
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_payment_that_is_first_seen_after_a_return_was_received() {
    for (before, status, returned_amount, state, owed) in [
        ("pending", "partial_refund", 50_000, "partly_refunded", 0),
        ("expire", "refund", 0, "refunded", 0),
        ("pending", "partial_chargeback", 40_000, "partly_refunded", 40_000),
        ("expire", "chargeback", 0, "charged_back", 150_000),
    ] {
        let shop = Shop::open("2026-11-20").await;
        let ada = shop.user("ada").await;
        let invoice = shop.subscribe(ada, "pro").await.unwrap();
        let id = shop.begin(&shop.invoice(invoice).await, "qris", 150_000).await;
        shop.report(id, before).await;
        if returned_amount > 0 {
            assert_eq!(returned(&shop, id, status, 0).await, PaymentOutcome::Mismatch, "the amount is missing");
            assert_eq!(
                (payment(&shop, id).await.state.as_str(), shop.invoice(invoice).await.remaining),
                (before, 150_000)
            );
        }
        for _ in 0..2 {
            returned(&shop, id, status, returned_amount).await;
            let stored = payment(&shop, id).await;
            let refunded = if status == "refund" { 150_000 } else { returned_amount };
            assert_eq!((stored.state.as_str(), stored.refunded), (state, refunded), "{status}");
            let invoice = shop.invoice(invoice).await;
            let invoice_state = if owed == 0 { "paid" } else { "open" };
            assert_eq!((invoice.state.as_str(), invoice.remaining), (invoice_state, owed), "{status}");
            shop.agrees().await;
        }
    }
}

#[tokio::test]
async fn a_late_payment_pays_another_open_invoice() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let late = shop.begin(&shop.invoice(first).await, "qris", 200_000).await;
    shop.books.cancel(BY, ada, CancelAt::Now).await.unwrap();
    let second = shop.subscribe(ada, "pro").await.unwrap();
    shop.report(late, "settlement").await;
    assert_eq!((shop.invoice(second).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 50_000));
    assert_eq!((shop.state_of(ada).await.as_str(), shop.plan_of(ada).await.as_str()), ("active", "pro"));
    shop.agrees().await;
}

#[tokio::test]
async fn instructions_are_stored_after_a_faster_notification() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let id = shop.begin(&shop.invoice(invoice).await, "bca", 150_000).await;
    shop.report(id, "pending").await;
    let instructions = r#"{"va":{"bank":"bca","number":"12"}}"#;
    let state = PaymentState::Pending;
    let charged = |instructions, error| ChargeOutcome { state, transaction: Some("t-1"), instructions, error };
    for (instructions, error) in [(instructions, ""), (r#"{"va":{}}"#, "late")] {
        let mut tx = shop.store().begin().await.unwrap();
        payments::set_charge(shop.store(), &mut tx, id, charged(instructions, error)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let stored = payment(&shop, id).await;
    assert_eq!((stored.state.as_str(), stored.instructions.as_str()), ("pending", instructions));
    assert_eq!((stored.transaction, stored.error), (Some(format!("t-{id}")), String::new()));
}

#[tokio::test]
async fn a_payment_raises_the_revision_only_if_a_plan_changes() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let invoice = shop.subscribe(ada, "pro").await.unwrap();
    let id = shop.begin(&shop.invoice(invoice).await, "bca", 150_000).await;
    let before = shop.store().revision().await.unwrap();
    shop.report(id, "pending").await;
    shop.report(id, "pending").await;
    assert_eq!(shop.store().revision().await.unwrap(), before);
    shop.report(id, "settlement").await;
    assert_eq!(shop.plan_of(ada).await, "pro");
    assert!(shop.store().revision().await.unwrap() > before);
}

#[tokio::test]
async fn no_period_begins_for_a_suspended_user() {
    let shop = Shop::open("2026-11-01").await;
    let ada = shop.subscriber("ada", "pro").await;
    let bob = shop.subscriber("bob", "pro").await;
    let suspended = UserChange { status: Some(UserStatus::Suspended), ..UserChange::default() };
    shop.store().change_user(BY, &UserRef::Id(ada), suspended).await.unwrap();
    shop.move_to("2026-12-02");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    assert_eq!((shop.invoices_of(ada).await.len(), shop.invoices_of(bob).await.len()), (1, 2));
}

#[tokio::test]
async fn the_first_period_after_a_trial_is_whole() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    shop.subscribe(ada, "trial").await;
    shop.move_to("2026-12-04");
    assert_eq!(shop.books.close_periods(None).await.unwrap().made, 1);
    let invoice = shop.invoices_of(ada).await.remove(0);
    assert_eq!((invoice.first_day, invoice.last_day), (day("2026-12-04"), day("2027-01-03")));
    let subscription = subscriptions::present(shop.store(), ada).await.unwrap().unwrap();
    assert_eq!((subscription.anchor_day, subscription.last_day), (4, day("2027-01-03")));
}

#[tokio::test]
async fn voiding_an_invoice_does_not_forfeit_the_credit_note_that_it_used() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.subscriber("ada", "pro").await;
    let first = shop.invoices_of(ada).await.remove(0);
    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    shop.books.credit_invoice(BY, first.id, NewCreditNote::new(&line, "outage")).await.unwrap();
    assert_eq!(shop.wallet_of(ada).await, 50_000);
    shop.move_to("2026-12-20");
    shop.books.close_periods(None).await.unwrap();
    let next = shop.invoices_of(ada).await.into_iter().find(|invoice| invoice.state.as_str() == "open").unwrap();
    assert_eq!((next.remaining, shop.wallet_of(ada).await), (100_000, 0), "the credit pays a part of the next invoice");
    let refused = shop.books.void_invoice(BY, next.id).await;
    assert!(matches!(refused, Err(BillingError::Conflict(_))), "{refused:?}");
    assert_eq!((shop.invoice(next.id).await, shop.wallet_of(ada).await), (next.clone(), 0));
    // A credit note of the whole invoice gives the part back that the first one paid.
    let line = [CreditedLine { no: 1, amount: None }];
    shop.books.credit_invoice(BY, next.id, NewCreditNote::new(&line, "outage")).await.unwrap();
    assert_eq!((shop.invoice(next.id).await.state.as_str(), shop.wallet_of(ada).await), ("paid", 50_000));
    shop.agrees().await;
}

#[tokio::test]
async fn an_invoice_whose_credit_was_spent_and_whose_payment_was_taken_back_is_not_voided() {
    let shop = Shop::open("2026-11-20").await;
    let ada = shop.user("ada").await;
    let first = shop.subscribe(ada, "pro").await.unwrap();
    let card = shop.begin(&shop.invoice(first).await, "card", 150_000).await;
    shop.report(card, "capture").await;
    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    shop.books.credit_invoice(BY, first, NewCreditNote::new(&line, "outage")).await.unwrap();
    shop.move_to("2026-12-20");
    shop.books.close_periods(None).await.unwrap();
    assert_eq!(shop.wallet_of(ada).await, 0, "the next invoice used the credit");
    shop.report(card, "chargeback").await;
    let open = shop.invoice(first).await;
    assert_eq!((open.state.as_str(), open.remaining), ("open", 150_000));
    let refused = shop.books.void_invoice(BY, first).await;
    assert!(matches!(refused, Err(BillingError::CreditSpent)), "{refused:?}");
    assert_eq!(shop.invoice(first).await, open);
    shop.books.write_off_invoice(BY, first).await.unwrap();
    shop.agrees().await;
}

#[tokio::test]
async fn a_refund_that_is_refused_after_a_chargeback_leaves_the_payment_charged_back() {
    for is_refunded in [false, true] {
        let shop = Shop::open("2026-11-20").await;
        let provider = Provider::start(&shop).await;
        let (ada, invoice, card) = shop.cardholder().await;
        let line = [CreditedLine { no: 1, amount: None }];
        shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
        let new = NewRefund {
            invoice,
            amount: 150_000,
            reason: "outage",
            way: RefundWay::Midtrans,
            reference: "",
            expected: None,
        };
        provider.respond("/refund", 500, json!({"status_code": "500"}));
        let refund = if is_refunded { Some(provider.books.refund(BY, new).await.unwrap()) } else { None };
        assert_eq!(refund.as_ref().map_or("requested", |refund| refund.state.as_str()), "requested");
        shop.report(card, "chargeback").await;
        shop.agrees().await;
        provider.respond("/refund", 412, json!({"status_code": "412", "status_message": "charged back"}));
        for _ in 0..2 {
            if let Some(refund) = &refund {
                provider.books.send_refund(refund).await.unwrap();
            }
            // The credit note stays in the wallet, and the payment is owed again.
            let open = shop.invoice(invoice).await;
            assert_eq!((open.state.as_str(), open.remaining, shop.wallet_of(ada).await), ("open", 150_000, 150_000));
            let stored = payment(&shop, card).await;
            assert_eq!((stored.state.as_str(), stored.refunded), ("charged_back", 0));
            assert_eq!(shop.state_of(ada).await, "limited");
            shop.agrees().await;
        }
    }
}

#[tokio::test]
async fn a_chargeback_includes_what_was_returned_by_hand() {
    for (by_hand, state) in [(150_000, "refunded"), (50_000, "partly_refunded")] {
        let shop = Shop::open("2026-11-20").await;
        let (ada, invoice, card) = shop.cardholder().await;
        let line = [CreditedLine { no: 1, amount: Some(by_hand) }];
        shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
        shop.refund_by_hand(invoice, by_hand).await;
        assert_eq!(payment(&shop, card).await.state.as_str(), state);
        for _ in 0..2 {
            shop.report(card, "chargeback").await;
            let open = shop.invoice(invoice).await;
            assert_eq!(
                (open.state.as_str(), open.remaining, shop.wallet_of(ada).await),
                ("open", 150_000, 0),
                "{state}"
            );
            assert_eq!(payment(&shop, card).await.state.as_str(), "charged_back", "{state}");
            let mails = mails::of_user(shop.store(), ada, 100).await.unwrap();
            assert_eq!(mails.iter().filter(|mail| mail.kind.as_str() == "payment_reversed").count(), 1, "{state}");
            shop.agrees().await;
        }
    }
    // The bank cannot take back an amount that the provider has returned.
    let shop = Shop::open("2026-11-20").await;
    let (_, invoice, card) = shop.cardholder().await;
    returned(&shop, card, "refund", 0).await;
    returned(&shop, card, "partial_chargeback", 150_000).await;
    shop.report(card, "chargeback").await;
    assert_eq!(shop.invoice(invoice).await.state.as_str(), "paid");
    shop.agrees().await;
}

#[tokio::test]
async fn a_refund_that_the_bank_denies_goes_back_to_the_wallet() {
    let shop = Shop::open("2026-11-20").await;
    let provider = Provider::start(&shop).await;
    let (ada, invoice, card) = shop.cardholder().await;
    let line = [CreditedLine { no: 1, amount: Some(50_000) }];
    shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
    let denied = json!({"status_code": "202", "status_message": "Refund denied by the bank",
        "transaction_status": "settlement", "refund_amount": "0.00"});
    for http_status in [200, 202] {
        provider.respond("/refund", http_status, denied.clone());
        let new = NewRefund {
            invoice,
            amount: 50_000,
            reason: "outage",
            way: RefundWay::Midtrans,
            reference: "",
            expected: None,
        };
        let refund = provider.books.refund(BY, new).await.unwrap();
        assert_eq!((refund.state.as_str(), refund.error.as_str()), ("failed", "Refund denied by the bank"));
        assert_eq!((payment(&shop, card).await.refunded, shop.wallet_of(ada).await), (0, 50_000), "{http_status}");
        shop.agrees().await;
    }
    let mails = mails::of_user(shop.store(), ada, 100).await.unwrap();
    assert!(mails.iter().all(|mail| mail.kind.as_str() != "refund"), "{mails:?}");
}

#[tokio::test]
async fn the_provider_does_not_count_what_was_returned_by_hand() {
    for (status, owed, wallet) in [("partial_refund", 0, 10_000), ("partial_chargeback", 40_000, 50_000)] {
        let shop = Shop::open("2026-11-20").await;
        let (ada, invoice, card) = shop.cardholder().await;
        let line = [CreditedLine { no: 1, amount: Some(100_000) }];
        shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
        shop.refund_by_hand(invoice, 50_000).await;
        for _ in 0..2 {
            returned(&shop, card, status, 40_000).await;
            let stored = payment(&shop, card).await;
            assert_eq!((stored.state.as_str(), stored.refunded), ("partly_refunded", 90_000), "{status}");
            assert_eq!((shop.invoice(invoice).await.remaining, shop.wallet_of(ada).await), (owed, wallet), "{status}");
            shop.agrees().await;
        }
        // The whole payment is returned, whatever was returned by hand.
        returned(&shop, card, "refund", 0).await;
        assert_eq!(payment(&shop, card).await.refunded, 150_000);
        shop.agrees().await;
    }
}

#[tokio::test]
async fn a_partial_chargeback_takes_its_amount_back_although_money_was_returned_by_hand() {
    for (credited, by_hand, state) in [(100_000, 50_000, "partly_refunded"), (150_000, 150_000, "refunded")] {
        let shop = Shop::open("2026-11-20").await;
        let (ada, invoice, card) = shop.cardholder().await;
        let line = [CreditedLine { no: 1, amount: Some(credited) }];
        shop.books.credit_invoice(BY, invoice, NewCreditNote::new(&line, "outage")).await.unwrap();
        shop.refund_by_hand(invoice, by_hand).await;
        // Together they exceed the payment; the last report exceeds it alone.
        for (taken_back, owed) in [(120_000, 120_000), (120_000, 120_000), (170_000, 150_000), (170_000, 150_000)] {
            returned(&shop, card, "partial_chargeback", taken_back).await;
            let stored = payment(&shop, card).await;
            assert_eq!((stored.state.as_str(), stored.refunded), (state, 150_000), "{taken_back}");
            let wallet = shop.wallet_of(ada).await;
            assert_eq!((shop.invoice(invoice).await.remaining, wallet), (owed, credited - by_hand), "{taken_back}");
            shop.agrees().await;
        }
        returned(&shop, card, "chargeback", 0).await;
        let open = shop.invoice(invoice).await;
        assert_eq!((open.state.as_str(), open.remaining, open.total), ("open", 150_000, 150_000));
        shop.agrees().await;
    }
}
