//! Converts the contents of a body into maximum tokens and money.

use access::NanoUsd;
use meter::Rates;

use super::extent::{Extent, Writes};
use super::{Reference, TokenLimits};
use crate::format::{Dialect, Format};
use crate::price::{LongContextRates, Price, PriceTerms, Tier};

/// Tokens that a provider adds to any request.
const ADDED: u64 = 512;
/// Tokens that a provider adds for tools: Anthropic's are fewer than 2,500 (its pricing page, read 2026-11-20).
const ADDED_FOR_TOOLS: u64 = 4_096;

/// Maximum tokens of an image. Anthropic scales each image down to less than 4,784 tokens; Google splits it into at
/// most 24 tiles of 258. OpenAI publishes no limit: an image of 12 million pixels is 14,364 tokens (measured by others,
/// 2026-11), so this figure covers more than 50 million pixels.
const OPENAI_IMAGE: u64 = 65_536;
const ANTHROPIC_IMAGE: u64 = 5_000;
const GOOGLE_IMAGE: u64 = 8_192;

/// Milliseconds of sound per byte of a recording: 8 kbit/s is the lowest rate of MP3. Silence can last longer in other
/// formats; no provider publishes how long the sound of a 25 MB form can be.
const HEARD_MS_PER_BYTE: u64 = 1;

const PICO_PER_NANO: i128 = 1_000;

/// The input tokens of a request, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input {
    /// The sum of all input tokens.
    pub(super) tokens: u64,
    /// Maximum input of one sampling: its length decides whether the rates of long requests apply.
    pub(super) longest: u64,
    /// Tokens of images; `text` excludes them.
    images: u64,
    /// All other input tokens.
    text: u64,
    /// Whether the tokens can be of any class.
    of_any_kind: bool,
}

/// The output tokens of a request, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Output {
    /// Tokens of each response.
    pub(super) each: u64,
    /// The number of responses.
    pub(super) answers: u64,
    /// Tokens that are billed beside the responses.
    pub(super) beside: u64,
}

/// The highest price of a token, in pico-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HighestPrices {
    text: u64,
    image: u64,
    pub(super) output: u64,
}

impl Output {
    pub(super) fn tokens(self) -> u64 {
        self.each.saturating_mul(self.answers).saturating_add(self.beside)
    }
}

impl Extent {
    /// Returns the input tokens; `None` if they depend on the model's window, which is unknown.
    pub(super) fn input(&self, limits: Option<TokenLimits>) -> Option<Input> {
        let added = if self.tools { ADDED.saturating_add(ADDED_FOR_TOOLS) } else { ADDED };
        let text_bytes = if self.has_unread_files() { 0 } else { self.text_bytes };
        let text = text_bytes.saturating_add(added);
        let each = match self.format.dialect() {
            Dialect::OpenAi => OPENAI_IMAGE,
            Dialect::Anthropic => ANTHROPIC_IMAGE,
            Dialect::Google => GOOGLE_IMAGE,
        };
        let images = self.images.saturating_mul(each);
        let plain = text.saturating_add(images);
        let rounds = self.rounds();
        if self.reference().is_none() && rounds == 1 {
            return Some(Input { tokens: plain, longest: plain, images, text, of_any_kind: false });
        }
        let longest = limits?.input_tokens_max.max(plain);
        // Before the first tool runs, the input is that of the body.
        let first = if self.reference.is_some() || self.served.adds { longest } else { plain };
        let tokens = longest.saturating_mul(rounds.saturating_sub(1)).saturating_add(first);
        Some(Input { tokens, longest, images: 0, text: tokens, of_any_kind: true })
    }

    /// Whether the files of the body are not read apart from its text, as in forms and edits of images. Their bytes are
    /// far more than their tokens, so the model's window bounds both.
    pub(super) fn has_unread_files(&self) -> bool {
        self.reference == Some(Reference::Upload) || (self.format == Format::Images && self.reference.is_some())
    }

    /// Returns the output tokens; `None` if the request has no limit and the model's limit is unknown.
    pub(super) fn output(&self, price: Option<&Price>, limits: Option<TokenLimits>) -> Option<Output> {
        if !self.has_output() {
            return Some(Output { each: 0, answers: 0, beside: 0 });
        }
        let requested = if self.limit.odd { None } else { self.limit.requested };
        let each = match requested {
            Some(requested) if self.makes_images(price) => limits?.output_tokens_max.max(requested),
            Some(requested) => requested,
            None => limits?.output_tokens_max,
        };
        let answers = self.choices.saturating_mul(self.prompts.max(1)).saturating_mul(self.rounds());
        Some(Output { each, answers, beside: if self.predicted { self.text_bytes } else { 0 } })
    }

    /// Whether the response may contain images: no documented token limit applies to the tokens of an image.
    pub(super) fn makes_images(&self, price: Option<&Price>) -> bool {
        let sold = || price.is_some_and(|price| price.rates.image_output > Some(0));
        self.format == Format::Images || (self.format == Format::GenerateContent && sold())
    }

    /// The number of times the model is sampled: again after each tool that the provider runs, and once more for a
    /// compaction.
    fn rounds(&self) -> u64 {
        let served = &self.served;
        let tools = match served.cap {
            Some(cap) if served.uncapped || served.capped > 0 => cap,
            _ => served.capped.saturating_add(if served.uncapped { self.tool_rounds } else { 0 }),
        };
        1_u64.saturating_add(tools).saturating_add(u64::from(self.compacts))
    }

    /// Returns the price of a quantity that the body states in units.
    pub(super) fn by_unit(&self, price: &Price) -> Option<NanoUsd> {
        let units = &price.units;
        let pico = match (self.format, self.billed) {
            (_, Some(billed)) => units.line(billed)?.amount_pico(),
            (Format::Images, None) => times(self.choices, units.image?),
            (Format::Transcription, None) => {
                times(self.text_bytes.saturating_mul(HEARD_MS_PER_BYTE), units.millisecond?)
            }
            _ => return None,
        };
        nano(pico.saturating_add(request_pico(price)))
    }

    /// Returns the highest cost of the tokens; `None` if a rate that may apply is unknown.
    pub(super) fn money(&self, price: &Price, input: Input, output: Output) -> Option<NanoUsd> {
        let dearest = self.dearest(price, input, output.tokens() > 0)?;
        let pico = self.input_pico(price, input, dearest)?.saturating_add(times(output.tokens(), dearest.output));
        nano(pico)
    }

    /// Returns the cost of the input, and of everything sold beside tokens; `None` if a tool has no rate.
    pub(super) fn input_pico(&self, price: &Price, input: Input, dearest: HighestPrices) -> Option<i128> {
        let tokens = times(input.text, dearest.text).saturating_add(times(input.images, dearest.image));
        Some(tokens.saturating_add(self.fees_pico(price)?).saturating_add(request_pico(price)))
    }

    /// Returns the fees of the provider's tools: one call per round, or one per prompt; for a live search one per
    /// source.
    fn fees_pico(&self, price: &Price) -> Option<i128> {
        let units = &price.units;
        let served = &self.served;
        let rounds = self.rounds().saturating_sub(1);
        let searches = rounds.saturating_add(served.sources);
        let by = |calls: u64, per_prompt: Option<u64>, per_call: Option<u64>| match per_prompt {
            Some(rate) => Some(times(calls.min(1), rate)),
            None => per_call.map(|rate| times(calls, rate)),
        };
        let mut pico: i128 = 0;
        for (declared, fee) in [
            (served.searches && searches > 0, by(searches, units.search_prompt, units.search)),
            (served.maps && rounds > 0, by(rounds, units.maps_prompt, units.maps_query)),
            (served.file_searches && rounds > 0, by(rounds, None, units.file_search)),
            (served.unpriced && rounds > 0, None),
            (served.gigabytes > 0, units.container.map(|rate| times(served.gigabytes, rate))),
        ] {
            if declared {
                pico = pico.saturating_add(fee?);
            }
        }
        Some(pico)
    }

    /// Returns the highest rates that may apply, at the requested or at standard terms: a provider may serve at either.
    pub(super) fn dearest(&self, price: &Price, input: Input, makes: bool) -> Option<HighestPrices> {
        let requested = self.terms?;
        let standard = PriceTerms { tier: Tier::Standard, ..requested };
        let mut dearest: Option<HighestPrices> = None;
        for terms in [standard, requested] {
            let at = price.with_terms(terms)?;
            let long = at.long.filter(|long| input.longest > long.above_tokens);
            for rates in [Some(at.rates), long.map(|LongContextRates { rates, .. }| rates)].into_iter().flatten() {
                let of = self.of_rates(&rates, input, makes)?;
                dearest = Some(dearest.map_or(of, |before| before.max(of)));
            }
        }
        dearest
    }

    /// Returns the highest of `rates` that may apply; `None` if one of them is unknown.
    fn of_rates(&self, rates: &Rates, input: Input, makes: bool) -> Option<HighestPrices> {
        let mut text = rates.input?.max(rates.cached_input.unwrap_or(0));
        // OpenAI writes to its caches without a request to do so, since gpt-5.6 at a price.
        let writes = if matches!(self.format, Format::Chat | Format::Responses) { Writes::Long } else { self.writes };
        if writes >= Writes::Short {
            text = text.max(rates.cache_write_short?);
        }
        if writes == Writes::Long {
            text = text.max(rates.cache_write_long?);
        }
        let mut image = text;
        if input.images > 0 {
            image = image.max(rates.image_input?);
        }
        if input.of_any_kind {
            let others = [rates.cache_write_short, rates.cache_write_long, rates.audio_input, rates.image_input];
            text = others.into_iter().flatten().fold(text, u64::max);
        }
        if self.has_audio {
            text = text.max(rates.audio_input?);
        }
        if makes && self.makes_audio {
            rates.audio_output?;
        }
        let output = [rates.output, rates.audio_output, rates.image_output].into_iter().flatten().max();
        Some(HighestPrices { text, image, output: if makes { output? } else { 0 } })
    }
}

impl HighestPrices {
    fn max(self, other: Self) -> Self {
        let Self { text, image, output } = other;
        Self { text: self.text.max(text), image: self.image.max(image), output: self.output.max(output) }
    }
}

/// Returns `limits`. If they are unknown and `price` charges for no token, the limits are the maximum: the tokens cost
/// nothing.
pub(super) fn limits_of_money(price: Option<&Price>, limits: Option<TokenLimits>) -> Option<TokenLimits> {
    // Zero times a rate that is not zero differs from the rate.
    let is_zero = |rates: &Rates| rates.times(0, 1).as_ref() == Some(rates);
    let long_is_zero = |long: Option<LongContextRates>| long.is_none_or(|long| is_zero(&long.rates));
    let is_free = |price: &Price| {
        let mut tiers = price.others.tiers.iter();
        is_zero(&price.rates)
            && long_is_zero(price.long)
            && tiers.all(|(_, rates, long)| is_zero(rates) && long_is_zero(*long))
    };
    let unlimited = TokenLimits { input_tokens_max: u64::MAX, output_tokens_max: u64::MAX };
    limits.or_else(|| price.filter(|price| is_free(price)).map(|_| unlimited))
}

/// Returns the fee per request.
fn request_pico(price: &Price) -> i128 {
    price.units.request_line().map_or(0, |line| line.amount_pico())
}

pub(super) fn times(quantity: u64, rate: u64) -> i128 {
    i128::from(quantity).saturating_mul(i128::from(rate))
}

/// Rounds up to nano-USD; an amount that does not fit becomes the maximum.
fn nano(pico: i128) -> Option<NanoUsd> {
    let nano = pico.checked_add(PICO_PER_NANO - 1)?.div_euclid(PICO_PER_NANO);
    Some(NanoUsd(i64::try_from(nano).unwrap_or(i64::MAX)))
}
