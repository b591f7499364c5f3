//! The sections with the changes of an upstream of a route.

use crate::schema::traffic::{RequestTransformationsInput, ResponseTransformationsInput, TransformationsInput};

/// The sections that may have a change. Each key of the upstream replaces that of the route.
#[derive(Clone, Copy)]
pub(super) struct ChangeInputs<'a> {
    pub(super) upstream: Option<&'a TransformationsInput>,
    pub(super) route: Option<&'a TransformationsInput>,
}

impl<'a> ChangeInputs<'a> {
    /// Returns the section that decides about this key of `request`.
    pub(super) fn request(&self, key: &str) -> Option<&'a RequestTransformationsInput> {
        let sections = [self.upstream, self.route].into_iter().flatten();
        sections.filter_map(|both| both.request.as_ref()).find(|request| request.location.has(key))
    }

    /// Returns the section that decides about this key of `response`.
    pub(super) fn response(&self, key: &str) -> Option<&'a ResponseTransformationsInput> {
        let sections = [self.upstream, self.route].into_iter().flatten();
        sections.filter_map(|both| both.response.as_ref()).find(|response| response.location.has(key))
    }
}
