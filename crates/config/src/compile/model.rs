//! `models` and `prices`.

use std::sync::Arc;

use access::Credits;
use access::usd::UsdError;
use ai::price::{Price, Prices, parse_each, parse_per_million, parse_per_second};
use meter::{Rates, UnitRates};

use super::Taken;
use super::llm::Providers;
use crate::grammar;
use crate::load::Note;
use crate::resolve::MOCK;
use crate::section::{Section, Text};
use crate::snapshot::{MockModel, Model, Target};

/// Longest name of a model.
const MODEL_LEN_MAX: usize = 256;
/// What is priced by another unit than tokens.
const PER_UNIT: [&str; 3] = ["per_image", "per_second", "per_character"];
const MODEL: &str = "1 to 256 visible ASCII characters without a space";

/// The entries whose provider is on; those of the built-in mock are kept beside it until it listens.
pub(super) fn models(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) -> Vec<Arc<Model>> {
    let mut taken = Taken::default();
    let mut models = Vec::new();
    for section in root.sections("models", &grammar::MODEL) {
        let name = model_name(&section, "name").filter(|name| taken.take(&section, name, "model"));
        let credits = Credits(section.whole_u32("credits", 0).unwrap_or(1));
        let (Some(name), Some((provider, model))) = (name, target(&section, providers)) else {
            continue;
        };
        let (name, model): (Arc<str>, Arc<str>) = (name.value.into(), model.value.into());
        if let Some(on) = providers.on.iter().find(|on| *on.name == *provider.value) {
            let target = Target { provider: Arc::clone(on), model };
            models.push(Arc::new(Model { name, credits, target }));
        } else if provider.value == MOCK && providers.mock.on {
            providers.mock.models.push(MockModel { name, credits, model });
        } else {
            notes.push(Note::ModelOff { model: name.to_string(), provider: provider.value });
        }
    }
    models
}

fn is_model(name: &str) -> bool {
    (1..=MODEL_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn model_name(section: &Section<'_>, key: &str) -> Option<Text> {
    let name = section.required(key)?;
    if !is_model(&name.value) {
        section.bad(name.at, key, MODEL);
        return None;
    }
    Some(name)
}

/// The one target: its provider, which the file has, and its model.
fn target(section: &Section<'_>, providers: &Providers) -> Option<(Text, Text)> {
    if section.get("targets").is_none() {
        section.missing("targets");
        return None;
    }
    let mut targets = section.list("targets");
    let Some((first, path)) = targets.next() else {
        let at = section.get("targets").map_or(section.at, |node| node.at);
        section.bad(at, "targets", "one {provider, model}");
        return None;
    };
    if let Some((second, _)) = targets.next() {
        section.not_yet(second.at, &format!("a second one of `{}`", section.name("targets")));
    }
    let first = section.reader().section(first, path, &grammar::TARGET)?;
    let model = model_name(&first, "model");
    let provider = first.required("provider")?;
    if !providers.names.contains(&provider.value) {
        first.unknown_name(&provider, "provider", providers.names.iter().map(String::as_str));
        return None;
    }
    Some((provider, model?))
}

/// The prices of the file.
pub(super) fn prices(root: &Section<'_>, providers: &Providers) -> Prices {
    let mut taken = Taken::default();
    let mut prices = Prices::default();
    for section in root.sections("prices", &grammar::PRICE) {
        let model = section.required("model").filter(|model| is_priced(&section, model, providers));
        let (units, rates) = (unit_rates(&section), rates(&section));
        if let (Some(model), Some(units), Some(rates)) = (model, units, rates)
            && taken.take(&section, &model, "price")
        {
            prices = prices.with(&model.value, Price::configured(rates, units));
        }
    }
    prices
}

/// Whether `name` is `PROVIDER/MODEL` of a provider that there is: a price under another name would never be used.
fn is_priced(section: &Section<'_>, name: &Text, providers: &Providers) -> bool {
    let Some((provider, _)) = name.value.split_once('/').filter(|(_, model)| is_model(model)) else {
        section.bad(name.at, "model", "PROVIDER/MODEL: openai/gpt-5-mini");
        return false;
    };
    let is_known = providers.names.iter().any(|name| name == provider);
    if !is_known {
        let provider = Text { at: name.at, value: provider.to_owned(), foreign: name.foreign };
        section.unknown_name(&provider, "provider", providers.names.iter().map(String::as_str));
    }
    is_known
}

/// What tokens cost. What a cache had and images seen cost what input costs where they have no price; nothing stands in
/// for another one that is missing.
fn rates(section: &Section<'_>) -> Option<Rates> {
    let is_sold_otherwise = PER_UNIT.iter().any(|key| section.get(key).is_some());
    let needed = |key: &str| !(is_sold_otherwise || key == "output" && section.get("image_output").is_some());
    let mut complete = true;
    for key in ["input", "output"] {
        if section.get(key).is_none() && needed(key) {
            section.missing(key);
            complete = false;
        }
    }
    let rate = |key: &str| price(section, key, parse_per_million);
    let (input, output) = (rate("input"), rate("output"));
    let (cached_input, cache_write) = (rate("cached_input"), rate("cache_write"));
    let (audio_input, image_input) = (rate("audio_input"), rate("image_input"));
    let (audio_output, image_output) = (rate("audio_output"), rate("image_output"));
    let input = input?;
    let rates = Rates {
        input,
        cached_input: cached_input?.or(input),
        cache_write_short: cache_write?.or(input),
        cache_write_long: cache_write?.or(input),
        output: output?,
        audio_input: audio_input?,
        image_input: image_input?.or(input),
        audio_output: audio_output?,
        image_output: image_output?,
    };
    complete.then_some(rates)
}

fn unit_rates(section: &Section<'_>) -> Option<UnitRates> {
    let [image, second, character] = PER_UNIT;
    let (image, second) = (price(section, image, parse_each), price(section, second, parse_per_second));
    let character = price(section, character, parse_each);
    Some(UnitRates { image: image?, millisecond: second?, character: character?, ..UnitRates::default() })
}

/// A price that the section may have; `None` where it is wrong.
fn price(section: &Section<'_>, key: &str, parse: fn(&str) -> Result<u64, UsdError>) -> Option<Option<u64>> {
    let Some(text) = section.text(key) else {
        return section.get(key).is_none().then_some(None);
    };
    let rate = parse(&text.value);
    if let Err(error) = &rate {
        section.bad(text.at, key, error);
    }
    rate.ok().map(Some)
}
