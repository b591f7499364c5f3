//! The OpenAPI document as it is served: compressed, and with an entity tag.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use config::snapshot::Brand;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::{DocumentText, branded};
use crate::pages::static_file::{Coding, accepts, is_known};

/// The document under the brand that was requested last.
pub(crate) struct ServedDocument {
    text: Arc<DocumentText>,
    last: Mutex<Option<Arc<DocumentForms>>>,
}

/// The forms of the document under one brand.
struct DocumentForms {
    brand: (String, String),
    plain: Bytes,
    gzip: Bytes,
    /// A part of the text's hash.
    hash: String,
}

impl ServedDocument {
    pub(crate) fn new(text: Arc<DocumentText>) -> Self {
        Self { text, last: Mutex::default() }
    }

    fn forms(&self, brand: &Brand) -> Arc<DocumentForms> {
        let names = (brand.name.clone(), brand.slug().to_owned());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forms) = last.as_ref().filter(|forms| forms.brand == names) {
            return forms.clone();
        }
        let plain = branded(&self.text, brand);
        let hash = Sha256::digest(&plain).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let forms = Arc::new(DocumentForms { brand: names, gzip: compressed(&plain), plain, hash });
        *last = Some(forms.clone());
        forms
    }

    /// Responds with the document, or with 304 if the client has it.
    pub(crate) fn respond(&self, brand: &Brand, request: &HeaderMap) -> Response {
        let forms = self.forms(brand);
        let is_compressed = accepts(request, Coding::Gzip) && !forms.gzip.is_empty();
        let coding = if is_compressed { Coding::Gzip } else { Coding::Plain };
        let tag = format!("\"{}-{}\"", forms.hash, coding.name());
        let is_fresh = is_known(request, &tag);
        let content = if is_compressed { &forms.gzip } else { &forms.plain };
        let body = if is_fresh { Body::empty() } else { Body::from(content.clone()) };
        let status = if is_fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        if !is_fresh {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if is_compressed {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            }
        }
        response
    }
}

/// Compresses a text; empty if that fails.
fn compressed(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.map(Bytes::from).unwrap_or_default()
}
