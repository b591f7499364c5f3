//! The texts of mails, in both languages.

use access::TimeZone;

use super::facts::MailFacts;
use crate::language::Language;
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::mail_kind::MailKind;
use crate::rules::payment::PaymentState;

/// The content of a mail, without its form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) subject: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) figures: Vec<(&'static str, String)>,
    pub(super) link: Option<(&'static str, String)>,
    pub(super) signature: String,
}

/// Writes a notice in one language.
pub(super) struct NoticeWriter<'a> {
    pub(super) facts: &'a MailFacts,
    pub(super) language: Language,
    /// The name of the seller.
    pub(super) seller: &'a str,
    /// The URL of the pages; `None`: no links.
    pub(super) pages: Option<&'a str>,
    /// The zone of printed times.
    pub(super) zone: TimeZone,
}

impl NoticeWriter<'_> {
    /// Returns the notice of a kind.
    pub(super) fn notice(&self, kind: MailKind) -> Notice {
        let (subject, body) = self.texts(kind);
        let mut paragraphs = Vec::with_capacity(3);
        if kind.is_for_finance() {
            paragraphs.push(body);
        } else {
            let hello = self.language.pick("Hello", "Halo");
            paragraphs.push(format!("{hello} {},", self.facts.customer));
            paragraphs.push(body);
        }
        Notice {
            subject,
            paragraphs,
            figures: self.figures(kind),
            link: self.link(kind),
            signature: self.seller.to_owned(),
        }
    }

    fn texts(&self, kind: MailKind) -> (String, String) {
        let number = self.facts.number();
        match kind {
            MailKind::InvoiceOpened => self.opened(number),
            MailKind::PaymentReceived => self.received(number),
            MailKind::ReminderFirst => self.reminder(number, "", ""),
            MailKind::ReminderSecond => self.reminder(number, ", three days ago,", ", tiga hari yang lalu,"),
            MailKind::ReminderLast => self.reminder(number, ", a week ago,", ", seminggu yang lalu,"),
            MailKind::AccessLimited => (
                self.pick(
                    format!("Your account is limited: invoice {number} is unpaid"),
                    format!("Akun Anda dibatasi: faktur {number} belum dibayar"),
                ),
                self.pick(
                    format!("Invoice {number} is unpaid. Until all overdue invoices are paid, your account has the limits of a smaller plan."),
                    format!("Faktur {number} belum dibayar. Akun Anda memakai batas paket yang lebih kecil sampai semua tagihan yang jatuh tempo dibayar."),
                ),
            ),
            MailKind::AccessClosed => (
                self.pick(
                    format!("Your keys no longer work: invoice {number} is unpaid"),
                    format!("Kunci Anda tidak dapat digunakan: faktur {number} belum dibayar"),
                ),
                self.pick(
                    format!("Invoice {number} is unpaid. Requests with your keys are refused until all overdue invoices are paid. You can still sign in and pay."),
                    format!("Faktur {number} belum dibayar. Permintaan dengan kunci Anda ditolak sampai semua tagihan yang jatuh tempo dibayar. Anda tetap dapat masuk dan membayar."),
                ),
            ),
            MailKind::PaymentReversed => self.reversed(number),
            MailKind::PaymentUnexpected => (
                self.pick(format!("Payment received for void invoice {number}"), format!("Pembayaran diterima untuk faktur batal {number}")),
                self.pick(
                    format!("We received a payment of {} for invoice {number}, which is void. The amount is in the customer's wallet.", self.paid()),
                    format!("Kami menerima pembayaran {} untuk faktur {number}, yang sudah batal. Jumlah tersebut ada di dompet pelanggan.", self.paid()),
                ),
            ),
            MailKind::CreditNote => self.credited(number),
            MailKind::Refund => {
                let amount = self.facts.refund.as_ref().map(|refund| self.money(refund.amount)).unwrap_or_default();
                (
                    self.pick(format!("Refund of {amount}"), format!("Pengembalian dana {amount}")),
                    self.pick(
                        format!("We refunded {amount} of your payment for invoice {number}. Your bank may need a few days to show it."),
                        format!("Kami mengembalikan {amount} dari pembayaran Anda untuk faktur {number}. Bank Anda mungkin memerlukan beberapa hari untuk memprosesnya."),
                    ),
                )
            }
        }
    }

    fn opened(&self, number: &str) -> (String, String) {
        let total = self.facts.invoice.as_ref().map(|invoice| self.money(invoice.total)).unwrap_or_default();
        let subject = self.pick(format!("Invoice {number}: {total}"), format!("Faktur {number}: {total}"));
        let is_paid = self.facts.invoice.as_ref().is_some_and(|invoice| invoice.remaining == 0);
        let body = if is_paid {
            self.pick(
                format!("Here is your invoice {number}. It is already paid; you do not need to do anything."),
                format!("Berikut faktur Anda {number}. Faktur ini sudah lunas; Anda tidak perlu melakukan apa pun."),
            )
        } else {
            let due = self.due();
            self.pick(
                format!("Here is your invoice {number}. Please pay it by {due}."),
                format!("Berikut faktur Anda {number}. Mohon bayar paling lambat {due}."),
            )
        };
        (subject, body)
    }

    fn received(&self, number: &str) -> (String, String) {
        let paid = self.paid();
        let subject = self.pick(format!("Payment of {paid} received"), format!("Pembayaran {paid} diterima"));
        let invoice = self.facts.invoice.as_ref();
        let is_void = invoice.is_some_and(|invoice| invoice.state == InvoiceState::Void);
        let body = match invoice.map(|invoice| invoice.remaining) {
            Some(_) if is_void => self.pick(
                format!("We received {paid} for invoice {number}, which is void. The amount is in your wallet and will pay your next invoices."),
                format!("Kami menerima {paid} untuk faktur {number}, yang sudah batal. Jumlah tersebut ada di dompet Anda dan akan dipakai untuk faktur berikutnya."),
            ),
            None => self.pick(
                format!("We received {paid}. The amount is in your wallet and will pay your next invoices."),
                format!("Kami menerima {paid}. Jumlah tersebut ada di dompet Anda dan akan dipakai untuk faktur berikutnya."),
            ),
            Some(0) => self.pick(
                format!("We received {paid} for invoice {number}. The invoice is now fully paid. Thank you."),
                format!("Kami menerima {paid} untuk faktur {number}. Faktur ini sudah lunas. Terima kasih."),
            ),
            Some(rest) => self.pick(
                format!("We received {paid} for invoice {number}. {} remains to be paid.", self.money(rest)),
                format!("Kami menerima {paid} untuk faktur {number}. Masih ada {} yang belum dibayar.", self.money(rest)),
            ),
        };
        (subject, body)
    }

    fn reversed(&self, number: &str) -> (String, String) {
        let paid = self.paid();
        // A top-up has no invoice.
        let of = if number.is_empty() {
            String::new()
        } else {
            self.pick(format!(" for invoice {number}"), format!(" untuk faktur {number}"))
        };
        // A stored payment has one amount for partial chargebacks and refunds, so the mail has none.
        let whole = [PaymentState::Reversed, PaymentState::ChargedBack];
        let is_whole = self.facts.payment.as_ref().is_some_and(|payment| whole.contains(&payment.state));
        let taken = if is_whole {
            self.pick(format!("A payment of {paid}"), format!("Pembayaran {paid}"))
        } else {
            self.pick(format!("Part of a payment of {paid}"), format!("Sebagian dari pembayaran {paid}"))
        };
        (
            self.pick(format!("{taken} was reversed"), format!("{taken} ditarik kembali")),
            self.pick(
                format!("{taken}{of} was reversed by the bank or the payment provider."),
                format!("{taken}{of} ditarik kembali oleh bank atau penyedia pembayaran."),
            ),
        )
    }

    fn reminder(&self, number: &str, english: &str, indonesian: &str) -> (String, String) {
        let due = self.due();
        (
            self.pick(
                format!("Reminder: invoice {number} is unpaid"),
                format!("Pengingat: faktur {number} belum dibayar"),
            ),
            self.pick(
                format!("Invoice {number} was due on {due}{english} and is still unpaid. If you do not pay it, your plan will be limited. If you have already paid, please ignore this message."),
                format!("Faktur {number} jatuh tempo pada {due}{indonesian} dan belum dibayar. Jika tidak dibayar, paket Anda akan dibatasi. Jika Anda sudah membayar, abaikan pesan ini."),
            ),
        )
    }

    fn credited(&self, number: &str) -> (String, String) {
        let corrected = self.facts.corrected.as_ref().and_then(|invoice| invoice.number.as_deref()).unwrap_or_default();
        let total = self.facts.invoice.as_ref().map(|invoice| self.money(invoice.total)).unwrap_or_default();
        (
            self.pick(format!("Credit note {number}: {total}"), format!("Nota kredit {number}: {total}")),
            self.pick(
                format!("This credit note reduces invoice {corrected}. If you had already paid this part, the money is now in your wallet."),
                format!("Nota kredit ini mengurangi faktur {corrected}. Jika bagian ini sudah Anda bayar, uangnya sekarang ada di dompet Anda."),
            ),
        )
    }

    fn figures(&self, kind: MailKind) -> Vec<(&'static str, String)> {
        let mut figures = Vec::new();
        if let Some(invoice) = &self.facts.invoice {
            let [first_day, last_day] = invoice.invoiced_days().map(|day| self.language.day(day));
            let days = format!("{first_day} – {last_day}");
            figures.push((self.language.pick("Number", "Nomor"), self.facts.number().to_owned()));
            figures.push((self.language.pick("Period", "Periode"), days));
            figures.push((self.language.pick("Total", "Total"), self.money(invoice.total)));
            if invoice.kind != InvoiceKind::CreditNote {
                figures.push((self.language.pick("Unpaid", "Belum dibayar"), self.money(invoice.remaining)));
            }
        }
        if kind.is_for_finance()
            && let Some(payment) = &self.facts.payment
        {
            figures.push((self.language.pick("Order", "Pesanan"), payment.order.clone()));
            figures.push((self.language.pick("Method", "Cara"), payment.method.clone()));
            figures.push((
                self.language.pick("User", "Pengguna"),
                self.facts.user.map(|user| user.0.to_string()).unwrap_or_default(),
            ));
        }
        let reason = self.facts.refund.as_ref().map(|refund| &refund.reason);
        let reason = reason.or(self.facts.invoice.as_ref().map(|invoice| &invoice.reason));
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            figures.push((self.language.pick("Reason", "Alasan"), reason.clone()));
        }
        figures
    }

    fn link(&self, kind: MailKind) -> Option<(&'static str, String)> {
        let pages = self.pages?;
        Some(match &self.facts.invoice {
            Some(invoice) if !kind.is_for_finance() => {
                if invoice.remaining > 0 {
                    (self.language.pick("Pay", "Bayar"), format!("{pages}/dashboard/pay?id={}", invoice.id))
                } else {
                    (
                        self.language.pick("Show the invoice", "Tampilkan faktur"),
                        format!("{pages}/dashboard/invoices?id={}", invoice.id),
                    )
                }
            }
            Some(_) | None => (self.language.pick("Billing", "Tagihan"), format!("{pages}/dashboard/billing")),
        })
    }

    fn paid(&self) -> String {
        self.facts.payment.as_ref().map(|payment| self.money(payment.amount)).unwrap_or_default()
    }

    fn due(&self) -> String {
        let due = self.facts.invoice.as_ref().and_then(|invoice| invoice.due_at);
        due.map(|due| self.language.moment(due, self.zone)).unwrap_or_default()
    }

    fn money(&self, amount: i64) -> String {
        self.language.money(amount, self.facts.currency())
    }

    fn pick(&self, english: String, indonesian: String) -> String {
        match self.language {
            Language::English => english,
            Language::Indonesian => indonesian,
        }
    }
}

#[cfg(test)]
mod tests {
    use access::{Currency, Day, Timestamp, UserId};
    use ledger::billing::{StoredInvoice, StoredPayment};
    use uuid::Uuid;

    use super::*;

    fn void_invoice() -> StoredInvoice {
        StoredInvoice {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            subscription: None,
            kind: InvoiceKind::Change,
            of_invoice: None,
            target_version: None,
            first_day: Day(0),
            last_day: Day(0),
            state: InvoiceState::Void,
            number: Some("INV-1".to_owned()),
            currency: Currency::Idr,
            subtotal: 150_000,
            tax_name: String::new(),
            tax_rate: String::new(),
            tax_base: 0,
            tax: 0,
            total: 150_000,
            remaining: 0,
            issued_at: None,
            due_at: None,
            digest: String::new(),
            tax_invoice_number: String::new(),
            reason: String::new(),
            usage_days: None,
            created_at: Timestamp(0),
        }
    }

    fn reversed(state: PaymentState) -> MailFacts {
        let payment = StoredPayment {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            invoice: None,
            order: "TG-1".to_owned(),
            method: "qris".to_owned(),
            amount: 150_000,
            state,
            transaction: None,
            instructions: String::new(),
            expires_at: Timestamp(0),
            refunded: 0,
            checked_at: None,
            error: String::new(),
            created_at: Timestamp(0),
        };
        MailFacts { payment: Some(payment), ..MailFacts::default() }
    }

    fn check_reversed(state: PaymentState, language: Language, expected: &str) {
        let facts = reversed(state);
        let writer = NoticeWriter { facts: &facts, language, seller: "PT Contoh", pages: None, zone: TimeZone::UTC };
        assert_eq!(writer.notice(MailKind::PaymentReversed).paragraphs, [expected]);
    }

    #[test]
    fn a_customer_who_paid_a_void_invoice_has_the_money_in_the_wallet() {
        let facts = MailFacts { invoice: Some(void_invoice()), ..reversed(PaymentState::Paid) };
        let english = "We received IDR 150,000 for invoice INV-1, which is void. The amount is in your wallet and will pay your next invoices.";
        let indonesian = "Kami menerima Rp150.000 untuk faktur INV-1, yang sudah batal. Jumlah tersebut ada di dompet Anda dan akan dipakai untuk faktur berikutnya.";
        for (language, expected) in [(Language::English, english), (Language::Indonesian, indonesian)] {
            let writer =
                NoticeWriter { facts: &facts, language, seller: "PT Contoh", pages: None, zone: TimeZone::UTC };
            assert_eq!(writer.notice(MailKind::PaymentReceived).paragraphs.last().unwrap(), expected);
        }
    }

    #[test]
    fn a_payment_without_an_invoice_is_taken_back_for_no_invoice() {
        let english = "A payment of IDR 150,000 was reversed by the bank or the payment provider.";
        let indonesian = "Pembayaran Rp150.000 ditarik kembali oleh bank atau penyedia pembayaran.";
        check_reversed(PaymentState::Reversed, Language::English, english);
        check_reversed(PaymentState::Reversed, Language::Indonesian, indonesian);
        check_reversed(PaymentState::ChargedBack, Language::English, english);
    }

    #[test]
    fn a_partial_chargeback_is_a_part_of_the_payment() {
        let english = "Part of a payment of IDR 150,000 was reversed by the bank or the payment provider.";
        let indonesian = "Sebagian dari pembayaran Rp150.000 ditarik kembali oleh bank atau penyedia pembayaran.";
        check_reversed(PaymentState::PartlyRefunded, Language::English, english);
        check_reversed(PaymentState::PartlyRefunded, Language::Indonesian, indonesian);
    }
}
