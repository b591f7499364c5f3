//! `tollgate verify` as a function.

use std::fs::File;
use std::path::{Path, PathBuf};

use invoicing::verification::{CheckedReceipt, VerificationError, VerifiedFile, parse_key, verify_file};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::failure::of_verification;

/// Verifies a file and returns its report as a dictionary.
#[pyfunction]
#[pyo3(signature = (path, key=None))]
pub(crate) fn verify<'py>(py: Python<'py>, path: PathBuf, key: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
    let verified = py.detach(|| verified(&path, key)).map_err(|error| of_verification(py, &error))?;
    report(py, &verified)
}

fn verified(path: &Path, key: Option<&str>) -> Result<VerifiedFile, VerificationError> {
    let key = key.map(parse_key).transpose()?;
    let mut from = File::open(path).map_err(VerificationError::Unreadable)?;
    verify_file(&mut from, key)
}

fn report<'py>(py: Python<'py>, of: &VerifiedFile) -> PyResult<Bound<'py, PyDict>> {
    let manifest = &of.export.manifest;
    let files = PyList::empty(py);
    for file in &manifest.files {
        files.append((&file.name, file.size, &file.sha256))?;
    }
    let report = PyDict::new(py);
    report.set_item("id", &manifest.id)?;
    report.set_item("figures_version", manifest.figures_version)?;
    report.set_item("complete", manifest.complete)?;
    report.set_item("installation", &manifest.installation)?;
    report.set_item("created_at", &manifest.created_at)?;
    report.set_item("files", files)?;
    report.set_item("days_without_requests", &manifest.days_without_requests)?;
    report.set_item("fingerprint", &of.export.fingerprint)?;
    report.set_item("key", &manifest.public_key)?;
    report.set_item("text", of.to_string())?;
    report.set_item("receipt", of.receipt.as_ref().map(|receipt| figures(py, receipt)).transpose()?)?;
    Ok(report)
}

fn figures<'py>(py: Python<'py>, of: &CheckedReceipt) -> PyResult<Bound<'py, PyDict>> {
    let invoice = &of.documents.invoice;
    let figures = PyDict::new(py);
    figures.set_item("number", &invoice.number)?;
    figures.set_item("currency", invoice.currency.code())?;
    figures.set_item("days", of.days)?;
    figures.set_item("requests", of.requests)?;
    figures.set_item("lines", invoice.lines.len())?;
    figures.set_item("subtotal", invoice.subtotal)?;
    figures.set_item("tax", invoice.tax.amount)?;
    figures.set_item("total", invoice.total)?;
    Ok(figures)
}
