//! The checksum of frames: CRC-32 (ISO 3309), as in gzip.

/// The remainders of all half bytes.
const REMAINDERS: [u32; 16] = [
    0x0000_0000,
    0x1db7_1064,
    0x3b6e_20c8,
    0x26d9_30ac,
    0x76dc_4190,
    0x6b6b_51f4,
    0x4db2_6158,
    0x5005_713c,
    0xedb8_8320,
    0xf00f_9344,
    0xd6d6_a3e8,
    0xcb61_b38c,
    0x9b64_c2b0,
    0x86d3_d2d4,
    0xa00a_e278,
    0xbdbd_f21c,
];

/// Returns the checksum of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let half = |sum: u32, half: u32| {
        let remainder = usize::try_from((sum ^ half) & 15).ok().and_then(|at| REMAINDERS.get(at));
        remainder.copied().unwrap_or_default() ^ (sum >> 4)
    };
    !bytes.iter().fold(!0, |sum, byte| half(half(sum, u32::from(*byte)), u32::from(*byte >> 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of CRC algorithms, and sums of Python's `zlib.crc32`.
    #[test]
    fn sums_are_those_of_gzip() {
        for (text, sum) in [
            ("", 0),
            ("a", 0xe8b7_be43),
            ("123456789", 0xcbf4_3926),
            ("The quick brown fox jumps over the lazy dog", 0x414f_a339),
        ] {
            assert_eq!(crc32(text.as_bytes()), sum, "{text}");
        }
    }
}
