//! The owner of a key that a limit counts.

use access::{KeyId, UserId};
use serde::Serialize;
use store::{DatabaseError, Store, UserRef};
use utoipa::ToSchema;

use super::KeyValue;

/// The user of a counted key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LimitKeyOwner)]
pub(super) struct OwnerView {
    /// The id of the user.
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The e-mail address, or the name of a service user.
    pub(super) name: String,
}

/// A key with its user.
#[derive(Debug, Clone)]
pub(super) struct OwnedKey {
    id: KeyId,
    last4: String,
    label: String,
    owner: Option<OwnerView>,
}

impl OwnedKey {
    /// Finds a key and its user; `None` if the key does not exist any more.
    pub(super) async fn find(store: &Store, id: KeyId) -> Result<Option<Self>, DatabaseError> {
        let Some(key) = store.find_key(id).await? else { return Ok(None) };
        let user = store.find_user(&UserRef::Id(key.user)).await?;
        let owner = user.map(|user| OwnerView { id: user.id, name: user.address_or_name().to_owned() });
        Ok(Some(Self { id, last4: key.last4, label: key.label, owner }))
    }

    /// Returns the value of a dimension that counts keys.
    pub(super) fn value(self, dimension: String) -> KeyValue {
        let Self { id, last4, label, owner } = self;
        KeyValue { dimension, value: Some(format!("…{last4}")), id: Some(id.to_string()), label: Some(label), owner }
    }
}
