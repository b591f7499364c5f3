//! Sections in place of which a single value of one of their keys is valid.

use serde_json::Value as Json;

use super::super::form::Form;
use super::super::json;
use super::Field;
use crate::section::Section;
use crate::settings::Listing;
use crate::spec::{Describe, Shape};

/// A section, or a single value of one of its keys, which [`short_forms`](crate::short_forms) replaces by the section.
pub(crate) struct Short<F, G> {
    form: F,
    section: G,
}

pub(crate) const fn short<F: Form, G: Field>(form: F, section: G) -> Short<F, G> {
    Short { form, section }
}

impl<F: Form, G: Field> Describe for Short<F, G> {
    fn shape(&self) -> Shape {
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

impl<F: Form, G: Field> Field for Short<F, G> {
    type Input = G::Input;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        self.section.read(section, key)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        self.section.show(input, key, listing);
    }
}
