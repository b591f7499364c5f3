//! Arguments of `tollgate explain`.

use std::net::IpAddr;

use clap::Args;

use super::{Overrides, Place};

pub(super) const EXPLAIN_EXAMPLES: &str = "Examples:
  tollgate explain --config tollgate.yaml \\
      https://api.example.com/users/7
  tollgate explain --config tollgate.yaml \\
      'POST https://api.example.com/x' -H 'X-Tenant: acme'
  # With a key, and the use of its quotas and budgets
  tollgate explain --config tollgate.yaml /users/7 \\
      --as 0199aa00-0000-7000-8000-000000000001
  # As the key `acme` of the entry `partners` of auth
  tollgate explain --config tollgate.yaml /users/7 \\
      --as partners/acme
  # The targets of a model
  tollgate explain --config tollgate.yaml --model smart \\
      'POST /v1/chat/completions'
  # As JSON, as POST /api/explain responds
  tollgate explain --json --config tollgate.yaml /v1/models

The command sends no request. Without --as, it reads the configuration only. The counts of rate limits are known to the \
running server only: POST /api/explain reports them. `tests` in the configuration compare such results with expected ones; `tollgate check` runs them.";

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Method and URL; GET without a method. A path in place of the URL is a request without a host
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Header field of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Client that makes the request: the id of a key, or ENTRY/NAME of a key or a user that an entry of `auth` lists; the
    /// store is read
    #[arg(long = "as", value_name = "CLIENT")]
    pub(crate) holder: Option<String>,
    /// Address of the client, for `addresses` of keys and routes
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,
    /// Model that the body of an LLM request names: its targets are printed, and why one is skipped
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Splits a header field at its colon.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE, such as 'X-Tenant: acme'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
