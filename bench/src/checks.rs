//! The checks of a side before its row: that it does what its listener is for.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::client::{Loader, LoaderResponse};
use crate::counts::mock_requests;
use crate::proxies::PLAIN;
use crate::rows::{Row, RowKind};
use crate::sides::Side;
use crate::tokens::CLAIMS;

/// The number of requests of a side whose responses are compared with those of the backend.
const COMPARED_REQUESTS: u32 = 10;

/// Checks a side of a row. Other listeners than these need no check.
pub(crate) async fn check_side(side: &Side<'_>, row: &Row, mock: SocketAddr) -> anyhow::Result<()> {
    match row.listener {
        PLAIN | "stream" | "resilient" if matches!(row.kind, RowKind::Proxies(..)) => check_bytes(side, mock).await,
        "jwt" if matches!(side.name, "envoy" | "tollgate") => check_token(side, mock).await,
        "edited" => check_edits(side, mock).await,
        "cached" => check_hit(side, mock).await,
        "gzip" => {
            let response = loader(side).await?.get(side.request.path).await?;
            let coding = response.headers.get("content-encoding").map(HeaderValue::as_bytes);
            ensure!(response.status == 200 && coding == Some(b"gzip"), "{:?}", response.headers);
            side.count(1, 0);
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn loader(side: &Side<'_>) -> anyhow::Result<Loader> {
    let mut loader = Loader::connect(side.address, side.key()).await?;
    loader.headers = side.request.headers;
    Ok(loader)
}

/// The headers of the last request that the mock received.
async fn seen(mock: SocketAddr) -> anyhow::Result<Value> {
    let seen = Loader::connect(mock, None).await?.get("/mock/seen").await?.json()?;
    seen.pointer("/models/plain/headers").cloned().context("/mock/seen has no headers")
}

/// Checks that responses are those of the backend, byte by byte. Tollgate removes the provider from the name of a model.
async fn check_bytes(side: &Side<'_>, mock: SocketAddr) -> anyhow::Result<()> {
    let request = side.request;
    let body = side.request.body();
    let forwarded = if side.counted.is_some() { body.replace("\"mock/", "\"") } else { body.clone() };
    let mut through = loader(side).await?;
    let mut direct = Loader::connect(mock, None).await?;
    direct.headers = request.headers;
    for _ in 0..COMPARED_REQUESTS {
        let response = through.send(request.method(), request.path, &body).await?;
        let expected = direct.send(request.method(), request.path, &forwarded).await?;
        if let Some(found) = difference(&response, &expected) {
            bail!("the response to {} is not the backend's: {found}", request.path);
        }
        side.count(1, 0);
    }
    Ok(())
}

/// The first difference of two responses: the status, the type, or the number of equal bytes before it.
fn difference(response: &LoaderResponse, expected: &LoaderResponse) -> Option<String> {
    let [(status, kind, body), (expected_status, expected_kind, expected_body)] =
        [response, expected].map(|response| (response.status, response.headers.get(CONTENT_TYPE), &response.body));
    if status != expected_status {
        return Some(format!("the status is {status} instead of {expected_status}"));
    }
    if kind != expected_kind {
        return Some(format!("the type is {kind:?} instead of {expected_kind:?}"));
    }
    let equal = body.iter().zip(expected_body).take_while(|(one, other)| one == other).count();
    let lengths = [body.len(), expected_body.len()];
    (lengths != [equal; 2]).then(|| format!("{equal} bytes are equal, the lengths are {lengths:?}"))
}

/// Checks three edits of the headers each way.
async fn check_edits(side: &Side<'_>, mock: SocketAddr) -> anyhow::Result<()> {
    let response = loader(side).await?.get(side.request.path).await?;
    let seen = seen(mock).await?;
    let is = |value: &str| Some(Value::from(value));
    for (name, expected) in [("x-tenant", is("acme")), ("x-source", is("gateway")), ("x-internal", None)] {
        ensure!(seen.get(name) == expected.as_ref(), "the upstream received {seen}");
    }
    for (name, value) in
        [("x-frame-options", "DENY"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store")]
    {
        ensure!(response.headers.get(name).is_some_and(|received| received == value), "{response:?}");
    }
    side.count(1, 0);
    Ok(())
}

/// Checks that the second of two requests does not reach the backend.
async fn check_hit(side: &Side<'_>, mock: SocketAddr) -> anyhow::Result<()> {
    let mut loader = loader(side).await?;
    loader.get(side.request.path).await?;
    let before = mock_requests(mock).await?;
    let response = loader.get(side.request.path).await?;
    ensure!(response.status == 200 && response.body.len() == 4_096, "{response:?}");
    ensure!(mock_requests(mock).await? == before, "the response is not stored");
    side.count(2, 0);
    Ok(())
}

/// Checks that the upstream receives the claims but not the token, and that a token with another signature is refused.
async fn check_token(side: &Side<'_>, mock: SocketAddr) -> anyhow::Result<()> {
    let mut loader = loader(side).await?;
    let path = side.request.path;
    let response = loader.get(path).await?;
    ensure!(response.status == 200, "the status is {}: {:?}", response.status, response.body);
    let headers = seen(mock).await?;
    for (claim, header, value) in CLAIMS {
        let received = headers.get(header.to_ascii_lowercase()).and_then(Value::as_str);
        ensure!(received == Some(value), "the upstream received {received:?} as {header}, the claim {claim}");
    }
    ensure!(headers.get("authorization").is_none(), "the upstream received the token");
    let forged = side.key().and_then(forged).context("the token has no signature")?;
    let refused = loader.send_as(Some(&forged), "GET", path, "").await?;
    ensure!(refused.status == 401, "the status of a forged token is {}", refused.status);
    // Tollgate's metrics count the refused request too.
    side.count(2, 0);
    Ok(())
}

/// Returns the token with another first character of its signature.
fn forged(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let first = if signature.starts_with('A') { "B" } else { "A" };
    Some(format!("{signed}.{first}{}", signature.get(1..)?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    #[test]
    fn responses_that_differ_in_one_byte_are_not_equal() {
        let response = |status: u16, kind: &'static str, body: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            LoaderResponse { status, headers, body: Bytes::from_static(body.as_bytes()) }
        };
        let expected = response(200, "text/plain", "abc");
        assert_eq!(difference(&expected, &expected.clone()), None);
        for (other, text) in [
            (response(502, "text/plain", "abc"), "the status is 502"),
            (response(200, "text/html", "abc"), "the type is"),
            (response(200, "text/plain", "abd"), "2 bytes are equal"),
            (response(200, "text/plain", "ab"), "2 bytes are equal"),
            (response(200, "text/plain", "abcd"), "3 bytes are equal"),
        ] {
            let found = difference(&other, &expected).unwrap();
            assert!(found.starts_with(text), "{found}");
        }
    }

    #[test]
    fn a_forged_token_has_another_signature_of_the_same_length() {
        assert_eq!(forged("a.b.Abc").as_deref(), Some("a.b.Bbc"));
        assert_eq!(forged("a.b.xbc").as_deref(), Some("a.b.Abc"));
        assert_eq!(forged("a"), None);
    }
}
