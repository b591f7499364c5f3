//! Calls to Vertex AI that refer to data of the project, which Google reads with the rights of the sending account.

use access::Refusal;
use ai::bound::ProjectData;
use bytes::Bytes;

use crate::account::RequestAccount;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::refusal::problem::Problem;

/// Refuses a body for the operator's account that refers to data of the project: any client could read them.
pub(super) async fn check(account: &RequestAccount, body: &Bytes) -> Result<(), Problem> {
    let found = if body.len() <= ON_WORKER_BYTES_MAX {
        ProjectData::find(body)
    } else {
        let body = body.clone();
        off_worker(account, move || ProjectData::find(&body)).await?
    };
    let Some(found) = found else { return Ok(()) };
    let message = format!(
        "Vertex AI would read {} with the gateway's account, which may read more than you: send the content itself, or add your own \
         service account",
        found.as_str()
    );
    Err(Problem::new(Refusal::BadRequest, message).of_param(Some(found.field())))
}
