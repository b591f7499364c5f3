//! Invoices as PDF files, as other programs read them.

use std::process::Command;

use serde_json::{Value, json};

use super::Shop;

/// Writes whole rupiah as documents do.
fn rupiah(amount: &Value, symbol: &str, separator: char) -> String {
    let digits = amount["amount"].as_i64().unwrap().to_string();
    let mut text = symbol.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// Checks the form of a file, and returns its text.
fn text_of(shop: &Shop, bytes: &[u8]) -> String {
    let file = shop.gateway.folder().path().join("invoice.pdf");
    std::fs::write(&file, bytes).unwrap();
    let checked = Command::new("qpdf").arg("--check").arg(&file).output().expect("qpdf: scripts/setup.sh test");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let text = Command::new("pdftotext").arg("-layout").arg(&file).arg("-").output().expect("pdftotext");
    assert!(text.status.success(), "{}", String::from_utf8_lossy(&text.stderr));
    String::from_utf8(text.stdout).unwrap()
}

#[tokio::test]
async fn the_pdf_of_an_invoice_has_the_figures_of_its_json() {
    let shop = Shop::open().await;
    let (id, _) = shop.begin(&json!({"method": "qris"})).await;
    let invoice = shop.get(&format!("/api/invoices/{id}")).await.expect(200).json();
    let number = invoice["number"].as_str().unwrap();
    for (language, symbol, separator, state) in [("en", "IDR ", ',', "Not paid"), ("id", "Rp", '.', "Belum dibayar")] {
        let path = format!("/api/invoices/{id}/pdf?language={language}");
        let file = shop.get(&path).await.expect(200);
        assert_eq!(file.header("content-type"), Some("application/pdf"));
        let name = format!("attachment; filename=\"tollgate-{number}.pdf\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
        assert!(file.body == shop.get(&path).await.expect(200).body, "a later file has the same bytes");
        let text = text_of(&shop, &file.body);
        let mut figures = vec![number.to_owned(), state.to_owned()];
        let lines = invoice["lines"].as_array().unwrap();
        figures.extend(lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()));
        let amounts = lines.iter().map(|line| &line["amount"]);
        let amounts = amounts.chain([&invoice["subtotal"], &invoice["total"], &invoice["remaining"]]);
        figures.extend(amounts.map(|amount| rupiah(amount, symbol, separator)));
        for figure in figures {
            assert!(text.contains(&figure), "{figure}: {text}");
        }
    }
}
