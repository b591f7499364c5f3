//! The keys of the configuration: each key is declared once, with its type, default, bounds and meaning.
//!
//! [`section!`] turns a declaration into a struct of checked values, its reader, its listing for `config show`, and a
//! [`SectionSpec`]. The environment's variables, the errors of unknown keys, the tables of the documentation and the
//! JSON Schema come from the specifications.
//!
//! Reading order: [`process`] and [`traffic`] (the declarations), [`form`] (single values), [`field`] (keys: defaults,
//! lists, nested sections), [`json`] (the JSON Schema).

mod color;
pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod listen;
mod name;
pub(crate) mod price;
pub(crate) mod process;
mod range;
pub(crate) mod traffic;

use crate::section::Section;
use crate::settings::Listing;
use crate::spec::SectionSpec;
use process::ProcessInput;
use traffic::TrafficInput;

/// The values of one section, with their sources.
pub(crate) trait SectionInput: Sized {
    const SPEC: &'static SectionSpec;

    /// Reads every key of the section, and reports invalid values.
    fn read(section: &Section<'_>) -> Self;

    /// Adds every key to the listing.
    fn show(&self, listing: &mut Listing<'_>);
}

/// Returns the key that an identifier of Rust declares: a keyword is written `r#type`.
pub(crate) const fn key_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}

/// Declares a section: `..name: Input;` for the keys of another section in the same mapping, then
/// `key: type = field;` for each key, `later: a, b;` for the keys of later versions, `restart: KEYS;` for keys whose
/// change needs a restart, and `rules: a, b;` for conditions on several keys. A key that is declared twice in one mapping does not compile.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident {
            $(..$flat:ident: $flat_type:ty;)*
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $field:expr;)*
            $(later: $($later:ident),+;)?
            $(restart: $restart:expr;)?
            $(rules: $($rule:expr),+;)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            pub(crate) location: $crate::section::Location,
            $(pub(crate) $flat: $flat_type,)*
            $(pub(crate) $key: $type,)*
        }

        const _: () = assert!(
            <$name as $crate::schema::SectionInput>::SPEC.is_unique(),
            concat!("a key of ", stringify!($name), " is declared twice"),
        );

        impl $crate::schema::SectionInput for $name {
            const SPEC: &'static $crate::spec::SectionSpec = &$crate::spec::SectionSpec {
                flat: &[$(<$flat_type as $crate::schema::SectionInput>::SPEC,)*],
                own: &[$($crate::spec::KeySpec {
                    name: $crate::schema::key_name(stringify!($key)),
                    doc: concat!($($doc),+),
                    field: &$field,
                },)*],
                later: &[$($($crate::schema::key_name(stringify!($later)),)+)?],
                rules: &[$($($rule,)+)?],
                restart: $crate::schema::restart_keys!($($restart)?),
            };

            #[allow(unused_imports, reason = "a section may have keys of other sections only")]
            fn read(section: &$crate::section::Section<'_>) -> Self {
                use $crate::schema::field::Field;
                Self {
                    $($flat: <$flat_type as $crate::schema::SectionInput>::read(section),)*
                    $($key: const { &$field }.read(section, $crate::schema::key_name(stringify!($key))),)*
                    location: section.location().clone(),
                }
            }

            #[allow(unused_imports, unused_variables, reason = "a section may have keys of other sections only")]
            fn show(&self, listing: &mut $crate::settings::Listing<'_>) {
                use $crate::schema::field::Field;
                let location = &self.location;
                $({
                    let key = location.name($crate::schema::key_name(stringify!($key)));
                    const { &$field }.show(&self.$key, &key, listing);
                })*
                $($crate::schema::SectionInput::show(&self.$flat, listing);)*
            }
        }
    };
}
pub(crate) use section;

/// Returns the declared keys that need a restart; without a declaration, none.
macro_rules! restart_keys {
    () => {
        $crate::spec::RestartKeys::Only(&[])
    };
    ($keys:expr) => {
        $keys
    };
}
pub(crate) use restart_keys;

section! {
    /// All keys of a configuration file.
    RootInput {
        ..process: ProcessInput;
        ..traffic: TrafficInput;
    }
}

#[cfg(test)]
pub(crate) mod tests;
