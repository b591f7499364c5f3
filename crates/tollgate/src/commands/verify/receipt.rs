//! The part of `tollgate verify` that computes an invoice again from its receipt.

use std::io::{Read, Seek};

use billing::receipt::document::TERMS;
use billing::receipt::{ListedDay, ReceiptCheck, ReceiptDifference, ReceiptDocuments};
use evidence::verify::VerifiedExport;
use evidence::{VerifyError, read_file};
use thiserror::Error;

/// The maximum size of a document of a receipt.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// A receipt whose figures were computed again.
#[derive(Debug)]
pub(super) struct CheckedReceipt {
    /// The documents of the receipt.
    pub(super) documents: ReceiptDocuments,
    /// Number of days whose requests were added up.
    pub(super) days: usize,
    /// Number of requests that were added up.
    pub(super) requests: u64,
}

/// Why a receipt is not right.
#[derive(Debug, Error)]
pub(super) enum ReceiptError {
    /// A figure of the receipt differs.
    #[error(transparent)]
    Difference(#[from] ReceiptDifference),
    /// A document has another form.
    #[error("a document of the receipt has another form: {0}")]
    Form(#[from] serde_json::Error),
    /// A document is too large.
    #[error("the document {0} is too large")]
    TooLarge(String),
    /// A file cannot be read.
    #[error(transparent)]
    Export(#[from] VerifyError),
}

/// Whether an export is a receipt.
pub(super) fn is_receipt(of: &VerifiedExport) -> bool {
    of.manifest.files.iter().any(|file| file.name == TERMS)
}

/// Computes a receipt again.
pub(super) fn check(from: &mut (impl Read + Seek), of: &VerifiedExport) -> Result<CheckedReceipt, ReceiptError> {
    let documents = ReceiptDocuments::read(|name| document(from, name))?;
    let mut check = ReceiptCheck::begin(&documents)?;
    let mut days = 0;
    for listed in &documents.days {
        let name = ListedDay::file_name(listed.day);
        let is_listed = of.manifest.files.iter().any(|file| file.name == name);
        let is_missing = of.manifest.days_without_requests.contains(&listed.day.to_string());
        if is_listed == is_missing {
            return Err(ReceiptError::Difference(ReceiptDifference {
                place: format!("the file {name}"),
                stated: if is_missing { "it, and lists the day as one without requests" } else { "no such file" }
                    .to_owned(),
                computed: "a file, or a day that the manifest lists as one without requests".to_owned(),
            }));
        }
        if is_listed {
            let mut day = check.day(listed);
            read_file(from, &name, |bytes| day.push(bytes))?;
            check.end(day)?;
            days += 1;
        }
    }
    let requests = check.requests();
    Ok(CheckedReceipt { documents, days, requests })
}

/// Reads a document of the receipt.
fn document(from: &mut (impl Read + Seek), name: &str) -> Result<Vec<u8>, ReceiptError> {
    let (mut all, mut is_too_large) = (Vec::new(), false);
    read_file(from, name, |bytes| {
        is_too_large |= all.len() + bytes.len() > DOCUMENT_BYTES_MAX;
        if !is_too_large {
            all.extend_from_slice(bytes);
        }
    })?;
    if is_too_large { Err(ReceiptError::TooLarge(name.to_owned())) } else { Ok(all) }
}
