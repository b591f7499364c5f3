//! Where each message of a connection begins and ends, in the one way in which it can be read.

use super::TRAILERS_BYTES_MAX;
use super::chunks::Chunks;
use super::fault::Fault;
use super::head::Head;

/// Follows the bytes that a caller sends, whatever pieces they come in.
///
/// What of a head, or of trailers, has come without its end is held here, and passes as a whole: nobody sees the beginning
/// of one that is refused.
#[derive(Debug)]
pub struct Scanner {
    head_bytes_max: usize,
    phase: ScanPhase,
    /// What has come of a head or of trailers that came in several pieces.
    held: Vec<u8>,
    /// Method, space and target of a refused head, where it has them.
    refused_line: Vec<u8>,
}

/// What came of the bytes that were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// So many of them, from the first on, are what was found; the rest is to be pushed again.
    pub used: usize,
    /// What they are.
    pub found: ScanEvent,
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEvent {
    /// A part of a head or of trailers, which is held.
    Held,
    /// The end of a head: it may pass, with what was held of it.
    Head(BodyLength),
    /// A part of a body: it may pass, with what was held of it.
    Body {
        /// Bytes of content in the whole body, if this was the end of it.
        ended: Option<u64>,
    },
    /// Something that is refused: neither it nor what comes after it passes.
    Refused(ScanRefusal),
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanRefusal {
    /// A head.
    Head(Fault),
    /// The framing of a body whose head has passed, and its bytes so far.
    Body(Fault),
}

/// What a head says of the body after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// It has none.
    Nothing,
    /// So many bytes, which may be 0.
    Bytes(u64),
    /// Chunks.
    Chunked,
}

#[derive(Debug)]
enum ScanPhase {
    Head(Head),
    Length { left: u64, of: u64 },
    Chunks(Chunks),
    Trailers { head: Head, content_bytes: u64 },
    Refused(ScanRefusal),
}

impl Scanner {
    /// For a new connection, whose heads have at most `head_bytes_max` bytes each, from the method to the blank line.
    #[must_use]
    pub fn new(head_bytes_max: usize) -> Self {
        let phase = ScanPhase::Head(Head::default());
        Self { head_bytes_max, phase, held: Vec::new(), refused_line: Vec::new() }
    }

    /// Goes over `bytes`, which follow those that were used before, to the end of a head or a body at most.
    ///
    /// Of bytes that are not empty, at least one is used, until some are refused.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Step {
        match &mut self.phase {
            ScanPhase::Head(head) => match section(head, &mut self.held, bytes, self.head_bytes_max) {
                Ok(Some(used)) => {
                    let length = head.length();
                    match length {
                        BodyLength::Nothing | BodyLength::Bytes(0) => *head = Head::default(),
                        BodyLength::Bytes(bytes) => self.phase = ScanPhase::Length { left: bytes, of: bytes },
                        BodyLength::Chunked => self.phase = ScanPhase::Chunks(Chunks::default()),
                    }
                    Step { used, found: ScanEvent::Head(length) }
                }
                Ok(None) => Step { used: bytes.len(), found: ScanEvent::Held },
                Err(fault) => self.refuse_head(fault, bytes),
            },
            ScanPhase::Length { left, of } => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(used).unwrap_or(*left);
                let ended = (*left == 0).then_some(*of);
                if ended.is_some() {
                    self.phase = ScanPhase::Head(Head::default());
                }
                Step { used, found: ScanEvent::Body { ended } }
            }
            ScanPhase::Chunks(chunks) => {
                let followed = chunks.follow(bytes);
                if followed.is_over {
                    self.phase = ScanPhase::Trailers { head: Head::trailers(), content_bytes: chunks.content_bytes };
                } else if let Some(fault) = followed.fault {
                    let refused = self.refuse(ScanRefusal::Body(fault));
                    if followed.used == 0 {
                        return refused;
                    }
                }
                Step { used: followed.used, found: ScanEvent::Body { ended: None } }
            }
            ScanPhase::Trailers { head, content_bytes } => {
                let ended = Some(*content_bytes);
                match section(head, &mut self.held, bytes, self.head_bytes_max.min(TRAILERS_BYTES_MAX)) {
                    Ok(Some(used)) => {
                        self.phase = ScanPhase::Head(Head::default());
                        Step { used, found: ScanEvent::Body { ended } }
                    }
                    Ok(None) => Step { used: bytes.len(), found: ScanEvent::Held },
                    Err(fault) => {
                        self.held = Vec::new();
                        self.refuse(ScanRefusal::Body(fault))
                    }
                }
            }
            ScanPhase::Refused(refused) => Step { used: 0, found: ScanEvent::Refused(*refused) },
        }
    }

    /// What was held of the head, trailers or body end that was found last, with the bytes used for it; empty if all of it
    /// was pushed at once.
    #[must_use]
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Whether a head has begun to arrive. The blank line that old clients send after a body is no beginning.
    #[must_use]
    pub fn is_within_head(&self) -> bool {
        matches!(self.phase, ScanPhase::Head(_)) && self.held.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// What is refused, from which on nothing passes.
    #[must_use]
    pub const fn refused(&self) -> Option<ScanRefusal> {
        match &self.phase {
            ScanPhase::Refused(refused) => Some(*refused),
            ScanPhase::Head(_) | ScanPhase::Length { .. } | ScanPhase::Chunks(_) | ScanPhase::Trailers { .. } => None,
        }
    }

    /// Method, space and target of the head that was refused; empty where it has no request line that can be read.
    #[must_use]
    pub fn refused_line(&self) -> &[u8] {
        &self.refused_line
    }

    fn refuse_head(&mut self, fault: Fault, bytes: &[u8]) -> Step {
        let held = std::mem::take(&mut self.held);
        if let ScanPhase::Head(head) = &self.phase {
            let head_bytes = if held.is_empty() { bytes } else { &held };
            self.refused_line = head.method_and_target(head_bytes).unwrap_or_default().to_vec();
        }
        self.refuse(ScanRefusal::Head(fault))
    }

    fn refuse(&mut self, refused: ScanRefusal) -> Step {
        self.phase = ScanPhase::Refused(refused);
        Step { used: 0, found: ScanEvent::Refused(refused) }
    }
}

/// Goes on with a head or trailers over `bytes`, and what was held before them. Answers how many of `bytes` were used if it
/// ended; else all of them are held.
fn section(head: &mut Head, held: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Fault> {
    let held_before = held.len();
    let all = if held_before == 0 {
        bytes
    } else {
        // One byte over the bound shows that it is.
        let room = (bytes_max + 1).saturating_sub(held_before).min(bytes.len());
        held.extend_from_slice(bytes.get(..room).unwrap_or_default());
        held.as_slice()
    };
    let within = all.get(..all.len().min(bytes_max)).unwrap_or_default();
    match head.scan(within)? {
        Some(end) => {
            if held_before > 0 {
                held.truncate(end);
            }
            Ok(Some(end - held_before))
        }
        None if all.len() > bytes_max => Err(Fault::TooLarge),
        None => {
            if held_before == 0 {
                held.extend_from_slice(bytes);
            }
            Ok(None)
        }
    }
}
