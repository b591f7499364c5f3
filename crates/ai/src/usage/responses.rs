//! Responses: `usage` of the body, or of the response inside a stream's terminal event.

use meter::Usage;
use serde::Deserialize;

use super::{Figure, InclusiveFigures, InputDetails, Lenient, OutputDetails};

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponsesUsage {
    input_tokens: Figure,
    input_tokens_details: Lenient<InputDetails>,
    output_tokens: Figure,
    output_tokens_details: Lenient<OutputDetails>,
    total_tokens: Figure,
}

/// Reads a usage object; `None` if it reports no figure.
pub(crate) fn read(json: &[u8]) -> Option<Usage> {
    let Lenient(reported) = serde_json::from_slice::<Lenient<ResponsesUsage>>(json).ok()?;
    let figures = InclusiveFigures {
        input: reported.input_tokens.0,
        output: reported.output_tokens.0,
        total: reported.total_tokens.0,
        ..InclusiveFigures::default()
    };
    figures.detailed(&reported.input_tokens_details.0, &reported.output_tokens_details.0).disjoint()
}

#[cfg(test)]
mod tests {
    use access::Tokens;
    use meter::Source;

    use super::*;

    #[test]
    fn writes_are_split_by_lifetime_and_the_rest_is_short() {
        let json = br#"{"input_tokens":100,"output_tokens":30,"total_tokens":130,
            "input_tokens_details":{"cached_tokens":10,"cache_write_tokens":50,
                "cache_write_tokens_details":{"ttl_30m_tokens":15,"ttl_12h_tokens":20}},
            "output_tokens_details":{"reasoning_tokens":0}}"#;
        let usage = read(json).unwrap();
        let expected = Usage {
            source: Source::Reported,
            input: Some(Tokens(40)),
            cached_input: Some(Tokens(10)),
            cache_write_short: Some(Tokens(30)),
            cache_write_long: Some(Tokens(20)),
            output: Some(Tokens(30)),
            reasoning: Some(Tokens(0)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!((usage, usage.total()), (expected, Tokens(130)));
    }

    #[test]
    fn a_split_without_its_sum_counts() {
        let json =
            br#"{"input_tokens":100,"input_tokens_details":{"cache_write_tokens_details":{"ttl_12h_tokens":20}}}"#;
        let usage = read(json).unwrap();
        assert_eq!(
            (usage.input, usage.cache_write_short, usage.cache_write_long),
            (Some(Tokens(80)), None, Some(Tokens(20)))
        );
    }
}
