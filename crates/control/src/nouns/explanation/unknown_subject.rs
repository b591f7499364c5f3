//! The quotas and budgets of a request whose client is not known.

use config::{ExplainedAuthentication, ExplainedPlan, Explanation};
use store::DatabaseError;

use super::ExplanationSources;
use crate::nouns::budgets::{ExplainedBudget, SubjectQuotas};

/// The budgets that are known, and the reason why others may apply.
type KnownBudgets = (Vec<ExplainedBudget>, Option<String>);

/// Returns the quota and the budgets of the plan that the configuration names, without their use.
pub(super) async fn budgets(
    sources: ExplanationSources<'_>,
    explanation: &Explanation,
) -> Result<KnownBudgets, DatabaseError> {
    let deciding = explanation.authentication.as_ref().and_then(ExplainedAuthentication::deciding);
    let Some(deciding) = deciding else { return Ok((Vec::new(), None)) };
    if deciding.kind == "key" && deciding.entry.is_none() {
        return Ok((Vec::new(), Some("they depend on the key, which is not given".to_owned())));
    }
    let Some(ExplainedPlan { name, named_by, .. }) = &deciding.plan else { return Ok((Vec::new(), None)) };
    let is_other = |by: &String| match name {
        Some(_) => format!("{by} may name another plan"),
        None => format!("they depend on the plan that {by} names"),
    };
    let reason = named_by.as_ref().map(is_other);
    let plan = name.as_deref().and_then(|name| sources.snapshot.plan(name));
    let Some(plan) = plan else { return Ok((Vec::new(), reason)) };
    let subject = Err(dependence(deciding));
    let day = sources.clock.now().day();
    Ok((SubjectQuotas { plan, subject }.explained(sources.budgets(), day).await?, reason))
}

/// Returns the reason why the subject of the request is unknown.
fn dependence(deciding: &ExplainedAuthentication) -> &'static str {
    match (deciding.kind, deciding.plan.as_ref().is_some_and(|plan| plan.named_by.is_some())) {
        ("jwt", _) => "it depends on the subject of the access token",
        ("basic", _) => "it depends on the user, which is not given",
        ("forward", _) => "it depends on the subject that the service names",
        (_, true) => "it depends on the name of the key in Redis",
        (_, false) => "it depends on the key, which is not given",
    }
}
