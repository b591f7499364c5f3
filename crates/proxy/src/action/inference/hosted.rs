//! Calls of Messages for hosts that take them in another form: the model is in the path, the version of the API in the body.

use ai::RequestFields;
use ai::request::HostedMessages;
use bytes::Bytes;

use crate::account::RequestAccount;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::client::head::Head;
use crate::refusal::problem::Problem;
use crate::transform::client_betas;

/// Returns the fields of a call whose body gets the form of its host. `client` is the head of a call that is not translated: its
/// features are those of the API.
pub(super) async fn in_form_of(
    account: &RequestAccount,
    form: HostedMessages,
    fields: RequestFields,
    body: &Bytes,
    client: Option<&Head>,
) -> Result<RequestFields, Problem> {
    let betas = client.map(client_betas).unwrap_or_default();
    if body.len() <= ON_WORKER_BYTES_MAX {
        return Ok(fields.hosted(body, &form, &betas));
    }
    let body = body.clone();
    off_worker(account, move || fields.hosted(&body, &form, &betas)).await
}
