//! Messages: `usage` of the body; in a stream that of `message_start`, overwritten by each `message_delta`.

use meter::{Source, Usage};
use serde::Deserialize;

use super::lenient::Word;
use super::{Figure, Part, Writes, told};

/// What the usage objects of one message have told so far. The input excludes reads from and writes to caches, the
/// output includes thinking, which is not told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    input: Option<u64>,
    cached_input: Option<u64>,
    writes: Writes,
    output: Option<u64>,
    /// Whether it had another tier than the standard one, was sped up, or kept to one place: each has its own rates.
    special: [bool; 3],
}

/// One usage object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    input_tokens: Figure,
    cache_read_input_tokens: Figure,
    cache_creation_input_tokens: Figure,
    cache_creation: Part<Creation>,
    output_tokens: Figure,
    service_tier: Word,
    speed: Word,
    inference_geo: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Creation {
    ephemeral_5m_input_tokens: Figure,
    ephemeral_1h_input_tokens: Figure,
}

impl Told {
    /// Takes a further usage object in: its figures are cumulative, so they overwrite; what it leaves out stands.
    pub(crate) fn read(&mut self, json: &[u8]) {
        let Ok(Part(usage)) = serde_json::from_slice::<Part<Object>>(json) else { return };
        let overwrite = |old: &mut Option<u64>, new: Option<u64>| *old = new.or(*old);
        overwrite(&mut self.input, usage.input_tokens.0);
        overwrite(&mut self.cached_input, usage.cache_read_input_tokens.0);
        overwrite(&mut self.writes.sum, usage.cache_creation_input_tokens.0);
        overwrite(&mut self.writes.short, usage.cache_creation.0.ephemeral_5m_input_tokens.0);
        overwrite(&mut self.writes.long, usage.cache_creation.0.ephemeral_1h_input_tokens.0);
        overwrite(&mut self.output, usage.output_tokens.0);
        let special = [
            usage.service_tier.0.map(|tier| *tier != *"standard"),
            usage.speed.0.map(|speed| *speed == *"fast"),
            usage.inference_geo.0.map(|place| *place == *"us"),
        ];
        for (old, new) in self.special.iter_mut().zip(special) {
            *old = new.unwrap_or(*old);
        }
    }

    /// Whether the standard rates hold.
    pub(crate) fn is_standard(self) -> bool {
        self.special == [false; 3]
    }

    /// The classes; `None` where nothing was told.
    pub(crate) fn usage(self) -> Option<Usage> {
        let (cache_write_short, cache_write_long) = self.writes.by_lifetime();
        told(Usage {
            source: Source::Reported,
            input: self.input,
            cached_input: self.cached_input,
            cache_write_short,
            cache_write_long,
            output: self.output,
            reasoning: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(told: &[&str], expected: Option<[Option<u64>; 6]>) {
        let mut all = Told::default();
        for json in told {
            all.read(json.as_bytes());
        }
        assert_eq!(all.usage().map(|usage| usage.classes()), expected, "{told:?}");
    }

    const START: &str = r#"{"input_tokens":11,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,
        "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#;

    #[test]
    fn input_excludes_caches_and_writes_are_split() {
        check(&[START], Some([Some(11), Some(7), Some(10), Some(20), Some(1), None]));
        let unsplit = r#"{"input_tokens":1,"cache_creation_input_tokens":30,"output_tokens":2,
            "output_tokens_details":{"thinking_tokens":1}}"#;
        check(&[unsplit], Some([Some(1), None, Some(30), None, Some(2), None]));
    }

    #[test]
    fn deltas_overwrite_and_never_add() {
        check(&[START, r#"{"output_tokens":90}"#], Some([Some(11), Some(7), Some(10), Some(20), Some(90), None]));
        let deltas = [START, r#"{"output_tokens":90}"#, r#"{"input_tokens":12,"output_tokens":91}"#];
        check(&deltas, Some([Some(12), Some(7), Some(10), Some(20), Some(91), None]));
        check(&[START, r#"{"input_tokens":null}"#], Some([Some(11), Some(7), Some(10), Some(20), Some(1), None]));
    }

    /// With server tools `message_start` splits its own iteration only (BerriAI/litellm#42663).
    #[test]
    fn writes_beyond_the_split_of_the_start_are_short() {
        let delta = r#"{"cache_creation_input_tokens":100,"output_tokens":9}"#;
        check(&[START, delta], Some([Some(11), Some(7), Some(80), Some(20), Some(9), None]));
    }

    #[test]
    fn nothing_told_is_unknown() {
        check(&[], None);
        check(&["{}", "null", "{", r#"{"input_tokens":-1}"#], None);
    }
}
