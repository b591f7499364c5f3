//! The actions without an upstream: a response from the configuration, and a redirect.

use bytes::Bytes;
use config::snapshot::{Composition, FixedResponse, Redirect, normalized};
use http::{HeaderValue, Response, header};

use super::{Handled, limit_free};
use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::authenticate::Client;
use crate::head::Head;

/// Responds as the configuration says.
pub(crate) async fn respond(
    response: Response<Bytes>,
    account: &mut RequestAccount,
    client: Option<&Client>,
) -> Result<Handled, Problem> {
    let admission = limit_free(account, client).await?;
    Ok(Handled::Own(response, admission.rate))
}

/// Returns the response of a route with `respond`.
pub(crate) fn fixed(configured: &FixedResponse) -> Response<Bytes> {
    let mut response = Response::new(configured.body.clone());
    *response.status_mut() = configured.status;
    response.headers_mut().clone_from(&configured.headers);
    response
}

/// Returns the response of a route with `redirect`. The new address gets the query of the request, unless it has its own.
pub(crate) fn redirect(configured: &Redirect, head: &Head) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = configured.status;
    let composed = configured.composed.as_ref().and_then(|composed| composed_address(composed, head.path()));
    let address = composed.as_ref().unwrap_or(&configured.to);
    let to = address.as_bytes();
    let query = head.query().filter(|_| !to.contains(&b'?'));
    let with_query = query.and_then(|query| with_query(to, query));
    response.headers_mut().insert(header::LOCATION, with_query.unwrap_or_else(|| address.clone()));
    response
}

/// Returns the address with the parameters of the path. It does not begin with `//`, which browsers take for another host.
fn composed_address(composed: &Composition, path: &str) -> Option<HeaderValue> {
    let address = composed.compose(&normalized(path));
    if address.starts_with('/') {
        return HeaderValue::try_from(format!("/{}", address.trim_start_matches(['/', '\\']))).ok();
    }
    HeaderValue::try_from(address).ok()
}

/// Returns the address with this query before its fragment. A received query is visible ASCII, so it is valid.
fn with_query(to: &[u8], query: &str) -> Option<HeaderValue> {
    let fragment = to.iter().position(|octet| *octet == b'#').unwrap_or(to.len());
    let (address, fragment) = to.split_at_checked(fragment)?;
    HeaderValue::from_bytes(&[address, b"?", query.as_bytes(), fragment].concat()).ok()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::head::tests::head;

    #[test]
    fn a_redirect_keeps_the_query_unless_it_has_its_own() {
        for (to, line, expected) in [
            ("/new", "GET /old", "/new"),
            ("/new", "GET /old?a=%2F&b", "/new?a=%2F&b"),
            ("/new#part", "GET /old?a", "/new?a#part"),
            ("https://example.com/x?fixed", "GET /old?a", "https://example.com/x?fixed"),
            ("https://example.com", "GET http://h/old?", "https://example.com?"),
        ] {
            let to = HeaderValue::from_static(to);
            let configured = Redirect { to: to.clone(), composed: None, status: StatusCode::PERMANENT_REDIRECT };
            let response = redirect(&configured, &head(line, &[]));
            assert_eq!(response.headers()[header::LOCATION], expected, "{to:?} {line}");
            assert_eq!((response.status(), response.body().len()), (StatusCode::PERMANENT_REDIRECT, 0));
        }
    }
}
