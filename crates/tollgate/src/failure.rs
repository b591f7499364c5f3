//! Why a command ends without having done its work: a line with a code, and what to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;

/// The configuration or the command line is wrong.
const USAGE: u8 = 2;

/// Faults at start, with codes of their own (apart from `access::Refusal`, which callers meet).
#[derive(Debug, Error)]
pub(crate) enum StartFault {
    #[error("{0}")]
    Config(#[from] config::ConfigError),
    #[error(
        "data_in_use: the data folder {} is in use by {holder}: stop that process, or name another folder with --data",
        folder.display()
    )]
    DataInUse { folder: PathBuf, holder: String },
    #[error(
        "demo_keys_exposed: the store has demo users, whose keys anybody can print, a provider's real key is set, and \
         {listener} is not loopback. Any one of three ways out: listen on 127.0.0.1, force the mock with --mock, or use \
         a data folder without demo users (--data)"
    )]
    DemoKeysExposed { listener: SocketAddr },
    #[error("store_newer: {0}")]
    StoreNewer(#[source] store::StoreError),
}

/// Writes the error and all its causes to stderr.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some causes repeat their own cause's words.
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    telemetry::logs::last_words(format!("error: {}\n", text.strip_prefix("error: ").unwrap_or(&text)));
    match error.downcast_ref::<StartFault>() {
        Some(StartFault::Config(_)) => ExitCode::from(USAGE),
        _ => ExitCode::FAILURE,
    }
}
