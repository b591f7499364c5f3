//! Verifies an export or a receipt without a server, as `tollgate verify` does.

use std::fmt;
use std::io::{self, Read, Seek};

use evidence::verify::VerifiedExport;
use evidence::{VerifyError, hex, read_file, verify};
use thiserror::Error;

use crate::receipt::document::TERMS;
use crate::receipt::{ListedDay, ReceiptCheck, ReceiptDifference, ReceiptDocuments};

/// The maximum size of a document of a receipt.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// A file whose signature and digests are valid. The figures of a receipt are right.
#[derive(Debug)]
pub struct VerifiedFile {
    /// The manifest, and the key that signed it.
    pub export: VerifiedExport,
    /// The figures that were computed again; `None` for an export.
    pub receipt: Option<CheckedReceipt>,
}

/// A receipt whose figures were computed again.
#[derive(Debug)]
pub struct CheckedReceipt {
    /// The documents of the receipt.
    pub documents: ReceiptDocuments,
    /// Number of days whose requests were added up.
    pub days: usize,
    /// Number of requests that were added up.
    pub requests: u64,
}

/// The reason why a file is not valid.
#[derive(Debug, Error)]
pub enum VerificationError {
    /// The expected key is not 64 hex digits.
    #[error("the key is not 64 hex digits")]
    KeyMalformed,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file was not written as an export.
    #[error(transparent)]
    Unknown(VerifyError),
    /// The file was changed, or signed with another key.
    #[error(transparent)]
    Changed(VerifyError),
    /// A figure of a receipt is wrong.
    #[error(transparent)]
    ReceiptWrong(ReceiptError),
}

/// Why a receipt is not right.
#[derive(Debug, Error)]
pub enum ReceiptError {
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

impl VerificationError {
    /// Returns the code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyMalformed => "key_malformed",
            Self::Unreadable(_) => "export_unreadable",
            Self::Unknown(_) => "export_unknown",
            Self::Changed(_) => "export_changed",
            Self::ReceiptWrong(_) => "receipt_wrong",
        }
    }

    /// Whether the file is an export or a receipt, and not valid.
    #[must_use]
    pub const fn is_of_export(&self) -> bool {
        match self {
            Self::KeyMalformed | Self::Unreadable(_) | Self::Unknown(_) => false,
            Self::Changed(_) | Self::ReceiptWrong(_) => true,
        }
    }
}

impl From<VerifyError> for VerificationError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Io(error) => Self::Unreadable(error),
            VerifyError::NotAnExport => Self::Unknown(error),
            VerifyError::FileChanged { .. } | VerifyError::Changed | VerifyError::OtherKey { .. } => {
                Self::Changed(error)
            }
        }
    }
}

/// Reads the public key of an installation: 64 hex digits.
///
/// # Errors
/// [`VerificationError::KeyMalformed`].
pub fn parse_key(text: &str) -> Result<[u8; 32], VerificationError> {
    hex::decode(text.to_ascii_lowercase().as_bytes()).ok_or(VerificationError::KeyMalformed)
}

/// Verifies every byte of an export. The figures of a receipt are computed again. `key` is the expected public key.
///
/// # Errors
/// [`VerificationError`] has the code.
pub fn verify_file(from: &mut (impl Read + Seek), key: Option<[u8; 32]>) -> Result<VerifiedFile, VerificationError> {
    let export = verify(from, key)?;
    let receipt = if is_receipt(&export) { Some(check(from, &export)) } else { None };
    let receipt = receipt.transpose().map_err(VerificationError::ReceiptWrong)?;
    Ok(VerifiedFile { export, receipt })
}

/// Whether an export is a receipt.
fn is_receipt(of: &VerifiedExport) -> bool {
    of.manifest.files.iter().any(|file| file.name == TERMS)
}

/// Computes a receipt again.
fn check(from: &mut (impl Read + Seek), of: &VerifiedExport) -> Result<CheckedReceipt, ReceiptError> {
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
    let mut all = Vec::new();
    let mut is_too_large = false;
    read_file(from, name, |bytes| {
        is_too_large |= all.len() + bytes.len() > DOCUMENT_BYTES_MAX;
        if !is_too_large {
            all.extend_from_slice(bytes);
        }
    })?;
    if is_too_large { Err(ReceiptError::TooLarge(name.to_owned())) } else { Ok(all) }
}

/// Prints the manifest and the figures, one on each line.
impl fmt::Display for VerifiedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.export.manifest;
        let fingerprint = &self.export.fingerprint;
        let state = if manifest.complete { "complete" } else { "not complete" };
        writeln!(f, "  id           {}", manifest.id)?;
        writeln!(f, "  figures      version {}, {state}", manifest.figures_version)?;
        writeln!(f, "  installation {}", manifest.installation)?;
        writeln!(f, "  created      {}", manifest.created_at)?;
        writeln!(f, "  files        {}", manifest.files.len())?;
        writeln!(f, "  fingerprint  {fingerprint}")?;
        writeln!(f, "  key          {}", manifest.public_key)?;
        let Some(CheckedReceipt { documents, days, requests }) = &self.receipt else { return Ok(()) };
        let invoice = &documents.invoice;
        let missing = manifest.days_without_requests.len();
        let currency = invoice.currency.code();
        let lines = invoice.lines.len();
        writeln!(f, "  requests     {requests} of {days} days add up; {missing} days have no requests")?;
        writeln!(f, "  lines        {lines} add up to {} {currency}", invoice.subtotal)?;
        writeln!(f, "  tax          {} {currency}", invoice.tax.amount)?;
        writeln!(f, "  total        {} {currency}", invoice.total)
    }
}
