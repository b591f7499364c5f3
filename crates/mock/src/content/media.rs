//! Valid pictures, sounds and vectors of minimal size.

/// A red pixel: a PNG of 1 × 1, in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Samples per second of the sound, 16 bits each, one channel.
const RATE: u32 = 24_000;
/// The size of 20 ms of silence.
const FRAME_BYTES: usize = 960;
/// MPEG 1 Layer III, 128 kbit/s, 44.1 kHz: a header whose side information is all zero is 26 ms of silence.
const MP3_HEADER: [u8; 4] = [0xFF, 0xFB, 0x90, 0x64];
const MP3_FRAME_BYTES: usize = 417;

/// The container format of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SoundFormat {
    Mp3,
    Opus,
    Aac,
    Flac,
    Wav,
    Pcm,
}

impl SoundFormat {
    /// Reads `response_format`; the default is MP3.
    pub(crate) fn from_response_format(format: Option<&str>) -> Self {
        match format {
            Some("opus") => Self::Opus,
            Some("aac") => Self::Aac,
            Some("flac") => Self::Flac,
            Some("wav") => Self::Wav,
            Some("pcm") => Self::Pcm,
            _ => Self::Mp3,
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "audio/opus",
            Self::Aac => "audio/aac",
            Self::Flac => "audio/flac",
            Self::Wav => "audio/wav",
            Self::Pcm => "audio/pcm",
        }
    }

    /// The bytes before the `frames` frames. For Opus, AAC and FLAC they are the magic bytes only: tools that detect
    /// the file type recognize them, but no player can play the file.
    pub(crate) fn opening(self, frames: u64) -> Vec<u8> {
        match self {
            Self::Mp3 | Self::Pcm => Vec::new(),
            Self::Opus => b"OggS".to_vec(),
            Self::Aac => vec![0xFF, 0xF1],
            Self::Flac => b"fLaC".to_vec(),
            Self::Wav => wav_header(frames),
        }
    }

    /// One piece of silence.
    pub(crate) fn frame(self) -> Vec<u8> {
        match self {
            Self::Mp3 => {
                let mut frame = MP3_HEADER.to_vec();
                frame.resize(MP3_FRAME_BYTES, 0);
                frame
            }
            Self::Opus | Self::Aac | Self::Flac | Self::Wav | Self::Pcm => vec![0; FRAME_BYTES],
        }
    }
}

/// The 44 bytes of the RIFF header, the `fmt ` chunk (PCM) and the head of the `data` chunk.
fn wav_header(frames: u64) -> Vec<u8> {
    let data_bytes = u32::try_from(frames.saturating_mul(FRAME_BYTES as u64)).unwrap_or(u32::MAX - 36);
    let mut header = b"RIFF".to_vec();
    header.extend((data_bytes + 36).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend([1, 0, 1, 0]);
    header.extend(RATE.to_le_bytes());
    header.extend((RATE * 2).to_le_bytes());
    header.extend([2, 0, 16, 0]);
    header.extend(b"data");
    header.extend(data_bytes.to_le_bytes());
    header
}

/// A vector of length 1, derived from `seed`.
pub(crate) fn vector(seed: &[u8], dimensions: u32) -> Vec<f32> {
    let mut state = seed
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    let mut values: Vec<f32> = (0..dimensions)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [high, low, ..] = state.to_be_bytes();
            f32::from(i16::from_be_bytes([high, low])) / 32_768.0
        })
        .collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
    values
}

/// Base64 of the little-endian bytes, as OpenAI encodes vectors with `encoding_format: base64`.
pub(crate) fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    base64(&bytes)
}

/// Base64 with padding (RFC 4648, 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let digit = |sextet: u32| match u8::try_from(sextet & 63).unwrap_or_default() {
        upper @ 0..26 => char::from(b'A' + upper),
        lower @ 26..52 => char::from(b'a' + lower - 26),
        number @ 52..62 => char::from(b'0' + number - 52),
        62 => '+',
        _ => '/',
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or_default()));
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if at > group.len() { '=' } else { digit(bits >> shift) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_matches_the_examples_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xEF, 0xFF]), "++//");
    }

    #[test]
    fn vectors_depend_on_their_seed_and_have_length_1() {
        let one = vector(b"one", 256);
        assert_eq!((one.len(), one == vector(b"one", 256), one == vector(b"two", 256)), (256, true, false));
        assert!((one.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(packed(&[1.0, -2.5]), "AACAPwAAIMA=");
    }

    #[test]
    fn sound_begins_with_the_bytes_of_its_format() {
        let wav = SoundFormat::Wav.opening(2);
        assert_eq!((wav.len(), &wav[..4], &wav[8..16]), (44, b"RIFF".as_slice(), b"WAVEfmt ".as_slice()));
        assert_eq!(wav[40..44], 1_920_u32.to_le_bytes());
        assert_eq!(SoundFormat::from_response_format(None), SoundFormat::Mp3);
        assert_eq!((SoundFormat::Mp3.frame().len(), &SoundFormat::Mp3.frame()[..2]), (417, [0xFF, 0xFB].as_slice()));
    }
}
