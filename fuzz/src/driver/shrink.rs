//! Reduction of failing inputs, so that people can read them and the repository stays small.

/// The maximum of trials, because a trial may be slow.
const TRIALS_MAX: u32 = 4_000;

/// The smallest input found for which `fails` is true.
pub fn shrink(bytes: Vec<u8>, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut least = bytes;
    let mut trials = 0;
    let mut size = least.len().next_power_of_two() / 2;
    while size > 0 && trials < TRIALS_MAX {
        let before = least.len();
        let mut at = 0;
        while at < least.len() && trials < TRIALS_MAX {
            let end = (at + size).min(least.len());
            let without = [&least[..at], &least[end..]].concat();
            trials += 1;
            if fails(&without) {
                least = without;
            } else {
                at = end;
            }
        }
        // The size is repeated after a success, because other pieces may have become removable.
        if least.len() == before {
            size /= 2;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_that_cause_the_failure_stay() {
        let bytes = [b"aaaaaaa(".as_slice(), &[b'b'; 1_000], b")cc"].concat();
        let fails = |bytes: &[u8]| bytes.contains(&b'(') && bytes.contains(&b')');
        assert_eq!(shrink(bytes, fails), b"()");
    }
}
