//! The exceptions of the package. Each has a `code`, as the errors of the gateway have.

use invoicing::VerificationError;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(tollgate, TollgateError, PyException, "An error of Tollgate; `code` names it.");
create_exception!(tollgate, VerifyError, TollgateError, "A file is not a valid export or receipt.");
create_exception!(tollgate, PriceFileError, TollgateError, "A price file is not valid.");
create_exception!(tollgate, CostUnknown, TollgateError, "Usage has no known cost.");

/// Sets the code of an exception.
fn coded(py: Python<'_>, error: PyErr, code: &str) -> PyErr {
    match error.value(py).setattr("code", code) {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// Returns the exception of a file that is not valid.
pub(crate) fn of_verification(py: Python<'_>, error: &VerificationError) -> PyErr {
    coded(py, VerifyError::new_err(error.to_string()), error.code())
}

/// Returns the exception of an invalid price file.
pub(crate) fn of_price_file(py: Python<'_>, code: &str, message: String) -> PyErr {
    coded(py, PriceFileError::new_err(message), code)
}

/// Returns the exception of usage without a cost.
pub(crate) fn of_cost(py: Python<'_>, code: &str, message: String) -> PyErr {
    coded(py, CostUnknown::new_err(message), code)
}
