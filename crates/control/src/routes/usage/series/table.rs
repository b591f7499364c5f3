//! Time series as CSV (RFC 4180).

use access::{NanoUsd, usd};
use axum::response::{IntoResponse, Response};
use http::header;

use super::{GroupSeriesView, SeriesPoint, UsageSeriesView};
use crate::figures::CURRENCY;

const HEAD: &str = "at,name,key_id,other_groups,requests,succeeded,refused,errors,credits,input,cached_input,cache_write,output,reasoning,total,cost,currency,unpriced_requests,mean_ms,p50_ms,p95_ms,p99_ms\r\n";

/// Returns the table as a file: one row per series and step with requests, after a header line; `with_empty` adds
/// the other steps. Unknown figures are empty.
pub(super) fn response(series: &UsageSeriesView, with_empty: bool) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    (headers, text(series, with_empty)).into_response()
}

pub(super) fn text(series: &UsageSeriesView, with_empty: bool) -> String {
    let mut text = HEAD.to_owned();
    for group in &series.series {
        for point in group.points.iter().filter(|point| with_empty || !point.is_empty()) {
            let cells = row(group, point);
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

fn row(group: &GroupSeriesView, point: &SeriesPoint) -> Vec<String> {
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    let ms = |ms: Option<f64>| ms.map(|ms| ms.to_string()).unwrap_or_default();
    let (used, latency) = (&point.used, &point.latency);
    let mut cells = vec![
        point.at.clone(),
        quoted(group.name.as_deref().unwrap_or_default()),
        group.key.as_ref().map(|key| key.id.to_string()).unwrap_or_default(),
        count(group.other_groups),
        used.requests.to_string(),
        count(point.succeeded),
        count(point.refused),
        count(point.errors),
        used.credits.to_string(),
    ];
    cells.extend(used.tokens.classes().map(|tokens| tokens.to_string()));
    cells.extend([decimal(used.cost.nano()), CURRENCY.to_owned(), used.unpriced_requests.to_string()]);
    cells.extend([latency.mean_ms, latency.p50_ms, latency.p95_ms, latency.p99_ms].map(ms));
    cells
}

/// Writes money as a decimal number: `0.001234`.
fn decimal(money: NanoUsd) -> String {
    usd::written_money(money).trim_end_matches(" USD").to_owned()
}

/// Writes a text as one cell. Spreadsheets evaluate cells that begin like a formula, and names come from clients, so that
/// these get a `'` before them (OWASP, CSV injection).
fn quoted(name: &str) -> String {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let name = if is_formula { format!("'{name}") } else { name.to_owned() };
    if name.contains([',', '"', '\r', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_cell_and_no_formula() {
        for (name, cell) in [
            ("", ""),
            ("fast", "fast"),
            ("a b; c", "a b; c"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("\r=1", "\"'\r=1\""),
            ("日本 🔑 \u{202e}", "日本 🔑 \u{202e}"),
        ] {
            assert_eq!(quoted(name), cell, "{name:?}");
        }
    }
}
