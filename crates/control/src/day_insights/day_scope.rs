//! The day and the users whose figures are requested, as far as they are visible to the caller.

use access::{Day, LabelId, Refusal};
use insights::DayScope;
use insights::scope::BriefId;
use ledger::{DayUsageOf, UsageOf};
use store::UserRef;

use super::roles::HeldRoles;
use crate::message::problem::Problem;
use crate::process::state::State;
use crate::sign_in::caller::Caller;

/// The users whose usage the caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisibleScope {
    pub(crate) of: DayUsageOf,
    pub(crate) scope: DayScope,
}

impl VisibleScope {
    /// Returns the usage of all users.
    pub(crate) fn all() -> Self {
        Self { of: UsageOf::All.into(), scope: DayScope::All {} }
    }

    /// Returns the usage with a label.
    pub(crate) fn label(label: &str) -> Self {
        Self { of: DayUsageOf::Label(LabelId::from_label(label)), scope: DayScope::Label { label: label.to_owned() } }
    }

    /// Returns the requested scope; without one, the widest that the caller may see: all users for admins and the role
    /// `finance`, the led label for the role `team_lead`, otherwise the caller's user. That role `team_lead` of a label sees the usage with the label.
    ///
    /// # Errors
    /// `not_found` for a scope that does not exist or is not visible to the caller, with the same message.
    pub(crate) async fn resolve(state: &State, caller: &Caller, asked: Option<DayScope>) -> Result<Self, Problem> {
        let roles = HeldRoles::load(state, caller).await?;
        let sees_all = roles.sees_all();
        let of_user = |no: access::UserNo| DayUsageOf::Users(no.into());
        let own = || Self { of: of_user(caller.user_no), scope: DayScope::User { user_id: caller.user.0 } };
        match asked {
            None if sees_all => Ok(Self::all()),
            None => match roles.led_label() {
                Some(label) if state.ledger.has_label(LabelId::from_label(label)).await? => Ok(Self::label(label)),
                Some(_) | None => Ok(own()),
            },
            Some(DayScope::All {}) if sees_all => Ok(Self::all()),
            Some(DayScope::User { user_id }) if user_id == caller.user.0 => Ok(own()),
            Some(DayScope::User { user_id }) if sees_all => {
                let found = state.store.find_user(&UserRef::Id(access::UserId(user_id))).await?;
                let user = found.ok_or_else(no_such_scope)?;
                Ok(Self { of: of_user(user.no), scope: DayScope::User { user_id } })
            }
            Some(DayScope::Label { label }) if roles.sees_label(&label) => {
                let has_usage = state.ledger.has_label(LabelId::from_label(&label)).await?;
                if has_usage { Ok(Self::label(&label)) } else { Err(no_such_scope()) }
            }
            Some(DayScope::All {} | DayScope::User { .. } | DayScope::Label { .. }) => Err(no_such_scope()),
        }
    }

    /// Returns the scope of the query parameter `scope`.
    ///
    /// # Errors
    /// `not_found` as [`resolve`](Self::resolve), and `bad_request` for another word.
    pub(crate) async fn of_query(state: &State, caller: &Caller, word: Option<&str>) -> Result<Self, Problem> {
        let asked = word.map(|word| DayScope::of_query(word).ok_or_else(bad_scope)).transpose()?;
        Self::resolve(state, caller, asked).await
    }
}

/// Returns the day and the scope of a brief.
///
/// # Errors
/// `not_found` for an id that is malformed, of a day that has not begun, or of a scope that the caller may not see.
pub(crate) async fn brief_of(state: &State, caller: &Caller, id: &str) -> Result<(Day, VisibleScope), Problem> {
    let BriefId { day, scope } = BriefId::parse(id).ok_or_else(no_such_brief)?;
    let today = state.clock.now().day();
    let day = day.unwrap_or(today);
    if day > today {
        return Err(no_such_brief());
    }
    Ok((day, VisibleScope::resolve(state, caller, scope).await?))
}

fn no_such_brief() -> Problem {
    let message = "no brief has this id: use `today`, a past day such as `2026-11-21`, `2026-11-21~user=ID` or `2026-11-21~NAME=VALUE`";
    Problem::new(Refusal::NotFound, message)
}

fn no_such_scope() -> Problem {
    Problem::new(Refusal::NotFound, "no usage of this scope is visible to you")
}

fn bad_scope() -> Problem {
    Problem::new(Refusal::BadRequest, "`scope` must be `all`, `user:ID` or `label:NAME=VALUE`")
}
