//! The look-ups of host names. A look-up occupies a thread until the resolver of the system ends it, which may be long
//! after the requests that wait for it have given up.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use rustc_hash::FxHashMap;
use tokio::net::lookup_host;
use tokio::sync::{Semaphore, oneshot};

use crate::deadlines::task::spawn;

/// Maximum number of look-ups that run at once, per worker.
pub(crate) const RUNNING_MAX: usize = 8;
/// Maximum number of names whose look-up runs or waits for a thread, per worker.
const NAMES_MAX: usize = 4096;

/// A host name and the port of the addresses that it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HostPort {
    host: String,
    port: u16,
}

/// The addresses of a name; all requests that wait for a look-up share its result.
type FoundAddresses = Result<Rc<[SocketAddr]>, Arc<io::Error>>;

/// The look-up of one name.
type Resolving = LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// The look-ups of one worker. Each name has at most one.
pub(crate) struct NameLookups {
    resolve: Box<dyn Fn(HostPort) -> Resolving>,
    running: RefCell<FxHashMap<HostPort, Shared<oneshot::Receiver<FoundAddresses>>>>,
    threads: Semaphore,
}

impl NameLookups {
    /// Returns the look-ups by the resolver of the system.
    pub(crate) fn of_system() -> Rc<Self> {
        Self::new(|name| resolved(name).boxed_local())
    }

    fn new(resolve: impl Fn(HostPort) -> Resolving + 'static) -> Rc<Self> {
        let resolve = Box::new(resolve);
        let running = RefCell::default();
        Rc::new(Self { resolve, running, threads: Semaphore::new(RUNNING_MAX) })
    }

    /// Returns the addresses of a name. The future may be dropped: the look-up continues for other requests.
    ///
    /// # Errors
    /// The name has no address, or too many names are looked up.
    pub(crate) async fn addresses(self: &Rc<Self>, host: &str, port: u16) -> FoundAddresses {
        let name = HostPort { host: host.to_owned(), port };
        // The task of a look-up may have panicked: one that has ended is not used again.
        let known = self.running.borrow().get(&name).filter(|lookup| lookup.peek().is_none()).cloned();
        let lookup = match known {
            Some(lookup) => lookup,
            None => self.begin(name)?,
        };
        lookup.await.unwrap_or_else(|ended| Err(Arc::new(io::Error::other(ended))))
    }

    /// Begins a look-up. Its task ends with it, at the latest with the worker's runtime.
    fn begin(self: &Rc<Self>, name: HostPort) -> Result<Shared<oneshot::Receiver<FoundAddresses>>, Arc<io::Error>> {
        let mut running = self.running.borrow_mut();
        if running.len() >= NAMES_MAX {
            return Err(Arc::new(io::Error::other("too many names are looked up")));
        }
        let (report, reported) = oneshot::channel();
        let reported = reported.shared();
        running.insert(name.clone(), reported.clone());
        let lookups = self.clone();
        drop(spawn(async move {
            // The semaphore is never closed.
            let _thread = lookups.threads.acquire().await;
            let found = (lookups.resolve)(name.clone()).await;
            lookups.running.borrow_mut().remove(&name);
            // An error means that no request waits any more.
            let _ = report.send(found.map(Rc::from).map_err(Arc::new));
        }));
        Ok(reported)
    }
}

/// Asks the resolver of the system, on another thread.
async fn resolved(name: HostPort) -> io::Result<Vec<SocketAddr>> {
    let HostPort { host, port } = name;
    Ok(lookup_host((host, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::task::LocalSet;

    use super::*;

    /// Look-ups that wait for a permit if their names begin with `silent`, and the names of those that have begun.
    struct HeldLookups {
        lookups: Rc<NameLookups>,
        begun: Rc<RefCell<Vec<String>>>,
        gate: Rc<Semaphore>,
    }

    impl HeldLookups {
        fn new() -> Self {
            let begun = Rc::new(RefCell::new(Vec::new()));
            let gate = Rc::new(Semaphore::new(0));
            let noted = begun.clone();
            let held = gate.clone();
            let lookups = NameLookups::new(move |HostPort { host, port }| {
                let held = held.clone();
                noted.borrow_mut().push(host.clone());
                let found = async move {
                    if host.starts_with("silent") {
                        held.acquire().await.unwrap().forget();
                    }
                    io::Result::Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
                };
                found.boxed_local()
            });
            Self { lookups, begun, gate }
        }
    }

    #[tokio::test]
    async fn requests_share_the_look_up_of_a_name_and_other_names_do_not_wait_for_it() {
        let test = async {
            let HeldLookups { lookups, begun, gate } = HeldLookups::new();
            let mut waiting = Box::pin(join_all((0..100).map(|_| lookups.addresses("silent", 1))));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert_eq!(*lookups.addresses("other", 2).await.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 2))]);
            assert_eq!(*begun.borrow(), ["silent", "other"]);
            gate.add_permits(2);
            assert!(waiting.await.iter().all(Result::is_ok));
            assert!(lookups.addresses("silent", 1).await.is_ok());
            assert_eq!(*begun.borrow(), ["silent", "other", "silent"], "the next request begins another");
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn a_look_up_that_panicked_is_begun_again() {
        let test = async {
            let panics = Cell::new(true);
            let lookups = NameLookups::new(move |HostPort { port, .. }| {
                assert!(!panics.replace(false), "the first one panics");
                async move { io::Result::Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) }.boxed_local()
            });
            assert!(lookups.addresses("name", 1).await.is_err());
            assert!(lookups.addresses("name", 1).await.is_ok());
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn look_ups_beyond_the_maximum_wait_and_continue_without_their_requests() {
        let test = async {
            let HeldLookups { lookups, begun, gate } = HeldLookups::new();
            let names: Vec<String> = (0..RUNNING_MAX).map(|number| format!("silent{number}")).collect();
            for name in &names {
                assert!(lookups.addresses(name, 1).now_or_never().is_none(), "the future is dropped");
            }
            let mut other = Box::pin(lookups.addresses("other", 2));
            while begun.borrow().len() < RUNNING_MAX {
                assert!(other.as_mut().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
            assert_eq!(*begun.borrow(), names);
            gate.add_permits(1);
            assert!(other.await.is_ok());
            assert_eq!(lookups.running.borrow().len(), RUNNING_MAX - 1);
        };
        LocalSet::new().run_until(test).await;
    }
}
