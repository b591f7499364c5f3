//! The page for a person who opens the address of the API in a browser: it names the dashboard.

use std::net::IpAddr;

use bytes::Bytes;
use config::snapshot::Process;
use http::{HeaderValue, Response, StatusCode, header};
use http1::KnownName;

use crate::client::head::Head;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The page has no scripts, and loads nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Returns the page with `status` if a browser requests `/` and may know the dashboard's address: the configured
/// `public_url.control` is for everybody, the address of control's listener only for clients on this machine.
pub(crate) fn start_page(
    head: &Head,
    process: &Process,
    status: StatusCode,
    client_address: impl FnOnce() -> IpAddr,
) -> Option<Response<Bytes>> {
    if head.path() != "/" || head.method() != "GET" || !accepts_html(head) {
        return None;
    }
    let url = control_url(process, client_address)?;
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>API</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>:root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;\
         padding:0 1.5rem}}</style></head>\n\
         <body><h1>This address serves an API</h1>\n\
         <p>Programs send their requests here. The dashboard is at <a href=\"{url}\">{url}</a>, the documentation at \
         <a href=\"{url}/docs\">{url}/docs</a>.</p></body></html>\n"
    );
    let mut response = Response::new(Bytes::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    Some(response)
}

/// Returns the address of control if the client may know it: the configured one is for everybody, that of the listener only for
/// clients on this machine.
pub(super) fn control_url(process: &Process, client_address: impl FnOnce() -> IpAddr) -> Option<String> {
    let listen = &process.control.listen;
    let has_port = listen.tcp().is_some_and(|address| address.port() != 0);
    let is_known = process.public_url.control.is_some() || has_port && client_address().to_canonical().is_loopback();
    is_known.then(|| process.control_url(listen))
}

/// Whether the client names HTML, as browsers do when a person opens an address.
fn accepts_html(head: &Head) -> bool {
    let mut accepted = head.fields().all(KnownName::Accept).flat_map(|value| value.split(|&octet| octet == b','));
    accepted.any(|range| {
        let media_type = range.split(|&octet| octet == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
}
