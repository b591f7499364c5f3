//! The macro that declares the keys of a section.

/// Returns the key that an identifier of Rust declares: a keyword is written `r#type`, and a name of another field
/// `location_`.
#[must_use]
pub const fn key_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        [.., b'_'] => identifier.split_at(identifier.len() - 1).0,
        _ => identifier,
    }
}

/// Declares a section: `..name: Input;` for the keys of another section in the same mapping, then
/// `key: type = field;` for each key, `later: a, b;` for the keys of later versions, `restart: KEYS;` for keys whose
/// change needs a restart, and `rules: a, b;` for conditions on several keys. A key that is declared twice in one mapping
/// does not compile.
///
/// A section of plain values, `NameInput => pub Name {…}`, also declares the struct `Name` of its values without their
/// sources, which [`PlainInput`](crate::plain::PlainInput) returns. A type of a key that does not have plain values does
/// not compile there.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident => $(#[$attribute:meta])* $vis:vis $plain:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $field:expr;)*
            $(restart: $restart:expr;)?
            $(rules: $($rule:expr),+;)?
        }
    ) => {
        $crate::section! {
            $(#[doc = $about])*
            $name {
                $($(#[doc = $doc])+ $key: $type = $field;)*
                $(restart: $restart;)?
                $(rules: $($rule),+;)?
            }
        }

        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        $(#[$attribute])*
        $vis struct $plain {
            $($(#[doc = $doc])+ $vis $key: <$type as $crate::plain::PlainInput>::Plain,)*
        }

        impl $crate::plain::PlainInput for $name {
            type Plain = $plain;

            fn plain(&self) -> $plain {
                $plain { $($key: $crate::plain::PlainInput::plain(&self.$key),)* }
            }
        }
    };
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
            <$name as $crate::section::section_input::SectionInput>::SPEC.is_unique(),
            concat!("a key of ", stringify!($name), " is declared twice"),
        );

        impl $crate::section::section_input::SectionInput for $name {
            const SPEC: &'static $crate::spec::SectionSpec = &$crate::spec::SectionSpec {
                flat: &[$(<$flat_type as $crate::section::section_input::SectionInput>::SPEC,)*],
                own: &[$($crate::spec::KeySpec {
                    name: $crate::declaration::key_name(stringify!($key)),
                    doc: concat!($($doc),+),
                    field: &$field,
                },)*],
                later: &[$($($crate::declaration::key_name(stringify!($later)),)+)?],
                rules: &[$($($rule,)+)?],
                restart: $crate::restart_keys!($($restart)?),
            };

            #[allow(unused_imports, reason = "a section may have keys of other sections only")]
            fn read(section: &$crate::section::Section<'_>) -> Self {
                use $crate::field::KeyField;
                Self {
                    $($flat: <$flat_type as $crate::section::section_input::SectionInput>::read(section),)*
                    $($key: const { &$field }.read(section, $crate::declaration::key_name(stringify!($key))),)*
                    location: section.location().clone(),
                }
            }

            #[allow(unused_imports, unused_variables, reason = "a section may have keys of other sections only")]
            fn show(&self, listing: &mut $crate::section::setting::Listing<'_>) {
                use $crate::field::KeyField;
                let location = &self.location;
                $({
                    let key = location.name($crate::declaration::key_name(stringify!($key)));
                    const { &$field }.show(&self.$key, &key, listing);
                })*
                $($crate::section::section_input::SectionInput::show(&self.$flat, listing);)*
            }
        }
    };
}
/// Returns the declared keys that need a restart; without a declaration, none.
#[doc(hidden)]
#[macro_export]
macro_rules! restart_keys {
    () => {
        $crate::spec::RestartKeys::Only(&[])
    };
    ($keys:expr) => {
        $keys
    };
}
