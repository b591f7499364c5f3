//! Refuses URLs of link-local and metadata addresses. Only the configuration file may allow them. Names are checked again
//! after they are resolved.

use crate::snapshot::Origin;
use access::credentials::issuer::is_link_local;
use settings::error::{Code, Problem, ValueOrigin};
use settings::input::Input;
use settings::section::{Location, SettingsReader};

/// Returns whether the file permits an entry to reach such addresses. A text of the API cannot, which is reported.
pub(super) fn is_allowed(reader: &SettingsReader<'_>, location: &Location, input: &Input<bool>) -> bool {
    let key = location.name("allow_link_local");
    let is_allowed = input.value && input.value_origin().is_none_or(|at| reader.may_allow(at, &key));
    if input.value && !is_allowed {
        let problem = Problem::new(Code::BadValue, input.value_origin(), format!("the API cannot set `{key}`"));
        reader.report(problem.expected("`false`, the entry as it is in force, or a change of the configuration file"));
    }
    is_allowed
}

/// Returns the origin with this permission. An origin that is written as such an address is reported without it.
pub(super) fn checked(
    reader: &SettingsReader<'_>,
    origin: &Origin,
    allow_link_local: bool,
    place: (ValueOrigin, &str),
) -> Option<Origin> {
    let is_local = origin.host.parse().is_ok_and(is_link_local);
    if is_local && !allow_link_local {
        let (at, key) = place;
        reader.bad(at, key, access::credentials::issuer::IssuerUrlError::LinkLocal);
        return None;
    }
    Some(Origin { allow_link_local, ..origin.clone() })
}
