//! A JSON scanner that reads its input in pieces and keeps only the values at given paths.
//!
//! Memory is bounded for any input: one level per path segment, one key, and the kept values of at most
//! [`VALUE_BYTES_MAX`] each. Values off the paths are skipped by counting brackets. The scanner is not a validator:
//! malformed JSON may pass or stop it, but it never returns bytes that are not part of the input.

pub(crate) mod nesting;
pub(crate) mod raw_fields;
pub(crate) mod text;

use std::ops::Range;

use nesting::Nesting;
use text::{Key, KeyText};

/// Longest value that is kept, in bytes; a longer one is dropped.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Room for the kept values of a usual response, in bytes.
const VALUES_BYTES: usize = 512;
/// Maximum size of all kept values, in bytes; repeated names cannot exceed it.
const VALUES_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;
/// Maximum number of paths that one scanner follows.
const PATHS_MAX: usize = 16;
/// Maximum number of segments of a path.
const SEGMENTS_MAX: usize = 5;
/// Maximum number of values of array elements that are kept, over all paths.
const ELEMENTS_MAX: usize = 1_024;
/// A path segment that matches any element of an array.
pub(crate) const ANY: &str = "*";

/// Keys from the top of a value down to one inside it.
pub(crate) type Path = &'static [&'static str];

/// A set of path numbers, one bit each.
type Set = u16;

/// The number of the path whose value is being kept.
type Keep = Option<u8>;

/// The path that ends at a value, and the paths that lead through it.
#[derive(Debug, Clone, Copy, Default)]
struct PathMatch {
    keep: Keep,
    through: Set,
}

/// The incremental scanner; see the module.
#[derive(Debug)]
pub(crate) struct Scanner {
    paths: &'static [Path],
    state: ScanState,
    levels: [PathLevel; SEGMENTS_MAX],
    depth: usize,
    /// A key that arrives in pieces.
    key: Key,
    /// What the value of the last key is used for.
    matched: PathMatch,
    picked: [PathValue; PATHS_MAX],
    /// Earlier values at a path: those of earlier elements of an array.
    earlier: Vec<(u8, Range<usize>)>,
    /// Paths of which at least one value was not kept.
    incomplete: Set,
    values: Vec<u8>,
    elements: [Option<u32>; PATHS_MAX],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScanState {
    /// Before the first byte of a value.
    Value,
    /// In an object of the path: before a key, a comma or the end.
    Key,
    /// In a key of such an object.
    InKey { escaped: bool },
    /// After a key, before its colon.
    Colon,
    /// In an array of the path: before an element, a comma or the end.
    Element,
    /// In a string that is a value.
    Text { escaped: bool, keep: Keep },
    /// In a number or a word.
    Word { keep: Keep },
    /// In an object or array that is off the paths or is kept whole.
    Inside { at: Nesting, keep: Keep },
    /// The value has ended.
    Whole,
    /// The input is not JSON.
    Broken,
}

/// An open object or array that paths lead through.
#[derive(Debug, Clone, Copy, Default)]
struct PathLevel {
    array: bool,
    elements: u32,
    paths: Set,
}

/// The result for one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum PathValue {
    #[default]
    Nothing,
    /// The position of its bytes in `values`.
    Value(Range<usize>),
    /// The value was too long.
    GivenUp,
}

impl Scanner {
    /// Creates a scanner for `paths`: at most 16, of at most 5 segments.
    pub(crate) fn new(paths: &'static [Path]) -> Self {
        assert!(paths.len() <= PATHS_MAX && paths.iter().all(|path| path.len() <= SEGMENTS_MAX));
        Self {
            paths,
            state: ScanState::Value,
            levels: [PathLevel::default(); SEGMENTS_MAX],
            depth: 0,
            key: Key::new(),
            matched: PathMatch::default(),
            picked: Default::default(),
            earlier: Vec::new(),
            incomplete: 0,
            values: Vec::new(),
            elements: [None; PATHS_MAX],
        }
    }

    /// Starts a new value and forgets the kept values.
    pub(crate) fn reset(&mut self) {
        self.state = ScanState::Value;
        self.depth = 0;
        self.picked = Default::default();
        self.earlier.clear();
        self.incomplete = 0;
        self.values.clear();
        self.elements = [None; PATHS_MAX];
    }

    /// Reads the next piece of the input.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                ScanState::Value | ScanState::Key | ScanState::Colon | ScanState::Element => self.structure(bytes),
                ScanState::InKey { escaped } => self.in_key(escaped, bytes),
                ScanState::Text { escaped, keep } => self.text(escaped, keep, bytes),
                ScanState::Word { keep } => self.word(keep, bytes),
                ScanState::Inside { at, keep } => self.inside(at, keep, bytes),
                ScanState::Whole | ScanState::Broken => return,
            };
        }
    }

    /// Whether the value, an object or array, has ended.
    pub(crate) fn whole(&self) -> bool {
        self.state == ScanState::Whole
    }

    /// Returns the JSON at the path of this number as written, the last if there are several. `None` if it is missing,
    /// incomplete or too long.
    pub(crate) fn picked(&self, path: u8) -> Option<&[u8]> {
        match self.picked.get(usize::from(path))? {
            PathValue::Value(at) => self.values.get(at.clone()),
            PathValue::Nothing | PathValue::GivenUp => None,
        }
    }

    /// Returns the JSON at every position of the path of this number, in no order. `None` if a value was dropped.
    pub(crate) fn all(&self, path: u8) -> Option<impl Iterator<Item = &[u8]>> {
        let earlier = self.earlier.iter().filter(move |(of, _)| *of == path);
        let earlier = earlier.filter_map(|(_, at)| self.values.get(at.clone()));
        (self.incomplete & bit(path) == 0).then(|| earlier.chain(self.picked(path)))
    }

    /// Returns the number of elements of the array in the path of this number; of several arrays, of the last one.
    pub(crate) fn elements(&self, path: u8) -> Option<u32> {
        self.elements.get(usize::from(path)).copied().flatten()
    }

    fn structure<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some((&byte, rest)) = bytes.split_first() {
            match (self.state, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') | (ScanState::Key | ScanState::Element, b',') => {}
                (ScanState::Colon, b':') => self.state = ScanState::Value,
                (ScanState::Key, b'"') => {
                    let inside = text::inside(false, rest);
                    let Some(after) = inside.rest else {
                        self.key.clear();
                        return self.in_key(false, rest);
                    };
                    // A whole key is compared where it is.
                    self.end_key(&KeyText::new(inside.text, inside.escapes));
                    bytes = after;
                    continue;
                }
                (ScanState::Key, b'}') | (ScanState::Element, b']') => {
                    self.close();
                    return rest;
                }
                (ScanState::Value | ScanState::Element, b'}' | b']' | b',' | b':')
                | (ScanState::Key | ScanState::Colon, _) => {
                    self.state = ScanState::Broken;
                    return rest;
                }
                (_, _) => return self.begin(byte, bytes),
            }
            bytes = rest;
        }
        bytes
    }

    /// Starts a value whose first byte is `byte`.
    fn begin<'a>(&mut self, byte: u8, bytes: &'a [u8]) -> &'a [u8] {
        let container = matches!(byte, b'{' | b'[');
        // Responses and events are objects or arrays; any other top-level value is another kind of text.
        if self.depth == 0 && !container {
            self.state = ScanState::Broken;
            return bytes;
        }
        let PathMatch { keep, through } = self.matching();
        if let Some(path) = keep {
            self.pick(path);
        }
        let (head, rest) = bytes.split_at(bytes.len().min(1));
        if container && keep.is_none() && through != 0 {
            self.open(byte == b'[', through);
            return rest;
        }
        match byte {
            b'"' => {
                self.keep(keep, head);
                self.text(false, keep, rest)
            }
            b'{' | b'[' => {
                self.keep(keep, head);
                self.inside(Nesting::OPEN, keep, rest)
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.word(keep, bytes),
            _ => {
                self.state = ScanState::Broken;
                rest
            }
        }
    }

    /// Starts a value that is kept.
    fn pick(&mut self, path: u8) {
        let Some(picked) = self.picked.get_mut(usize::from(path)) else { return };
        let before = std::mem::replace(picked, PathValue::Value(self.values.len()..self.values.len()));
        match before {
            PathValue::Value(at) if self.earlier.len() < ELEMENTS_MAX => self.earlier.push((path, at)),
            PathValue::Value(_) => self.incomplete |= bit(path),
            PathValue::Nothing | PathValue::GivenUp => {}
        }
    }

    /// Returns the path that ends at the value that begins here, and the paths that lead through it.
    fn matching(&mut self) -> PathMatch {
        let Some(depth) = self.depth.checked_sub(1) else {
            return PathMatch { keep: None, through: all(self.paths.len()) };
        };
        match self.levels.get_mut(depth) {
            Some(level) if level.array => {
                level.elements = level.elements.saturating_add(1);
                self.matching_segment(|segment| segment == ANY)
            }
            Some(_) => self.matched,
            None => PathMatch::default(),
        }
    }

    /// Ends a key: determines what its value is used for.
    fn end_key(&mut self, key: &KeyText<'_>) {
        self.matched = self.matching_segment(|segment| key.is(segment));
        self.state = ScanState::Colon;
    }

    /// Returns the paths of the innermost open object or array whose next segment `fits`.
    fn matching_segment(&self, fits: impl Fn(&str) -> bool) -> PathMatch {
        let mut matched = PathMatch::default();
        let Some(depth) = self.depth.checked_sub(1) else { return matched };
        let mut candidates = self.levels.get(depth).map_or(0, |level| level.paths);
        for (number, path) in (0_u8..).zip(self.paths) {
            let is_candidate = candidates & 1 != 0;
            candidates >>= 1;
            if !is_candidate || !path.get(depth).is_some_and(|segment| fits(segment)) {
                continue;
            }
            if path.len() == self.depth {
                matched.keep = Some(number);
            } else {
                matched.through |= bit(number);
            }
        }
        matched
    }

    fn open(&mut self, array: bool, paths: Set) {
        match self.levels.get_mut(self.depth) {
            Some(level) => {
                *level = PathLevel { array, elements: 0, paths };
                self.depth += 1;
                self.state = if array { ScanState::Element } else { ScanState::Key };
            }
            None => self.state = ScanState::Broken,
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if let Some(level) = self.levels.get(self.depth).filter(|level| level.array) {
            for (path, elements) in (0_u8..).zip(&mut self.elements) {
                if level.paths & bit(path) != 0 {
                    *elements = Some(level.elements);
                }
            }
        }
        self.after();
    }

    /// Sets the state after the end of a value.
    fn after(&mut self) {
        self.state = match self.depth.checked_sub(1).and_then(|depth| self.levels.get(depth)) {
            None => ScanState::Whole,
            Some(PathLevel { array: true, .. }) => ScanState::Element,
            Some(PathLevel { array: false, .. }) => ScanState::Key,
        };
    }

    fn in_key<'a>(&mut self, escaped: bool, bytes: &'a [u8]) -> &'a [u8] {
        let inside = text::inside(escaped, bytes);
        self.key.add(inside.text, inside.escapes);
        match inside.rest {
            Some(rest) => {
                let matched = self.matching_segment(|segment| self.key.text().is_some_and(|key| key.is(segment)));
                (self.matched, self.state) = (matched, ScanState::Colon);
                rest
            }
            None => {
                self.state = ScanState::InKey { escaped: inside.escaped };
                &[]
            }
        }
    }

    fn text<'a>(&mut self, escaped: bool, keep: Keep, bytes: &'a [u8]) -> &'a [u8] {
        let inside = text::inside(escaped, bytes);
        self.keep(keep, inside.text);
        match inside.rest {
            Some(rest) => {
                self.keep(keep, b"\"");
                self.after();
                rest
            }
            None => {
                self.state = ScanState::Text { escaped: inside.escaped, keep };
                &[]
            }
        }
    }

    fn word<'a>(&mut self, keep: Keep, bytes: &'a [u8]) -> &'a [u8] {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        match bytes.iter().position(ends) {
            Some(at) => {
                let (consumed, rest) = bytes.split_at(at);
                self.keep(keep, consumed);
                self.after();
                rest
            }
            None => {
                self.keep(keep, bytes);
                self.state = ScanState::Word { keep };
                &[]
            }
        }
    }

    fn inside<'a>(&mut self, mut at: Nesting, keep: Keep, bytes: &'a [u8]) -> &'a [u8] {
        let Some((consumed, rest)) = at.end_in(bytes) else {
            self.keep(keep, bytes);
            self.state = ScanState::Inside { at, keep };
            return &[];
        };
        self.keep(keep, consumed);
        self.after();
        rest
    }

    /// Adds bytes to the value of a path until it is too long.
    fn keep(&mut self, keep: Keep, bytes: &[u8]) {
        let Some(picked) = keep.and_then(|path| self.picked.get_mut(usize::from(path))) else { return };
        let PathValue::Value(at) = picked else { return };
        let end = self.values.len() + bytes.len();
        if end - at.start > VALUE_BYTES_MAX || end > VALUES_BYTES_MAX {
            self.values.truncate(at.start);
            *picked = PathValue::GivenUp;
            self.incomplete |= keep.map_or(0, bit);
        } else {
            at.end = end;
            if self.values.capacity() == 0 {
                self.values.reserve(VALUES_BYTES);
            }
            self.values.extend_from_slice(bytes);
        }
    }
}

const fn bit(path: u8) -> Set {
    if (path as usize) < PATHS_MAX { 1 << path } else { 0 }
}

const fn all(paths: usize) -> Set {
    if paths < PATHS_MAX { (1 << paths) - 1 } else { Set::MAX }
}

#[cfg(test)]
impl Scanner {
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.values.capacity() + self.earlier.capacity() * size_of::<(u8, Range<usize>)>()
    }
}

#[cfg(test)]
mod tests;
