//! The version in a record's header.

use std::fmt;

/// The version of a record's form: the major version in the high four bits, the minor version in the low four. A reader
/// accepts every minor version of its major version: a later minor version only adds fields to tails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordVersion(u8);

impl RecordVersion {
    /// The version that this release writes.
    pub(crate) const CURRENT: Self = Self::new(1, 7);

    const fn new(major: u8, minor: u8) -> Self {
        Self(major << 4 | minor & 0xf)
    }

    pub(crate) const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    pub(crate) const fn to_byte(self) -> u8 {
        self.0
    }

    const fn major(self) -> u8 {
        self.0 >> 4
    }

    const fn minor(self) -> u8 {
        self.0 & 0xf
    }

    /// Returns whether a later release with the same major version wrote the record.
    pub(crate) const fn is_later_minor(self) -> bool {
        self.is_readable() && self.minor() > Self::CURRENT.minor()
    }

    /// Returns whether this release can read records of this version.
    pub(crate) const fn is_readable(self) -> bool {
        self.major() == Self::CURRENT.major()
    }
}

impl fmt::Display for RecordVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.minor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minor_version_of_the_major_version_is_readable_and_no_other() {
        for byte in 0..=u8::MAX {
            let version = RecordVersion::from_byte(byte);
            assert_eq!(version.is_readable(), (0x10..=0x1f).contains(&byte), "{version}");
            assert_eq!(version.to_byte(), byte);
        }
        assert_eq!(RecordVersion::from_byte(0x2f).to_string(), "2.15");
    }
}
