//! The results of functions, and the calls to which they belong. Clients may leave ids out: then the name decides, and the
//! order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{fields, parts};
use crate::translate::call::{Part, Parts, ToolResult};
use crate::translate::call_ids::call_id;
use crate::translate::request::json::{Object, Outcome, refused};

/// The calls without a result so far.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    ids: BTreeSet<String>,
    /// The ids in order, by the client's name of the function. Some have a result already.
    by_name: BTreeMap<String, VecDeque<String>>,
}

impl OpenCalls {
    pub(super) fn add(&mut self, name: &str, id: &str) {
        self.ids.insert(id.to_owned());
        self.by_name.entry(name.to_owned()).or_default().push_back(id.to_owned());
    }

    /// Returns the id of the call to which a result belongs: the one with this id, otherwise the first one of this name.
    fn take(&mut self, name: &str, id: Option<&str>) -> Option<String> {
        let given = id.map(call_id);
        if let Some(id) = given.as_deref().and_then(|id| self.ids.take(id)) {
            return Some(id);
        }
        let queue = self.by_name.get_mut(name)?;
        while let Some(id) = queue.pop_front() {
            if self.ids.remove(&id) {
                return Some(id);
            }
        }
        None
    }
}

/// Reads the result of a function.
pub(super) fn result<'a>(response: &Object<'a>, calls: &mut OpenCalls) -> Outcome<ToolResult<'a>> {
    let id = response.text("id")?.filter(|id| !id.is_empty());
    let name = response.text("name")?.unwrap_or_default();
    let Some(call_id) = calls.take(&name, id.as_deref()) else {
        let advice = format!("is the result of a call of `{name}` that is missing: add the call before it");
        return Err(refused(&response.path, &advice));
    };
    let mut content = Parts::new();
    let mut is_error = false;
    if let Some(output) = response.object("response")? {
        let (part, is_of_error) = words(&output, response)?;
        content.push(part);
        is_error = is_of_error;
    }
    for node in fields::elements(response, "parts")? {
        content.extend(parts::file(&node.object()?)?);
    }
    Ok(ToolResult { call_id, content, is_error, cache: None, path: response.path.clone() })
}

/// The text of a result: the value of `output` or `error` if it is alone, otherwise the whole object (Google's
/// documentation of `FunctionResponse`).
fn words<'a>(output: &Object<'a>, response: &Object<'a>) -> Outcome<(Part<'a>, bool)> {
    let is_alone = output.len() == 1;
    let is_error = output.get("error").is_some();
    if is_alone && let Some(node) = output.get("output").or_else(|| output.get("error")) {
        let text = if node.is_text() { node.text()? } else { node.raw.get().into() };
        return Ok((Part::text(text), is_error));
    }
    let whole = response.required("response")?;
    Ok((Part::text(whole.raw.get()), is_error))
}

/// Returns the id of the call in the items of a state.
pub(super) fn id_in(items: &[Box<RawValue>]) -> Option<String> {
    #[derive(Deserialize)]
    struct Item {
        call_id: String,
    }
    items.iter().find_map(|item| serde_json::from_str::<Item>(item.get()).ok()).map(|item| item.call_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_belongs_to_the_call_with_its_id_or_to_the_first_one_of_its_name() {
        let mut calls = OpenCalls::default();
        for (name, id) in [("f", "1"), ("f", "2"), ("g", "3"), ("f", "4")] {
            calls.add(name, id);
        }
        for (name, id, expected) in [
            ("f", Some("2"), Some("2")),
            ("f", None, Some("1")),
            ("f", Some("2"), Some("4")),
            ("f", None, None),
            ("h", None, None),
            ("", Some("3"), Some("3")),
        ] {
            assert_eq!(calls.take(name, id).as_deref(), expected, "{name} {id:?}");
        }
    }
}
