//! Images, speech and transcriptions: tokens if they are reported, otherwise a quantity.

use meter::{BilledQuantity, Source, Unit, Usage};
use serde::Deserialize;

use super::lenient::{Seconds, milliseconds};
use super::{Figure, InclusiveFigures, InputDetails, Lenient, OutputDetails};

/// The usage object of all three; in transcriptions the details' name is singular.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MediaUsage {
    seconds: Seconds,
    input_tokens: Figure,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Lenient<InputDetails>,
    output_tokens: Figure,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Lenient<OutputDetails>,
    total_tokens: Figure,
}

impl MediaUsage {
    fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Lenient<Self>>(json).ok().map(|Lenient(usage)| usage)
    }

    fn inclusive(&self) -> InclusiveFigures {
        let input = self.input_tokens.0;
        let output = self.output_tokens.0;
        InclusiveFigures { input, output, total: self.total_tokens.0, ..InclusiveFigures::default() }
            .detailed(&self.input_tokens_details.0, &self.output_tokens_details.0)
    }
}

/// Reads the usage of images; output without details counts as images. Also returns whether the standard rates apply:
/// they do not apply to cached input, whose rates differ between images and text.
pub(crate) fn images(json: &[u8]) -> Option<(Usage, bool)> {
    let mut figures = MediaUsage::read(json)?.inclusive();
    figures.media_output.images = figures.media_output.images.or(figures.output);
    let is_standard = figures.cached_input.is_none_or(|cached| cached == 0);
    Some((figures.disjoint()?, is_standard))
}

/// Reads the usage of speech; output without details counts as audio.
pub(crate) fn speech(json: &[u8]) -> Option<Usage> {
    let mut figures = MediaUsage::read(json)?.inclusive();
    figures.media_output.audio = figures.media_output.audio.or(figures.output);
    figures.disjoint()
}

/// Reads the usage of a transcription: tokens, or a time.
pub(crate) fn transcription(json: &[u8]) -> Option<Usage> {
    let usage = MediaUsage::read(json)?;
    usage.inclusive().disjoint().or_else(|| usage.seconds.0.map(heard))
}

/// Reads the `duration` beside a verbose transcription: seconds, as a number or as text.
pub(crate) fn duration(json: &[u8]) -> Option<Usage> {
    let text = std::str::from_utf8(json).ok()?;
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    milliseconds(bare).map(heard)
}

/// Returns the usage of `images` images that Tollgate counted itself.
pub(crate) const fn image_usage(images: u64) -> Usage {
    let billed = Some(BilledQuantity { unit: Unit::Image, quantity: images });
    Usage { billed, ..Usage::empty(Source::Counted) }
}

const fn heard(milliseconds: u64) -> Usage {
    let billed = Some(BilledQuantity { unit: Unit::Millisecond, quantity: milliseconds });
    Usage { billed, ..Usage::empty(Source::Reported) }
}

#[cfg(test)]
mod tests {
    use access::Tokens;

    use super::*;

    const EMPTY: Usage = Usage::empty(Source::Reported);

    #[test]
    fn output_of_an_image_model_is_counted_as_images() {
        let json = br#"{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,
            "input_tokens_details":{"text_tokens":10,"image_tokens":40}}"#;
        let expected = Usage {
            input: Some(Tokens(10)),
            image_input: Some(Tokens(40)),
            output: Some(Tokens(0)),
            image_output: Some(Tokens(4160)),
            ..EMPTY
        };
        assert_eq!(images(json), Some((expected, true)));
        let apart = br#"{"output_tokens":100,"output_tokens_details":{"image_tokens":90,"text_tokens":10}}"#;
        assert_eq!(
            images(apart),
            Some((Usage { output: Some(Tokens(10)), image_output: Some(Tokens(90)), ..EMPTY }, true))
        );
        let cached = br#"{"input_tokens":50,"input_tokens_details":{"cached_tokens":20,"image_tokens":40}}"#;
        let expected =
            Usage { input: Some(Tokens(0)), cached_input: Some(Tokens(20)), image_input: Some(Tokens(30)), ..EMPTY };
        assert_eq!(images(cached), Some((expected, false)));
    }

    #[test]
    fn output_of_a_speech_model_is_counted_as_audio() {
        let expected =
            Usage { input: Some(Tokens(14)), output: Some(Tokens(0)), audio_output: Some(Tokens(101)), ..EMPTY };
        assert_eq!(speech(br#"{"input_tokens":14,"output_tokens":101,"total_tokens":115}"#), Some(expected));
    }

    #[test]
    fn a_transcription_reports_tokens_or_a_duration() {
        let tokens = br#"{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},
            "output_tokens":45,"total_tokens":59}"#;
        let expected =
            Usage { input: Some(Tokens(4)), audio_input: Some(Tokens(10)), output: Some(Tokens(45)), ..EMPTY };
        assert_eq!(transcription(tokens), Some(expected));
        for seconds in ["12", "12.0", "\"12\""] {
            let json = format!(r#"{{"type":"duration","seconds":{seconds}}}"#);
            assert_eq!(transcription(json.as_bytes()), Some(heard(12_000)), "{seconds}");
        }
        assert_eq!((duration(b"8.47"), duration(b"\"8.47\"")), (Some(heard(8_470)), Some(heard(8_470))));
    }

    #[test]
    fn invalid_figures_are_unknown() {
        for json in [
            "{}",
            "null",
            "[]",
            "{",
            r#"{"type":"duration","seconds":-1}"#,
            r#"{"seconds":1e30}"#,
            r#"{"seconds":10000000000000000000}"#,
            r#"{"input_tokens":-5,"output_tokens":1.5}"#,
            r#"{"input_tokens":10000000000000000000}"#,
            r#"{"input_tokens_details":[]}"#,
        ] {
            let json = json.as_bytes();
            assert_eq!((images(json), speech(json), transcription(json)), (None, None, None), "{json:?}");
        }
        for odd in ["-1", "NaN", "null", "{}", "\"\"", "1e3", ""] {
            assert_eq!(duration(odd.as_bytes()), None, "{odd}");
        }
    }
}
