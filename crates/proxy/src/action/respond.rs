//! The actions without an upstream: a response from the configuration, and a redirect.

use access::Refusal;
use bytes::Bytes;
use config::snapshot::{FixedResponse, ReceivedTarget, Redirect, RequestedOrigin, unreserved};
use http::{Response, header};

use super::ActionResponse;
use super::limit::limit_free;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::account::request::RequestContext;
use crate::client::head::text;
use crate::refusal::problem::Problem;

/// Responds as the configuration says.
pub(crate) async fn respond(
    response: Response<Bytes>,
    account: &mut RequestAccount,
    client: Option<&Client>,
) -> Result<ActionResponse, Problem> {
    let admission = limit_free(account, client).await?;
    Ok(ActionResponse::Own(Box::new(response), admission.rate))
}

/// Sends the client to another address.
pub(crate) async fn redirect_to(
    to: &Redirect,
    account: &mut RequestAccount,
    client: Option<&Client>,
) -> Result<ActionResponse, Problem> {
    let response = redirect(to, &account.request)?;
    respond(response, account, client).await
}

/// Returns the response of a route with `respond`.
pub(crate) fn fixed(configured: &FixedResponse) -> Response<Bytes> {
    let mut response = Response::new(configured.body.clone());
    *response.status_mut() = configured.status;
    response.headers_mut().clone_from(&configured.headers);
    response
}

/// Returns the `fallback` of a route in place of a refusal, whose `Retry-After` it keeps.
pub(crate) fn in_place_of(refusal: &Response<Bytes>, fallback: &FixedResponse) -> Response<Bytes> {
    let mut response = fixed(fallback);
    if let Some(retry_after) = refusal.headers().get(header::RETRY_AFTER) {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert_with(|| retry_after.clone());
    }
    response
}

/// Returns the response of a route with `redirect`.
fn redirect(configured: &Redirect, request: &RequestContext) -> Result<Response<Bytes>, Problem> {
    let head = &request.head;
    let scheme = request.origin(request.is_peer_trusted()).scheme;
    let from = RequestedOrigin { scheme, host: text(head.host()).unwrap_or_default() };
    let received = ReceivedTarget { path: &unreserved(head.path()), query: head.query() };
    let message = "this request has no valid address to which its route redirects it";
    let location = configured.location(received, from).ok_or_else(|| Problem::new(Refusal::BadRequest, message))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = configured.status;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
