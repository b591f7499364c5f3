//! Lines of the audit log about refused sign-ins. Strangers cause them, and the log keeps its lines, so that their number is
//! limited: per account, and for everybody together.

use std::num::NonZeroU32;
use std::time::Duration;

use access::UserId;
use cluster::windows::WindowCheck;
use serde_json::json;
use store::{Act, Actor, ActorKind, AuditAction};

use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::address::Address;

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Lines per account and window.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Lines per window of all accounts together, existing or not.
const TOGETHER: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// A sign-in that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedSignIn {
    pub(crate) address: Address,
    /// The user whose address or key was presented, if it is known.
    pub(crate) user: Option<UserId>,
    pub(crate) reason: SignInReason,
}

/// The reason why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInReason {
    /// The address or the password is wrong.
    Password,
    /// The key is unknown, revoked or expired, or begins no session.
    Key,
    /// The password is right, and the user is suspended.
    Suspended,
}

impl SignInReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Key => "key",
            Self::Suspended => "suspended",
        }
    }
}

/// Writes a line about a refused sign-in, unless there are enough of them.
///
/// # Errors
/// Database errors of any kind.
pub(crate) async fn note(app: &App, refused: RefusedSignIn) -> Result<(), Problem> {
    let RefusedSignIn { address, user, reason } = refused;
    let account = user.map_or_else(String::new, |user| user.0.to_string());
    let limit = if user.is_some() { PER_ACCOUNT } else { TOGETHER };
    let of_account = WindowCheck { name: "refused_sign_ins_account", key: &account, limit, window: WINDOW };
    let together = WindowCheck { name: "refused_sign_ins", key: "", limit: TOGETHER, window: WINDOW };
    if !app.windows.take(&[of_account, together]).await.allowed {
        return Ok(());
    }
    let by = Actor { by: ActorKind::System, address: Some(address.0) };
    let act = Act::new(AuditAction::SessionRefuse, user.map(|user| user.0).unwrap_or_default(), user);
    app.store.note_alone(&by, act.with(json!({"reason": reason.as_str()}))).await?;
    Ok(())
}
