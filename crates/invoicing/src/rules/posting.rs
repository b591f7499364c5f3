//! Double entry: each change of money is a set of signed entries that sums to zero.

use super::invoice_state::InvoiceState;

/// An account of the ledger. Debits are positive, credits negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Money that customers owe.
    Receivable,
    /// Money that was earned, without tax.
    Revenue,
    /// Tax that is owed to the state.
    Tax,
    /// Money that the payment provider received.
    Clearing,
    /// Money of customers that is kept for their next invoices.
    Wallet,
    /// Invoices that were given up.
    WriteOff,
}

/// A signed amount of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostingEntry {
    /// The account of the entry.
    pub account: Account,
    /// The amount: a debit is positive.
    pub amount: i64,
}

/// A change of money. All amounts are positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyEvent {
    /// An invoice is opened.
    Opened {
        /// The sum of the lines.
        subtotal: i64,
        /// The tax on it.
        tax: i64,
    },
    /// An open invoice is void.
    Voided {
        /// The sum of the lines, without the part that credit notes took back.
        subtotal: i64,
        /// The tax on it.
        tax: i64,
        /// The part that was paid, which is kept for the customer.
        to_wallet: i64,
    },
    /// Money arrives at the payment provider.
    Received {
        /// The part that pays the invoice.
        to_invoice: i64,
        /// The part that pays an invoice that was given up.
        to_written_off: i64,
        /// The rest, which is kept for the customer.
        to_wallet: i64,
    },
    /// The wallet pays an invoice.
    PaidFromWallet {
        /// The amount that is paid.
        amount: i64,
    },
    /// An open invoice is given up.
    WrittenOff {
        /// The amount that was not paid.
        remaining: i64,
    },
    /// A part of an invoice is taken back.
    Credited {
        /// The part of the subtotal.
        subtotal: i64,
        /// The part of the tax.
        tax: i64,
        /// The part that was returned already, without an explanation.
        returned: i64,
        /// The part that was paid already, which is kept for the customer.
        to_wallet: i64,
    },
    /// The provider took a payment back.
    Reversed {
        /// The part that is owed again.
        owed: i64,
        /// The part that had paid an invoice which was given up.
        written_off: i64,
        /// The part that was kept for the customer.
        from_wallet: i64,
    },
    /// The provider refused to return money, which is kept for the customer again.
    RefundRefused {
        /// The amount that was not returned.
        amount: i64,
    },
    /// Money is returned to the customer.
    Refunded {
        /// The part that was kept for the customer.
        from_wallet: i64,
        /// The rest, which no credit note explains.
        unexplained: i64,
    },
}

impl Account {
    /// All accounts, in their order.
    pub const ALL: [Self; 6] =
        [Self::Receivable, Self::Revenue, Self::Tax, Self::Clearing, Self::Wallet, Self::WriteOff];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::Tax => "tax",
            Self::Clearing => "clearing",
            Self::Wallet => "wallet",
            Self::WriteOff => "write_off",
        }
    }
}

impl MoneyEvent {
    /// Returns the entries without those of 0. Their sum is zero.
    #[must_use]
    pub fn entries(self) -> Vec<PostingEntry> {
        let mut entries: Vec<PostingEntry> =
            self.amounts().into_iter().map(|(account, amount)| PostingEntry { account, amount }).collect();
        entries.retain(|entry| entry.amount != 0);
        entries
    }

    fn amounts(self) -> Vec<(Account, i64)> {
        match self {
            Self::Opened { subtotal, tax } => {
                vec![(Account::Receivable, subtotal + tax), (Account::Revenue, -subtotal), (Account::Tax, -tax)]
            }
            Self::Voided { subtotal, tax, to_wallet } => vec![
                (Account::Receivable, to_wallet - subtotal - tax),
                (Account::Revenue, subtotal),
                (Account::Tax, tax),
                (Account::Wallet, -to_wallet),
            ],
            Self::Received { to_invoice, to_written_off, to_wallet } => vec![
                (Account::Clearing, to_invoice + to_written_off + to_wallet),
                (Account::Receivable, -to_invoice),
                (Account::WriteOff, -to_written_off),
                (Account::Wallet, -to_wallet),
            ],
            Self::PaidFromWallet { amount } => vec![(Account::Wallet, amount), (Account::Receivable, -amount)],
            Self::WrittenOff { remaining } => vec![(Account::WriteOff, remaining), (Account::Receivable, -remaining)],
            Self::Credited { subtotal, tax, returned, to_wallet } => vec![
                (Account::Revenue, subtotal),
                (Account::Tax, tax),
                (Account::Receivable, returned + to_wallet - subtotal - tax),
                (Account::WriteOff, -returned),
                (Account::Wallet, -to_wallet),
            ],
            Self::Reversed { owed, written_off, from_wallet } => vec![
                (Account::Receivable, owed),
                (Account::WriteOff, written_off),
                (Account::Wallet, from_wallet),
                (Account::Clearing, -owed - written_off - from_wallet),
            ],
            Self::RefundRefused { amount } => vec![(Account::Clearing, amount), (Account::Wallet, -amount)],
            Self::Refunded { from_wallet, unexplained } => vec![
                (Account::Wallet, from_wallet),
                (Account::WriteOff, unexplained),
                (Account::Clearing, -from_wallet - unexplained),
            ],
        }
    }

    /// Returns the use of a payment: an open invoice is paid, an invoice that was given up is recovered, and the rest is
    /// kept for the customer.
    #[must_use]
    pub fn received(invoice: Option<(InvoiceState, i64)>, amount: i64) -> Self {
        let paid = |remaining: i64| amount.min(remaining.max(0));
        let (to_invoice, to_written_off) = match invoice {
            Some((InvoiceState::Open, remaining)) => (paid(remaining), 0),
            Some((InvoiceState::Uncollectible, remaining)) => (0, paid(remaining)),
            Some((InvoiceState::Draft | InvoiceState::Review | InvoiceState::Paid | InvoiceState::Void, _)) | None => {
                (0, 0)
            }
        };
        Self::Received { to_invoice, to_written_off, to_wallet: amount - to_invoice - to_written_off }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(event: MoneyEvent) -> i64 {
        event.entries().iter().map(|entry| entry.amount).sum()
    }

    #[test]
    fn a_payment_after_expiry_is_kept_for_the_customer() {
        for invoice in [Some((InvoiceState::Void, 166_500)), Some((InvoiceState::Paid, 0)), None] {
            let received = MoneyEvent::received(invoice, 166_500);
            assert_eq!(received, MoneyEvent::Received { to_invoice: 0, to_written_off: 0, to_wallet: 166_500 });
        }
        let open = MoneyEvent::received(Some((InvoiceState::Open, 100)), 166);
        assert_eq!(open, MoneyEvent::Received { to_invoice: 100, to_written_off: 0, to_wallet: 66 });
        let recovered = MoneyEvent::received(Some((InvoiceState::Uncollectible, 166)), 166);
        assert_eq!(recovered, MoneyEvent::Received { to_invoice: 0, to_written_off: 166, to_wallet: 0 });
    }

    #[test]
    fn an_invoice_without_tax_has_two_entries() {
        let entries = MoneyEvent::Opened { subtotal: 150_000, tax: 0 }.entries();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries.first(), Some(&PostingEntry { account: Account::Receivable, amount: 150_000 }));
    }

    proptest! {
        #[test]
        fn every_event_sums_to_zero(a in 0_i64..1 << 50, b in 0_i64..1 << 50, c in 0_i64..1 << 50) {
            let events = [
                MoneyEvent::Opened { subtotal: a, tax: b },
                MoneyEvent::Voided { subtotal: a, tax: b, to_wallet: c },
                MoneyEvent::Received { to_invoice: a, to_written_off: b, to_wallet: c },
                MoneyEvent::PaidFromWallet { amount: a },
                MoneyEvent::WrittenOff { remaining: a },
                MoneyEvent::Credited { subtotal: a, tax: b, returned: b, to_wallet: c },
                MoneyEvent::Reversed { owed: a, written_off: b, from_wallet: c },
                MoneyEvent::RefundRefused { amount: a },
                MoneyEvent::Refunded { from_wallet: a, unexplained: b },
            ];
            for event in events {
                prop_assert_eq!(total(event), 0, "{:?}", event);
            }
        }
    }
}
