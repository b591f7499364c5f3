//! Errors below `/install.sh`. `curl … | sh` without `--fail` passes an error's body to a shell, which must not run
//! JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, header};

use crate::message::problem::Cause;
use crate::pages::install;
use crate::process::state::App;

/// The script's path. Errors of this path, and of every path below it, are scripts.
pub(crate) const PATH: &str = "/install.sh";
/// The media type of shell scripts.
pub(crate) const MEDIA_TYPE: &str = "text/x-shellscript; charset=utf-8";

/// Replaces the body of an error by a script that prints the error's message and exits with 1; the status stays.
pub(crate) async fn fail_as_scripts(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_script = is_script(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    if !is_script || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let message = match response.extensions().get::<Cause>() {
        Some(cause) => cause.message.to_string(),
        None => format!("the server responded with {status}"),
    };
    let script = install::failing(&app.live.load().process.brand.name, &message);
    let mut response = response.map(|_| Body::from(script));
    let headers = response.headers_mut();
    // The length of the replaced body.
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// Whether errors of this path are shell scripts.
pub(crate) fn is_script(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_and_all_paths_below_it_are_scripts() {
        for (path, expected) in [
            ("/install.sh", true),
            ("/install.sh/", true),
            ("/install.sh/codex", true),
            ("/install.shx", false),
            ("/install", false),
            ("/x/install.sh", false),
            ("/", false),
        ] {
            assert_eq!(is_script(path), expected, "{path}");
        }
    }
}
