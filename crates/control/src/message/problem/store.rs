//! The problem for each error of the store, for all handlers. If the request may have been correct, the client learns
//! only the remedy, and the log contains the cause. The codes are described in docs/errors.md.

use std::error::Error;
use std::sync::Arc;

use access::Refusal;
use store::{
    AdminExists, BudgetError, CredentialGone, DatabaseError, InvalidText, KeyError, LinkError, NoKey, NoPlan, NoUser,
    PasswordChangeError, PlanError, ProviderKeyError, RedeemError, RetiredMasterKey, SessionError, UserError,
};

use super::Problem;

/// The message for keys that do not exist or belong to another user.
pub(crate) const NO_KEY: &str = "you have no key with this id";

/// The message for provider keys that do not exist or belong to another user.
pub(crate) const NO_PROVIDER_KEY: &str = "you have no credential with this id";

/// The message for internal errors whose only remedy is a retry.
const TRY_AGAIN: &str = "the store cannot be reached at the moment; try again";

/// The message while the store is read-only.
const NO_WRITES: &str =
    "the store takes no writes at the moment, and nothing was changed; try again later, or contact the operator";

/// The message if this server's master key is not the current one.
const OTHER_MASTER_KEY: &str = "this server's master key is not the one in use, and nothing was changed; the operator must start this \
     server with the current master key";

/// An internal error: the client may retry.
fn unavailable(message: &'static str, source: impl Error + Send + Sync + 'static) -> Problem {
    Problem { source: Some(Arc::new(source)), ..Problem::new(Refusal::Unavailable, message) }
}

/// A client error with the message of the store.
fn refused(refusal: Refusal, error: &impl Error) -> Problem {
    Problem::new(refusal, error.to_string())
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let message = match &error {
            DatabaseError::ReadOnly(_) | DatabaseError::Full(_) => NO_WRITES,
            DatabaseError::Unreadable { .. }
            | DatabaseError::Pooled
            | DatabaseError::Forbidden(_)
            | DatabaseError::Unavailable(_)
            | DatabaseError::Damaged(_)
            | DatabaseError::Database(_) => TRY_AGAIN,
        };
        unavailable(message, error)
    }
}

impl From<InvalidText> for Problem {
    fn from(error: InvalidText) -> Self {
        refused(Refusal::Unprocessable, &error)
    }
}

/// The message does not repeat the name, because no refusal repeats a client's text.
impl From<NoPlan> for Problem {
    fn from(_: NoPlan) -> Self {
        Self::new(Refusal::Unprocessable, "no plan has this name")
    }
}

/// Handlers in which the client names a user map this error themselves. In all others the user has just been found.
impl From<NoUser> for Problem {
    fn from(error: NoUser) -> Self {
        unavailable(TRY_AGAIN, error)
    }
}

impl From<NoKey> for Problem {
    fn from(_: NoKey) -> Self {
        Self::new(Refusal::NotFound, NO_KEY)
    }
}

impl From<AdminExists> for Problem {
    fn from(error: AdminExists) -> Self {
        refused(Refusal::Conflict, &error)
    }
}

/// Handlers in which the client presents a password map this error themselves.
impl From<CredentialGone> for Problem {
    fn from(error: CredentialGone) -> Self {
        unavailable(TRY_AGAIN, error)
    }
}

impl From<RetiredMasterKey> for Problem {
    fn from(error: RetiredMasterKey) -> Self {
        unavailable(OTHER_MASTER_KEY, error)
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoPlan(error) => error.into(),
            PlanError::PlanTaken { .. } => Self::new(Refusal::Conflict, "a plan of this name exists already"),
            PlanError::InvalidPlan => refused(Refusal::Unprocessable, &error),
            PlanError::TooManyPlans => refused(Refusal::Conflict, &error),
            PlanError::Database(error) => error.into(),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Invalid(error) => error.into(),
            UserError::NoUser(error) => error.into(),
            UserError::NoPlan(error) => error.into(),
            UserError::EmailTaken | UserError::LastAdmin => refused(Refusal::Conflict, &error),
            UserError::Database(error) => error.into(),
        }
    }
}

impl From<PasswordChangeError> for Problem {
    fn from(error: PasswordChangeError) -> Self {
        match error {
            PasswordChangeError::NoUser(error) => error.into(),
            PasswordChangeError::CredentialGone(error) => error.into(),
            PasswordChangeError::Database(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::CredentialGone(error) => error.into(),
            SessionError::Database(error) => error.into(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid(error) => error.into(),
            KeyError::UnfitBound(_) => refused(Refusal::Unprocessable, &error),
            KeyError::NoUser(error) => error.into(),
            KeyError::NoKey(error) => error.into(),
            KeyError::TooManyKeys
            | KeyError::KeyRevoked
            | KeyError::OtherRequest
            | KeyError::SecretReplaced
            | KeyError::ExpiryChanged
            | KeyError::TooManyRequests => refused(Refusal::Conflict, &error),
            // Secrets are random: the same one twice is no error of the client.
            KeyError::KeyTaken => unavailable(TRY_AGAIN, error),
            KeyError::Database(error) => error.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::TooManyLinks => refused(Refusal::Conflict, &error),
            LinkError::AdminExists(error) => error.into(),
            LinkError::NoPlan(error) => error.into(),
            LinkError::NoUser(error) => error.into(),
            LinkError::User(error) => error.into(),
            LinkError::Database(error) => error.into(),
        }
    }
}

impl From<RedeemError> for Problem {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::NoLink => refused(Refusal::NotFound, &error),
            RedeemError::AdminExists(error) => error.into(),
            RedeemError::User(error) => error.into(),
            RedeemError::CredentialGone(error) => error.into(),
            RedeemError::Database(error) => error.into(),
        }
    }
}

impl From<ProviderKeyError> for Problem {
    fn from(error: ProviderKeyError) -> Self {
        match error {
            ProviderKeyError::Invalid(error) => error.into(),
            ProviderKeyError::NoUser(error) => error.into(),
            ProviderKeyError::NoProviderKey { .. } => Self::new(Refusal::NotFound, NO_PROVIDER_KEY),
            ProviderKeyError::LabelTaken | ProviderKeyError::TooManyProviderKeys => refused(Refusal::Conflict, &error),
            ProviderKeyError::MasterKeyRetired(error) => error.into(),
            ProviderKeyError::Sealing(error) => unavailable(TRY_AGAIN, error),
            ProviderKeyError::Database(error) => error.into(),
        }
    }
}

impl From<BudgetError> for Problem {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::NoKey(error) => error.into(),
            BudgetError::NoUser(error) => error.into(),
            BudgetError::NoPlan(error) => error.into(),
            BudgetError::BudgetTooLarge | BudgetError::WindowOfMany => refused(Refusal::Unprocessable, &error),
            BudgetError::TooManyBudgets | BudgetError::TooManyWindows => refused(Refusal::Conflict, &error),
            BudgetError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(problem: impl Into<Problem>, expected: &str) {
        let problem = problem.into();
        assert_eq!(problem.refusal, Refusal::Unavailable, "{problem:?}");
        assert!(problem.message.contains(expected), "{problem:?}");
        assert!(problem.source.is_some() && problem.is_ours(), "{problem:?}");
    }

    #[test]
    fn internal_errors_name_a_remedy_and_keep_their_cause() {
        check(DatabaseError::ReadOnly(None), "takes no writes at the moment, and nothing was changed");
        check(UserError::from(DatabaseError::ReadOnly(None)), "takes no writes at the moment, and nothing was changed");
        check(ProviderKeyError::from(RetiredMasterKey), "master key is not the one in use");
        let unreadable = DatabaseError::Unreadable { table: "users", column: "status" };
        check(RedeemError::User(unreadable.into()), "cannot be reached at the moment; try again");
        check(SessionError::from(CredentialGone), "cannot be reached at the moment; try again");
        check(KeyError::KeyTaken, "cannot be reached at the moment; try again");
        check(BudgetError::from(NoUser { id: None }), "cannot be reached at the moment; try again");
    }

    #[test]
    fn refusals_of_the_store_are_client_errors_and_repeat_no_name() {
        let plan = || NoPlan { name: "\u{1b}S3CRET".to_owned() };
        let problems: [(Problem, Refusal); 6] = [
            (PlanError::PlanTaken { name: "S3CRET".to_owned() }.into(), Refusal::Conflict),
            (LinkError::User(plan().into()).into(), Refusal::Unprocessable),
            (BudgetError::from(plan()).into(), Refusal::Unprocessable),
            (RedeemError::NoLink.into(), Refusal::NotFound),
            (UserError::EmailTaken.into(), Refusal::Conflict),
            (KeyError::from(InvalidText { field: "a key's label" }).into(), Refusal::Unprocessable),
        ];
        for (problem, expected) in problems {
            assert_eq!(problem.refusal, expected, "{problem:?}");
            assert!(!problem.message.contains("S3CRET") && !problem.is_ours(), "{problem:?}");
        }
    }
}
