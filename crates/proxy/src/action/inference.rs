//! The action of an LLM endpoint: the body is read completely, a plan lists the targets of the model, and each target gets
//! another call until one responds. A tap reads the response.

pub(crate) mod model_plan;
mod parsed_call;
mod target_call;

use ai::{EndpointCall, Format};

use self::model_plan::{ModelPlan, no_model};
use self::parsed_call::ParsedCall;
use self::target_call::{PlannedTarget, TargetCall};
use super::Handled;
use crate::account::client::Client;
use crate::account::{InferenceAccount, RequestAccount};
use crate::body::IncomingBody;
use crate::refusal::problem::Problem;

/// An LLM endpoint with the format of its requests.
pub(crate) struct InferenceEndpoint {
    pub(crate) called: EndpointCall<'static>,
    pub(crate) format: Format,
}

impl InferenceEndpoint {
    /// Returns the account of a call. A call that is free of quota has no usage event, and so no format.
    pub(crate) fn account(&self) -> Box<InferenceAccount> {
        InferenceAccount::new((!self.called.endpoint.free()).then_some(self.format))
    }
}

/// Sends an LLM call to the first target of its model that responds.
pub(crate) async fn infer(
    endpoint: &InferenceEndpoint,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: &Client,
) -> Result<Handled, Problem> {
    let parsed = ParsedCall::read(account, body, &endpoint.called).await?;
    let plan = ModelPlan::of(account, endpoint.format, &parsed.fields.model, client)?;
    let (mut parsed, mut targets) = (Some(parsed), plan.targets.iter().peekable());
    let mut failed = None;
    while let Some(target) = targets.next() {
        // The last target gets the body itself, whose memory is free as soon as it is sent.
        let is_last = targets.peek().is_none();
        let Some(call) = (if is_last { parsed.take() } else { parsed.clone() }) else { break };
        let to = PlannedTarget { endpoint, client, plan: &plan, target };
        let call = TargetCall::new(account, call, to).await?;
        match call.send(account).await {
            Ok(handled) => return Ok(handled),
            Err(problem) => failed = Some(problem),
        }
    }
    Err(failed.unwrap_or_else(|| no_model(&plan.requested)))
}
