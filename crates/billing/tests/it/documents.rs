//! Invoices as PDF files, read by other programs.

use std::path::Path;
use std::process::Command;

use access::{Currency, Day, Timestamp, UserId};
use billing::document::InvoiceDocument;
use billing::language::Language;
use billing::rules::invoice::LineKind;
use billing::rules::invoice_kind::InvoiceKind;
use billing::rules::invoice_state::InvoiceState;
use ledger::billing::{InvoiceParties, InvoiceParty, StoredInvoice, StoredInvoiceLine};
use tempfile::TempDir;
use uuid::Uuid;

use crate::shop::day;

/// Names in scripts of the embedded fonts.
const NAMES: [&str; 18] = [
    "PT Maju Jaya Tbk",
    "Nguyễn Thị Ánh Nguyệt",
    "Łukasz Żółć",
    "Ελένη Παπαδοπούλου",
    "Олексій Гнатюк",
    "عبد الرحمن",
    "משה כהן",
    "प्रिया शर्मा",
    "রবীন্দ্রনাথ",
    "தமிழ்ச்செல்வன்",
    "สมชาย ใจดี",
    "ꦱꦫꦱ꧀ꦮꦠꦶ",
    "გიორგი",
    "Արամ Խաչատրյան",
    "王小明",
    "田中 さくら",
    "김민수",
    "𠮷 野 🙂 家",
];

fn invoice(currency: Currency) -> StoredInvoice {
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
        number: Some("INV-2026-000042".to_owned()),
        currency,
        subtotal: 1_234_567,
        tax_name: "PPN".to_owned(),
        tax_rate: "120000/1000000".to_owned(),
        tax_base: 1_131_686,
        tax: 135_802,
        total: 1_370_369,
        remaining: 1_000_000,
        issued_at: Some(Timestamp(day("2026-11-20").start().0 + 3_723_000_000)),
        due_at: Some(day("2026-11-27").start()),
        digest: String::new(),
        tax_invoice_number: "04002600123456789".to_owned(),
        reason: String::new(),
        usage_days: None,
        created_at: Timestamp(0),
    }
}

fn line(no: i64, text: &str) -> StoredInvoiceLine {
    let stored = |day: Day| i64::from(day.0);
    StoredInvoiceLine {
        no,
        kind: LineKind::Usage,
        text: text.to_owned(),
        quantity: 1_300_001,
        unit: "credits".to_owned(),
        unit_price_pico: Some(500_000_000_000),
        amount: 650_000 + no,
        plan_version_id: None,
        first_day: stored(day("2026-11-20")),
        last_day: stored(day("2026-12-19")),
    }
}

/// Returns the file of an invoice of a customer.
fn pdf(lines: &[StoredInvoiceLine], customer: InvoiceParty, currency: Currency, language: Language) -> Vec<u8> {
    let seller = InvoiceParty {
        name: "PT Contoh Gerbang Digital".to_owned(),
        address: "Jalan Merdeka 1\nJakarta 10110".to_owned(),
        tax_number: "01.234.567.8-901.000".to_owned(),
        email: "billing@example.com".to_owned(),
    };
    let parties = InvoiceParties { seller, customer };
    let invoice = invoice(currency);
    InvoiceDocument {
        invoice: &invoice,
        lines,
        received: &[],
        parties: &parties,
        corrected: None,
        language,
        zone: access::TimeZone::UTC,
    }
    .pdf()
    .unwrap()
}

fn customer(name: &str) -> InvoiceParty {
    InvoiceParty { name: name.to_owned(), ..InvoiceParty::default() }
}

/// Runs a program on a file; returns its output.
fn read(program: &str, before: &[&str], file: &Path, after: &[&str]) -> String {
    let output = Command::new(program).args(before).arg(file).args(after).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (scripts/setup.sh test): {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program}: {text}");
    text
}

/// Checks the form of a file; returns its text.
fn text(bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("invoice.pdf");
    std::fs::write(&file, bytes).unwrap();
    let checked = read("qpdf", &["--check"], &file, &[]);
    assert!(checked.contains("No syntax or stream encoding errors found"), "{checked}");
    let fonts = read("pdffonts", &[], &file, &[]);
    for font in fonts.lines().skip(2) {
        // The columns emb, sub and uni.
        assert!(font.contains(" yes yes yes "), "a font is not embedded: {fonts}");
    }
    read("pdftotext", &["-layout"], &file, &["-"])
}

/// Returns a text without spaces and the characters that only change directions.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace() && !('\u{202a}'..='\u{202e}').contains(letter)).collect()
}

#[test]
fn names_in_any_script_are_on_the_pdf() {
    let customer = InvoiceParty { address: NAMES[1..].join("\n"), ..customer(NAMES[0]) };
    let text = text(&pdf(&[line(1, "team")], customer, Currency::Idr, Language::English));
    let printed = letters(&text);
    for name in NAMES {
        let expected = letters(name).replace(['𠮷', '🙂'], "\u{fffd}");
        let reversed: String = expected.chars().rev().collect();
        assert!(printed.contains(&expected) || printed.contains(&reversed), "{name} ({expected}): {text}");
    }
}

#[test]
fn both_languages_have_the_figures_of_the_invoice() {
    let lines = [line(1, "Credits"), line(2, "Requests without a known cost")];
    for (language, figures) in [
        (
            Language::English,
            [
                "Invoice INV-2026-000042",
                "20 November 2026, 01:02 UTC",
                "20 November 2026 – 19 December 2026",
                "1,300,001 credits",
                "IDR 0.5",
                "IDR 650,001",
                "IDR 650,002",
                "IDR 1,234,567",
                "IDR 1,131,686",
                "PPN 12%",
                "IDR 135,802",
                "IDR 1,370,369",
                "IDR 1,000,000",
                "Page 1 of 1",
            ],
        ),
        (
            Language::Indonesian,
            [
                "Faktur INV-2026-000042",
                "20 November 2026, 01.02 UTC",
                "20 November 2026 – 19 Desember 2026",
                "1.300.001 kredit",
                "Rp0,5",
                "Rp650.001",
                "Rp650.002",
                "Rp1.234.567",
                "Rp1.131.686",
                "PPN 12%",
                "Rp135.802",
                "Rp1.370.369",
                "Rp1.000.000",
                "Halaman 1 dari 1",
            ],
        ),
    ] {
        let file = pdf(&lines, customer("Ada"), Currency::Idr, language);
        assert!(file == pdf(&lines, customer("Ada"), Currency::Idr, language), "equal invoices have equal bytes");
        let text = text(&file);
        for figure in figures {
            assert!(text.contains(figure), "{figure}: {text}");
        }
    }
}

#[test]
fn the_pdf_has_the_currency_of_the_invoice() {
    let dollars = StoredInvoiceLine { amount: 650_000_500_000_000, ..line(1, "team") };
    let text = text(&pdf(&[dollars], customer("Ada"), Currency::Usd, Language::English));
    assert!(text.contains("$0.50") && !text.contains("IDR") && !text.contains("Rp"), "{text}");
}

#[test]
fn a_long_invoice_has_the_heads_of_the_table_on_each_page() {
    let lines: Vec<_> = (1..=100).map(|no| line(no, &format!("Charge {no}"))).collect();
    let text = text(&pdf(&lines, customer("Ada"), Currency::Idr, Language::English));
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 3, "{text}");
    for (nth, page) in pages.iter().enumerate() {
        assert!(page.contains(&format!("Page {} of {}", nth + 1, pages.len())), "{page}");
        let has_lines = page.contains("Charge ");
        assert_eq!(has_lines, page.contains("Unit price"), "{page}");
    }
    for no in 1..=100 {
        assert!(text.contains(&format!("Charge {no} ")), "{no}: {text}");
    }
}

#[test]
fn long_words_and_the_largest_amounts_stay_within_the_page() {
    let largest =
        StoredInvoiceLine { quantity: i64::MAX.unsigned_abs(), amount: i64::MIN, ..line(1, &"Q".repeat(300)) };
    let text = text(&pdf(&[largest], customer(&"Ω".repeat(200)), Currency::Idr, Language::Indonesian));
    assert_eq!(text.matches('Q').count(), 300, "{text}");
    assert_eq!(text.matches('Ω').count(), 200, "{text}");
    // The amount continues on a second line of its column.
    assert!(text.contains("-Rp9.223.372.036.854.775\n") && text.contains(" .808\n"), "{text}");
}
