//! The roles that a caller holds: those of the user, for sessions that began with a password.

use std::collections::BTreeSet;

use access::{Refusal, Role};
use store::RoleGrant;

use crate::message::problem::Problem;
use crate::process::state::State;
use crate::sign_in::caller::Caller;

/// The role that reads and changes all figures of money.
pub(crate) const FINANCE: &str = "finance";
/// The role that reads the usage with one label.
pub(crate) const TEAM_LEAD: &str = "team_lead";

/// The roles that a caller holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldRoles {
    is_admin: bool,
    grants: Vec<RoleGrant>,
}

impl HeldRoles {
    /// Reads the roles of the caller. A key, and a session that began with a key, has none.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn load(state: &State, caller: &Caller) -> Result<Self, Problem> {
        let is_admin = caller.role == Role::Admin;
        let grants = if caller.key().is_some() { Vec::new() } else { state.store.grants(caller.user).await? };
        Ok(Self { is_admin, grants })
    }

    /// Returns the names of the roles, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.grants.iter().map(|grant| &grant.role).collect();
        names.into_iter().cloned().collect()
    }

    /// Whether the caller may see the usage of all users.
    pub(crate) fn sees_all(&self) -> bool {
        self.is_admin || self.holds(FINANCE, None)
    }

    /// Whether the caller may see the usage with a label, written as `NAME=VALUE`.
    pub(crate) fn sees_label(&self, label: &str) -> bool {
        let leads = |grant: &RoleGrant| grant.role == TEAM_LEAD && grant.label.as_deref().is_none_or(|of| of == label);
        self.sees_all() || self.grants.iter().any(leads)
    }

    /// Returns the first label whose usage the caller leads.
    pub(crate) fn led_label(&self) -> Option<&str> {
        let led = |grant: &RoleGrant| grant.role == TEAM_LEAD;
        self.grants.iter().filter(|grant| led(grant)).find_map(|grant| grant.label.as_deref())
    }

    /// Whether the caller holds the role for the usage with a label; without a label, for that of all users.
    pub(crate) fn holds(&self, role: &str, label: Option<&str>) -> bool {
        self.grants_of(label).any(|grant| grant.role == role)
    }

    /// Whether the caller may see reviews of the usage with a label; without a label, of all users.
    pub(crate) fn sees_reviews(&self, label: Option<&str>) -> bool {
        self.is_admin || self.grants_of(label).next().is_some()
    }

    /// Returns the grants without the limit of a label, and those of this label.
    fn grants_of<'a>(&'a self, label: Option<&'a str>) -> impl Iterator<Item = &'a RoleGrant> {
        self.grants.iter().filter(move |grant| grant.label.as_deref().is_none_or(|of| Some(of) == label))
    }

    /// Refuses the caller without the role `finance`, except admins.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_finance(&self) -> Result<(), Problem> {
        if self.sees_all() {
            return Ok(());
        }
        Err(Problem::new(Refusal::Forbidden, "only admins and users with the role `finance` may do this"))
    }
}
