//! Items in the input of the Responses API. An item may only name one that the provider has stored.

use std::ops::Range;

use access::{IdOwner, ObjectOwner};

use super::{ForeignObject, OwnedFields};

/// The parts of an item that tell a reference from an item with content.
#[derive(Debug, Default)]
pub(super) struct InputItem {
    pub(super) id: Option<(Range<usize>, String)>,
    pub(super) kind: Option<String>,
    pub(super) has_role: bool,
    /// Whether the item has encrypted state, content or a result.
    pub(super) has_content: bool,
}

impl InputItem {
    /// Notes a string of the item.
    pub(super) fn note(&mut self, key: &str, at: &Range<usize>, value: &str) {
        match key {
            "id" => self.id = Some((at.clone(), value.to_owned())),
            "type" => self.kind = Some(value.to_owned()),
            "role" => self.has_role = true,
            "encrypted_content" | "result" => self.has_content |= !value.is_empty(),
            _ => {}
        }
    }

    /// Whether the provider completes the item from its store.
    fn is_reference(&self) -> bool {
        match self.kind.as_deref() {
            Some("item_reference") => true,
            None => !self.has_role,
            Some("reasoning" | "compaction" | "compaction_summary" | "image_generation_call") => !self.has_content,
            Some(_) => false,
        }
    }

    /// Ends the item: its id becomes that of the provider.
    pub(super) fn end(self, owner: &ObjectOwner, owned: &mut OwnedFields) -> Result<(), ForeignObject> {
        let is_reference = self.is_reference();
        let Some((at, id)) = self.id.filter(|(_, id)| !id.is_empty()) else { return Ok(()) };
        match owner.owner_of(&id) {
            IdOwner::User(bare) => {
                owned.unbind(at, bare);
                Ok(())
            }
            IdOwner::Unknown if !is_reference => Ok(()),
            IdOwner::Unknown | IdOwner::Other => Err(ForeignObject::new("input", "Item", &id)),
        }
    }
}
