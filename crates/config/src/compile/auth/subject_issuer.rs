//! The issuers of subjects: the issuer of a token, or the name of an entry. They differ, so that no two clients are one
//! subject.

use crate::schema::traffic::{AuthEntryInput, EntryType};
use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::section::SettingsReader;

/// Reports an issuer of tokens that is also the name of another entry, if the subjects of that entry are of the same kind
/// and have its name as their issuer: two persons could be one subject.
pub(super) fn check(reader: &SettingsReader<'_>, entries: &Entries<AuthEntryInput>) {
    let of_type = |entry: &AuthEntryInput| entry.r#type.as_ref().map(|of_type| of_type.value);
    let name_is_issuer = |entry: &AuthEntryInput| match of_type(entry) {
        Some(EntryType::Key | EntryType::Forward) => true,
        Some(EntryType::Jwt) => entry.issuer.is_none(),
        Some(EntryType::Basic) | None => false,
    };
    let named = |name: &str| {
        entries
            .list
            .iter()
            .filter_map(move |entry| Some((entry, entry.name.as_ref()?)))
            .find(|(entry, own)| own.value == name && name_is_issuer(entry))
    };
    for entry in entries.list.iter().filter(|entry| of_type(entry) == Some(EntryType::Jwt)) {
        let Some(issuer) = &entry.issuer else { continue };
        if let Some((_, name)) = named(&issuer.value) {
            let of = entry.location.name("issuer");
            let message = format!("`{of}` is the name of another entry: clients of both would be one subject");
            let problem = Problem::new(Code::Duplicate, issuer.value_origin(), message);
            reader.report(problem.expected("another name of that entry").first(name.value_origin()));
        }
    }
}
