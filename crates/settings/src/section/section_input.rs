//! The checked values of a declared section.

use crate::section::Section;
use crate::section::setting::Listing;
use crate::spec::SectionSpec;

/// The values of one section, with their sources. [`section!`](crate::section!) implements it.
pub trait SectionInput: Sized {
    /// The keys of the section.
    const SPEC: &'static SectionSpec;

    /// Reads every key of the section, and reports invalid values.
    fn read(section: &Section<'_>) -> Self;

    /// Adds every key to the listing.
    fn show(&self, listing: &mut Listing<'_>);
}
