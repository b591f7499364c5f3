//! `DELETE /api/cache`: stored responses are removed, or marked stale.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use config::snapshot::normalized_target;
use serde::{Deserialize, Serialize};
use telemetry::PurgeTarget;
use utoipa::{IntoParams, ToSchema};

use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The maximum length of a URL, a prefix and a tag in bytes.
const TEXT_LEN_MAX: usize = 8 * 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CachePurgeQuery {
    /// The URL of the responses, as clients request it, with its query.
    url: Option<String>,
    /// The beginning of the URLs of the responses.
    prefix: Option<String>,
    /// The tag of the responses.
    tag: Option<String>,
    /// Whether the responses are only marked stale. Default false.
    soft: Option<bool>,
}

/// The result of a purge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CachePurgeResult)]
pub(super) struct CachePurgeView {
    /// The number of responses that this process has removed or marked stale; 0 if it serves no proxy.
    purged: u64,
}

/// Purges stored responses by their URL, the beginning of it, or a tag. Exactly one of these is given.
///
/// In this process, the purge is complete when the response arrives. Other nodes that use the same store apply it within a
/// second. Responses that the upstream sent before the purge are not stored after it. With `soft`, responses are used again
/// once the upstream has confirmed them.
#[utoipa::path(delete, path = "/api/cache", tag = "admin", params(CachePurgeQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "forbidden"]))),
    responses((status = 200, body = CachePurgeView, example = json!({"purged": 12}))))]
pub(super) async fn purge(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<Json<CachePurgeView>, Problem> {
    let CachePurgeQuery { url, prefix, tag, soft } = input::query(request.uri())?;
    // A request has none of these either, and PostgreSQL stores no NUL.
    if [&url, &prefix, &tag].into_iter().flatten().any(|text| text.contains(char::is_control)) {
        return Err(invalid("a URL, a prefix and a tag have no control characters"));
    }
    let target = match (url, prefix, tag) {
        (Some(url), None, None) => PurgeTarget::Url(normalized(&url)?),
        (None, Some(prefix), None) => PurgeTarget::Prefix(normalized(&prefix)?),
        (None, None, Some(tag)) if (1..=TEXT_LEN_MAX).contains(&tag.len()) => PurgeTarget::Tag(tag),
        _ => return Err(invalid("give exactly one of `url`, `prefix` and `tag`")),
    };
    let purged = app.purges.add(&caller.actor(), &target, soft.unwrap_or(false)).await?;
    Ok(Json(CachePurgeView { purged }))
}

fn invalid(message: &str) -> Problem {
    Problem::new(Refusal::BadRequest, message.to_owned())
}

/// Returns a URL, or the beginning of one, as the cache spells it: scheme and host in lowercase, without the default port and
/// a fragment, and the path in its one spelling.
fn normalized(url: &str) -> Result<String, Problem> {
    let expected = || invalid("a URL begins with `http://HOST/` or `https://HOST/`");
    let url = url.split('#').next().unwrap_or_default();
    if url.len() > TEXT_LEN_MAX {
        return Err(expected());
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(expected)?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(expected()),
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).ok_or_else(expected)?);
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    if host.is_empty() {
        return Err(expected());
    }
    let root = if path.starts_with('?') { "/" } else { "" };
    Ok(format!("{scheme}://{host}{root}{}", normalized_target(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_spelled_as_the_cache_spells_them() {
        for (url, expected) in [
            ("https://API.example.com/A?b=C#d", Some("https://api.example.com/A?b=C")),
            ("HTTP://a:80/", Some("http://a/")),
            ("http://a/caf%c3%a9/%41?b=%c3", Some("http://a/caf%C3%A9/A?b=%c3")),
            ("http://a:443/x", Some("http://a:443/x")),
            ("https://a:443?x", Some("https://a/?x")),
            ("http://[::1]:8080/a", Some("http://[::1]:8080/a")),
            ("http:///a", None),
            ("http://a", None),
            ("ftp://a/b", None),
            ("/a", None),
            ("", None),
        ] {
            assert_eq!(normalized(url).ok().as_deref(), expected, "{url}");
        }
        assert!(normalized(&format!("http://a/{}", "x".repeat(TEXT_LEN_MAX))).is_err());
    }
}
