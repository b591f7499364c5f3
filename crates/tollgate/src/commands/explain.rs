//! `tollgate explain`.

use std::process::ExitCode;

use anyhow::anyhow;
use config::WrittenRequest;

use crate::cli::Explain;
use crate::commands::{load, printable};
use crate::terminal::say;

/// Loads the configuration as `serve` would, and prints what happens to the request.
pub(crate) fn run(args: &Explain) -> anyhow::Result<ExitCode> {
    let request = WrittenRequest::parse(&args.request, &args.headers).map_err(|error| anyhow!("expected {error}"))?;
    let explanation = load(&args.place, &args.overrides.flags())?.snapshot.explain(&request);
    if args.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&explanation)?));
    } else {
        explanation.to_string().lines().for_each(|line| say(&format!("{}\n", printable(line))));
    }
    Ok(ExitCode::SUCCESS)
}
