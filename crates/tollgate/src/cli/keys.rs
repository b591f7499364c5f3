//! Arguments of `tollgate keys`.

use std::num::NonZeroU32;
use std::time::Duration;

use access::ControlScope;
use clap::{Args, Subcommand};

use super::Place;

pub(super) const KEYS_EXAMPLES: &str = "Examples:
  tollgate keys create --user ada@example.com --label laptop
  tollgate keys create --user ada@example.com --label ci \\
      --expires 90d --model 'openai/*' \\
      --address 203.0.113.0/24 \\
      --credits-per-day 1000 --requests-per-minute 60
  # For a program that creates users and keys
  tollgate keys create --admin --expires 90d --label shop
  tollgate keys list --user ada@example.com
  tollgate keys label --label 'build server' \\
      --key 0199aa00-0000-7000-8000-000000000000
  tollgate keys rotate --grace 1h \\
      --key 0199aa00-0000-7000-8000-000000000000
  tollgate keys revoke \\
      --key 0199aa00-0000-7000-8000-000000000000

Servers may be running; they apply the change within a second.";

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Create a key, which is shown only once, on the last line
    Create(Box<CreateKey>),
    /// List keys by prefix and last four digits
    List {
        /// List only keys of this user (address, id, or name of a service user)
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Change the label of a key
    Label {
        #[command(flatten)]
        which: WhichKey,
        /// New label of the key
        #[arg(long)]
        label: String,
    },
    /// Replace the secret of a key; the new key is shown only once, on the last line
    Rotate {
        #[command(flatten)]
        which: WhichKey,
        /// Time for which the previous secret remains valid, at most 7d [default: none]
        #[arg(long, value_name = "DURATION", value_parser = grace)]
        grace: Option<Duration>,
    },
    /// Revoke a key permanently
    Revoke(WhichKey),
}

#[derive(Debug, Args)]
pub(crate) struct WhichKey {
    /// Id of the key, as `keys list` shows it
    #[arg(long)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// Address or id of the user who owns the key, or the name of a service user [default with --admin: the only admin]
    #[arg(long, required_unless_present = "admin")]
    pub(crate) user: Option<String>,
    /// Create a key that administers, for programs; asks for the password of its admin
    #[arg(long, requires = "expires",
        conflicts_with_all = ["routes", "models", "control", "credits_per_day", "requests_per_minute"])]
    pub(crate) admin: bool,
    /// Read the password of the admin from stdin
    #[arg(long, requires = "admin")]
    pub(crate) password_stdin: bool,
    /// Label of the key
    #[arg(long, default_value = "default")]
    pub(crate) label: String,
    /// Time until the key expires, such as 12h or 90d, at most 366d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = expires)]
    pub(crate) expires: Option<Duration>,
    /// Name of an ordinary route that the key may use; can be repeated [default: all]
    #[arg(long = "route", value_name = "NAME")]
    pub(crate) routes: Vec<String>,
    /// Model that the key may request; may end with `*`; can be repeated [default: all]
    #[arg(long = "model", value_name = "NAME")]
    pub(crate) models: Vec<String>,
    /// Address or network from which the key may be used; can be repeated [default: all]
    #[arg(long = "address", value_name = "NETWORK")]
    pub(crate) addresses: Vec<String>,
    /// What the key may call of the admin API: none, self or read [default: self if the key is restricted]
    #[arg(long, value_name = "SCOPE", value_parser = control_scope)]
    pub(crate) control: Option<ControlScope>,
    /// Quota of the key; the quota of its user applies as well [default: none]
    #[arg(long, value_name = "N")]
    pub(crate) credits_per_day: Option<u64>,
    /// Rate limit of the key; the limit of the plan applies as well [default: none]
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Maximum time for which the previous secret remains valid after a rotation.
const GRACE_MAX: Duration = Duration::from_secs(7 * 86_400);

fn control_scope(text: &str) -> Result<ControlScope, String> {
    ControlScope::parse(text).ok_or_else(|| "expected none, self or read".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "expected a duration of at most 366d, such as 90s, 15m, 12h or 90d".to_owned())
}

fn expires(text: &str) -> Result<Duration, String> {
    let after = duration(text)?;
    if after.is_zero() { Err("the key must be valid for some time, at most 366d".to_owned()) } else { Ok(after) }
}

fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace > GRACE_MAX { Err("the grace period must be at most 7d".to_owned()) } else { Ok(grace) }
}
