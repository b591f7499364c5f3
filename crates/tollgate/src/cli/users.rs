//! Arguments of `tollgate users` and `tollgate setup-link`.

use clap::{Args, Subcommand, ValueEnum};
use tls::ListenAddress;

use super::Place;

pub(super) const USERS_EXAMPLES: &str = "Examples:
  tollgate users create --email ada@example.com --plan pro
  tollgate users create --email root@example.com --admin
  tollgate users create --service shop --plan pro
  tollgate users password --user ada@example.com --link
  tollgate users role --user ada@example.com admin
  tollgate users grants --user ada@example.com finance
  tollgate users plan --user ada@example.com pro
  tollgate users suspend --user ada@example.com

Servers may be running; they apply the change within a second.";

const USERS_CREATE_EXAMPLES: &str = "Examples:
  tollgate users create --email ada@example.com --plan pro
  tollgate users create --email ada@example.com --link
  tollgate users create --email root@example.com --admin
  tollgate users create --email root@example.com --admin \\
      --password-stdin < password.txt
  tollgate users create --service shop --plan pro
  tollgate keys create --user shop

A member signs in with a key until a password is set. An admin always signs in with a password: the command asks for \
it on a terminal, and otherwise prints a one-time link to a page of the admin API (at public_url.control, else \
control.listen, else the address of the running server). A service user is a program, which has keys only: \
`tollgate keys create --user NAME` creates one.";

const USERS_PASSWORD_EXAMPLES: &str = "Examples:
  # Ask for the password on the terminal
  tollgate users password --user ada@example.com
  # Print a one-time link for a user who forgot the password
  tollgate users password --user ada@example.com --link
  # Read the password from a file
  tollgate users password --user ada@example.com \\
      --password-stdin < password.txt

A new password ends every session of the user.";

const USERS_ROLE_EXAMPLES: &str = "Examples:
  tollgate users role --user ada@example.com admin
  tollgate users role --user ada@example.com member

An admin signs in with a password and changes users, plans and shared credentials over the API. The last admin cannot \
be demoted.";

const USERS_GRANTS_EXAMPLES: &str = "Examples:
  tollgate users grants --user ada@example.com finance
  tollgate users grants --user ada@example.com \\
      finance team_lead:team=payments
  tollgate users grants --user ada@example.com --none

The roles replace all earlier ones beside admin and member: `finance` sees and changes the money of all users, \
`team_lead` sees the usage with a label, and both sign off days, as do the other `signoff.roles`. They apply to \
sessions that began with a password.";

const USERS_PLAN_EXAMPLES: &str = "Examples:
  tollgate users plan --user ada@example.com pro

The limits of the new plan apply within a second. A subscription keeps its plan: its next change or period sets the \
plan of its user again.";

pub(super) const SETUP_LINK_EXAMPLES: &str = "Examples:
  tollgate setup-link --data /var/lib/tollgate
  docker compose exec tollgate tollgate setup-link
  tollgate setup-link --user root@example.com

The link opens a page of the admin API and expires after 24 hours. A new link replaces earlier ones. Without an admin, \
the link creates the first one. Otherwise an admin chooses a password with it; this also lifts the limits on failed \
sign-ins, and open sessions continue if the password stays the same.";

/// Arguments of `tollgate setup-link`.
#[derive(Debug, Args)]
pub(crate) struct SetupLink {
    /// Address of the admin API [default: public_url.control, else control.listen, else that of the running server]
    #[arg(long, value_name = "ADDR")]
    pub(crate) addr: Option<ListenAddress>,
    /// Address or id of the admin, if several exist
    #[arg(long)]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Users {
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Create a user or admin
    #[command(after_help = USERS_CREATE_EXAMPLES)]
    Create(CreateUser),
    /// List users with their plans
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Set the password of a user, or print a one-time link to choose one
    #[command(after_help = USERS_PASSWORD_EXAMPLES)]
    Password(UserPassword),
    /// Change the role of a user
    #[command(after_help = USERS_ROLE_EXAMPLES)]
    Role(UserRole),
    /// Replace the roles of a user beside admin and member
    #[command(after_help = USERS_GRANTS_EXAMPLES)]
    Grants(UserGrants),
    /// Change the plan of a user
    #[command(after_help = USERS_PLAN_EXAMPLES)]
    Plan(UserPlan),
    /// Refuse every key of a user, and end their sessions
    Suspend(WhichUser),
    /// Undo `suspend`; sessions remain ended
    Activate(WhichUser),
}

#[derive(Debug, Args)]
pub(crate) struct CreateUser {
    /// E-mail address, which must be unique
    #[arg(long, required_unless_present = "service")]
    pub(crate) email: Option<String>,
    /// Create a service user with this name: a program without an e-mail address and a password
    #[arg(long, value_name = "NAME", conflicts_with_all = ["email", "name", "admin", "password_stdin", "link"])]
    pub(crate) service: Option<String>,
    /// Name for people [default: the address]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Name of the plan [default: starter; if it does not exist, signup_plan, else the first plan by name]
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// Create an admin, with permission to change users, plans and shared credentials
    #[arg(long)]
    pub(crate) admin: bool,
    #[command(flatten)]
    pub(crate) by: PasswordFlags,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct UserPassword {
    #[command(flatten)]
    pub(crate) by: PasswordFlags,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

/// The source of a password; without a flag, the command asks on a terminal.
#[derive(Debug, Args)]
pub(crate) struct PasswordFlags {
    /// Read the password from stdin: one line of 12 to 128 characters
    #[arg(long, conflicts_with = "link")]
    pub(crate) password_stdin: bool,
    /// Print a link to choose the password; valid once, within 24 hours
    #[arg(long)]
    pub(crate) link: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserRole {
    /// New role of the user
    #[arg(value_enum)]
    pub(crate) role: NewRole,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

#[derive(Debug, Args)]
pub(crate) struct UserGrants {
    /// `finance`, `team_lead` or another role that signs off; with the label that it is limited to as ROLE:NAME=VALUE
    #[arg(value_name = "ROLE", required_unless_present = "none")]
    pub(crate) roles: Vec<String>,
    /// Remove all of them
    #[arg(long, conflicts_with = "roles")]
    pub(crate) none: bool,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

#[derive(Debug, Args)]
pub(crate) struct UserPlan {
    /// Name of the new plan of the user
    pub(crate) plan: String,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NewRole {
    /// May change users, plans and shared credentials
    Admin,
    /// May use their own keys and settings
    Member,
}

impl From<NewRole> for access::Role {
    fn from(role: NewRole) -> Self {
        match role {
            NewRole::Admin => Self::Admin,
            NewRole::Member => Self::Member,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WhichUser {
    /// Address or id of the user, or the name of a service user
    #[arg(long)]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) place: Place,
}
