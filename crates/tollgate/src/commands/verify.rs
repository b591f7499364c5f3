//! `tollgate verify`: checks an export or a receipt without a server.

mod receipt;

use std::fs::File;
use std::process::ExitCode;

use evidence::{VerifyError, hex, verify};

use crate::cli::Verify;
use crate::terminal::say;
use receipt::CheckedReceipt;

/// The exit code for a changed export, and for a receipt with a wrong figure.
const CHANGED: u8 = 1;
/// The exit code for a file that is not an export or cannot be read.
const NOT_AN_EXPORT: u8 = 2;

/// Verifies a file and prints the result.
pub(crate) fn run(args: &Verify) -> anyhow::Result<ExitCode> {
    let key = match args.key.as_deref().map(|key| hex::decode::<32>(key.to_ascii_lowercase().as_bytes())) {
        None => None,
        Some(Some(key)) => Some(key),
        Some(None) => return Ok(failed(NOT_AN_EXPORT, "key_malformed: --key is 64 hex digits")),
    };
    let file = args.file.display();
    let mut from = match File::open(&args.file) {
        Ok(from) => from,
        Err(error) => return Ok(failed(NOT_AN_EXPORT, &format!("export_unreadable: {file} cannot be read: {error}"))),
    };
    match verify(&mut from, key) {
        Ok(verified) => {
            let checked =
                if receipt::is_receipt(&verified) { Some(receipt::check(&mut from, &verified)) } else { None };
            let checked = match checked.transpose() {
                Ok(checked) => checked,
                Err(error) => return Ok(failed(CHANGED, &format!("receipt_wrong: {file}: {error}"))),
            };
            let manifest = verified.manifest;
            let state = if manifest.complete { "complete" } else { "not complete" };
            say(&format!(
                "{file} is unchanged\n  id           {}\n  figures      version {}, {state}\n  installation {}\n  \
                 created      {}\n  files        {}\n  fingerprint  {}\n  key          {}\n",
                manifest.id,
                manifest.figures_version,
                manifest.installation,
                manifest.created_at,
                manifest.files.len(),
                verified.fingerprint,
                manifest.public_key,
            ));
            if let Some(checked) = checked {
                say(&figures(&checked, manifest.days_without_requests.len()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ VerifyError::NotAnExport) => Ok(failed(NOT_AN_EXPORT, &format!("export_unknown: {file}: {error}"))),
        Err(VerifyError::Io(error)) => {
            Ok(failed(NOT_AN_EXPORT, &format!("export_unreadable: {file} cannot be read: {error}")))
        }
        Err(error @ (VerifyError::FileChanged { .. } | VerifyError::Changed | VerifyError::OtherKey { .. })) => {
            Ok(failed(CHANGED, &format!("export_changed: {file}: {error}")))
        }
    }
}

/// Describes the figures that were computed again.
fn figures(of: &CheckedReceipt, without_requests: usize) -> String {
    let invoice = &of.documents.invoice;
    let currency = invoice.currency.code();
    format!(
        "  requests     {} of {} days add up; {without_requests} days have no requests\n  lines        {} add up to {} {currency}\n  \
         tax          {} {currency}\n  total        {} {currency}\n",
        of.requests,
        of.days,
        invoice.lines.len(),
        invoice.subtotal,
        invoice.tax.amount,
        invoice.total,
    )
}

fn failed(code: u8, message: &str) -> ExitCode {
    telemetry::logs::write_stderr(format!("error: {message}\n"));
    ExitCode::from(code)
}
