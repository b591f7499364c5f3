//! A JSON scanner that is fed in pieces and keeps only the values at given paths.
//!
//! Memory is bounded whatever arrives: a level a path segment, one key, and the values picked, of [`VALUE_BYTES_MAX`]
//! each. What lies off the paths is skipped by counting brackets. It is no validator: malformed JSON may pass or
//! stop it, and never yields more than its bytes.

use std::ops::Range;

use memchr::memchr2;

use crate::short::Short;

/// Longest value that is kept; a longer one is given up.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;
/// All values that are kept; names that stand often cannot add up to more.
const VALUES_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;
/// Most paths that one scanner follows.
const PATHS_MAX: usize = 8;
/// Longest path.
const SEGMENTS_MAX: usize = 4;
/// Longest key that is compared, escapes unresolved; no path has one that could be longer.
const KEY_BYTES_MAX: usize = 128;
/// In a path: any element of an array.
pub(crate) const ANY: &str = "*";

/// Keys from the top of a value down to one inside it.
pub(crate) type Path = &'static [&'static str];

/// Paths by their number, one bit each.
type Set = u8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Scanner {
    paths: &'static [Path],
    state: State,
    levels: [Level; SEGMENTS_MAX],
    depth: usize,
    key: Key,
    picked: [Picked; PATHS_MAX],
    values: Vec<u8>,
    empty: Set,
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
    Text { escaped: bool, keep: Set },
    /// In a number or a word.
    Word { keep: Set },
    /// In an object or array off the paths, or kept whole.
    Inside { depth: u64, keep: Set },
    /// The same, in one of its strings.
    InsideText { depth: u64, escaped: bool, keep: Set },
    /// The value is over.
    Whole,
    /// This is not JSON.
    Broken,
}

/// An open object or array that paths lead through.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    array: bool,
    entered: bool,
    paths: Set,
}

#[derive(Debug)]
struct Key {
    raw: Short<KEY_BYTES_MAX>,
    escapes: bool,
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
    /// Follows `paths`: at most 8, of at most 4 segments.
    pub(crate) fn new(paths: &'static [Path]) -> Self {
        debug_assert!(paths.len() <= PATHS_MAX && paths.iter().all(|path| path.len() <= SEGMENTS_MAX));
        Self {
            paths,
            state: State::Value,
            levels: [Level::default(); SEGMENTS_MAX],
            depth: 0,
            key: Key { raw: Short::new(), escapes: false },
            picked: Default::default(),
            values: Vec::new(),
            empty: 0,
        }
    }

    /// Begins with a new value; what was picked is forgotten.
    pub(crate) fn reset(&mut self) {
        self.state = State::Value;
        self.depth = 0;
        self.picked = Default::default();
        self.values.clear();
        self.empty = 0;
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
    pub(crate) fn picked(&self, path: usize) -> Option<&[u8]> {
        match self.picked.get(path)? {
            Picked::Value(at) => self.values.get(at.clone()),
            Picked::Nothing | Picked::GivenUp => None,
        }
    }

    /// Whether the path of this number leads through an array that has no element.
    pub(crate) fn passes_empty_array(&self, path: usize) -> bool {
        self.empty & bit(path) != 0
    }

    fn structure<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') | (State::Key | State::Element, b',') => {}
            (State::Key, b'"') => {
                self.key.clear();
                self.state = State::InKey { escaped: false };
            }
            (State::Key, b'}') | (State::Element, b']') => self.close(),
            (State::Colon, b':') => self.state = State::Value,
            (State::Value | State::Element, b'}' | b']' | b',' | b':') | (State::Key | State::Colon, _) => {
                self.state = State::Broken;
            }
            (_, _) => return self.begin(byte, bytes),
        }
        rest
    }

    /// At a value, whose first byte is `byte`.
    fn begin<'a>(&mut self, byte: u8, bytes: &'a [u8]) -> &'a [u8] {
        let container = matches!(byte, b'{' | b'[');
        // Answers and events are objects: what is neither object nor array at the top is a text of another kind.
        if self.depth == 0 && !container {
            self.state = State::Broken;
            return bytes;
        }
        let (kept, through) = self.matching();
        for path in (0..PATHS_MAX).filter(|path| kept & bit(*path) != 0) {
            if let Some(picked) = self.picked.get_mut(path) {
                *picked = Picked::Value(self.values.len()..self.values.len());
            }
        }
        let (head, rest) = bytes.split_at(bytes.len().min(1));
        if container && kept == 0 && through != 0 {
            self.open(byte == b'[', through);
            return rest;
        }
        self.state = match byte {
            b'"' => State::Text { escaped: false, keep: kept },
            b'{' | b'[' => State::Inside { depth: 1, keep: kept },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.state = State::Word { keep: kept };
                return bytes;
            }
            _ => State::Broken,
        };
        self.keep(kept, head);
        rest
    }

    /// Paths that end at the value which now begins, and paths that lead through it.
    fn matching(&mut self) -> (Set, Set) {
        let Some(depth) = self.depth.checked_sub(1) else { return (0, all(self.paths.len())) };
        let Some(level) = self.levels.get_mut(depth) else { return (0, 0) };
        level.entered = true;
        let (mut kept, mut through) = (0, 0);
        for (number, path) in self.paths.iter().enumerate().filter(|(number, _)| level.paths & bit(*number) != 0) {
            let fits = path.get(depth).is_some_and(|segment| match level.array {
                true => *segment == ANY,
                false => self.key.is(segment),
            });
            match fits {
                true if path.len() == self.depth => kept |= bit(number),
                true => through |= bit(number),
                false => {}
            }
        }
        (kept, through)
    }

    fn open(&mut self, array: bool, paths: Set) {
        match self.levels.get_mut(self.depth) {
            Some(level) => {
                *level = Level { array, entered: false, paths };
                self.depth += 1;
                self.state = if array { State::Element } else { State::Key };
            }
            None => self.state = State::Broken,
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if let Some(level) = self.levels.get(self.depth).filter(|level| level.array) {
            self.empty = if level.entered { self.empty & !level.paths } else { self.empty | level.paths };
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
        let (taken, rest, next) = string(escaped, bytes);
        let closes = next == Quoted::Closed;
        let text = taken.split_last().filter(|_| closes).map_or(taken, |(_, text)| text);
        self.key.add(text);
        self.state = match next {
            Quoted::Closed => State::Colon,
            Quoted::Open { escaped } => State::InKey { escaped },
        };
        rest
    }

    fn text<'a>(&mut self, escaped: bool, keep: Set, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest, next) = string(escaped, bytes);
        self.keep(keep, taken);
        match next {
            Quoted::Closed => self.after(),
            Quoted::Open { escaped } => self.state = State::Text { escaped, keep },
        }
        rest
    }

    fn word<'a>(&mut self, keep: Set, bytes: &'a [u8]) -> &'a [u8] {
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

    fn inside<'a>(&mut self, mut depth: u64, keep: Set, bytes: &'a [u8]) -> &'a [u8] {
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

    fn inside_text<'a>(&mut self, (depth, escaped, keep): (u64, bool, Set), bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest, next) = string(escaped, bytes);
        self.keep(keep, taken);
        self.state = match next {
            Quoted::Closed => State::Inside { depth, keep },
            Quoted::Open { escaped } => State::InsideText { depth, escaped, keep },
        };
        rest
    }

    /// Adds to the value that the paths of `kept` share, until it is too long.
    fn keep(&mut self, kept: Set, bytes: &[u8]) {
        if kept == 0 {
            return;
        }
        let end = self.values.len() + bytes.len();
        let mut start = None;
        for (_, picked) in self.picked.iter_mut().enumerate().filter(|(path, _)| kept & bit(*path) != 0) {
            match picked {
                Picked::Value(at) if end - at.start > VALUE_BYTES_MAX || end > VALUES_BYTES_MAX => {
                    start = Some(at.start);
                    *picked = Picked::GivenUp;
                }
                Picked::Value(at) => at.end = end,
                Picked::Nothing | Picked::GivenUp => return,
            }
        }
        match start {
            Some(start) => self.values.truncate(start),
            None => self.values.extend_from_slice(bytes),
        }
    }
}

impl Key {
    const fn clear(&mut self) {
        self.raw.clear();
        self.escapes = false;
    }

    fn add(&mut self, bytes: &[u8]) {
        self.escapes |= bytes.contains(&b'\\');
        self.raw.add(bytes);
    }

    fn is(&self, name: &str) -> bool {
        match self.raw.get() {
            None => false,
            Some(raw) if !self.escapes => raw == name.as_bytes(),
            Some(raw) => {
                let quoted = [b"\"", raw, b"\""].concat();
                serde_json::from_slice::<String>(&quoted).is_ok_and(|key| key == name)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Closed,
    Open { escaped: bool },
}

/// The bytes up to a string's closing quote, which is taken too, and the rest.
fn string(mut escaped: bool, bytes: &[u8]) -> (&[u8], &[u8], Quoted) {
    let mut from = usize::from(escaped && !bytes.is_empty());
    while let Some(next) = bytes.get(from..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        let at = from + next;
        if bytes.get(at) == Some(&b'"') {
            let (taken, rest) = bytes.split_at(at + 1);
            return (taken, rest, Quoted::Closed);
        }
        from = at + 2;
    }
    escaped = from > bytes.len();
    (bytes, &[], Quoted::Open { escaped })
}

const fn bit(path: usize) -> Set {
    if path < PATHS_MAX { 1 << path } else { 0 }
}

const fn all(paths: usize) -> Set {
    if paths < PATHS_MAX { (1 << paths) - 1 } else { Set::MAX }
}

#[cfg(test)]
impl Scanner {
    pub(crate) fn held_bytes(&self) -> usize {
        self.values.capacity()
    }
}

#[cfg(test)]
mod tests;
