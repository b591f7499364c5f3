//! Mutation of inputs.

use crate::random::SeededRandom;

/// The maximum of changes to one input.
const CHANGES_MAX: usize = 6;
/// The maximum of repetitions of a piece. It suffices to overflow the stack of an unbounded recursion.
const REPEATS_MAX: usize = 20_000;
/// Numbers at and beyond the limits of integer types.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775808",
    "10000000000000000000",
    "18446744073709551615",
    "18446744073709551616",
    "1e19",
    "1e999",
    "-0",
    "0.5",
    "00",
    "NaN",
    "123456789012345678901234567890123456789012345678901234567890",
];

/// Creates inputs for one target.
#[derive(Debug)]
pub struct Mutator {
    random: SeededRandom,
    words: &'static [&'static str],
    bytes_max: usize,
}

impl Mutator {
    /// A mutator that inserts `words` and creates at most `bytes_max` bytes.
    #[must_use]
    pub const fn new(seed: u64, words: &'static [&'static str], bytes_max: usize) -> Self {
        Self { random: SeededRandom::new(seed), words, bytes_max }
    }

    /// A mutation of an input in `corpus`, or an input of words only.
    pub fn make(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = match corpus {
            [] => Vec::new(),
            corpus => self.random.pick(corpus).clone(),
        };
        if !self.words.is_empty() && self.random.one_in(40) {
            bytes.clear();
            for _ in 0..self.random.below(60) {
                bytes.extend_from_slice(self.random.pick(self.words).as_bytes());
            }
        }
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut bytes, corpus);
            bytes.truncate(self.bytes_max);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        match self.random.below(13) {
            0 if !bytes.is_empty() => {
                let at = self.random.below(bytes.len());
                bytes[at] ^= 1 << self.random.below(8);
            }
            1 if !bytes.is_empty() => {
                let at = self.random.below(bytes.len());
                bytes[at] = self.byte();
            }
            2 => {
                let byte = self.byte();
                bytes.insert(self.random.below(bytes.len() + 1), byte);
            }
            3 | 4 => {
                let (from, to) = self.range(bytes.len());
                bytes.drain(from..to);
            }
            5 => self.repeat(bytes),
            6 | 7 if !self.words.is_empty() => {
                let word = *self.random.pick(self.words);
                self.put(bytes, word.as_bytes());
            }
            8 if !corpus.is_empty() => {
                let other = self.random.pick(corpus);
                let (from, to) = self.range(other.len());
                self.put(bytes, &other[from..to]);
            }
            9 => self.number(bytes),
            10 => {
                let (from, to) = self.range(bytes.len());
                let moved: Vec<u8> = bytes.drain(from..to).collect();
                let at = self.random.below(bytes.len() + 1);
                bytes.splice(at..at, moved);
            }
            11 => self.swap_lines(bytes),
            _ => bytes.truncate(self.random.below(bytes.len() + 1)),
        }
    }

    fn byte(&mut self) -> u8 {
        if self.random.one_in(2) {
            *self.random.pick(b"\0\n\r\t \"\\{}[]:,;=-_/.?#%&*'0\x7F\x80\xC3\xED\xFF")
        } else {
            self.random.next().to_le_bytes()[0]
        }
    }

    /// A range that is mostly short and sometimes as long as possible.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let from = self.random.below(len + 1);
        let most = if self.random.one_in(4) { len - from } else { (len - from).min(16) };
        (from, from + self.random.below(most + 1))
    }

    /// Inserts `piece` at a random place, or overwrites the bytes there.
    fn put(&mut self, bytes: &mut Vec<u8>, piece: &[u8]) {
        let (from, to) = if self.random.one_in(2) {
            let at = self.random.below(bytes.len() + 1);
            (at, at)
        } else {
            self.range(bytes.len())
        };
        bytes.splice(from..to, piece.iter().copied());
    }

    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.range(bytes.len());
        let piece = bytes[from..to].to_vec();
        let most = if self.random.one_in(8) { REPEATS_MAX } else { 8 };
        let room = self.bytes_max.saturating_sub(bytes.len()) / piece.len().max(1);
        let times = (1 + self.random.below(most)).min(room);
        bytes.splice(to..to, piece.repeat(times));
    }

    /// Replaces a number, or inserts one if there is no number.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let number = self.random.pick(NUMBERS).as_bytes();
        let start = self.random.below(bytes.len() + 1);
        let Some(from) = (start..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else {
            return self.put(bytes, number);
        };
        let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.splice(from..from + digits, number.iter().copied());
    }

    fn swap_lines(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let a = self.random.below(lines.len());
        let b = self.random.below(lines.len());
        if !lines.is_empty() {
            lines.swap(a, b);
            *bytes = lines.concat();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_within_their_bound() {
        let corpus = [b"{\"a\": 12}\n{\"b\": [3]}\n".to_vec(), Vec::new()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, &["word", "\"k\":"], 300);
            (0..3_000).map(|_| mutator.make(&corpus)).collect::<Vec<_>>()
        };
        let one = inputs(7);
        let two = inputs(7);
        assert!(one == two && one != inputs(8));
        assert!(one.iter().all(|input| input.len() <= 300) && one.iter().any(|input| input.len() == 300));
        let distinct: std::collections::HashSet<_> = one.iter().collect();
        assert!(distinct.len() > 2_000, "{}", distinct.len());
    }
}
