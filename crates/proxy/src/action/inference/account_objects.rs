//! Objects of the operator's account that a call names: its provider would resolve them with the operator's credential.

use access::{ObjectOwner, Refusal};
use ai::account_objects::{ForeignObject, OwnedFields, may_make_objects, owned};
use ai::{Format, RequestFields};
use bytes::Bytes;
use config::snapshot::AccountObjects;
use http1::{Fields, HeadEdits, InvalidPart};

use super::model_plan::PlannedModel;
use super::project_data;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::action::credential;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::client::head::text;
use crate::refusal::problem::Problem;

const IDEMPOTENCY_KEY: &[u8] = b"idempotency-key";
/// Longest key of the header that providers accept.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What makes a call with the operator's credential one of its user.
pub(super) struct OwnedCall {
    pub(super) owner: ObjectOwner,
    pub(super) fields: OwnedFields,
    /// Whether later calls may name objects that this one makes.
    pub(super) makes_objects: bool,
}

/// A call as a target gets it.
pub(super) struct ReferringCall<'a> {
    pub(super) format: Format,
    pub(super) target: &'a PlannedModel,
    /// The model's name as the client wrote it.
    pub(super) requested: &'a str,
    pub(super) fields: &'a RequestFields,
    pub(super) content: &'a Bytes,
}

/// Returns what makes a call one of its user; `None` if it may name any object of the account: that of its user, or one whose
/// operator has a single tenant.
///
/// # Errors
/// The call names an object that no call of its user has made.
pub(super) async fn of_user(
    account: &RequestAccount,
    client: &Client,
    call: ReferringCall<'_>,
) -> Result<Option<OwnedCall>, Problem> {
    let ReferringCall { format, target, requested, fields, content } = call;
    let provider = &target.provider;
    if provider.account_objects == AccountObjects::Any {
        return Ok(None);
    }
    let is_own = client.principal.provider_keys.own(&provider.name).is_some();
    if provider.has_service_accounts() && !is_own {
        project_data::check(account, content).await?;
    }
    if !credential::is_shared(provider, &client.principal) {
        return Ok(None);
    }
    if target.model.starts_with("arn:") && requested.contains("arn:") {
        return Err(of_arn());
    }
    let keys = account.request.worker().shared.object_keys.clone();
    let owner = ObjectOwner::new(keys, client.principal.user);
    let fields = if content.len() <= ON_WORKER_BYTES_MAX {
        owned(format, content, fields, &owner)
    } else {
        let content = content.clone();
        let fields = fields.clone();
        let owner = owner.clone();
        off_worker(account, move || owned(format, &content, &fields, &owner)).await?
    };
    let fields = fields.map_err(|foreign| refused(&foreign))?;
    let makes_objects = may_make_objects(format, content);
    Ok(Some(OwnedCall { owner, fields, makes_objects }))
}

/// Writes the key of a repeated call with the prefix of its user.
pub(super) fn edit_head(owner: &ObjectOwner, client: Fields<'_>, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
    let Some(key) = client.named(IDEMPOTENCY_KEY).next().and_then(text) else { return Ok(()) };
    edits.set_named(IDEMPOTENCY_KEY, owner.value(key, IDEMPOTENCY_KEY_BYTES_MAX).as_bytes())
}

fn refused(foreign: &ForeignObject) -> Problem {
    Problem::new(Refusal::NotFound, foreign.message()).of_param(Some(foreign.param))
}

/// Returns the refusal of a resource of the account that a client names as its model.
fn of_arn() -> Problem {
    let message = "the name of the model is an ARN in the gateway's account: call a model by its name, or ask the operator for an \
                   entry of `models` that names this one";
    Problem::new(Refusal::ModelNotFound, message).of_param(Some("model"))
}
