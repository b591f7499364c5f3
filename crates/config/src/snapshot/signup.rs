//! The registration of users.

/// The settings `signup` and `signup_plan`.
#[derive(Debug, Clone)]
pub struct Signup {
    /// The mode of signup. Default closed.
    pub mode: SignupMode,
    /// The plan of new users. Default `starter`.
    pub plan: String,
}

/// The values of `signup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupMode {
    /// Signup is disabled: admins create users.
    Closed,
    /// Signup requires an admin's invitation.
    Invite,
    /// Signup is open to everybody.
    Open,
}
