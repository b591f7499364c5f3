//! An invoice or a credit note as a printable page: the figures of the API, in one language, without scripts.

use std::fmt::Write as _;

use access::Day;
use ledger::billing::{InvoiceParties, InvoiceParty, StoredInvoice, StoredInvoiceLine};

use crate::language::Language;
use crate::markup::escaped;

/// The content of a document.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceDocument<'a> {
    /// The invoice, or the credit note.
    pub invoice: &'a StoredInvoice,
    /// The lines in the order of printing.
    pub lines: &'a [StoredInvoiceLine],
    /// The seller and the customer.
    pub parties: &'a InvoiceParties,
    /// The number of the invoice that a credit note corrects.
    pub corrected: Option<&'a str>,
    /// The language of the page.
    pub language: Language,
}

/// The style of the page, which prints on A4.
const STYLE: &str = "@page{size:A4;margin:18mm}body{font:15px/1.5 system-ui,sans-serif;color:#1c1917;max-width:50em;margin:2em auto;padding:0 1em}\
h1{font-size:1.6em;margin:0}header,section{display:flex;flex-wrap:wrap;justify-content:space-between;gap:1em 3em;margin-bottom:2em}\
address{font-style:normal;max-width:22em;overflow-wrap:anywhere}dl{display:grid;grid-template-columns:auto auto;gap:.2em 2em;margin:0;align-content:start}\
dt,th,small{color:#57534e;font-weight:400}dd{margin:0;text-align:right}table{border-collapse:collapse;width:100%}\
th,td{padding:.5em 0 .5em 1em;text-align:right;vertical-align:top;border-bottom:1px solid #d6d3d1}\
th:first-child,td:first-child{text-align:left;padding-left:0;overflow-wrap:anywhere}small{display:block}\
.sums{margin:1.5em 0 0 auto;max-width:24em}.sums .total{font-weight:600}tr{break-inside:avoid}";

impl InvoiceDocument<'_> {
    /// Returns the page, with its style.
    #[must_use]
    pub fn html(&self) -> String {
        let (language, number) = (self.language, self.invoice.number.as_deref().unwrap_or_default());
        let title = format!("{} {number}", self.title());
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n",
            language.code(),
            escaped(&title),
            escaped(&title)
        );
        page.push_str(&listed("", &self.head()));
        page.push_str("</header>\n<section>\n");
        page.push_str(&self.party(language.pick("From", "Dari"), &self.parties.seller));
        page.push_str(&self.party(language.pick("To", "Kepada"), &self.parties.customer));
        page.push_str("</section>\n");
        page.push_str(&self.table());
        page.push_str(&listed("sums", &self.sums()));
        page.push_str("</body>\n</html>\n");
        page
    }

    fn title(&self) -> &'static str {
        if self.invoice.kind == "credit_note" {
            self.language.pick("Credit note", "Nota kredit")
        } else {
            self.language.pick("Invoice", "Faktur")
        }
    }

    fn head(&self) -> Vec<(String, String)> {
        let (of, language) = (self.invoice, self.language);
        let row = |english, indonesian, value: String| (language.pick(english, indonesian).to_owned(), value);
        let mut rows = vec![row("Status", "Status", self.state().to_owned())];
        if let Some(at) = of.issued_at {
            rows.push(row("Issued", "Terbit", language.moment(at)));
        }
        if let Some(at) = of.due_at.filter(|_| of.kind != "credit_note") {
            rows.push(row("Due", "Jatuh tempo", language.moment(at)));
        }
        rows.push(row("Period (UTC)", "Periode (UTC)", self.days(of.first_day, of.last_day)));
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

    fn sums(&self) -> Vec<(String, String)> {
        let (of, language) = (self.invoice, self.language);
        let mut rows = vec![(language.pick("Subtotal", "Subtotal").to_owned(), self.money(of.subtotal))];
        if !of.tax_name.is_empty() {
            let base = language.pick("Base of", "Dasar pengenaan").to_owned();
            rows.push((format!("{base} {}", of.tax_name), self.money(of.tax_base)));
            rows.push((format!("{} {}", of.tax_name, percent(&of.tax_rate, language)), self.money(of.tax)));
        }
        rows.push(("Total".to_owned(), self.money(of.total)));
        if of.kind != "credit_note" {
            rows.push((language.pick("Unpaid", "Belum dibayar").to_owned(), self.money(of.remaining)));
        }
        rows
    }

    fn table(&self) -> String {
        let language = self.language;
        let mut table = format!(
            "<table>\n<thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>\n<tbody>\n",
            language.pick("Description", "Keterangan"),
            language.pick("Quantity", "Kuantitas"),
            language.pick("Unit price", "Harga satuan"),
            language.pick("Amount", "Jumlah")
        );
        for line in self.lines {
            let price = line.unit_price_pico.map(|pico| language.unit_price(pico, self.invoice.currency));
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "<tr><td>{}<small>{}</small></td><td>{} {}</td><td>{}</td><td>{}</td></tr>",
                escaped(&line.text),
                escaped(&self.days(stored_day(line.first_day), stored_day(line.last_day))),
                language.number(line.quantity.unsigned_abs()),
                escaped(unit(&line.unit, language)),
                escaped(&price.unwrap_or_default()),
                escaped(&self.money(line.amount))
            );
        }
        table.push_str("</tbody>\n</table>\n");
        table
    }

    fn party(&self, label: &str, of: &InvoiceParty) -> String {
        let tax_number = if of.tax_number.is_empty() {
            String::new()
        } else {
            format!("{} {}", self.language.pick("Tax number", "NPWP"), of.tax_number)
        };
        let texts = [&of.name, &of.address, &tax_number, &of.email];
        let lines: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).map(|text| escaped(text)).collect();
        format!("<address><small>{label}</small>{}</address>\n", lines.join("<br>"))
    }

    fn state(&self) -> &'static str {
        match self.invoice.state.as_str() {
            "review" => self.language.pick("In review", "Ditinjau"),
            "open" => self.language.pick("Not paid", "Belum dibayar"),
            "void" => self.language.pick("Void", "Batal"),
            "uncollectible" => self.language.pick("Written off", "Dihapusbukukan"),
            _ => self.language.pick("Paid", "Lunas"),
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

/// Returns a list of names and values. The row named `Total` is emphasized.
fn listed(class: &str, rows: &[(String, String)]) -> String {
    let mut list = if class.is_empty() { "<dl>\n".to_owned() } else { format!("<dl class=\"{class}\">\n") };
    for (name, value) in rows {
        let class = if name == "Total" { " class=\"total\"" } else { "" };
        let _ = writeln!(list, "<dt{class}>{}</dt><dd{class}>{}</dd>", escaped(name), escaped(value));
    }
    list.push_str("</dl>\n");
    list
}

fn stored_day(days: i64) -> Day {
    Day(u32::try_from(days).unwrap_or(0))
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

/// Writes a rate that is stored as a fraction: `12%`.
fn percent(rate: &str, language: Language) -> String {
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
mod tests {
    use access::{Currency, Timestamp, UserId};
    use uuid::Uuid;

    use super::*;

    fn invoice() -> StoredInvoice {
        let day = |text: &str| Day::parse(text).unwrap();
        StoredInvoice {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            subscription: None,
            kind: "period".to_owned(),
            of_invoice: None,
            target_version: None,
            first_day: day("2026-11-20"),
            last_day: day("2026-12-19"),
            state: "open".to_owned(),
            number: Some("INV-2026-000001".to_owned()),
            currency: Currency::Idr,
            subtotal: 150_000,
            tax_name: "PPN".to_owned(),
            tax_rate: "120000/1000000".to_owned(),
            tax_base: 137_500,
            tax: 16_500,
            total: 166_500,
            remaining: 166_500,
            issued_at: Some(day("2026-11-20").start()),
            due_at: Some(Timestamp(day("2026-11-27").start().0)),
            digest: String::new(),
            tax_invoice_number: "04002600123456789".to_owned(),
            reason: String::new(),
            created_at: Timestamp(0),
        }
    }

    fn page(language: Language, text: &str) -> String {
        let line = StoredInvoiceLine {
            no: 1,
            kind: "plan".to_owned(),
            text: text.to_owned(),
            quantity: 1,
            unit: "period".to_owned(),
            unit_price_pico: Some(500_000_000_000),
            amount: 150_000,
            plan_version_id: None,
            first_day: 20_777,
            last_day: 20_806,
        };
        let party =
            |name: &str| InvoiceParty { name: name.to_owned(), address: "A\nB".to_owned(), ..InvoiceParty::default() };
        let parties = InvoiceParties { seller: party("PT Contoh"), customer: party("<Ada> & 阿达") };
        let (invoice, lines) = (invoice(), [line]);
        InvoiceDocument { invoice: &invoice, lines: &lines, parties: &parties, corrected: None, language }.html()
    }

    #[test]
    fn both_languages_have_the_figures_of_the_invoice() {
        let english = page(Language::English, "pro");
        for figure in [
            "INV-2026-000001",
            "IDR 150,000",
            "IDR 137,500",
            "PPN 12%",
            "IDR 16,500",
            "IDR 166,500",
            "27 November 2026",
            "IDR 0.5",
            "04002600123456789",
        ] {
            assert!(english.contains(figure), "{figure}: {english}");
        }
        let indonesian = page(Language::Indonesian, "pro");
        for figure in [
            "Faktur INV-2026-000001",
            "Rp150.000",
            "Rp137.500",
            "PPN 12%",
            "Rp16.500",
            "Rp166.500",
            "Belum dibayar",
            "1 periode",
        ] {
            assert!(indonesian.contains(figure), "{figure}: {indonesian}");
        }
    }

    #[test]
    fn no_text_is_markup_and_names_keep_their_script() {
        let page = page(Language::English, "<script>alert(1)</script>");
        assert!(!page.contains("<script") && page.contains("&lt;Ada&gt; &amp; 阿达"), "{page}");
        assert!(page.contains("A<br>B"), "{page}");
    }

    #[test]
    fn rates_are_percentages() {
        for (rate, english) in
            [("120000/1000000", "12%"), ("12500/1000000", "1.25%"), ("1/8", "12.5%"), ("", ""), ("1/0", "")]
        {
            assert_eq!(percent(rate, Language::English), english);
        }
        assert_eq!(percent("1/8", Language::Indonesian), "12,5%");
    }
}
