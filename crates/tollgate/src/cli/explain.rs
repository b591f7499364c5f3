//! Arguments of `tollgate explain`.

use clap::Args;

use super::{Overrides, Place};

pub(super) const EXPLAIN_EXAMPLES: &str = "Examples:
  tollgate explain --config tollgate.yaml \\
      https://api.example.com/users/7
  tollgate explain --config tollgate.yaml \\
      'POST https://api.example.com/x' -H 'X-Tenant: acme'
  # As JSON, as POST /api/explain responds
  tollgate explain --json --config tollgate.yaml /v1/models

The command reads the configuration only: it sends no request, and knows no keys, tokens and counts of limits. `tests` in \
the configuration compare such results with expected ones; `tollgate check` runs them.";

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Method and URL; GET without a method. A path in place of the URL is a request without a host
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Header field of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
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
