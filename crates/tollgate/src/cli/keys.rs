//! `tollgate keys`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Place;

pub(super) const KEYS_EXAMPLES: &str = "Examples:
  tollgate keys create --user ada@example.com --label laptop
  tollgate keys create --user ada@example.com --label ci \\
      --expires 90d --model 'openai/*' \\
      --address 203.0.113.0/24 \\
      --credits-per-day 1000 --requests-per-minute 60
  tollgate keys list --user ada@example.com
  tollgate keys label --label 'build server' \\
      --key 0199aa00-0000-7000-8000-000000000000
  tollgate keys rotate --grace 1h \\
      --key 0199aa00-0000-7000-8000-000000000000
  tollgate keys revoke \\
      --key 0199aa00-0000-7000-8000-000000000000

These commands can run while servers run. Servers apply the change within a second.";

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is shown once, alone on the last line
    Create(Box<CreateKey>),
    /// List keys, by prefix and last four digits
    List {
        /// Only this user's, by address or id
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Call a key something else
    Label {
        #[command(flatten)]
        which: WhichKey,
        /// What its owner calls it from now on
        #[arg(long)]
        label: String,
    },
    /// Give a key another secret, shown once, alone on the last line; all else about it stays
    Rotate {
        #[command(flatten)]
        which: WhichKey,
        /// How long the secret before it still opens the key, at most 7d [default: not at all]
        #[arg(long, value_name = "DURATION", value_parser = grace)]
        grace: Option<Duration>,
    },
    /// Refuse a key from now on
    Revoke(WhichKey),
}

#[derive(Debug, Args)]
pub(crate) struct WhichKey {
    /// Its id, as `keys list` shows it
    #[arg(long)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// Its owner's address or id
    #[arg(long)]
    pub(crate) user: String,
    /// What its owner calls it
    #[arg(long, default_value = "default")]
    pub(crate) label: String,
    /// After this time it opens nothing: 12h, 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    /// An ordinary route that it opens, by name; may be repeated [default: all]
    #[arg(long = "route", value_name = "NAME")]
    pub(crate) routes: Vec<String>,
    /// A model that it may ask for, as calls name it; a `*` may end the name; may be repeated [default: all]
    #[arg(long = "model", value_name = "NAME")]
    pub(crate) models: Vec<String>,
    /// An address or network that it may be used from; may be repeated [default: everywhere]
    #[arg(long = "address", value_name = "NETWORK")]
    pub(crate) addresses: Vec<String>,
    /// A quota of its own; its user's holds as well [default: none]
    #[arg(long, value_name = "N")]
    pub(crate) credits_per_day: Option<u64>,
    /// A rate of its own; its user's plan holds as well [default: none]
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How long the secret before a rotation may go on.
const GRACE_MAX: Duration = Duration::from_secs(7 * 86_400);

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "a duration is 90s, 15m, 12h or 90d".to_owned())
}

fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace > GRACE_MAX { Err("a grace is at most 7d".to_owned()) } else { Ok(grace) }
}
