//! The size of a query before the library validates it, and of its result before the library resolves it. The library follows
//! each repetition of a fragment, so that a short query with fragments in fragments would take years. It does not bound what
//! fields of the schema return, nor the length of lists.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, SelectionField};
use serde_json::Value;
use thiserror::Error;

use super::VALUES_MAX;

/// The maximum number of selections in all operations and fragments, with repetitions by fragments.
const SELECTIONS_MAX: usize = 20_000;
/// The maximum number of selections in fields of the schema, each of which may return thousands of values. The query of
/// GraphiQL has about 230.
const OF_SCHEMA_MAX: usize = 300;
/// The maximum depth of selections in fields and fragments.
const NESTED_MAX: usize = 32;
/// The fields that return the schema.
const SCHEMA_FIELDS: [&str; 2] = ["__schema", "__type"];
/// A text counts as one more value per this number of bytes.
const TEXT_BYTES: usize = 256;

/// The reason why a query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum QuerySizeError {
    #[error("a fragment contains itself")]
    Cyclic,
    #[error("its fields and fragments are nested too deep")]
    Deep,
    #[error("its fragments repeat too many fields")]
    Repeated,
    #[error("it reads more than {OF_SCHEMA_MAX} fields of the schema")]
    OfSchema,
    #[error("its result has more than {VALUES_MAX} values")]
    Values,
}

/// Checks that a query can be validated in a short time.
///
/// # Errors
/// The first bound that the query exceeds.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), QuerySizeError> {
    let mut sizes = QuerySizes { document, fragments: HashMap::new() };
    let mut whole = SelectionSize::default();
    for (_, operation) in document.operations.iter() {
        whole.add(sizes.selection_size(&operation.node.selection_set.node, 0)?);
    }
    if whole.of_schema > OF_SCHEMA_MAX {
        return Err(QuerySizeError::OfSchema);
    }
    // The library also validates fragments that no operation contains.
    for name in document.fragments.keys() {
        whole.add(sizes.of_fragment(name, 0)?);
    }
    if whole.selections > SELECTIONS_MAX { Err(QuerySizeError::Repeated) } else { Ok(()) }
}

/// Returns the number of values that a field has in the result if its value is this JSON. Counting ends after the maximum.
///
/// The JSON itself, each item of a list and each selected member of an object is a value; without a selection, each member.
pub(super) fn values(json: &Value, field: SelectionField<'_>) -> usize {
    let mut count = 0;
    add_values(json, field, &mut count);
    count
}

/// Returns the number of values in a JSON value, itself included. Counting ends after `max`.
pub(super) fn count(json: &Value, max: usize) -> usize {
    let mut left = vec![json];
    let mut count = 0;
    while let Some(value) = left.pop() {
        count += 1;
        if count > max {
            break;
        }
        match value {
            Value::Array(items) => left.extend(items.iter().take(max)),
            Value::Object(members) => left.extend(members.values().take(max)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    count
}

fn add_values(json: &Value, field: SelectionField<'_>, count: &mut usize) {
    if *count > VALUES_MAX {
        return;
    }
    *count += 1;
    match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *count += text.len() / TEXT_BYTES,
        Value::Array(items) => items.iter().for_each(|item| add_values(item, field, count)),
        Value::Object(members) => {
            let mut selected = field.selection_set().peekable();
            if selected.peek().is_none() {
                // A map, which the library copies as a whole.
                members.values().for_each(|member| add_values(member, field, count));
            }
            for inner in selected {
                add_values(members.get(inner.name()).unwrap_or(&Value::Null), inner, count);
            }
        }
    }
}

/// The size of some selections with all that they contain.
#[derive(Debug, Clone, Copy, Default)]
struct SelectionSize {
    selections: usize,
    /// The number of those in fields of the schema.
    of_schema: usize,
    depth: usize,
}

impl SelectionSize {
    fn add(&mut self, more: Self) {
        self.selections = self.selections.saturating_add(more.selections);
        self.of_schema = self.of_schema.saturating_add(more.of_schema);
        self.depth = self.depth.max(more.depth);
    }
}

/// The sizes of the fragments of a document, each computed once.
struct QuerySizes<'a> {
    document: &'a ExecutableDocument,
    /// The sizes by name; `None` while the size of a fragment is computed.
    fragments: HashMap<&'a str, Option<SelectionSize>>,
}

impl<'a> QuerySizes<'a> {
    /// Returns the size of selections that are this deep.
    fn selection_size(&mut self, set: &'a SelectionSet, depth: usize) -> Result<SelectionSize, QuerySizeError> {
        if depth > NESTED_MAX {
            return Err(QuerySizeError::Deep);
        }
        let mut size = SelectionSize::default();
        for selection in &set.items {
            let mut inner = match &selection.node {
                Selection::Field(field) => {
                    let mut inner = self.selection_size(&field.node.selection_set.node, depth + 1)?;
                    if SCHEMA_FIELDS.contains(&field.node.name.node.as_str()) {
                        inner.of_schema = inner.selections.saturating_add(1);
                    }
                    inner
                }
                Selection::InlineFragment(inline) => self.selection_size(&inline.node.selection_set.node, depth + 1)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node, depth + 1)?,
            };
            inner.selections = inner.selections.saturating_add(1);
            inner.depth += 1;
            size.add(inner);
        }
        if size.depth > NESTED_MAX { Err(QuerySizeError::Deep) } else { Ok(size) }
    }

    fn of_fragment(&mut self, name: &'a Name, depth: usize) -> Result<SelectionSize, QuerySizeError> {
        match self.fragments.get(name.as_str()) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(QuerySizeError::Cyclic),
            None => {}
        }
        // The library reports a fragment that does not exist.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(SelectionSize::default()) };
        self.fragments.insert(name.as_str(), None);
        let size = self.selection_size(&fragment.node.selection_set.node, depth)?;
        self.fragments.insert(name.as_str(), Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(query: &str) -> Result<(), QuerySizeError> {
        check(&parse_query(query).unwrap())
    }

    /// Returns `count` fragments, each of which contains the next one `times` times.
    fn chain(count: usize, times: usize) -> String {
        let fragment =
            |nth: usize| format!("fragment F{nth} on Query {{{}}} ", format!("...F{} ", nth + 1).repeat(times));
        let fragments: String = (0..count).map(fragment).collect();
        format!("{fragments}fragment F{count} on Query {{me}}")
    }

    #[test]
    fn repetitions_of_fragments_are_counted_and_not_followed() {
        // 2^31 fields, or 100^20.
        for (count, times) in [(30, 2), (20, 100)] {
            let fragments = chain(count, times);
            for query in [format!("{{...F0}} {fragments}"), format!("{{me}} {fragments}")] {
                assert_eq!(checked(&query), Err(QuerySizeError::Repeated), "{count} {times}");
            }
        }
        assert_eq!(checked(&format!("{{...F0}} {}", chain(10, 2))), Ok(()));
        assert_eq!(checked("{...A ...Absent} fragment A on Query {me}"), Ok(()));
    }

    #[test]
    fn deep_and_cyclic_fragments_are_refused() {
        for query in [
            "{...A} fragment A on Query {...A}",
            "{me} fragment A on Query {me {...B}} fragment B on Query {... on Query {...A ...A}}",
        ] {
            assert_eq!(checked(query), Err(QuerySizeError::Cyclic), "{query}");
        }
        let nested = |depth: usize| format!("{}me{}", "{me ".repeat(depth), "}".repeat(depth));
        assert_eq!(
            (checked(&nested(NESTED_MAX)), checked(&nested(NESTED_MAX + 1))),
            (Ok(()), Err(QuerySizeError::Deep))
        );
        for count in [NESTED_MAX, 2_000] {
            let query = format!("{{...F0}} {}", chain(count, 1));
            assert_eq!(checked(&query), Err(QuerySizeError::Deep), "{count}");
        }
    }

    #[test]
    fn fields_of_the_schema_are_counted_through_fragments_and_aliases() {
        let aliases = |count: usize| (0..count).map(|nth| format!("a{nth}: name ")).collect::<String>();
        let whole = |count: usize| {
            format!("{{me __typename __schema {{types {{...T}}}}}} fragment T on __Type {{{}}}", aliases(count))
        };
        assert_eq!((checked(&whole(297)), checked(&whole(298))), (Ok(()), Err(QuerySizeError::OfSchema)));
        let several = "{a: __schema {...S} b: __schema {...S}} fragment S on __Schema {types {".to_owned();
        assert_eq!(checked(&format!("{several}{}}}}}", aliases(150))), Err(QuerySizeError::OfSchema));
        assert_eq!(checked(&format!("{{me {{{}}}}}", aliases(1_000))), Ok(()));
    }
}
