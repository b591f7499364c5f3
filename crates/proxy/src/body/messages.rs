//! The messages of a gRPC call, as they pass: five bytes before each announce its length (gRPC over HTTP/2, "Length-Prefixed-Message").

/// The size of the prefix: whether the message is compressed, and its length.
const PREFIX_BYTES: u8 = 5;

/// The position within the messages of a body.
#[derive(Debug, Default)]
pub(crate) struct MessageScanner {
    /// The number of bytes of the next prefix so far.
    prefix_bytes: u8,
    /// The length in that prefix so far.
    length: u32,
    /// The number of bytes of the current message to come.
    left: u32,
}

impl MessageScanner {
    /// Passes the next bytes of the body. Returns false if they begin a message of more than `bytes_max` bytes.
    pub(crate) fn pass(&mut self, mut data: &[u8], bytes_max: u64) -> bool {
        while let Some((first, rest)) = data.split_first() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
                self.left -= u32::try_from(skipped).unwrap_or(u32::MAX);
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            if self.prefix_bytes > 0 {
                self.length = self.length << 8 | u32::from(*first);
            }
            self.prefix_bytes += 1;
            data = rest;
            if self.prefix_bytes == PREFIX_BYTES {
                (self.left, self.length, self.prefix_bytes) = (self.length, 0, 0);
                if u64::from(self.left) > bytes_max {
                    return false;
                }
            }
        }
        true
    }

    /// Whether the bytes so far end within a message or its prefix.
    pub(crate) const fn is_within(&self) -> bool {
        self.left > 0 || self.prefix_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let content = vec![0xff; usize::try_from(length).unwrap()];
        [&[0], &length.to_be_bytes()[..], &content].concat()
    }

    #[test]
    fn each_message_is_bounded_wherever_its_bytes_are_split() {
        let body = [message(3), message(0), message(300), message(7)].concat();
        for bytes_max in [299, 300] {
            for size in 1..=body.len() {
                let mut scanner = MessageScanner::default();
                let fits = body.chunks(size).all(|piece| scanner.pass(piece, bytes_max));
                assert_eq!(fits, bytes_max == 300, "{size}");
                assert!(!fits || !scanner.is_within());
            }
        }
    }

    #[test]
    fn a_body_may_end_between_messages_only() {
        let body = [message(2), message(1)].concat();
        let between: Vec<usize> = (0..=body.len())
            .filter(|end| {
                let mut scanner = MessageScanner::default();
                assert!(scanner.pass(&body[..*end], 9));
                !scanner.is_within()
            })
            .collect();
        assert_eq!(between, [0, 7, 13]);
        let mut scanner = MessageScanner::default();
        assert!(!scanner.pass(&[0, 0xff, 0xff, 0xff, 0xff], u64::from(u32::MAX) - 1));
    }
}
