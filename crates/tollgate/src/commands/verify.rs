//! `tollgate verify`: checks an export or a receipt without a server.

use std::fs::File;
use std::process::ExitCode;

use invoicing::verification::{VerificationError, VerifiedFile, parse_key, verify_file};

use crate::cli::Verify;
use crate::terminal::say;

/// The exit code for a changed export, and for a receipt with a wrong figure.
const CHANGED: u8 = 1;
/// The exit code for a file that is not an export or cannot be read.
const NOT_AN_EXPORT: u8 = 2;

/// Verifies a file and prints the result.
pub(crate) fn run(args: &Verify) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    match verified(args) {
        Ok(verified) => {
            say(&format!("{file} is unchanged\n{verified}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            telemetry::logs::write_stderr(format!("error: {}: {file}: {error}\n", error.code()));
            Ok(ExitCode::from(if error.is_of_export() { CHANGED } else { NOT_AN_EXPORT }))
        }
    }
}

fn verified(args: &Verify) -> Result<VerifiedFile, VerificationError> {
    let key = args.key.as_deref().map(parse_key).transpose()?;
    let mut from = File::open(&args.file).map_err(VerificationError::Unreadable)?;
    verify_file(&mut from, key)
}
