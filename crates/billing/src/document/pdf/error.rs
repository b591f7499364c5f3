//! Why a PDF file cannot be written.

use thiserror::Error;

/// Why a PDF file cannot be written.
#[derive(Debug, Error)]
pub enum PdfError {
    /// An embedded font is unreadable.
    #[error("an embedded font is unreadable")]
    Fonts,
    /// A figure of the page's geometry is not valid.
    #[error("a page has no size")]
    Geometry,
    /// The writer refused the document.
    #[error("the PDF file cannot be written: {0}")]
    Writing(String),
}
