//! The state of a subscription, and the plan that follows from it.

use ledger::billing::BooksTransaction;
use ledger::billing::{StoredSubscription, subscriptions};
use serde_json::json;
use store::{Act, Actor, AuditAction, UserAccess};

use super::{BillingError, Books};
use crate::rules::subscription::{SubscriptionAccess, SubscriptionEvent, SubscriptionState};
use crate::rules::webhook_event::WebhookEvent;

impl Books {
    /// Applies an event to a subscription; `None` if the table does not allow it. The user's plan follows the state in
    /// the same transaction.
    pub(crate) async fn transition(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &StoredSubscription,
        event: SubscriptionEvent,
    ) -> Result<Option<SubscriptionState>, BillingError> {
        let before = of.state;
        let Some(after) = before.after(event) else { return Ok(None) };
        if after != before {
            subscriptions::set_state(&self.store, tx, of, after).await?;
            let detail = json!({"state": {"from": before.as_str(), "to": after.as_str()}});
            let act = Act::new(AuditAction::SubscriptionChange, of.id, Some(of.user)).with(detail);
            self.store.note(tx, by, act).await?;
            self.announce(tx, WebhookEvent::SubscriptionChanged, of.id).await?;
        }
        self.grant(tx, by, of, after).await?;
        Ok(Some(after))
    }

    /// Gives the user the plan that follows from the state, and no other plan. Keys of a closed subscription are refused.
    pub(crate) async fn grant(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &StoredSubscription,
        state: SubscriptionState,
    ) -> Result<(), BillingError> {
        let is_over = of.cancel_at_end && of.last_day < self.today();
        let granted = match state.access() {
            // The last period has ended, and its usage is not invoiced yet.
            SubscriptionAccess::Plan if is_over => SubscriptionAccess::Fallback,
            granted @ (SubscriptionAccess::Plan | SubscriptionAccess::Fallback | SubscriptionAccess::None) => granted,
        };
        let plan = match granted {
            SubscriptionAccess::Plan => self.version(tx, of.plan_version).await?.name,
            SubscriptionAccess::Fallback | SubscriptionAccess::None => self.settings.fallback_plan.clone(),
        };
        let access = UserAccess { plan: &plan, is_held: granted == SubscriptionAccess::None };
        self.store.move_user(tx, by, of.user, access).await?;
        Ok(())
    }
}
