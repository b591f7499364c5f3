//! Sections in place of which a single value of one of their keys is valid.

use serde_json::Value as Json;

use super::KeyField;
use crate::documents::json;
use crate::form::Form;
use crate::section::Section;
use crate::section::setting::Listing;
use crate::spec::{Describe, ValueShape};

/// A section, or a single value of one of its keys, which is replaced by the section before it is read.
pub struct Short<F, G> {
    form: F,
    section: G,
}

/// A key with a section, or with a single value in place of it.
pub const fn short<F: Form, G: KeyField>(form: F, section: G) -> Short<F, G> {
    Short { form, section }
}

impl<F: Form, G: KeyField> Describe for Short<F, G> {
    fn shape(&self) -> ValueShape {
        self.section.shape()
    }

    fn cell(&self) -> String {
        self.section.cell()
    }

    fn default_cell(&self) -> String {
        self.section.default_cell()
    }

    fn is_required(&self) -> bool {
        self.section.is_required()
    }

    fn schema(&self) -> Json {
        json::any_of(vec![json::reference_or(self.form.schema()), self.section.schema()])
    }
}

impl<F: Form, G: KeyField> KeyField for Short<F, G> {
    type Input = G::Input;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        self.section.read(section, key)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        self.section.show(input, key, listing);
    }
}
