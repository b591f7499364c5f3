//! Compiles the changes of JSON bodies in `transformations`.

use std::sync::Arc;

use json_edits::{Edits, Pointer, check};
use settings::error::{Code, Problem};
use settings::input::Input;
use settings::section::SettingsReader;

use super::change_inputs::ChangeInputs;
use crate::schema::traffic::{BodyInput, EDITS_MAX};
use crate::snapshot::BodyChanges;

/// The default of `body_max`.
const BYTES_MAX: u64 = 1 << 20;

/// Returns the changes of the bodies of requests; `None` without one.
pub(super) fn of_requests(reader: &SettingsReader<'_>, inputs: ChangeInputs<'_>) -> Option<Arc<BodyChanges>> {
    let body = inputs.request("body")?.body.as_ref()?;
    changes(reader, body, inputs.request("body_max").map_or(BYTES_MAX, |input| input.body_max.value))
}

/// Returns the changes of the bodies of responses; `None` without one.
pub(super) fn of_responses(reader: &SettingsReader<'_>, inputs: ChangeInputs<'_>) -> Option<Arc<BodyChanges>> {
    let body = inputs.response("body")?.body.as_ref()?;
    changes(reader, body, inputs.response("body_max").map_or(BYTES_MAX, |input| input.body_max.value))
}

fn changes(reader: &SettingsReader<'_>, input: &BodyInput, bytes_max: u64) -> Option<Arc<BodyChanges>> {
    check_count(reader, &input.set);
    check_count(reader, &input.rename);
    for (pointer, value) in input.set.iter().filter(|(_, value)| value.value.starts_with("vault:")) {
        let message = format!("the value of `{pointer}` is a credential of the vault, which bodies cannot have");
        let expected = "it in a header of requests, or a JSON string for the text itself";
        reader.report(Problem::new(Code::BadValue, value.value_origin(), message).expected(expected));
    }
    // Invalid pointers are reported as keys.
    let pointer = |text: &str| Pointer::parse(text).ok();
    let edits = Edits {
        remove: input.remove.list.iter().map(|pointer| pointer.value.clone()).collect(),
        rename: input.rename.iter().filter_map(|(from, to)| Some((pointer(from)?, to.value.clone()))).collect(),
        set: input.set.iter().filter_map(|(at, value)| Some((pointer(at)?, json(&value.value)))).collect(),
    };
    (!edits.is_empty()).then(|| Arc::new(BodyChanges { edits, bytes_max }))
}

/// Reports too many entries of a mapping.
fn check_count<T>(reader: &SettingsReader<'_>, entries: &[(String, Input<T>)]) {
    if let Some((_, first)) = entries.get(EDITS_MAX) {
        let problem = Problem::new(Code::BadValue, first.value_origin(), "the route changes too many values of bodies");
        reader.report(problem.expected(format!("at most {EDITS_MAX} entries")));
    }
}

/// Returns the JSON of a value: the text itself if it is JSON, otherwise the text as a string.
fn json(text: &str) -> Box<str> {
    match check(text.as_bytes()) {
        Ok(json) => json.trim_ascii().into(),
        Err(_) => serde_json::Value::from(text).to_string().into(),
    }
}
