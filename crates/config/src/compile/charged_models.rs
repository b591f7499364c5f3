//! Checks the models of charges: usage is counted under the names that clients request.

use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::input::Input;
use settings::section::SettingsReader;

use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
use crate::resolve::pattern::ANY;
use crate::schema::traffic::{ChargeInput, ModelInput, PlanInput};

/// The names that charges may list.
pub(super) struct ChargedModels {
    /// The entries of `models`, with the names of their targets: `PROVIDER/MODEL`.
    entries: Vec<(String, Vec<String>)>,
    providers: Vec<String>,
    /// Whether one provider is on, which serves each name that no entry has.
    is_only: bool,
}

impl ChargedModels {
    /// Returns the names of all entries, including those whose provider is off.
    pub(super) fn of(entries: &Entries<ModelInput>, providers: &Providers) -> Self {
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
                if charge.models.list.iter().all(|model| self.is_counted(reader, charge, model)) {
                    notes.extend(self.left_out(plan, charge));
                }
            }
        }
    }

    /// Returns `PROVIDER/MODEL` of each target.
    fn targets(&self) -> impl Iterator<Item = &String> {
        self.entries.iter().flat_map(|(_, targets)| targets)
    }

    fn is_counted(&self, reader: &SettingsReader<'_>, charge: &ChargeInput, model: &Input<String>) -> bool {
        const EXPECTED: &str = "names of `models` or of a target's model, or PROVIDER/MODEL, without `*`";
        let name = model.value.as_str();
        if name.contains(ANY) {
            let message =
                format!("`{}` has a pattern, under which no usage is counted", charge.location.name("models"));
            reader.report(Problem::new(Code::UnknownName, model.at(), message).expected(EXPECTED));
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
        let targets = self.entries.iter().filter(|(entry, _)| lists(entry)).flat_map(|(_, targets)| targets);
        let names = targets.flat_map(|target| [Some(target.as_str()), Some(bare(target)).filter(|_| self.is_only)]);
        let name = names.flatten().find(|name| !lists(name))?;
        Some(Note::ChargeLeavesOut {
            plan: plan.name.as_ref()?.value.clone(),
            charge: charge.name.as_ref()?.value.clone(),
            model: name.to_owned(),
        })
    }
}

/// Returns the name of the model in `PROVIDER/MODEL`.
fn bare(target: &str) -> &str {
    target.split_once('/').map_or(target, |(_, model)| model)
}
