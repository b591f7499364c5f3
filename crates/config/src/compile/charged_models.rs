//! Checks the models of charges: usage is counted under the names that clients request.

use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::input::Input;
use settings::section::SettingsReader;

use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
use crate::resolve::pattern::{ANY, is_match};
use crate::schema::traffic::{ChargeInput, ModelInput, PlanInput};

/// The names that charges may list.
pub(super) struct ChargedModels {
    /// The entries of `models`, with the names of their targets: `PROVIDER/MODEL`.
    entries: Vec<(String, Vec<String>)>,
    providers: Vec<String>,
    /// Whether one provider is on, which serves each name that no entry has.
    is_only: bool,
}

/// An entry of `models` that serves a name.
pub(super) struct NamedEntry<'a> {
    pub(super) name: &'a str,
    /// `PROVIDER/MODEL` of each target for the name.
    pub(super) targets: Vec<String>,
}

impl ChargedModels {
    /// Returns the names of all entries, including those whose provider is off.
    pub(super) fn from_entries(entries: &Entries<ModelInput>, providers: &Providers) -> Self {
        let entry = |entry: &ModelInput| {
            let targets = entry.targets.list.iter();
            let target = targets.filter_map(|target| Some((target.provider.as_ref()?, target.model.as_ref()?)));
            let target = target.map(|(provider, model)| format!("{}/{}", provider.value, model.value));
            Some((entry.name.as_ref()?.value.clone(), target.collect()))
        };
        Self {
            entries: entries.list.iter().filter_map(entry).collect(),
            providers: providers.names.clone(),
            is_only: providers.on.len() == 1,
        }
    }

    /// Reports names under which no usage is counted, and notes other names of the same models.
    pub(super) fn check(&self, reader: &SettingsReader<'_>, plans: &Entries<PlanInput>, notes: &mut Vec<Note>) {
        for plan in &plans.list {
            for charge in &plan.price.charges.list {
                let is_counted =
                    |model| is_no_alias(reader, plan, charge, model) && self.is_counted(reader, charge, model);
                if charge.models.list.iter().all(is_counted) {
                    notes.extend(self.left_out(plan, charge));
                }
            }
        }
    }

    /// Returns the names of the entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Whether `name` is that of an entry, is served by an entry with `*`, or is `PROVIDER/MODEL`.
    pub(super) fn has(&self, name: &str) -> bool {
        let is_of_provider = || {
            let named = name.split_once('/').filter(|(_, model)| !model.is_empty());
            named.is_some_and(|(provider, _)| self.providers.iter().any(|known| known == provider))
        };
        name == MOCK || self.entry(name).is_some() || is_of_provider()
    }

    /// Whether a name of an entry, or `PROVIDER/MODEL`, may begin with this text.
    pub(super) fn begins(&self, beginning: &str) -> bool {
        let is_common = |name: &str| name.starts_with(beginning) || beginning.starts_with(name);
        let is_begun = |name: &str| name.strip_suffix(ANY).map_or_else(|| name.starts_with(beginning), is_common);
        MOCK.starts_with(beginning)
            || self.names().any(is_begun)
            || self.providers.iter().any(|provider| is_common(&format!("{provider}/")))
    }

    /// Returns the entry that serves `name`, with the names of its targets.
    pub(super) fn entry(&self, name: &str) -> Option<NamedEntry<'_>> {
        let exact = self.entries.iter().find(|(entry, _)| entry == name).map(|of| (of, ""));
        let longest = || {
            let matching = self.entries.iter().filter_map(|of| {
                let rest = name.strip_prefix(of.0.strip_suffix(ANY)?)?;
                (!rest.is_empty()).then_some((of, rest))
            });
            matching.max_by_key(|((entry, _), _)| entry.len())
        };
        let ((entry, targets), rest) = exact.or_else(longest)?;
        let target = |target: &String| match target.strip_suffix(ANY) {
            Some(beginning) if !rest.is_empty() => format!("{beginning}{rest}"),
            _ => target.clone(),
        };
        Some(NamedEntry { name: entry, targets: targets.iter().map(target).collect() })
    }

    /// Returns `PROVIDER/MODEL` of each target.
    fn targets(&self) -> impl Iterator<Item = &String> {
        self.entries.iter().flat_map(|(_, targets)| targets)
    }

    fn is_counted(&self, reader: &SettingsReader<'_>, charge: &ChargeInput, model: &Input<String>) -> bool {
        const EXPECTED: &str = "names of `models` or of a target's model, or PROVIDER/MODEL, without `*`";
        let name = model.value.as_str();
        // All names of such an entry are counted under its own.
        let is_of_one_model = |(entry, targets): &(String, Vec<String>)| {
            entry == name && !targets.iter().any(|target| target.ends_with(ANY))
        };
        if self.entries.iter().any(is_of_one_model) {
            return true;
        }
        if name.contains(ANY) {
            let message =
                format!("`{}` has a pattern, under which no usage is counted", charge.location.name("models"));
            reader.report(Problem::new(Code::UnknownName, model.value_origin(), message).expected(EXPECTED));
            return false;
        }
        let is_of = |(entry, _): &(String, Vec<String>)| match entry.strip_suffix(ANY) {
            Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
            None => entry == name,
        };
        let is_of_provider = || {
            let named = name.split_once('/').filter(|(_, model)| !model.is_empty());
            named.is_some_and(|(provider, _)| self.providers.iter().any(|known| known == provider))
        };
        // The only provider serves any other name.
        let is_bare = || !name.contains('/') && (self.is_only || self.targets().any(|of| bare(of) == name));
        let is_known = name == MOCK || self.entries.iter().any(is_of) || is_of_provider() || is_bare();
        if !is_known {
            reader.unknown_name(model, "model", self.entries.iter().map(|(name, _)| name.as_str()));
        }
        is_known
    }

    /// Returns the note of the first target that a client may call by a name that the charge does not list.
    fn left_out(&self, plan: &PlanInput, charge: &ChargeInput) -> Option<Note> {
        let lists = |name: &str| charge.models.list.iter().any(|model| model.value == name);
        let is_in_plan = |target: &&String| {
            !plan.location.has("models") || plan.models.list.iter().any(|model| is_match(&model.value, target))
        };
        let targets = self.entries.iter().filter(|(entry, _)| lists(entry)).flat_map(|(_, targets)| targets);
        let names =
            targets.filter(is_in_plan).flat_map(|target| [Some(target.as_str()), self.is_only.then(|| bare(target))]);
        let name = names.flatten().find(|name| !lists(name))?;
        Some(Note::ChargeLeavesOut {
            plan: plan.name.as_ref()?.value.clone(),
            charge: charge.name.as_ref()?.value.clone(),
            model: name.to_owned(),
        })
    }
}

/// Reports an alias of the plan, under which no usage is counted.
fn is_no_alias(reader: &SettingsReader<'_>, plan: &PlanInput, charge: &ChargeInput, model: &Input<String>) -> bool {
    let Some((_, meant)) = plan.aliases.iter().find(|(alias, _)| *alias == model.value) else { return true };
    let message = format!("`{}` has an alias, under which no usage is counted", charge.location.name("models"));
    reader
        .report(Problem::new(Code::UnknownName, model.value_origin(), message).expected(format!("`{}`", meant.value)));
    false
}

/// Returns the name of the model in `PROVIDER/MODEL`.
fn bare(target: &str) -> &str {
    target.split_once('/').map_or(target, |(_, model)| model)
}
