//! Names by which prices are looked up: models without their date or their owner, and OpenAI's regional hosts.

/// Hosts at which OpenAI processes a request in one region (developers.openai.com/api/docs/guides/your-data).
pub(super) const REGIONAL_HOSTS: [&str; 2] = ["eu.api.openai.com", "us.api.openai.com"];
/// A model's name that matches every model of a provider.
pub(super) const ANY: &str = "*";
/// The prefix of a fine-tuned model's name: `ft:BASE:ORGANISATION:NAME:ID`.
pub(super) const FINE_TUNED: &str = "ft:";

/// Returns a model's name without its final date (`-2025-08-07`, `-20251001`), which names a release of the same model.
#[must_use]
pub fn undated(model: &str) -> &str {
    let without = |form: &[u8]| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(form.len())?)?;
        let fits = |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
        (!name.is_empty() && date.bytes().zip(form).all(fits)).then_some(name)
    };
    without(b"-dddd-dd-dd").or_else(|| without(b"-dddddddd")).unwrap_or(model)
}

/// Returns `ft:BASE` of a fine-tuned model's name (`ft:BASE:ORGANISATION:NAME:ID`), and any other name unchanged.
#[must_use]
pub fn fine_tuned(model: &str) -> &str {
    let end = model.strip_prefix(FINE_TUNED).and_then(|rest| rest.find(':')).map(|at| FINE_TUNED.len() + at);
    end.and_then(|end| model.get(..end)).unwrap_or(model)
}
