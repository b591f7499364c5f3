//! Responses with a file of the dashboard: its compressed form, caching, and the policy of its scripts.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dashboard::File;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The pattern of all paths below the dashboard.
pub(crate) const DASHBOARD: &str = "/dashboard/{*path}";
/// The folder of files whose names contain a hash of their content.
const HASHED: &str = "_next/static/";
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A form of a file, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Br,
    Gzip,
    Plain,
}

impl Coding {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Gzip => "gzip",
            Self::Plain => "identity",
        }
    }
}

/// A request for a file of the dashboard.
pub(crate) struct FileRequest<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// The origin of the proxy, if pages may call it.
    pub(crate) proxy_origin: Option<String>,
}

/// Responds with `file`, or with 304 if the client has it. `status` is 404 for the page of unknown paths.
pub(crate) fn respond(file: &'static File, status: StatusCode, request: &FileRequest<'_>) -> Response {
    let (coding, content) = form(file, request.headers);
    let tag = format!("\"{}-{}\"", file.hash, coding.name());
    let is_fresh = status == StatusCode::OK && is_known(request.headers, &tag);
    let body = if is_fresh { Body::empty() } else { Body::from(Bytes::from_static(content)) };
    let mut response = (if is_fresh { StatusCode::NOT_MODIFIED } else { status }, body).into_response();
    let headers = response.headers_mut();
    let is_hashed = file.path.starts_with(HASHED);
    let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    if file.media_type.starts_with("text/html") {
        insert_page_fields(headers, file, request.proxy_origin.as_deref());
    }
    if !is_fresh {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        if coding != Coding::Plain {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
    }
    response
}

/// Inserts the policy of a page (CSP 3): its own inline scripts, files of this origin only, and requests to this origin
/// and to the proxy. The page sets no style in its markup, so `style-src` needs no exception.
fn insert_page_fields(headers: &mut HeaderMap, file: &File, proxy_origin: Option<&str>) {
    let proxy = proxy_origin.map_or(String::new(), |origin| format!(" {origin}"));
    let hashes = file.scripts.iter().fold(String::new(), |all, hash| format!("{all} '{hash}'"));
    let policy = format!(
        "default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'{proxy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Without a valid policy, the page may do nothing.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Selects the smallest form that the client accepts (RFC 9110, 12.5.3).
fn form(file: &'static File, request: &HeaderMap) -> (Coding, &'static [u8]) {
    let forms = [(Coding::Br, file.br), (Coding::Gzip, file.gzip)];
    for (coding, content) in forms {
        if let Some(content) = content
            && accepts(request, coding)
        {
            return (coding, content);
        }
    }
    (Coding::Plain, file.plain)
}

/// Whether `Accept-Encoding` names the coding or `*`, with a weight other than 0.
pub(crate) fn accepts(request: &HeaderMap, coding: Coding) -> bool {
    let lines = request.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
    let mut any = false;
    for item in lines.flat_map(|line| line.split(',')) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        if name.trim().eq_ignore_ascii_case(coding.name()) {
            return weight > 0.0;
        }
        any |= name.trim() == "*" && weight > 0.0;
    }
    any
}

/// Whether `If-None-Match` lists the tag (RFC 9110, 13.1.2: weak comparison).
pub(crate) fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let lines = request.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: File = File {
        path: "x.js",
        media_type: "text/javascript",
        hash: "00ff",
        scripts: &[],
        plain: b"plain",
        br: Some(b"br"),
        gzip: Some(b"gzip"),
    };
    static COMPRESSED: File = FILE;
    static PLAIN: File = File { br: None, gzip: None, ..FILE };

    fn chosen(file: &'static File, accepted: &[&'static str]) -> Coding {
        let lines = accepted.iter().map(|line| (header::ACCEPT_ENCODING, HeaderValue::from_static(line)));
        form(file, &lines.collect()).0
    }

    #[test]
    fn the_best_accepted_form_is_selected() {
        for (accepted, coding) in [
            (&[][..], Coding::Plain),
            (&["gzip, deflate, br, zstd"], Coding::Br),
            (&["gzip", "br"], Coding::Br),
            (&["GZIP"], Coding::Gzip),
            (&["br;q=0, gzip;q=0.5"], Coding::Gzip),
            (&["br; q=0.000, *"], Coding::Gzip),
            (&["*"], Coding::Br),
            (&["*;q=0"], Coding::Plain),
            (&["br;q=x"], Coding::Plain),
            (&["identity"], Coding::Plain),
            (&["brotli"], Coding::Plain),
        ] {
            assert_eq!(chosen(&COMPRESSED, accepted), coding, "{accepted:?}");
            assert_eq!(chosen(&PLAIN, accepted), Coding::Plain, "{accepted:?}");
        }
    }

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        for (list, known) in [
            ("\"a-br\"", true),
            ("W/\"a-br\"", true),
            ("\"b\", \"a-br\"", true),
            ("*", true),
            ("\"a-gzip\"", false),
            ("a-br", false),
            ("", false),
        ] {
            let headers = [(header::IF_NONE_MATCH, HeaderValue::from_static(list))].into_iter().collect();
            assert_eq!(is_known(&headers, "\"a-br\""), known, "{list}");
        }
    }
}
