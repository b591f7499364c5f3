//! The metadata of an issuer (OpenID Connect Discovery 1.0, 3).

use access::credentials::issuer::{IssuerUrl, UrlScheme};
use access::credentials::jwt::key_set::without_mark;
use serde::Deserialize;

use crate::error::FetchError;

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Returns the URL of the keys of `issuer`. The document must name the same issuer (4.3), otherwise a server could serve
/// keys for the tokens of another one.
pub(crate) fn keys_url(document: &[u8], issuer: &IssuerUrl) -> Result<IssuerUrl, FetchError> {
    let metadata: Metadata = serde_json::from_slice(without_mark(document))
        .map_err(|_| FetchError::Metadata("it has no `issuer` and `jwks_uri`"))?;
    if metadata.issuer != issuer.as_str() {
        return Err(FetchError::Metadata("its `issuer` is not the configured one"));
    }
    let url = IssuerUrl::parse(&metadata.jwks_uri);
    let url = url.map_err(|_| FetchError::Metadata("its `jwks_uri` is not an `https` URL"))?;
    if issuer.scheme() == UrlScheme::Https && url.scheme() == UrlScheme::Http {
        return Err(FetchError::Metadata("its `jwks_uri` is not an `https` URL"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_the_same_issuer_and_a_permitted_url() {
        let check = |issuer: &str, document: &str| {
            let url = keys_url(document.as_bytes(), &IssuerUrl::parse(issuer).unwrap());
            url.map(|url| url.as_str().to_owned()).map_err(|error| error.to_string())
        };
        let document = |issuer: &str, keys: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","x":[]}}"#);
        let https = "https://id.example.com/t";
        let http = "http://127.0.0.1:9/t";
        for (issuer, text, expected) in [
            (https, document(https, "https://keys.example.com/k"), Ok("https://keys.example.com/k".to_owned())),
            (http, document(http, "http://127.0.0.1:9/k"), Ok("http://127.0.0.1:9/k".to_owned())),
            (http, document(http, "https://h/k"), Ok("https://h/k".to_owned())),
            (https, document("https://id.example.com/t/", "https://h/k"), Err("configured one")),
            (https, document("https://evil.example", "https://h/k"), Err("configured one")),
            (https, document(https, "http://127.0.0.1/k"), Err("`https` URL")),
            (https, document(https, "http://h/k"), Err("`https` URL")),
            (https, document(https, "file:///etc/passwd"), Err("`https` URL")),
            (https, format!(r#"{{"issuer":"{https}"}}"#), Err("has no")),
            (https, format!(r#"{{"issuer":"{https}","issuer":"{https}","jwks_uri":"https://h"}}"#), Err("has no")),
            (https, "<html>".to_owned(), Err("has no")),
        ] {
            match (check(issuer, &text), expected) {
                (found, Ok(expected)) => assert_eq!(found, Ok(expected), "{text}"),
                (Ok(found), Err(_)) => panic!("{text}: {found}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
            }
        }
    }
}
