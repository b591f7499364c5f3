//! The native part of the Python package `tollgate`: the crates of the gateway, called from Python.
//!
//! Only `tollgate/` imports this module, and turns its dictionaries into typed objects.
//!
//! Reading order: [`failure`] (exceptions), [`verification`] (exports and receipts), [`lines`] (the lines of their files),
//! [`prices`].

mod failure;
mod lines;
mod prices;
mod verification;

use pyo3::prelude::*;

use failure::{CostUnknown, PriceFileError, TollgateError, VerifyError};

/// Exports, receipts and prices of Tollgate.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("TollgateError", py.get_type::<TollgateError>())?;
    module.add("VerifyError", py.get_type::<VerifyError>())?;
    module.add("PriceFileError", py.get_type::<PriceFileError>())?;
    module.add("CostUnknown", py.get_type::<CostUnknown>())?;
    module.add_class::<lines::Lines>()?;
    module.add_class::<prices::PriceTable>()?;
    module.add_function(wrap_pyfunction!(verification::verify, module)?)
}
