//! Repeatable choices: a generator that is seeded by a number or by the bytes under test.

/// The generator SplitMix64 (Steele et al., 2014); its quality suffices for the choice of bytes.
#[derive(Debug, Clone)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// A generator with this seed. Equal seeds give equal choices.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that is seeded by `bytes`, so that a target depends on nothing but its input.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(hash(bytes))
    }

    /// The next number of the sequence.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { usize::try_from(self.next() % end as u64).unwrap_or(0) }
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Is true with the probability 1/`n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// The bytes in pieces of 1 to `size_max` bytes.
    pub fn cut<'a>(&mut self, bytes: &'a [u8], size_max: usize) -> Vec<&'a [u8]> {
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.below(size_max)).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}

/// Choices that the bytes under test determine one by one, so that a smaller input makes fewer choices. Without bytes, every
/// choice is 0.
#[derive(Debug)]
pub struct InputChoices<'a>(&'a [u8]);

impl<'a> InputChoices<'a> {
    /// The choices of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether every further choice is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `end`, which is at most 256; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % end.max(1)
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Is true for one of `n` values, which is not 0.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 1
    }
}

/// The FNV-1a hash with 64 bits.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_cut_in_the_same_places() {
        let bytes: Vec<u8> = (0..=255).collect();
        let cut = |seed| SeededRandom::new(seed).cut(&bytes, 9).iter().map(|piece| piece.len()).collect::<Vec<_>>();
        assert_eq!(cut(1), cut(1));
        assert_ne!(cut(1), cut(2));
        assert_eq!((cut(1).iter().sum::<usize>(), cut(1).iter().max()), (256, Some(&9)));
    }
}
