//! `tollgate serve`: runs a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::Flags;
use config::snapshot::LogFormat;
use telemetry::logs;

use crate::cli::{Role, Serve};
use crate::commands::{load_with_file, sources};
use crate::examples;
use crate::failure::StartFault;
use crate::inherited::{HeldSockets, InheritedSockets};
use crate::lock::Lock;
use crate::secrets::InstallationSecrets;
use crate::signals::Signals;
use crate::slot::Slot;
use crate::wire::{self, ProcessResources};

/// Threads for control, jobs, the tasks of the store, and the mock provider.
const SERVICE_THREADS: usize = 2;
/// Threads for blocking calls: files, host names, passwords.
const BLOCKING_THREADS_MAX: usize = 16;

/// Returns the binary that an upgrade starts: this one, or without `/proc`, as in a chroot, the one that its command names.
fn own_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_else(|_| std::env::args_os().next().map_or_else(|| "tollgate".into(), PathBuf::from))
}

/// Serves until a signal arrives, then drains. A process that upgrades another one reports its errors to that one.
pub(crate) fn run(args: &Serve) -> anyhow::Result<ExitCode> {
    let inherited = InheritedSockets::of_environment().map_err(|source| StartFault::InheritedSockets { source })?;
    let mut held = HeldSockets { inherited, is_ready: false };
    let ended = serve(args, &mut held);
    if let Err(error) = &ended
        && let Some(predecessor) = &held.inherited.predecessor
        && !held.is_ready
    {
        predecessor.report_fault(&format!("{error:#}"));
    }
    ended
}

fn serve(args: &Serve, held: &mut HeldSockets) -> anyhow::Result<ExitCode> {
    let program = own_program();
    let flags = Flags { examples_dir: args.examples.clone(), ..args.overrides.flags() };
    let mut place = args.place.clone();
    let (mut loaded, file) = load_with_file(&place, &flags)?;
    // Later reloads and printed commands name the file.
    place.config = file.path().map(Path::to_owned);
    let examples = loaded.snapshot.process.examples_dir.as_deref().map(examples::read).transpose()?;
    // Removed when the server has ended.
    let temporary = if examples.is_some() && place.data.is_none() { Some(examples::temporary_folder()?) } else { None };
    if let Some(folder) = &temporary {
        place.data = Some(folder.path().to_owned());
        loaded = load_with_file(&place, &flags)?.0;
    }
    let mut loaded = loaded.for_server()?;
    if examples.is_some() {
        loaded.snapshot.process.store.url = None;
    }
    loaded.notes.extend(file.note());
    if args.role != Role::All && loaded.snapshot.process.store.url.is_none() {
        return Err(StartFault::RoleNeedsPostgres.into());
    }
    let log = &loaded.snapshot.process.log;
    let lines = logs::init(logs::LogOptions {
        format: log.format.map(|format| match format {
            LogFormat::Json => logs::LineFormat::Json,
            LogFormat::Text => logs::LineFormat::Text,
        }),
        level: log.level,
        modules: &log.modules,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVICE_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("service")
        .enable_all()
        .build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::listen()?
    };
    let data = &loaded.snapshot.process.data;
    let (mut lock, slot) = match &held.inherited.predecessor {
        Some(predecessor) => (Lock::take_slot(data, predecessor.slot)?, predecessor.slot),
        None => (Lock::take(data)?, Slot::Main),
    };
    let secrets = InstallationSecrets::read(&loaded.environment, &loaded.snapshot.process.data)?;
    let workers = loaded.snapshot.process.worker_count();
    let wish = wire::ServeOptions {
        role: args.role,
        slot,
        predecessor: held.inherited.predecessor.clone(),
        program,
        workers,
        demo: args.demo,
        skip_corrupt: args.skip_corrupt,
        secrets,
        dropped: lines.dropped(),
        sources: sources(&place, &flags, &loaded),
        place,
        examples,
        has_addr: args.overrides.addr.is_some(),
    };
    let resources = ProcessResources { lock: &mut lock, sockets: held };
    let ended = runtime.block_on(wire::serve(loaded, wish, resources, &mut signals));
    runtime.shutdown_background();
    drop(lines);
    // Released last: detached threads may write to the data folder until then.
    drop(lock);
    drop(temporary);
    ended
}
