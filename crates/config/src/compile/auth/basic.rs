//! Compiles the entries of `auth` with the type `basic`.

use std::sync::Arc;

use access::SubjectText;
use access::credentials::basic::{BasicUser, BasicUsers};
use settings::section::SettingsReader;

use crate::compile::UsedNames;
use crate::schema::traffic::AuthEntryInput;
use crate::snapshot::BasicEntry;

/// Returns the users of an entry; `None` if it is invalid.
pub(super) fn basic(reader: &SettingsReader<'_>, entry: &AuthEntryInput) -> Option<BasicEntry> {
    if !entry.users.is_given {
        entry.location.missing(reader, &["users"]);
    }
    let mut taken = UsedNames::default();
    let mut users = Vec::new();
    for user in &entry.users.list {
        let name = user.name.as_ref().filter(|name| taken.take(reader, name, "user of this entry"));
        let Some(name) = name else { continue };
        let Some(hash) = &user.hash else { continue };
        users.push(BasicUser { name: SubjectText::parse(&name.value)?, hash: Arc::new(hash.value.clone()) });
    }
    Some(BasicEntry {
        name: SubjectText::parse(&entry.name.as_ref()?.value)?,
        users: BasicUsers::new(users)?,
        place: entry.location.at.place(),
        plan: None,
    })
}
