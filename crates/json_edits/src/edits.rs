//! Edits of a JSON text, and their order.

use thiserror::Error;

use crate::json_error::JsonError;
use crate::pointer::Pointer;
use crate::room::Room;
use crate::scan::check_in;
use crate::tree::{Member, Value};

/// Edits of a JSON text. They apply in this order: first all of `remove`, then all of `rename`, then all of `set`.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    /// The values that are removed, if they exist.
    pub remove: Vec<Pointer>,
    /// The values that get another place, in which they replace any other value. One that does not exist gets none.
    pub rename: Vec<(Pointer, Pointer)>,
    /// Values, each a valid JSON text, that replace others or are added. Objects on the way are added too.
    pub set: Vec<(Pointer, Box<str>)>,
}

/// The reason why a text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// The text is refused.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A value has no place: a value on the way is neither an object nor a list with this element.
    #[error("it has no place for `{pointer}`")]
    NoPlace {
        /// The pointer of the edit.
        pointer: String,
    },
}

impl Edits {
    /// Whether there is no edit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.rename.is_empty() && self.set.is_empty()
    }

    /// Returns the edited text. Values that no edit names are copied byte for byte.
    ///
    /// # Errors
    /// The text is no JSON, or has no place for a value.
    pub fn apply(&self, text: &[u8]) -> Result<Vec<u8>, EditError> {
        self.apply_in(text, &mut Room::unbounded())
    }

    /// Returns the edited text, as [`apply`](Self::apply) does, within bounded memory.
    ///
    /// # Errors
    /// The text is no JSON, has no place for a value, or needs more memory than `room` has.
    pub fn apply_in(&self, text: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, EditError> {
        let mut root = Value::Text(check_in(text, room)?.trim_ascii());
        for pointer in &self.remove {
            take(&mut root, pointer.steps(), room)?;
        }
        for (from, to) in &self.rename {
            rename(&mut root, from, to, room)?;
        }
        for (pointer, value) in &self.set {
            put(&mut root, pointer, Value::Text(value), room)?;
        }
        room.take(text.len())?;
        let mut edited = Vec::with_capacity(text.len());
        root.write(&mut edited);
        Ok(edited)
    }
}

/// Gives a value another place. A member that only gets another name keeps its place among the others.
fn rename<'a>(root: &mut Value<'a>, from: &Pointer, to: &'a Pointer, room: &mut Room<'_>) -> Result<(), EditError> {
    if let Some((old, parents)) = from.steps().split_last()
        && let Some((new, others)) = to.steps().split_last()
        && parents == others
        && let Some(Value::Object(members)) = find(root, parents, old, room)?
    {
        if old != new && members.iter().any(|member| *member.name == **old) {
            members.retain(|member| *member.name != **new);
        }
        for member in members.iter_mut().filter(|member| *member.name == **old) {
            let value = std::mem::replace(&mut member.value, Value::Text("null"));
            *member = Member::added(new, value);
        }
        return Ok(());
    }
    match take(root, from.steps(), room)? {
        Some(value) => put(root, to, value, room),
        None => Ok(()),
    }
}

/// Returns the value at these steps, opened for one more step; `None` if it does not exist.
fn find<'r, 'a>(
    root: &'r mut Value<'a>,
    steps: &[Box<str>],
    last: &str,
    room: &mut Room<'_>,
) -> Result<Option<&'r mut Value<'a>>, JsonError> {
    let mut value = root;
    for step in steps {
        open_for(value, step, room)?;
        let next = match value {
            Value::Object(members) => {
                members.iter_mut().find(|member| *member.name == **step).map(|member| &mut member.value)
            }
            Value::List(elements) => position(step).and_then(|at| elements.get_mut(at)),
            Value::Text(_) => None,
        };
        let Some(next) = next else { return Ok(None) };
        value = next;
    }
    open_for(value, last, room)?;
    Ok(Some(value))
}

/// Opens a value in which `step` may be. A list without a place for it remains a text: its elements need much more memory.
fn open_for(value: &mut Value<'_>, step: &str, room: &mut Room<'_>) -> Result<(), JsonError> {
    let is_list = matches!(value, Value::Text(text) if text.starts_with('['));
    if is_list && step != "-" && position(step).is_none() { Ok(()) } else { value.open(room) }
}

/// Removes the value at the end of these steps, and returns it.
fn take<'a>(root: &mut Value<'a>, steps: &[Box<str>], room: &mut Room<'_>) -> Result<Option<Value<'a>>, EditError> {
    let Some((last, parents)) = steps.split_last() else { return Ok(None) };
    Ok(match find(root, parents, last, room)? {
        Some(Value::Object(members)) => {
            let at = members.iter().position(|member| *member.name == **last);
            at.map(|at| members.remove(at).value)
        }
        Some(Value::List(elements)) => {
            let at = position(last).filter(|at| *at < elements.len());
            at.map(|at| elements.remove(at))
        }
        Some(Value::Text(_)) | None => None,
    })
}

/// Puts a value in the place of a pointer.
fn put<'a>(root: &mut Value<'a>, pointer: &'a Pointer, new: Value<'a>, room: &mut Room<'_>) -> Result<(), EditError> {
    let no_place = || EditError::NoPlace { pointer: pointer.to_string() };
    let mut value = root;
    let mut steps = pointer.steps().iter().peekable();
    while let Some(step) = steps.next() {
        let is_last = steps.peek().is_none();
        open_for(value, step, room)?;
        value = match value {
            Value::Object(members) => {
                let at = members.iter().position(|member| *member.name == **step);
                let at = at.unwrap_or_else(|| {
                    members.push(Member::added(step, Value::Object(Vec::new())));
                    members.len() - 1
                });
                members.get_mut(at).map(|member| &mut member.value).ok_or_else(no_place)?
            }
            Value::List(elements) => {
                let at = if is_last && **step == *"-" {
                    elements.push(Value::Text("null"));
                    elements.len().checked_sub(1)
                } else {
                    position(step)
                };
                at.and_then(|at| elements.get_mut(at)).ok_or_else(no_place)?
            }
            Value::Text(_) => return Err(no_place()),
        };
    }
    *value = new;
    Ok(())
}

/// Returns the position of an element that a step names (RFC 6901, 4): without leading zeros.
fn position(step: &str) -> Option<usize> {
    let is_number = step == "0" || (step.bytes().all(|digit| digit.is_ascii_digit()) && !step.starts_with('0'));
    if is_number { step.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn edits(remove: &[&str], rename: &[(&str, &str)], set: &[(&str, &str)]) -> Edits {
        Edits {
            remove: remove.iter().map(|text| pointer(text)).collect(),
            rename: rename.iter().map(|(from, to)| (pointer(from), pointer(to))).collect(),
            set: set.iter().map(|(at, value)| (pointer(at), (*value).into())).collect(),
        }
    }

    #[track_caller]
    fn check_edit(edits: &Edits, text: &str, expected: &str) {
        let edited = edits.apply(text.as_bytes()).map(|edited| String::from_utf8(edited).unwrap());
        assert_eq!(edited.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn values_are_removed_renamed_and_set_in_this_order() {
        let all = edits(&["/a"], &[("/b", "/a")], &[("/b", "1")]);
        check_edit(&all, r#"{"a":0,"b":2.50}"#, r#"{"a":2.50,"b":1}"#);
        check_edit(&all, "{}", r#"{"b":1}"#);
    }

    #[test]
    fn removed_values_may_be_anywhere() {
        let remove = |at| edits(&[at], &[], &[]);
        check_edit(&remove("/a/b"), r#"{"a": {"b": 1, "c" : 1e2}, "d": [ 1 ]}"#, r#"{"a":{"c":1e2},"d":[ 1 ]}"#);
        check_edit(&remove("/a/1"), r#"{"a":[1,2,3]}"#, r#"{"a":[1,3]}"#);
        check_edit(&remove("/a~1b/~0"), r#"{"a/b":{"~":1}}"#, r#"{"a/b":{}}"#);
        check_edit(&remove("/\u{e9}"), "{\"\\u00e9\":1}", "{}");
        for (at, text) in [
            ("/a/2", r#"{"a":[1,2]}"#),
            ("/a/01", r#"{"a":[1,2]}"#),
            ("/a/-", r#"{"a":[1]}"#),
            ("/a/b", r#"{"a":1}"#),
            ("/a", "7"),
        ] {
            check_edit(&remove(at), text, text);
        }
    }

    #[test]
    fn a_list_without_a_place_for_a_step_is_not_read() {
        for (step, is_read) in [("debug", false), ("01", false), ("0", true), ("-", true)] {
            let mut list = Value::Text("[1, 2]");
            open_for(&mut list, step, &mut Room::unbounded()).unwrap();
            assert_eq!(matches!(list, Value::List(_)), is_read, "{step}");
        }
    }

    #[test]
    fn a_renamed_member_keeps_its_place_or_moves() {
        let rename = |from, to| edits(&[], &[(from, to)], &[]);
        check_edit(&rename("/b", "/x"), r#"{"a":1,"b":[2],"c":3}"#, r#"{"a":1,"x":[2],"c":3}"#);
        check_edit(&rename("/b", "/c"), r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"c":2}"#);
        check_edit(&rename("/b", "/b"), r#"{"b":2}"#, r#"{"b":2}"#);
        check_edit(&rename("/z", "/a"), r#"{"a":1}"#, r#"{"a":1}"#);
        check_edit(&rename("/a/b", "/c/d/e"), r#"{"a":{"b":1.0}}"#, r#"{"a":{},"c":{"d":{"e":1.0}}}"#);
        check_edit(&rename("/a/0", "/a/-"), r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#);
        check_edit(&rename("/a", "/\"\n"), r#"{"a":1}"#, r#"{"\"\u000a":1}"#);
    }

    #[test]
    fn values_are_set_in_objects_and_lists() {
        let set = |at, value| edits(&[], &[], &[(at, value)]);
        check_edit(&set("/a", "\"x\""), " {} ", r#"{"a":"x"}"#);
        check_edit(&set("/a", "[1]"), r#"{"a":{"b":1},"c":2}"#, r#"{"a":[1],"c":2}"#);
        check_edit(&set("/a/b/c", "null"), "{}", r#"{"a":{"b":{"c":null}}}"#);
        check_edit(&set("/a/1", "9"), r#"{"a":[1,2,3]}"#, r#"{"a":[1,9,3]}"#);
        check_edit(&set("/0/x", "9"), r#"[{}]"#, r#"[{"x":9}]"#);
        for (at, text) in
            [("/a/b", r#"{"a":1}"#), ("/a/3", r#"{"a":[1,2,3]}"#), ("/a", "\"text\""), ("/a/-/b", r#"{"a":[]}"#)]
        {
            let error = EditError::NoPlace { pointer: at.to_owned() };
            assert_eq!(set(at, "1").apply(text.as_bytes()), Err(error), "{at} {text}");
        }
        assert!(matches!(set("/a", "1").apply(b"{"), Err(EditError::Json(JsonError::Syntax { at: 1 }))));
    }

    #[test]
    fn what_an_edit_builds_is_counted_before_it_is_built() {
        let members = |count: usize| (0..count).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",");
        let list = |count: usize| vec!["1"; count].join(",");
        let remove = |at| edits(&[at], &[], &[]);
        for (edit, text) in [
            (remove("/0"), format!("{{{}}}", members(100_000))),
            (remove("/0"), format!("[{}]", list(100_000))),
            (remove("/x"), format!("[{{{}}}]", members(100_000))),
        ] {
            let mut used = 0;
            let mut count = |bytes| {
                used += bytes;
                true
            };
            let edited = edit.apply_in(text.as_bytes(), &mut Room::new(&mut count)).unwrap();
            assert!((edited.len()..20 * text.len()).contains(&used), "{used} for {} bytes", text.len());
            let refused = edit.apply_in(text.as_bytes(), &mut Room::new(&mut |_| false));
            assert_eq!(refused, Err(EditError::Json(JsonError::Memory)));
        }
        let small = remove("/a").apply_in(br#"{"a":[1,2,{"b":3}]}"#, &mut Room::new(&mut |_| false));
        assert_eq!(small, Ok(b"{}".to_vec()));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Value, json};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(|number| json!(number)),
            "[a-c\"\\\\]{0,3}".prop_map(|text| json!(text))
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let members = prop::collection::btree_map("[a-c]", inner.clone(), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::Array),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn edits_give_json_in_which_other_values_are_unchanged(text in any_json(), at in "(/[a-c0-2]){1,3}") {
            let before = text.to_string();
            let removed = edits(&[&at], &[], &[]).apply(before.as_bytes()).unwrap();
            let parsed: serde_json::Value = serde_json::from_slice(&removed).unwrap();
            let mut expected = text;
            let (parent, last) = at.rsplit_once('/').unwrap();
            match expected.pointer_mut(parent) {
                Some(serde_json::Value::Object(members)) => _ = members.remove(last),
                Some(serde_json::Value::Array(elements)) => {
                    if let Some(position) = last.parse::<usize>().ok().filter(|position| *position < elements.len()) {
                        elements.remove(position);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(parsed, expected);
            if let Ok(set) = edits(&[], &[], &[(&at, "[1.10]")]).apply(before.as_bytes()) {
                prop_assert!(serde_json::from_slice::<&RawValue>(&set).is_ok());
                let set: serde_json::Value = serde_json::from_slice(&set).unwrap();
                prop_assert_eq!(set.pointer(&at), Some(&serde_json::json!([1.1])));
            }
        }
    }
}
