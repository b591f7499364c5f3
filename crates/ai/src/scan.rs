//! A JSON scanner that is fed in pieces and keeps only the values at given paths.
//!
//! Memory is bounded whatever arrives: a level a path segment, one key, and the values picked, of [`VALUE_BYTES_MAX`]
//! each. What lies off the paths is skipped by counting brackets. It is no validator: malformed JSON may pass or
//! stop it, and never yields more than its bytes.

pub(crate) mod text;

use std::ops::Range;

use text::Key;

/// Longest value that is kept; a longer one is given up.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;
/// All values that are kept; names that stand often cannot add up to more.
const VALUES_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;
/// Most paths that one scanner follows.
const PATHS_MAX: usize = 16;
/// Longest path.
const SEGMENTS_MAX: usize = 5;
/// Most values that are kept of elements of arrays, over all paths.
const ELEMENTS_MAX: usize = 1_024;
/// In a path: any element of an array.
pub(crate) const ANY: &str = "*";

/// Keys from the top of a value down to one inside it.
pub(crate) type Path = &'static [&'static str];

/// Paths by their number, one bit each.
type Set = u16;

/// The path whose value is being kept.
type Keep = Option<u8>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Scanner {
    paths: &'static [Path],
    state: State,
    levels: [Level; SEGMENTS_MAX],
    depth: usize,
    key: Key,
    picked: [Picked; PATHS_MAX],
    /// Values that stood at a path before the last one there: those of earlier elements of an array.
    earlier: Vec<(u8, Range<usize>)>,
    /// Paths of which some value was not kept.
    incomplete: Set,
    values: Vec<u8>,
    elements: [Option<u32>; PATHS_MAX],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value.
    Value,
    /// In an object of the path: before a key, a comma or the end.
    Key,
    /// In a key.
    InKey { escaped: bool },
    /// Behind a key.
    Colon,
    /// In an array of the path: before an element, a comma or the end.
    Element,
    /// In a string that is a value.
    Text { escaped: bool, keep: Keep },
    /// In a number or a word.
    Word { keep: Keep },
    /// In an object or array off the paths, or kept whole.
    Inside { depth: u64, keep: Keep },
    /// The same, in one of its strings.
    InsideText { depth: u64, escaped: bool, keep: Keep },
    /// The value is over.
    Whole,
    /// This is not JSON.
    Broken,
}

/// An open object or array that paths lead through.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    array: bool,
    elements: u32,
    paths: Set,
}

/// What became of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Picked {
    #[default]
    Nothing,
    /// Its bytes in `values`.
    Value(Range<usize>),
    /// It did not fit.
    GivenUp,
}

impl Scanner {
    /// Follows `paths`: at most 16, of at most 5 segments.
    pub(crate) fn new(paths: &'static [Path]) -> Self {
        debug_assert!(paths.len() <= PATHS_MAX && paths.iter().all(|path| path.len() <= SEGMENTS_MAX));
        Self {
            paths,
            state: State::Value,
            levels: [Level::default(); SEGMENTS_MAX],
            depth: 0,
            key: Key::new(),
            picked: Default::default(),
            earlier: Vec::new(),
            incomplete: 0,
            values: Vec::new(),
            elements: [None; PATHS_MAX],
        }
    }

    /// Begins with a new value; what was picked is forgotten.
    pub(crate) fn reset(&mut self) {
        self.state = State::Value;
        self.depth = 0;
        self.picked = Default::default();
        self.earlier.clear();
        self.incomplete = 0;
        self.values.clear();
        self.elements = [None; PATHS_MAX];
    }

    /// Reads on.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Value | State::Key | State::Colon | State::Element => self.structure(bytes),
                State::InKey { escaped } => self.in_key(escaped, bytes),
                State::Text { escaped, keep } => self.text(escaped, keep, bytes),
                State::Word { keep } => self.word(keep, bytes),
                State::Inside { depth, keep } => self.inside(depth, keep, bytes),
                State::InsideText { depth, escaped, keep } => self.inside_text((depth, escaped, keep), bytes),
                State::Whole | State::Broken => return,
            };
        }
    }

    /// Whether the value, an object or array, came to its end.
    pub(crate) fn whole(&self) -> bool {
        self.state == State::Whole
    }

    /// The JSON at the path of this number, as written; of several, the last. `None`: not there, not whole, given up.
    pub(crate) fn picked(&self, path: u8) -> Option<&[u8]> {
        match self.picked.get(usize::from(path))? {
            Picked::Value(at) => self.values.get(at.clone()),
            Picked::Nothing | Picked::GivenUp => None,
        }
    }

    /// The JSON at every place of the path of this number, in no order. `None`: some of it was given up.
    pub(crate) fn all(&self, path: u8) -> Option<impl Iterator<Item = &[u8]>> {
        let earlier = self.earlier.iter().filter(move |(of, _)| *of == path);
        let earlier = earlier.filter_map(|(_, at)| self.values.get(at.clone()));
        (self.incomplete & bit(path) == 0).then(|| earlier.chain(self.picked(path)))
    }

    /// How many elements the array has through which the path of this number leads; of several arrays the last.
    pub(crate) fn elements(&self, path: u8) -> Option<u32> {
        self.elements.get(usize::from(path)).copied().flatten()
    }

    fn structure<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some((&byte, rest)) = bytes.split_first() {
            match (self.state, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') | (State::Key | State::Element, b',') => {}
                (State::Colon, b':') => self.state = State::Value,
                (State::Key, b'"') => {
                    self.key.clear();
                    self.state = State::InKey { escaped: false };
                    return rest;
                }
                (State::Key, b'}') | (State::Element, b']') => {
                    self.close();
                    return rest;
                }
                (State::Value | State::Element, b'}' | b']' | b',' | b':') | (State::Key | State::Colon, _) => {
                    self.state = State::Broken;
                    return rest;
                }
                (_, _) => return self.begin(byte, bytes),
            }
            bytes = rest;
        }
        bytes
    }

    /// At a value, whose first byte is `byte`.
    fn begin<'a>(&mut self, byte: u8, bytes: &'a [u8]) -> &'a [u8] {
        let container = matches!(byte, b'{' | b'[');
        // Answers and events are objects: what is neither object nor array at the top is a text of another kind.
        if self.depth == 0 && !container {
            self.state = State::Broken;
            return bytes;
        }
        let (keep, through) = self.matching();
        if let Some(path) = keep {
            self.pick(path);
        }
        let (head, rest) = bytes.split_at(bytes.len().min(1));
        if container && keep.is_none() && through != 0 {
            self.open(byte == b'[', through);
            return rest;
        }
        self.state = match byte {
            b'"' => State::Text { escaped: false, keep },
            b'{' | b'[' => State::Inside { depth: 1, keep },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.state = State::Word { keep };
                return bytes;
            }
            _ => State::Broken,
        };
        self.keep(keep, head);
        rest
    }

    /// A value begins that is kept.
    fn pick(&mut self, path: u8) {
        let Some(picked) = self.picked.get_mut(usize::from(path)) else { return };
        let before = std::mem::replace(picked, Picked::Value(self.values.len()..self.values.len()));
        match before {
            Picked::Value(at) if self.earlier.len() < ELEMENTS_MAX => self.earlier.push((path, at)),
            Picked::Value(_) => self.incomplete |= bit(path),
            Picked::Nothing | Picked::GivenUp => {}
        }
    }

    /// The path that ends at the value which now begins, and the paths that lead through it.
    fn matching(&mut self) -> (Keep, Set) {
        let Some(depth) = self.depth.checked_sub(1) else { return (None, all(self.paths.len())) };
        let Some(level) = self.levels.get_mut(depth) else { return (None, 0) };
        level.elements = level.elements.saturating_add(1);
        let (mut keep, mut through) = (None, 0);
        for (number, path) in (0_u8..).zip(self.paths) {
            if level.paths & bit(number) == 0 {
                continue;
            }
            let Some(segment) = path.get(depth) else { continue };
            let fits = if level.array { *segment == ANY } else { self.key.is(segment) };
            match fits {
                true if path.len() == self.depth => keep = Some(number),
                true => through |= bit(number),
                false => {}
            }
        }
        (keep, through)
    }

    fn open(&mut self, array: bool, paths: Set) {
        match self.levels.get_mut(self.depth) {
            Some(level) => {
                *level = Level { array, elements: 0, paths };
                self.depth += 1;
                self.state = if array { State::Element } else { State::Key };
            }
            None => self.state = State::Broken,
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

    /// Where a value ended.
    fn after(&mut self) {
        self.state = match self.depth.checked_sub(1).and_then(|depth| self.levels.get(depth)) {
            None => State::Whole,
            Some(Level { array: true, .. }) => State::Element,
            Some(Level { array: false, .. }) => State::Key,
        };
    }

    fn in_key<'a>(&mut self, escaped: bool, bytes: &'a [u8]) -> &'a [u8] {
        let inside = text::inside(escaped, bytes);
        self.key.add(inside.text, inside.escapes);
        self.state = match inside.rest {
            Some(_) => State::Colon,
            None => State::InKey { escaped: inside.escaped },
        };
        inside.rest.unwrap_or_default()
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
                self.state = State::Text { escaped: inside.escaped, keep };
                &[]
            }
        }
    }

    fn word<'a>(&mut self, keep: Keep, bytes: &'a [u8]) -> &'a [u8] {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        match bytes.iter().position(ends) {
            Some(at) => {
                let (taken, rest) = bytes.split_at(at);
                self.keep(keep, taken);
                self.after();
                rest
            }
            None => {
                self.keep(keep, bytes);
                &[]
            }
        }
    }

    fn inside<'a>(&mut self, mut depth: u64, keep: Keep, bytes: &'a [u8]) -> &'a [u8] {
        let counts = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let mut from = 0;
        while let Some(next) = bytes.get(from..).and_then(|rest| rest.iter().position(counts)) {
            let at = from + next;
            from = at + 1;
            match bytes.get(at) {
                Some(b'{' | b'[') => depth = depth.saturating_add(1),
                Some(b'"') => {
                    let (taken, rest) = bytes.split_at(from);
                    self.keep(keep, taken);
                    self.state = State::InsideText { depth, escaped: false, keep };
                    return rest;
                }
                _ => depth = depth.saturating_sub(1),
            }
            if depth == 0 {
                let (taken, rest) = bytes.split_at(from);
                self.keep(keep, taken);
                self.after();
                return rest;
            }
        }
        self.keep(keep, bytes);
        self.state = State::Inside { depth, keep };
        &[]
    }

    fn inside_text<'a>(&mut self, (depth, escaped, keep): (u64, bool, Keep), bytes: &'a [u8]) -> &'a [u8] {
        let inside = text::inside(escaped, bytes);
        self.keep(keep, inside.text);
        match inside.rest {
            Some(rest) => {
                self.keep(keep, b"\"");
                self.state = State::Inside { depth, keep };
                rest
            }
            None => {
                self.state = State::InsideText { depth, escaped: inside.escaped, keep };
                &[]
            }
        }
    }

    /// Adds to the value of a path, until it is too long.
    fn keep(&mut self, keep: Keep, bytes: &[u8]) {
        let Some(picked) = keep.and_then(|path| self.picked.get_mut(usize::from(path))) else { return };
        let Picked::Value(at) = picked else { return };
        let end = self.values.len() + bytes.len();
        if end - at.start > VALUE_BYTES_MAX || end > VALUES_BYTES_MAX {
            self.values.truncate(at.start);
            *picked = Picked::GivenUp;
            self.incomplete |= keep.map_or(0, bit);
        } else {
            at.end = end;
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
    pub(crate) fn held_bytes(&self) -> usize {
        self.values.capacity() + self.earlier.capacity() * size_of::<(u8, Range<usize>)>()
    }
}

#[cfg(test)]
mod tests;
