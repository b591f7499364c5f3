//! A document as an HTML page for printing, without scripts.

use std::fmt::Write as _;

use super::texts::{DocumentTexts, PartyTexts};
use crate::markup::escaped;

/// The style of the page, which prints on A4.
const STYLE: &str = "@page{size:A4;margin:18mm}body{font:15px/1.5 system-ui,sans-serif;color:#1c1917;max-width:50em;margin:2em auto;padding:0 1em}\
h1{font-size:1.6em;margin:0}header,section{display:flex;flex-wrap:wrap;justify-content:space-between;gap:1em 3em;margin-bottom:2em}\
address{font-style:normal;max-width:22em;overflow-wrap:anywhere}dl{display:grid;grid-template-columns:auto auto;gap:.2em 2em;margin:0;align-content:start}\
dt,th,small{color:#57534e;font-weight:400}dd{margin:0;text-align:right}table{border-collapse:collapse;width:100%}\
th,td{padding:.5em 0 .5em 1em;text-align:right;vertical-align:top;border-bottom:1px solid #d6d3d1}\
th:first-child,td:first-child{text-align:left;padding-left:0;overflow-wrap:anywhere}small{display:block}\
.sums{margin:1.5em 0 0 auto;max-width:24em}.sums .total{font-weight:600}tr{break-inside:avoid}";

/// Returns the page, with its style.
pub(super) fn page(of: &DocumentTexts) -> String {
    let title = escaped(&of.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n",
        of.language.code()
    );
    let head = of.head.iter().map(|(name, value)| (name.as_str(), value.as_str(), false));
    page.push_str(&listed("", head));
    page.push_str("</header>\n<section>\n");
    for of in &of.parties {
        page.push_str(&party(of));
    }
    page.push_str("</section>\n");
    page.push_str(&table(of));
    let sums = of.sums.iter().map(|sum| (sum.name.as_str(), sum.value.as_str(), sum.is_total));
    page.push_str(&listed("sums", sums));
    page.push_str("</body>\n</html>\n");
    page
}

fn party(of: &PartyTexts) -> String {
    let lines: Vec<String> = of.lines.iter().map(|text| escaped(text)).collect();
    format!("<address><small>{}</small>{}</address>\n", of.label, lines.join("<br>"))
}

fn table(of: &DocumentTexts) -> String {
    let [text, quantity, price, amount] = of.columns;
    let mut table = format!(
        "<table>\n<thead><tr><th>{text}</th><th>{quantity}</th><th>{price}</th><th>{amount}</th></tr></thead>\n<tbody>\n"
    );
    for row in &of.rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "<tr><td>{}<small>{}</small></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&row.text),
            escaped(&row.days),
            escaped(&row.quantity),
            escaped(&row.price),
            escaped(&row.amount)
        );
    }
    table.push_str("</tbody>\n</table>\n");
    table
}

/// Returns a list of names and values, of which some are emphasized.
fn listed<'a>(class: &str, rows: impl Iterator<Item = (&'a str, &'a str, bool)>) -> String {
    let mut list = if class.is_empty() { "<dl>\n".to_owned() } else { format!("<dl class=\"{class}\">\n") };
    for (name, value, is_total) in rows {
        let class = if is_total { " class=\"total\"" } else { "" };
        let _ = writeln!(list, "<dt{class}>{}</dt><dd{class}>{}</dd>", escaped(name), escaped(value));
    }
    list.push_str("</dl>\n");
    list
}
