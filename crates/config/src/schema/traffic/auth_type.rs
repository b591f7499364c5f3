//! The words of `auth[].type` and `routes[].auth.type`.

use settings::form::Words;

/// The values of `auth[].type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryType {
    Jwt,
    Key,
    Basic,
    Forward,
}

impl EntryType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Key => "key",
            Self::Basic => "basic",
            Self::Forward => "forward",
        }
    }
}

/// The values of `routes[].auth.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthType {
    Key,
    None,
    Jwt,
    Basic,
    Forward,
}

impl AuthType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::None => "none",
            Self::Jwt => "jwt",
            Self::Basic => "basic",
            Self::Forward => "forward",
        }
    }
}

pub(super) const ENTRY_TYPE: Words<EntryType> = Words::new(&[
    (EntryType::Jwt.as_str(), EntryType::Jwt),
    (EntryType::Key.as_str(), EntryType::Key),
    (EntryType::Basic.as_str(), EntryType::Basic),
    (EntryType::Forward.as_str(), EntryType::Forward),
]);
pub(super) const AUTH_TYPE: Words<AuthType> = Words::new(&[
    (AuthType::Key.as_str(), AuthType::Key),
    (AuthType::None.as_str(), AuthType::None),
    (AuthType::Jwt.as_str(), AuthType::Jwt),
    (AuthType::Basic.as_str(), AuthType::Basic),
    (AuthType::Forward.as_str(), AuthType::Forward),
]);
