//! Checks of the roles of users beside admin and member, of the admin API and of commands.

use access::people::labels::{is_label_name, is_label_value};
use insights::InsightSettings;
use ledger::Ledger;
use store::{DatabaseError, GRANTS_MAX, RoleGrant, is_fit_text};

use crate::day_insights::roles::{FINANCE, TEAM_LEAD};

/// The maximum length of the name of a role, in characters.
const ROLE_CHARS_MAX: usize = 50;

/// Roles that a user cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// More than [`GRANTS_MAX`] roles.
    #[error("`grants` may have at most {GRANTS_MAX} roles")]
    TooMany,
    /// The name of a role is empty, too long or not plain text.
    #[error("a role in `grants` must have 1 to {ROLE_CHARS_MAX} characters")]
    Name,
    /// A label is not written as `NAME=VALUE`.
    #[error("a label in `grants` must be NAME=VALUE, such as team=payments")]
    Label,
    /// The role `finance` has a label.
    #[error("`finance` in `grants` has no label: it is about all users")]
    FinanceWithLabel,
    /// No such role exists.
    #[error("a role in `grants` must be `finance`, `team_lead` or one of `signoff.roles` of `GET /config`")]
    UnknownRole,
}

/// Checks the roles of a user, and returns them in order, each once. `of_reviews` are the roles that sign off.
///
/// # Errors
/// [`InvalidGrant`], for the first role.
pub fn checked(views: Vec<RoleGrant>, of_reviews: &[String]) -> Result<Vec<RoleGrant>, InvalidGrant> {
    if views.len() > GRANTS_MAX {
        return Err(InvalidGrant::TooMany);
    }
    let mut grants = Vec::new();
    for RoleGrant { role, label } in views {
        if !(1..=ROLE_CHARS_MAX).contains(&role.chars().count()) || !is_fit_text(&role) {
            return Err(InvalidGrant::Name);
        }
        let is_label = |label: &String| {
            label.split_once('=').is_some_and(|(name, value)| is_label_name(name) && is_label_value(value))
        };
        if label.as_ref().is_some_and(|label| !is_label(label)) {
            return Err(InvalidGrant::Label);
        }
        if role == FINANCE && label.is_some() {
            return Err(InvalidGrant::FinanceWithLabel);
        }
        if ![FINANCE, TEAM_LEAD].contains(&role.as_str()) && !of_reviews.contains(&role) {
            return Err(InvalidGrant::UnknownRole);
        }
        grants.push(RoleGrant { role, label });
    }
    grants.sort();
    grants.dedup();
    Ok(grants)
}

/// Returns the roles that sign off: those of the last stored settings, otherwise of the configuration.
///
/// # Errors
/// Database errors of any kind. Stored settings of another version count as those of the configuration.
pub async fn of_reviews(ledger: &Ledger, configured: &InsightSettings) -> Result<Vec<String>, DatabaseError> {
    let stored = ledger.insight_settings().await?;
    let stored = stored.and_then(|(_, text)| serde_json::from_str::<InsightSettings>(&text).ok());
    Ok(stored.map_or_else(|| configured.signoff.roles.clone(), |settings| settings.signoff.roles))
}
