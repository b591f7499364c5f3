//! The bound of lists of claims.

use settings::error::{Code, Problem, ValueOrigin};
use settings::section::SettingsReader;

/// Maximum number of claims in one `claims_to_headers` or `require`.
pub(super) const CLAIMS_MAX: usize = 16;

/// Reports the first entry beyond [`CLAIMS_MAX`].
pub(super) fn check_count(reader: &SettingsReader<'_>, beyond: Option<Option<ValueOrigin>>) {
    if let Some(at) = beyond {
        let problem = Problem::new(Code::BadValue, at, "there are too many claims");
        reader.report(problem.expected(format!("at most {CLAIMS_MAX}")));
    }
}
