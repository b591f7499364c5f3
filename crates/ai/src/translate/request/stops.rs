//! Texts that end a response: how many of them a provider takes.

use super::json::{Object, Outcome, refused};

/// Most texts that end a response, at OpenAI and at Google.
pub(super) const OPENAI_STOPS_MAX: usize = 4;
pub(super) const GOOGLE_STOPS_MAX: usize = 5;

/// Refuses more texts that end a response than a target takes.
pub(super) fn check_stop(object: &Object<'_>, name: &str, most: Option<usize>) -> Outcome<()> {
    let Some((most, stop)) = most.zip(object.get(name).filter(|stop| !stop.is_text())) else { return Ok(()) };
    check_stops(&object.field_path(name), stop.list().map(Iterator::count).unwrap_or_default(), most)
}

/// Refuses more texts that end a response than a target takes.
pub(super) fn check_stops(path: &str, count: usize, most: usize) -> Outcome<()> {
    if count <= most {
        return Ok(());
    }
    Err(refused(
        path,
        &format!("has {count} texts, but the provider of this model takes at most {most}: leave some out"),
    ))
}
