//! Weighted rendezvous hashing (Thaler and Ravishankar, 1998): every node and every release sends a value to the same
//! backend, and a backend that leaves moves only its values.

/// Returns the hash of octets: FNV-1a with 64 bits, whose result is mixed. It is the same on all nodes.
pub(crate) fn hash(octets: &[u8]) -> u64 {
    let begin = 0xcbf2_9ce4_8422_2325_u64;
    mixed(octets.iter().fold(begin, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)))
}

/// Spreads each bit over all bits (the finalizer of splitmix64).
const fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Returns the position of the backend that `key` prefers among those that are not in `passed`; `urls` are the hashes of
/// their URLs. Over many keys, each gets as many as its weight says.
pub(super) fn best(key: u64, urls: &[u64], weights: &[u32], passed: &[usize]) -> Option<usize> {
    let scores = urls.iter().zip(weights).enumerate().filter(|(index, _)| !passed.contains(index));
    let scored = scores.map(|(index, (url, weight))| (index, score(key, *url, *weight)));
    scored.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(index, _)| index)
}

/// The score of a backend: -weight / ln(u) for a number u between 0 and 1 that key and URL determine.
fn score(key: u64, url: u64, weight: u32) -> f64 {
    let bits = mixed(key ^ url.rotate_left(32)) >> 11;
    let fraction = (bits as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(weight) / fraction.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u32 = 10_000;

    fn urls(count: usize) -> Vec<u64> {
        (0..count).map(|nth| hash(format!("http://10.0.0.{nth}:9000").as_bytes())).collect()
    }

    fn chosen(urls: &[u64], weights: &[u32]) -> Vec<u64> {
        let keys = (0..KEYS).map(|key| hash(format!("session-{key}").as_bytes()));
        keys.map(|key| urls[best(key, urls, weights, &[]).unwrap()]).collect()
    }

    #[test]
    fn the_hash_is_that_of_every_release() {
        // Computed by another implementation.
        let expected = [0xf52a_15e9_a9b5_e89b, 0x02c0_bdbf_4814_20f8, 0x8f9d_4a83_e238_4785];
        assert_eq!([hash(b""), hash(b"a"), hash(b"session-1")], expected);
    }

    #[test]
    fn each_key_has_the_backend_of_every_release() {
        // Computed by another implementation: a release that changes it moves sessions to other backends.
        for (weights, expected) in
            [([1, 1, 1], [1, 0, 0, 2, 1, 1, 2, 2, 2, 2, 2, 1]), ([3, 1, 2], [1, 0, 0, 2, 2, 0, 2, 2, 2, 2, 2, 1])]
        {
            let keys = (0..12).map(|key| hash(format!("session-{key}").as_bytes()));
            let chosen: Vec<usize> = keys.map(|key| best(key, &urls(3), &weights, &[]).unwrap()).collect();
            assert_eq!(chosen, expected, "{weights:?}");
        }
    }

    #[test]
    fn each_backend_gets_its_share() {
        for weights in [&[1, 1, 1][..], &[1, 2, 3, 4], &[10, 1], &[1; 20]] {
            let urls = urls(weights.len());
            let chosen = chosen(&urls, weights);
            let total = f64::from(weights.iter().sum::<u32>());
            for (url, weight) in urls.iter().zip(weights) {
                let share = chosen.iter().filter(|of| *of == url).count() as f64 / f64::from(KEYS);
                let error = (share - f64::from(*weight) / total).abs();
                assert!(error <= 0.01, "{weights:?}: {share}");
            }
        }
    }

    #[test]
    fn a_backend_that_leaves_moves_only_its_keys() {
        let weights = [3, 1, 2, 2, 1];
        let all = urls(weights.len());
        let before = chosen(&all, &weights);
        for left in 0..all.len() {
            let without = |index: &usize| *index != left;
            let urls: Vec<u64> = (0..all.len()).filter(without).map(|index| all[index]).collect();
            let weights: Vec<u32> = (0..all.len()).filter(without).map(|index| weights[index]).collect();
            for (was, is) in before.iter().zip(chosen(&urls, &weights)) {
                assert!(*was == all[left] || *was == is);
            }
            let passed = (0..KEYS).map(|key| hash(format!("session-{key}").as_bytes()));
            let passed: Vec<u64> = passed.map(|key| all[best(key, &all, &[3, 1, 2, 2, 1], &[left]).unwrap()]).collect();
            assert_eq!(passed, chosen(&urls, &weights), "a backend that is passed over is as one that is not there");
        }
    }
}
