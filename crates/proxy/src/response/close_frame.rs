//! The end of a WebSocket that the gateway ends: a Close frame (RFC 6455, 5.5.1) after a whole frame of the upstream.

/// A Close frame to the client with the code 1001, "going away" (RFC 6455, 7.4.1).
pub(super) const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];
/// The longest head of a frame: two octets, eight of an extended length, and four of a mask (RFC 6455, 5.2).
const HEAD_BYTES_MAX: usize = 14;

/// The position within the frames that an upstream sends.
#[derive(Debug, Default)]
pub(super) struct FrameScanner {
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The number of bytes of the current frame to come.
    left: u64,
    /// Whether the upstream has sent a Close frame: no other frame may follow it.
    is_closed: bool,
}

impl FrameScanner {
    /// Passes the next bytes of the upstream.
    pub(super) fn pass(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
                self.left -= u64::try_from(skipped).unwrap_or(u64::MAX);
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = data.split_first() else { return };
            if let Some(place) = self.head.get_mut(self.head_bytes) {
                *place = *first;
            }
            self.head_bytes += 1;
            data = rest;
            if let Some(left) = self.content_bytes() {
                self.is_closed |= self.head[0] & 0x0f == 0x08;
                (self.left, self.head_bytes) = (left, 0);
            }
        }
    }

    /// Returns the length of the content of the frame, once its head is complete.
    fn content_bytes(&self) -> Option<u64> {
        if self.head_bytes < 2 {
            return None;
        }
        let second = *self.head.get(1)?;
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if self.head_bytes < 2 + length_bytes + mask_bytes {
            return None;
        }
        let extended = self.head.get(2..2 + length_bytes).unwrap_or_default();
        let length = extended.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
        Some(if length_bytes == 0 { u64::from(second & 0x7f) } else { length })
    }

    /// Whether a frame may follow the bytes so far.
    pub(super) const fn may_follow(&self) -> bool {
        self.left == 0 && self.head_bytes == 0 && !self.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_follow_whole_frames_wherever_their_bytes_are_split() {
        let long = [&[0x82, 126, 0x01, 0x2c][..], &[7; 300]].concat();
        let longer = [&[0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65_536]].concat();
        let masked = [0x81, 0x81, 1, 2, 3, 4, 5];
        let frames = [&[0x81, 0x00][..], &[0x89, 0x02, 1, 2], &long, &masked, &longer].concat();
        for size in [1, 2, 3, 7, 300, 1_000, frames.len()] {
            let mut scanner = FrameScanner::default();
            frames.chunks(size).for_each(|piece| scanner.pass(piece));
            assert!(scanner.may_follow(), "{size}");
        }
        for end in [1, 3, 5, 9, 307, 309, frames.len() - 1] {
            let mut scanner = FrameScanner::default();
            scanner.pass(&frames[..end]);
            assert!(!scanner.may_follow(), "{end}");
        }
    }

    #[test]
    fn no_frame_follows_a_close_frame() {
        let mut scanner = FrameScanner::default();
        assert!(scanner.may_follow());
        scanner.pass(GOING_AWAY);
        assert!(!scanner.may_follow());
    }
}
