//! Open requests as the store keeps them while it has no room for their partition.

use crate::error::{SpoolError, UnknownFormat};
use crate::open_request::OpenRequest;
use crate::records::record::{self, DecodeError};

/// The reason why a stored request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoredRequestError {
    /// A later release stored the request.
    #[error("{0}; run the newer version")]
    Newer(UnknownFormat),
    /// The bytes are no request.
    #[error("the stored request is damaged")]
    Damaged,
}

impl OpenRequest {
    /// Returns the request as the store keeps it: the version and the payload of its record.
    ///
    /// # Errors
    /// [`SpoolError::TooLarge`]; never for a request that was read from a record.
    pub fn to_stored(&self) -> Result<Vec<u8>, SpoolError> {
        record::to_stored(self)
    }

    /// Reads what [`to_stored`](Self::to_stored) returned, in this release or in another with the same major version of
    /// records.
    ///
    /// # Errors
    /// [`StoredRequestError`].
    pub fn from_stored(stored: &[u8]) -> Result<Self, StoredRequestError> {
        record::from_stored(stored).map_err(|error| match error {
            DecodeError::Newer(format) => StoredRequestError::Newer(format),
            DecodeError::Damaged => StoredRequestError::Damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::fixture;

    fn stored() -> Vec<u8> {
        fixture::opened(fixture::id(1, 2)).to_stored().unwrap()
    }

    fn check(change: impl FnOnce(&mut Vec<u8>)) -> Result<OpenRequest, StoredRequestError> {
        let mut stored = stored();
        change(&mut stored);
        OpenRequest::from_stored(&stored)
    }

    #[test]
    fn stored_request_is_read_again_with_any_subject() {
        for subject in fixture::subjects() {
            let opened = OpenRequest { subject, ..fixture::opened(Uuid::max()) };
            assert_eq!(OpenRequest::from_stored(&opened.to_stored().unwrap()), Ok(opened));
        }
    }

    /// The payload of the golden record of version 1.0, which had no field.
    #[test]
    fn request_that_an_older_minor_version_stored_is_read() {
        let golden = include_str!("records/record/golden/open.hex");
        let digits: Vec<u32> = golden.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let record: Vec<u8> =
            digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect();
        let older = [&[0x10], &record[28..]].concat();
        assert_eq!(OpenRequest::from_stored(&older), Ok(fixture::opened(fixture::id(1, 2))));
    }

    #[test]
    fn request_of_a_later_minor_version_is_read_without_its_unknown_fields() {
        let later = check(|stored| {
            stored[0] = 0x1f;
            stored.extend([0x7f, 2, b'?', b'?']);
        });
        assert_eq!(later, Ok(fixture::opened(fixture::id(1, 2))));
    }

    #[test]
    fn other_versions_and_damage_are_refused() {
        for version in [0x00, 0x0f, 0x20, 0x7b] {
            let refused = check(|stored| stored[0] = version);
            assert!(matches!(refused, Err(StoredRequestError::Newer(_))), "{version:x} {refused:?}");
        }
        assert_eq!(check(Vec::clear), Err(StoredRequestError::Damaged));
        for bytes in 1..stored().len() {
            assert_eq!(check(|stored| stored.truncate(bytes)), Err(StoredRequestError::Damaged), "{bytes}");
        }
        // The text that earlier development versions stored.
        assert!(OpenRequest::from_stored(br#"{"id":"0199aa00-0000-7000-8000-00000000000f"}"#).is_err());
    }
}
