//! An invoice or a credit note as a document for printing: the figures of the API, in one language, as HTML or PDF.

mod html;
mod pdf;
mod sample;
mod texts;

use access::{ChargeMetric, Currency, Day, TimeZone, UnitPrice};
use ledger::billing::{InvoiceParties, InvoiceParty, ReceivedMoney, StoredInvoice, StoredInvoiceLine};

use self::texts::{DocumentTexts, PartyTexts, RowTexts, SumTexts};
use crate::channel::{ChannelKind, PaymentChannel};
use crate::language::Language;
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::rounding::half_up;

pub use pdf::PdfError;
pub use sample::SampleInvoice;

/// Pico units in one unit of a currency.
const PICO: i128 = 1_000_000_000_000;
const NANO: i128 = 1_000_000_000;

/// The content of a document.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceDocument<'a> {
    /// The invoice, or the credit note.
    pub invoice: &'a StoredInvoice,
    /// The lines in the order of printing.
    pub lines: &'a [StoredInvoiceLine],
    /// The money that has paid the invoice, from the oldest.
    pub received: &'a [ReceivedMoney],
    /// The seller and the customer.
    pub parties: &'a InvoiceParties,
    /// The number of the invoice that a credit note corrects.
    pub corrected: Option<&'a str>,
    /// The language of the page.
    pub language: Language,
    /// The zone of printed times. Days of usage are in UTC.
    pub zone: TimeZone,
}

impl InvoiceDocument<'_> {
    /// Returns the document as an HTML page, with its style.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(&self.texts())
    }

    /// Returns the document as a PDF file. Equal documents have equal bytes.
    ///
    /// # Errors
    /// [`PdfError`] if the file cannot be written.
    pub fn pdf(&self) -> Result<Vec<u8>, PdfError> {
        pdf::file(&self.texts(), self.invoice.issued_at)
    }

    fn texts(&self) -> DocumentTexts {
        let language = self.language;
        DocumentTexts {
            language,
            title: format!("{} {}", self.title(), self.invoice.number.as_deref().unwrap_or_default()),
            head: self.head(),
            parties: [
                self.party(language.pick("From", "Dari"), &self.parties.seller),
                self.party(language.pick("To", "Kepada"), &self.parties.customer),
            ],
            columns: [
                language.pick("Description", "Keterangan"),
                language.pick("Quantity", "Kuantitas"),
                language.pick("Unit price", "Harga satuan"),
                language.pick("Amount", "Jumlah"),
            ],
            rows: self.lines.iter().map(|line| self.row(line)).collect(),
            sums: self.sums(),
        }
    }

    fn title(&self) -> &'static str {
        if self.invoice.kind == InvoiceKind::CreditNote {
            self.language.pick("Credit note", "Nota kredit")
        } else {
            self.language.pick("Invoice", "Faktur")
        }
    }

    fn head(&self) -> Vec<(String, String)> {
        let of = self.invoice;
        let language = self.language;
        let row = |english, indonesian, value: String| (language.pick(english, indonesian).to_owned(), value);
        let mut rows = vec![row("Status", "Status", self.state().to_owned())];
        if let Some(at) = of.issued_at {
            rows.push(row("Issued", "Terbit", language.moment(at, self.zone)));
        }
        if let Some(at) = of.due_at
            && of.kind != InvoiceKind::CreditNote
        {
            rows.push(row("Due", "Jatuh tempo", language.moment(at, self.zone)));
        }
        if of.state == InvoiceState::Paid {
            rows.extend(self.payment_rows());
        }
        let [first_day, last_day] = of.invoiced_days();
        rows.push(row("Period (UTC)", "Periode (UTC)", self.days(first_day, last_day)));
        if let Some(number) = self.corrected {
            rows.push(row("For invoice", "Untuk faktur", number.to_owned()));
        }
        if !of.reason.is_empty() {
            rows.push(row("Reason", "Alasan", of.reason.clone()));
        }
        if !of.tax_invoice_number.is_empty() {
            rows.push(row("Tax invoice", "Faktur pajak", of.tax_invoice_number.clone()));
        }
        rows
    }

    /// Returns when a paid invoice was paid, and by which methods.
    fn payment_rows(&self) -> Vec<(String, String)> {
        let language = self.language;
        let paid_at = self.received.iter().map(ReceivedMoney::received_at).max();
        let paid_on = paid_at.map(|at| (language.pick("Paid on", "Dibayar pada"), language.moment(at, self.zone)));
        let by = |money: &ReceivedMoney| {
            let method = method(money, language);
            (language.pick("Paid by", "Dibayar dengan"), format!("{method}, {}", self.money(money.amount)))
        };
        let rows = paid_on.into_iter().chain(self.received.iter().map(by));
        rows.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn sums(&self) -> Vec<SumTexts> {
        let of = self.invoice;
        let language = self.language;
        let sum = |name: String, amount: i64| SumTexts { name, value: self.money(amount), is_total: false };
        let mut sums = vec![sum(language.pick("Subtotal", "Subtotal").to_owned(), of.subtotal)];
        if !of.tax_name.is_empty() {
            let base = language.pick("Base of", "Dasar pengenaan");
            sums.push(sum(format!("{base} {}", of.tax_name), of.tax_base));
            sums.push(sum(format!("{} {}", of.tax_name, percent(&of.tax_rate, language)), of.tax));
        }
        sums.push(SumTexts { is_total: true, ..sum("Total".to_owned(), of.total) });
        if of.kind != InvoiceKind::CreditNote {
            sums.push(sum(language.pick("Unpaid", "Belum dibayar").to_owned(), of.remaining));
        }
        sums
    }

    fn row(&self, line: &StoredInvoiceLine) -> RowTexts {
        let language = self.language;
        let price =
            unit_price(line, self.invoice.currency).map(|price| language.unit_price(price.pico, price.currency));
        RowTexts {
            text: line.text.clone(),
            days: self.days(stored_day(line.first_day), stored_day(line.last_day)),
            quantity: quantity(line, language),
            price: price.unwrap_or_default(),
            amount: self.money(line.amount),
        }
    }

    fn party(&self, label: &'static str, of: &InvoiceParty) -> PartyTexts {
        let tax_number = if of.tax_number.is_empty() {
            String::new()
        } else {
            format!("{} {}", self.language.pick("Tax number", "NPWP"), of.tax_number)
        };
        let lines = [of.name.clone(), of.address.clone(), tax_number, of.email.clone()];
        PartyTexts { label, lines: lines.into_iter().filter(|text| !text.is_empty()).collect() }
    }

    fn state(&self) -> &'static str {
        match self.invoice.state {
            InvoiceState::Review => self.language.pick("In review", "Ditinjau"),
            InvoiceState::Open => self.language.pick("Not paid", "Belum dibayar"),
            InvoiceState::Void => self.language.pick("Void", "Batal"),
            InvoiceState::Uncollectible => self.language.pick("Written off", "Dihapusbukukan"),
            InvoiceState::Paid => self.language.pick("Paid", "Lunas"),
            InvoiceState::Draft => self.language.pick("Draft", "Konsep"),
        }
    }

    fn days(&self, first: Day, last: Day) -> String {
        if first == last {
            return self.language.day(first);
        }
        format!("{} – {}", self.language.day(first), self.language.day(last))
    }

    fn money(&self, amount: i64) -> String {
        self.language.money(amount, self.invoice.currency)
    }
}

/// Returns the price of a unit of a line; `None` if the units have no single price. The stored price may be that of a
/// package, which does not give the amount.
#[must_use]
pub fn unit_price(line: &StoredInvoiceLine, currency: Currency) -> Option<UnitPrice> {
    let pico = line.unit_price_pico?;
    let smallest = match currency {
        Currency::Idr => PICO,
        Currency::Usd => PICO / NANO,
    };
    let product = i128::from(line.quantity) * i128::from(pico);
    (half_up(product, smallest) == Ok(line.amount)).then_some(UnitPrice { pico, currency })
}

pub(crate) fn stored_day(days: i64) -> Day {
    Day(u32::try_from(days).unwrap_or(0))
}

/// Writes the quantity of a line with its unit. A cost is written in dollars with all decimal places, from which the amount
/// follows.
fn quantity(line: &StoredInvoiceLine, language: Language) -> String {
    const PICO_PER_NANO: i64 = 1_000;
    if line.unit == ChargeMetric::Cost.unit() {
        // A cost above 9.2 billion USD is not invoiced by one line.
        let nano = i64::try_from(line.quantity).unwrap_or(i64::MAX);
        return match nano.checked_mul(PICO_PER_NANO) {
            Some(pico) => language.unit_price(pico, Currency::Usd),
            None => language.money(nano, Currency::Usd),
        };
    }
    format!("{} {}", language.number(line.quantity), unit(&line.unit, language))
}

/// Returns the name of the method by which money was received.
fn method(money: &ReceivedMoney, language: Language) -> String {
    let channel = money.method.as_deref().and_then(PaymentChannel::of_name);
    match channel.map(|channel| (channel.kind(), channel.bank_name())) {
        Some((ChannelKind::Qris, _)) => "QRIS".to_owned(),
        Some((ChannelKind::VirtualAccount, bank)) => format!("virtual account {}", bank.unwrap_or_default()),
        Some((ChannelKind::Card, _)) => language.pick("card", "kartu").to_owned(),
        None => language.pick("wallet", "dompet").to_owned(),
    }
}

/// Returns the name of a unit.
fn unit(name: &str, language: Language) -> &str {
    match name {
        "period" => language.pick("period", "periode"),
        "requests" => language.pick("requests", "permintaan"),
        "credits" => language.pick("credits", "kredit"),
        "tokens" => language.pick("tokens", "token"),
        name => name,
    }
}

/// Decimal places of a percentage in millionths.
const PERCENT_PLACES: usize = 4;

/// Writes a rate that is stored as a fraction: `12%`. Another text has none.
#[must_use]
pub fn percent(rate: &str, language: Language) -> String {
    let parts =
        rate.split_once('/').and_then(|(one, other)| Some((one.parse::<u64>().ok()?, other.parse::<u64>().ok()?)));
    let Some((numerator, denominator)) = parts.filter(|(_, denominator)| *denominator > 0) else {
        return String::new();
    };
    let millionths = u128::from(numerator) * 1_000_000 / u128::from(denominator);
    let decimals = format!("{:0PERCENT_PLACES$}", millionths % 10_000);
    match decimals.trim_end_matches('0') {
        "" => format!("{}%", millionths / 10_000),
        decimals => format!("{}{}{decimals}%", millionths / 10_000, language.pick(".", ",")),
    }
}

#[cfg(test)]
mod tests;
