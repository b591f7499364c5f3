//! A client that a service has admitted.

use std::sync::Arc;

use access::Subject;
use config::snapshot::ServiceEntry;
use http1::{Field, Fields, HeadEdits, InvalidPart};

use crate::client::head::is_one_of;
use crate::upstream::response_head::UpstreamHead;

/// A client that a service has admitted, with the headers that its upstream receives.
pub(crate) struct ServiceClient {
    pub(crate) subject: Subject,
    pub(crate) plan: Option<Arc<str>>,
    /// The names of headers that only the service may set.
    names: Box<[Box<str>]>,
    fields: HeadEdits,
}

impl ServiceClient {
    /// Creates the client that `head`, the response of the service, describes.
    ///
    /// # Errors
    /// A header cannot be written.
    pub(crate) fn new(entry: &ServiceEntry, subject: Subject, head: &UpstreamHead) -> Result<Self, InvalidPart> {
        let mut fields = HeadEdits::for_forwarding();
        for name in &entry.headers_to_upstream {
            for value in head.fields().named(name.as_bytes()) {
                fields.append_named(name.as_bytes(), value)?;
            }
        }
        let names = entry.headers_to_upstream.clone();
        let plan = entry.plan.clone();
        Ok(Self { subject, plan, names, fields })
    }

    /// Returns the headers of the service, which identify the client to the upstream.
    pub(crate) fn identity_fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.added()
    }

    /// Edits a request that is forwarded: received headers that only the service may set are replaced by its own.
    pub(crate) fn edit(&self, edits: &mut HeadEdits, received: Fields<'_>) -> Result<(), InvalidPart> {
        edits.remove_fields(received, |field| is_one_of(field.name, &*self.names));
        edits.append_all(&self.fields)
    }
}
