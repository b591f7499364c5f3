//! The work of reading schemas within a schema, in proportion to its length.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::{Node, Object};

/// Deepest schema that is changed; the parser's own limit is 128.
pub(super) const DEPTH_MAX: usize = 64;
/// Bytes that are parsed for a schema of any length, and for each of its bytes: each level is parsed again.
const WORK: (usize, usize) = (32 * 1024, 8);

/// The fields of a JSON object in order, and the values as they are written.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Reads the fields of the schemas within one schema, as far as the work is in proportion to its length.
pub(super) struct Work {
    left: usize,
}

impl Work {
    pub(super) fn new(schema: &RawValue) -> Self {
        let (least, of_each_byte) = WORK;
        Self { left: schema.get().len().saturating_mul(of_each_byte).saturating_add(least) }
    }

    pub(super) fn fields<'a>(&mut self, value: &'a RawValue) -> Option<Fields<'a>> {
        self.left = self.left.checked_sub(value.get().len())?;
        fields(value)
    }
}

/// Returns the fields of an object.
pub(super) fn fields(value: &RawValue) -> Option<Fields<'_>> {
    Node::root(value).object().ok().map(Object::into_fields)
}
