//! Tables as CSV (RFC 4180): one line per row, money as a decimal number beside its currency.

use access::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, Uri, header};

use crate::message::problem::Problem;

/// The maximum number of rows that one response contains; also the default.
pub(crate) const ROWS_MAX: u32 = 10_000;
/// The maximum number of pages of a list that one response reads, because a filter may leave pages empty.
pub(crate) const PAGES_MAX: u32 = 100;

/// A table with a name for each column.
#[derive(Debug)]
pub(crate) struct Table(String);

impl Table {
    /// Returns a table without rows.
    pub(crate) fn new(columns: &str) -> Self {
        Self(format!("{columns}\r\n"))
    }

    /// Adds a row. Its cells are quoted already, in the order of the columns.
    pub(crate) fn push(&mut self, cells: &[String]) {
        self.0.push_str(&cells.join(","));
        self.0.push_str("\r\n");
    }

    /// Returns the table as a file. `next` is the address of the next rows (RFC 8288), if there are more.
    pub(crate) fn response(self, file: &str, next: Option<String>) -> Response {
        let mut headers = vec![
            (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
        ];
        headers.extend(next.map(|next| -> (HeaderName, String) { (header::LINK, format!("<{next}>; rel=\"next\"")) }));
        let mut response = self.0.into_response();
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Whether a list is requested as a table.
///
/// # Errors
/// `bad_request` for another word than `json` and `csv`.
pub(crate) fn is_chosen(format: Option<&str>) -> Result<bool, Problem> {
    match format {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Problem::new(Refusal::BadRequest, "`format` must be one of `json`, `csv`")),
    }
}

/// Returns the number of rows of a table.
///
/// # Errors
/// `bad_request` for 0 and for more than 10,000.
pub(crate) fn limit(requested: Option<u32>) -> Result<u32, Problem> {
    match requested.unwrap_or(ROWS_MAX) {
        limit @ 1..=ROWS_MAX => Ok(limit),
        _ => Err(Problem::new(Refusal::BadRequest, format!("`limit` of a table must be 1 to {ROWS_MAX}"))),
    }
}

/// Returns the address of the rows after a cursor: that of the request with this cursor.
pub(crate) fn next_address(uri: &Uri, cursor: &str) -> String {
    let parts = uri.query().unwrap_or_default().split('&').filter(|part| !part.starts_with("cursor="));
    let query: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{}?{}{separator}cursor={cursor}", uri.path(), query.join("&"))
}

/// Writes a text as one cell. Spreadsheets evaluate cells that begin like a formula, and names come from clients, so that
/// these get a `'` before them (OWASP, CSV injection).
pub fn quoted(name: &str) -> String {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let name = if is_formula { format!("'{name}") } else { name.to_owned() };
    if name.contains([',', '"', '\r', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name }
}

/// Writes a text that may be unknown as one cell.
pub(crate) fn quoted_or_empty(name: Option<&str>) -> String {
    quoted(name.unwrap_or_default())
}

/// Writes a figure that may be unknown: unknown figures are empty.
pub(crate) fn figure(figure: Option<impl ToString>) -> String {
    figure.map(|figure| figure.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_address_has_the_query_with_another_cursor() {
        for (uri, expected) in [
            ("/api/audit?format=csv", "/api/audit?format=csv&cursor=c"),
            ("/api/audit?cursor=b&format=csv&action=key.create", "/api/audit?format=csv&action=key.create&cursor=c"),
            ("/api/audit", "/api/audit?cursor=c"),
        ] {
            assert_eq!(next_address(&uri.parse().unwrap(), "c"), expected);
        }
    }

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
