use access::{TimeZone, Timestamp, UserId};
use uuid::Uuid;

use super::*;
use crate::rules::invoice::LineKind;

fn invoice() -> StoredInvoice {
    let day = |text: &str| Day::parse(text).unwrap();
    StoredInvoice {
        id: Uuid::nil(),
        user: UserId(Uuid::nil()),
        subscription: None,
        kind: InvoiceKind::Period,
        of_invoice: None,
        target_version: None,
        first_day: day("2026-11-20"),
        last_day: day("2026-12-19"),
        state: InvoiceState::Open,
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
        usage_days: None,
        created_at: Timestamp(0),
    }
}

fn line(text: &str) -> StoredInvoiceLine {
    StoredInvoiceLine {
        no: 1,
        kind: LineKind::Usage,
        text: text.to_owned(),
        quantity: 300_000,
        unit: "credits".to_owned(),
        unit_price_pico: Some(500_000_000_000),
        amount: 150_000,
        plan_version_id: None,
        first_day: 20_777,
        last_day: 20_806,
    }
}

fn page(language: Language, line: StoredInvoiceLine) -> String {
    document(language, &invoice(), line, &[])
}

fn document(
    language: Language,
    invoice: &StoredInvoice,
    line: StoredInvoiceLine,
    received: &[ReceivedMoney],
) -> String {
    let party =
        |name: &str| InvoiceParty { name: name.to_owned(), address: "A\nB".to_owned(), ..InvoiceParty::default() };
    let parties = InvoiceParties { seller: party("PT Contoh"), customer: party("<Ada> & 阿达") };
    let lines = [line];
    InvoiceDocument {
        invoice,
        lines: &lines,
        received,
        parties: &parties,
        corrected: None,
        language,
        zone: TimeZone::NAMED[1].1,
    }
    .html()
}

#[test]
fn both_languages_have_the_figures_of_the_invoice() {
    let english = page(Language::English, line("Credits"));
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
    let indonesian = page(Language::Indonesian, line("Credits"));
    for figure in [
        "Faktur INV-2026-000001",
        "Rp150.000",
        "Rp137.500",
        "PPN 12%",
        "Rp16.500",
        "Rp166.500",
        "Belum dibayar",
        "300.000 kredit",
        "Rp0,5",
    ] {
        assert!(indonesian.contains(figure), "{figure}: {indonesian}");
    }
}

#[test]
fn a_paid_invoice_is_a_receipt() {
    let at = |text: &str| Timestamp(Day::parse(text).unwrap().start().0 + 3_600_000_000);
    let received = [
        ReceivedMoney::new(None, 16_500, at("2026-11-20")),
        ReceivedMoney::new(Some((Uuid::nil(), "bca")), 150_000, at("2026-11-24")),
    ];
    let paid = StoredInvoice { state: InvoiceState::Paid, remaining: 0, ..invoice() };
    let english = document(Language::English, &paid, line("Credits"), &received);
    for text in
        ["Paid on", "24 November 2026, 08:00 WIB", "Paid by", "wallet, IDR 16,500", "virtual account BCA, IDR 150,000"]
    {
        assert!(english.contains(text), "{text}: {english}");
    }
    let indonesian = document(Language::Indonesian, &paid, line("Credits"), &received);
    for text in ["Dibayar pada", "24 November 2026, 08.00 WIB", "dompet, Rp16.500", "virtual account BCA, Rp150.000"] {
        assert!(indonesian.contains(text), "{text}: {indonesian}");
    }
    let open = document(Language::English, &invoice(), line("Credits"), &received);
    assert!(!open.contains("Paid on") && !open.contains("Paid by"), "{open}");
}

#[test]
fn an_invoice_of_usage_alone_has_the_days_of_the_period_that_ended() {
    let day = |text: &str| Day::parse(text).unwrap();
    let ended = Some([day("2026-12-12"), day("2026-12-14")]);
    for (last_day, expected) in
        [("2026-12-15", ["2026-12-12", "2026-12-14"]), ("2027-01-14", ["2026-12-15", "2027-01-14"])]
    {
        let days =
            StoredInvoice { first_day: day("2026-12-15"), last_day: day(last_day), usage_days: ended, ..invoice() };
        assert_eq!(days.invoiced_days(), expected.map(day), "{last_day}");
    }
}

#[test]
fn the_price_of_a_package_is_not_printed_as_that_of_a_unit() {
    let packages = StoredInvoiceLine {
        quantity: 1_001,
        unit_price_pico: Some(250_000_000_000_000),
        amount: 500,
        ..line("Packages")
    };
    let page = page(Language::English, packages);
    assert!(page.contains("1,001 credits") && page.contains("IDR 500") && !page.contains("IDR 250"), "{page}");
    let dollars = StoredInvoiceLine { amount: 150_000_000_000_000, ..line("Credits") };
    assert_eq!(unit_price(&dollars, Currency::Usd).map(UnitPrice::decimal), Some("0.5".to_owned()));
    assert_eq!(unit_price(&dollars, Currency::Idr), None);
}

#[test]
fn the_quantity_of_a_cost_is_written_in_dollars() {
    let cost = StoredInvoiceLine {
        quantity: 1_005_123_456_700,
        unit: "nano-USD".to_owned(),
        unit_price_pico: None,
        ..line("LLM usage")
    };
    let english = page(Language::English, cost.clone());
    let indonesian = page(Language::Indonesian, cost);
    assert!(english.contains(">$1,005.1234567<") && !english.contains("nano"), "{english}");
    assert!(indonesian.contains(">$1.005,1234567<") && !indonesian.contains("nano"), "{indonesian}");
}

#[test]
fn no_text_is_markup_and_names_keep_their_script() {
    let page = page(Language::English, line("<script>alert(1)</script>"));
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

#[test]
fn times_are_printed_in_the_zone_and_days_of_usage_in_utc() {
    let page = page(Language::English, line("a"));
    assert!(page.contains("20 November 2026, 07:00 WIB") && !page.contains("2026, 00:00"), "{page}");
    assert!(page.contains("20 November 2026 – 19 December 2026"), "{page}");
}
