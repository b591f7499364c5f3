//! The use of quotas by clients without a user, as the store has recorded it.

use access::{BudgetScope, Credits, Plan};
use config::Snapshot;
use ledger::{Ledger, SubjectCredits};
use serde_json::{Value, json};
use store::{DatabaseError, ScopeIds, Store};

use super::table::hanging;
use crate::commands::printable;

/// Maximum number of clients in the output.
const CLIENTS_MAX: u32 = 50;
const LEGEND: &str = "Requests a minute of keys and clients are counted by the running servers: GET /api/limits lists \
                      those that are near their limit.";

/// The part of a quota that a client without a user has used today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsedQuota {
    /// The name of the client, with its issuer or its entry of `auth`.
    client: String,
    /// The name of its plan; `None` if it does not follow from the configuration: its credential names the plan, or no entry
    /// of `auth` accepts the client any more.
    plan: Option<String>,
    /// Credits per day; `None` if the plan is unknown or has no quota.
    limit: Option<Credits>,
    used: Credits,
}

/// Returns the clients that have used the most credits today.
pub(super) async fn read(store: &Store, snapshot: &Snapshot) -> Result<Vec<UsedQuota>, DatabaseError> {
    let day = store.clock().now().day();
    let busiest = Ledger::new(store.clone()).busiest_subjects(day, CLIENTS_MAX).await?;
    let ids = store.scope_ids(busiest.iter().map(|of| BudgetScope::Subject(of.subject))).await?;
    let used = busiest.into_iter().filter(|of| !of.credits.is_zero());
    Ok(used.map(|of| UsedQuota::of(of, &ids, snapshot)).collect())
}

/// Returns the table of clients, and where other use is reported.
pub(super) fn text(used: &[UsedQuota], width: usize) -> String {
    let mut text = String::from("\n");
    if !used.is_empty() {
        text.push_str("USED TODAY BY CLIENTS WITHOUT A USER\n");
        used.iter().for_each(|quota| text.push_str(&format!("{}\n", quota.line())));
        text.push('\n');
    }
    text.push_str(&hanging("", LEGEND, width));
    text
}

impl UsedQuota {
    fn of(SubjectCredits { subject, credits }: SubjectCredits, ids: &ScopeIds, snapshot: &Snapshot) -> Self {
        let stored = ids.subject(subject);
        let plan: Option<&Plan> = stored.and_then(|stored| snapshot.plan_of_issuer(&stored.issuer));
        let client = match stored {
            Some(stored) if stored.issuer.is_empty() => stored.name.clone(),
            Some(stored) => format!("{} ({})", stored.name, stored.issuer),
            None => format!("subject {subject}"),
        };
        Self {
            client,
            plan: plan.map(|plan| plan.name.clone()),
            limit: plan.and_then(Plan::subject_credits_per_day),
            used: credits,
        }
    }

    fn left(&self) -> Option<Credits> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }

    fn line(&self) -> String {
        let (client, used) = (printable(&self.client), self.used.0);
        match (&self.plan, self.limit, self.left()) {
            (Some(plan), Some(limit), Some(left)) => {
                format!("{client}: {used} of {} credits, {left} left, plan {}", limit.0, printable(plan), left = left.0)
            }
            (Some(plan), ..) => format!("{client}: {used} credits, no quota, plan {}", printable(plan)),
            (None, ..) => format!("{client}: {used} credits, its plan does not follow from the configuration"),
        }
    }

    pub(super) fn json(&self) -> Value {
        let Self { client, plan, limit, used } = self;
        json!({"client": client, "plan": plan, "limit": limit, "used": used, "remaining": self.left()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_listed_with_its_quota_or_the_reason_why_it_is_unknown() {
        let quota = |plan: Option<&str>, limit: Option<u64>| UsedQuota {
            client: "acme (partners)".to_owned(),
            plan: plan.map(str::to_owned),
            limit: limit.map(Credits),
            used: Credits(15),
        };
        let line = |plan, limit| quota(plan, limit).line();
        assert_eq!(line(Some("forty"), Some(40)), "acme (partners): 15 of 40 credits, 25 left, plan forty");
        assert_eq!(line(Some("open"), None), "acme (partners): 15 credits, no quota, plan open");
        let unknown = "acme (partners): 15 credits, its plan does not follow from the configuration";
        assert_eq!(line(None, None), unknown);
        assert_eq!(quota(Some("forty"), Some(40)).json()["remaining"], 25);
        assert!(text(&[], 100).starts_with("\nRequests a minute"));
    }
}
