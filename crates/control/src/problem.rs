//! What went wrong, twice: for the caller, and for the log.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use access::{NotFound, Refusal};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use store::StoreError;

/// After this what is our fault may be tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Said of a credential that is not there, and of another user's.
pub(crate) const NO_PROVIDER_KEY: &str = "you have no credential with this id";

/// Said of a key that is not there, and of another user's.
pub(crate) const NO_KEY: &str = "you have no key with this id";

/// Said while what is stored can be read and not changed.
const NO_WRITES: &str =
    "the store takes no writes at the moment, and nothing was changed; try again later, or tell who runs this server";

/// Said where this server's master key seals nothing any more, or never did.
const OTHER_MASTER_KEY: &str = "this server's master key is not the one in use, and nothing was changed; tell who runs this server that it \
     has to be started with the one that is";

/// An answer that is an error: `{"error":{"code","message","status"}}`.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    refusal: Refusal,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What the log says of an answer that is an error; it travels in the answer's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) refusal: Refusal,
    /// The message of the error's body.
    pub(crate) message: Cow<'static, str>,
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// `message` says what happened and what to do; it is read by the caller.
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, message: message.into(), retry_after: None, source: None }
    }

    /// The same, with how long to wait before it is tried again; the answer says whole seconds, rounded up.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// It took longer than a call may.
    pub(crate) fn late() -> Self {
        Self::new(Refusal::Unavailable, "the answer took too long; try again")
    }

    /// A fault of ours of which the caller is told nothing.
    pub(crate) fn internal() -> Self {
        Self::new(Refusal::Internal, "something went wrong here; the request id helps to find it in the log")
    }

    /// The same, whose cause the log has.
    pub(crate) fn fault(source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::internal() }
    }

    /// What the store met; only the log says more than what can be done.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the rest nothing can be done but to try again")]
    pub(crate) fn store(source: StoreError) -> Self {
        let message = match &source {
            StoreError::ReadOnly(_) | StoreError::Full(_) => NO_WRITES,
            StoreError::MasterKeyRetired | StoreError::OtherMasterKey { .. } => OTHER_MASTER_KEY,
            _ => "the store cannot be reached at the moment; try again",
        };
        Self { source: Some(Arc::new(source)), ..Self::new(Refusal::Unavailable, message) }
    }

    /// Whether the fault is ours: the caller may have done everything right.
    pub(crate) fn is_ours(&self) -> bool {
        self.refusal.status() >= 500
    }

    /// Whether it is the credential that opens nothing.
    pub(crate) fn is_of_credential(&self) -> bool {
        self.refusal.status() == StatusCode::UNAUTHORIZED
    }
}

impl From<NotFound> for Problem {
    fn from(reason: NotFound) -> Self {
        let (refusal, message) = match reason {
            NotFound::Unknown => (Refusal::KeyUnknown, "no such key"),
            NotFound::Revoked => (Refusal::KeyRevoked, "this key was revoked"),
            NotFound::Rotated => {
                (Refusal::KeyRevoked, "this secret was replaced when its key was rotated; use the new one")
            }
            NotFound::Expired => (Refusal::KeyExpired, "this key has expired"),
            NotFound::Suspended => (Refusal::UserSuspended, "the user of this key is suspended"),
            NotFound::Busy => (Refusal::DirectoryBusy, "too many keys are being looked up; try again"),
            NotFound::Unavailable => (Refusal::Unavailable, "keys cannot be looked up at the moment; try again"),
        };
        Self::new(refusal, message)
    }
}

/// What the store refuses is the caller's to mend; the rest is the store's own.
impl From<StoreError> for Problem {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest is what the database meets, and what only commands meet"
    )]
    fn from(error: StoreError) -> Self {
        let refusal = match &error {
            // Names are the caller's own words, which no refusal repeats.
            StoreError::NoPlan { .. } => return Self::new(Refusal::Unprocessable, "there is no plan of this name"),
            StoreError::PlanTaken { .. } => {
                return Self::new(Refusal::Conflict, "there is a plan of this name already");
            }
            StoreError::Invalid { .. }
            | StoreError::InvalidPlan
            | StoreError::UnfitBound(_)
            | StoreError::BudgetTooLarge => Refusal::Unprocessable,
            StoreError::EmailTaken
            | StoreError::AdminExists
            | StoreError::LastAdmin
            | StoreError::TooManyPlans
            | StoreError::TooManyBudgets
            | StoreError::TooManyKeys
            | StoreError::KeyRevoked
            | StoreError::TooManyLinks
            | StoreError::LabelTaken
            | StoreError::TooManyProviderKeys => Refusal::Conflict,
            StoreError::NoLink => Refusal::NotFound,
            StoreError::NoKey { .. } => return Self::new(Refusal::NotFound, NO_KEY),
            StoreError::NoProviderKey { .. } => return Self::new(Refusal::NotFound, NO_PROVIDER_KEY),
            _ => return Self::store(error),
        };
        Self::new(refusal, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.refusal.code();
        let status = StatusCode::from_u16(self.refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"error": {"code": code, "message": self.message, "status": status.as_u16()}});
        let mut response = (status, axum::Json(body)).into_response();
        let ours = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER);
        if let Some(wait) = self.retry_after.or(ours) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(Cause { refusal: self.refusal, message: self.message, source: self.source });
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether from [`Problem::store`] or by `?`.
    fn check(error: fn() -> StoreError, expected: &str) {
        for problem in [Problem::store(error()), error().into()] {
            assert_eq!(problem.refusal, Refusal::Unavailable, "{problem:?}");
            assert!(problem.message.contains(expected), "{problem:?}");
            assert!(problem.source.is_some() && problem.is_ours(), "{problem:?}");
        }
    }

    #[test]
    fn what_can_be_done_about_the_store_is_told() {
        check(|| StoreError::ReadOnly(None), "takes no writes at the moment, and nothing was changed");
        check(|| StoreError::MasterKeyRetired, "master key is not the one in use");
        check(|| StoreError::Contended { table: "users" }, "cannot be reached at the moment; try again");
    }
}
