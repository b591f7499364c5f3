//! Lists with pages: `?limit=&cursor=` and `{"items": […], "next": …}`.

use access::{Refusal, Timestamp};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::message::problem::Problem;

/// The default number of items per page.
const LIMIT: u32 = 50;
/// The maximum number of items per page.
const LIMIT_MAX: u32 = 200;

/// The query of a list without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    pub(crate) cursor: Option<String>,
}

/// Returns the number of items on a page.
///
/// # Errors
/// `bad_request` for 0 and for more than 200.
pub(crate) fn limit(requested: Option<u32>) -> Result<u32, Problem> {
    match requested.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::new(Refusal::BadRequest, format!("`limit` must be 1 to {LIMIT_MAX}"))),
    }
}

/// Decodes a cursor into the id of the last item before the page; `None` is the first page.
///
/// # Errors
/// `bad_request` for an invalid cursor.
pub(crate) fn after(cursor: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let mut bytes = [0; 16];
    match Base64UrlUnpadded::decode(cursor.as_bytes(), &mut bytes) {
        Ok(id) => Uuid::from_slice(id).map(Some).map_err(|_| no_cursor()),
        Err(_) => Err(no_cursor()),
    }
}

/// Encodes the cursor of the page that follows the item `last`.
pub(crate) fn cursor(last: Uuid) -> String {
    Base64UrlUnpadded::encode_string(last.as_bytes())
}

/// Shortens a list that was read with one item more than a page has. Returns the cursor of the next page, if there are
/// more items.
pub(crate) fn cut<T>(items: &mut Vec<T>, limit: u32, id: impl Fn(&T) -> Uuid) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(|last| cursor(id(last)))
}

/// A position in a list that is ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The time of the last item.
    pub(crate) at: Timestamp,
    /// The id of the last item.
    pub(crate) id: Uuid,
}

impl Place {
    const BYTES: usize = 24;

    pub(crate) fn cursor(self) -> String {
        let bytes = [self.at.0.to_be_bytes().as_slice(), self.id.as_bytes().as_slice()].concat();
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// Decodes a position from a cursor.
    ///
    /// # Errors
    /// `bad_request` for an invalid cursor.
    pub(crate) fn read(cursor: &str) -> Result<Self, Problem> {
        let mut bytes = [0; Self::BYTES];
        let decoded = Base64UrlUnpadded::decode(cursor.as_bytes(), &mut bytes).ok();
        let (at, id) = decoded.and_then(|bytes| bytes.split_first_chunk::<8>()).ok_or_else(no_cursor)?;
        let id = Uuid::from_slice(id).map_err(|_| no_cursor())?;
        Ok(Self { at: Timestamp(u64::from_be_bytes(*at)), id })
    }
}

/// The problem of a cursor that no list returned.
pub(crate) fn no_cursor() -> Problem {
    Problem::new(Refusal::BadRequest, "`cursor` is not a value that a list returned as `next`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let id = Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_00ff);
        assert_eq!(after(Some(&cursor(id))).unwrap(), Some(id));
        assert_eq!(after(None).unwrap(), None);
        for text in ["", "x", "0199aa00-0000-7000-8000-0000000000ff", "AAAA", &"A".repeat(21), &"A".repeat(23), "🔑\0"]
        {
            assert!(after(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let there = Place { at: Timestamp(1_795_176_000_000_120), id: Uuid::from_u128(7) };
        assert_eq!(Place::read(&there.cursor()).unwrap(), there);
        for text in ["", "x", "AAAA", &"A".repeat(22), &"A".repeat(31), &"A".repeat(33), "🔑\0"] {
            assert!(Place::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_1_to_200_items() {
        for (requested, expected) in
            [(None, Some(50)), (Some(1), Some(1)), (Some(200), Some(200)), (Some(0), None), (Some(201), None)]
        {
            assert_eq!(limit(requested).ok(), expected, "{requested:?}");
        }
    }

    #[test]
    fn a_cursor_is_returned_only_if_a_further_page_exists() {
        let ids = |n: u128| (0..n).map(Uuid::from_u128).collect::<Vec<_>>();
        let mut two = ids(2);
        let mut three = ids(3);
        assert_eq!(cut(&mut two, 2, |id| *id), None);
        assert_eq!(cut(&mut three, 2, |id| *id), Some(cursor(Uuid::from_u128(1))));
        assert_eq!((two.len(), three.len()), (2, 2));
    }
}
