//! Compiles the file's tree into the [`Snapshot`], section by section in the order of their dependencies.

mod budget;
mod control;
pub(crate) mod llm;
mod model;
mod plan;
mod price;
mod price_file;
mod public;
mod route;
mod server;

use std::collections::HashMap;

pub use price_file::read_price_file;

use crate::error::{At, Code, Problem};
use crate::grammar;
use crate::load::{Flags, Note};
use crate::router::Router;
use crate::section::{Reader, Section, Text};
use crate::snapshot::Snapshot;
use crate::yaml::Node;

/// Compiles the whole file; `None` if it is not a mapping. Problems are reported to `reader`.
pub(crate) fn compile<'a>(
    reader: &'a Reader<'a>,
    root: &'a Node,
    flags: &Flags,
    mut notes: Vec<Note>,
) -> Option<(Snapshot, Vec<Note>)> {
    let root = reader.section(root, String::new(), &grammar::ROOT)?;
    let control = control::control(&root, flags);
    let listen = server::listen(&root, flags, control.listen);
    let timeouts = server::timeouts(root.section("timeouts", &grammar::TIMEOUTS).as_ref(), server::TIMEOUTS);
    let ai = llm::ai(&root, timeouts);
    let mut providers = llm::providers(&root, flags, &mut notes);
    let models = model::models(&root, &mut providers, &mut notes);
    let prices = price::prices(&root, &providers);
    let (price_file, prices_builtin) = price_file::table(&root, &mut notes);
    if ai.is_none() {
        providers.mock.on = false;
    }
    let upstreams = route::upstreams(&root);
    let routes = route::routes(&root, &upstreams);
    let plans = plan::plans(&root);
    let snapshot = Snapshot {
        brand: server::brand(&root),
        listen,
        control,
        public_url: public::public_url(&root),
        signup: public::signup(&root, &plans, &mut notes),
        metrics_token: public::metrics_token(&root),
        trusted_proxies: control::trusted_proxies(&root),
        redis: control::redis(&root),
        unauthenticated: control::unauthenticated(&root),
        connections: server::connections(&root),
        drain: server::drain(&root),
        log: server::log(&root, flags),
        data: server::data(&root, flags),
        store: server::store(&root),
        spool: server::spool(&root),
        retention: server::retention(&root),
        lease: server::lease(&root),
        timeouts,
        sizes: server::sizes(&root),
        on_hangup: server::on_hangup(&root),
        providers: providers.on,
        mock: providers.mock,
        models,
        prices,
        price_file,
        prices_builtin,
        ai,
        plans,
        budgets: budget::budgets(&root),
        quota_status: budget::quota_status(&root),
        upstreams: upstreams.list,
        router: Router::new(routes),
    };
    Some((snapshot, notes))
}

/// The names that entries of one list use, and their positions.
#[derive(Default)]
struct UsedNames(HashMap<String, At>);

impl UsedNames {
    /// Records a name and reports a duplicate. Returns whether the name is new.
    fn take(&mut self, section: &Section<'_>, name: &Text, kind: &str) -> bool {
        let first = self.0.get(&name.value).copied();
        if first.is_none() {
            self.0.insert(name.value.clone(), name.at);
            return true;
        }
        let message = if name.foreign {
            format!("a second {kind} of this name")
        } else {
            format!("a second {kind} is named `{}`", name.value)
        };
        section.reader().report(Problem::new(Code::Duplicate, name.at, message).expected("another name").first(first));
        false
    }
}

/// Longest name of a provider, an upstream, a plan or a route.
const NAME_LEN_MAX: usize = 64;

/// Whether `name` can be written in logs, metrics and headers without quotes: a-z, 0-9, `-`, `_` and `.`, upper case
/// too.
fn is_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A description of the names that [`is_name`] accepts.
const NAME: &str = "1 to 64 letters, digits, `-`, `_` and `.`";

/// Returns the required `name` of an entry; reports an invalid name and a duplicate of its kind.
fn name(section: &Section<'_>, taken: &mut UsedNames, kind: &str) -> Option<Text> {
    let name = section.required("name")?;
    if !is_name(&name.value) {
        section.bad(name.at, "name", NAME);
        return None;
    }
    taken.take(section, &name, kind).then_some(name)
}
