//! Payments: every order of statuses, refunds, and statuses of the provider.

use proptest::prelude::*;

use super::*;

const SEEN: [Seen; 12] = [
    Seen::NotAttempted,
    Seen::Pending,
    Seen::Success,
    Seen::LateSuccess,
    Seen::Challenge,
    Seen::Failure,
    Seen::Reversal,
    Seen::PartialRefund,
    Seen::Refund,
    Seen::PartialChargeback,
    Seen::Chargeback,
    Seen::Unknown,
];

fn status(transaction_status: &str) -> ProviderStatus<'_> {
    ProviderStatus {
        transaction_status,
        fraud_status: None,
        is_success_code: true,
        is_other_transaction: false,
        may_be_late: false,
        is_reversible: false,
        is_cancellable: false,
    }
}

#[test]
fn a_notification_out_of_order_does_not_move_a_payment_back() {
    for state in [State::Paid, State::Reversed, State::PartlyRefunded, State::Refunded, State::ChargedBack] {
        for seen in ["pending", "authorize", "expire", "cancel", "deny", "settlement", "capture", "new"] {
            assert_eq!(state.after(status(seen).seen(state)), None, "{state:?} {seen}");
        }
    }
    assert_eq!(State::Failed.after(status("pending").seen(State::Failed)), None);
    assert_eq!(State::Failed.after(status("settlement").seen(State::Failed)), None);
}

#[test]
fn a_payment_is_paid_by_settlement_or_an_accepted_capture() {
    let paid = Some((State::Paid, Moved::Received));
    for seen in ["settlement", "SETTLEMENT", "capture"] {
        assert_eq!(State::Pending.after(status(seen).seen(State::Pending)), paid, "{seen}");
        let refused = ProviderStatus { is_success_code: false, ..status(seen) };
        assert_eq!(State::Pending.after(refused.seen(State::Pending)), None, "{seen}");
    }
    let challenge = ProviderStatus { fraud_status: Some("challenge"), ..status("capture") };
    assert_eq!(State::Pending.after(challenge.seen(State::Pending)), Some((State::Held, Moved::None)));
    assert_eq!(State::Held.after(challenge.seen(State::Held)), None);
    let approved = ProviderStatus { fraud_status: Some("challenge"), ..status("settlement") };
    assert_eq!(State::Held.after(approved.seen(State::Held)), paid);
    let denied = ProviderStatus { fraud_status: Some("deny"), ..status("capture") };
    assert_eq!(State::Pending.after(denied.seen(State::Pending)), Some((State::Failed, Moved::None)));
}

#[test]
fn a_failed_payment_is_paid_only_by_another_transaction_or_a_late_code() {
    let paid = Some((State::Paid, Moved::Received));
    let other = ProviderStatus { is_other_transaction: true, ..status("settlement") };
    let late = ProviderStatus { may_be_late: true, ..status("settlement") };
    assert_eq!(State::Failed.after(other.seen(State::Failed)), paid);
    assert_eq!(State::Failed.after(late.seen(State::Failed)), paid);
}

#[test]
fn only_banks_that_can_take_payments_back_reverse_one() {
    let deny = ProviderStatus { is_reversible: true, ..status("deny") };
    for state in [State::Paid, State::PartlyRefunded, State::Refunded] {
        assert_eq!(state.after(deny.seen(state)), Some((State::Reversed, Moved::Reversed)), "{state:?}");
    }
    assert_eq!(State::Pending.after(deny.seen(State::Pending)), Some((State::Failed, Moved::None)));
    assert_eq!(State::Paid.after(status("deny").seen(State::Paid)), None);
}

#[test]
fn a_card_payment_that_is_cancelled_before_its_settlement_is_refunded() {
    let cancel = ProviderStatus { is_cancellable: true, ..status("cancel") };
    let other = ProviderStatus { is_other_transaction: true, ..cancel };
    for state in [State::Paid, State::PartlyRefunded] {
        assert_eq!(state.after(cancel.seen(state)), Some((State::Refunded, Moved::Refunded)), "{state:?}");
        assert_eq!(state.after(other.seen(state)), None, "{state:?}");
    }
    for state in [State::Reversed, State::Refunded, State::ChargedBack] {
        assert_eq!(state.after(cancel.seen(state)), None, "{state:?}");
    }
    assert_eq!(State::Pending.after(cancel.seen(State::Pending)), Some((State::Failed, Moved::None)));
}

#[test]
fn a_partial_chargeback_leaves_the_rest_to_a_later_one() {
    let part = status("partial_chargeback").seen(State::Paid);
    assert_eq!(State::Paid.after(part), Some((State::PartlyRefunded, Moved::PartlyReversed)));
    let rest = status("chargeback").seen(State::PartlyRefunded);
    assert_eq!(State::PartlyRefunded.after(rest), Some((State::ChargedBack, Moved::Reversed)));
}

#[test]
fn a_return_follows_a_success_that_an_unpaid_payment_can_still_have() {
    for seen in SEEN.into_iter().filter(|seen| seen.follows_success()) {
        assert!(State::Paid.after(seen).is_some(), "{seen:?}");
        for state in [State::Created, State::Pending, State::Held, State::Failed] {
            assert_eq!(state.after(seen), None, "{state:?} {seen:?}");
            assert_eq!(state.after(Seen::LateSuccess), Some((State::Paid, Moved::Received)), "{state:?}");
        }
    }
    assert_eq!(SEEN.into_iter().filter(|seen| seen.follows_success()).count(), 4);
}

#[test]
fn no_more_is_refunded_than_was_paid() {
    assert_eq!(check_refund(166_500, 0, 166_500), Ok(()));
    assert_eq!(check_refund(166_500, 100_000, 66_500), Ok(()));
    for (refunded, amount) in [(100_000, 66_501), (166_500, 1), (0, 0), (0, -1), (0, i64::MAX)] {
        let most = 166_500 - refunded;
        assert_eq!(check_refund(166_500, refunded, amount), Err(RefundTooLarge { most }));
    }
}

#[test]
fn no_pair_has_two_rows() {
    for (at, (from, seen, ..)) in TABLE.iter().enumerate() {
        let same = TABLE.iter().skip(at + 1).any(|(other, on, ..)| (other, on) == (from, seen));
        assert!(!same, "{from:?} {seen:?}");
    }
}

proptest! {
    /// However statuses arrive, money is received at most once, and taken back at most once after that.
    #[test]
    fn any_order_of_statuses_moves_money_once(order in prop::collection::vec(0_usize..SEEN.len(), 0..60)) {
        let mut state = State::Created;
        let mut received = 0;
        let mut reversed = 0;
        for seen in order.into_iter().map(|at| SEEN[at]) {
            let Some((next, money)) = state.after(seen) else { continue };
            state = next;
            match money {
                Moved::Received => received += 1,
                Moved::Reversed => reversed += 1,
                Moved::Refunded | Moved::PartlyReversed => prop_assert_eq!(received, 1),
                Moved::None => {}
            }
            prop_assert!(received <= 1 && reversed <= received);
        }
        let is_paid = matches!(state, State::Paid | State::PartlyRefunded | State::Refunded);
        prop_assert!(!is_paid || (received, reversed) == (1, 0));
    }
}
