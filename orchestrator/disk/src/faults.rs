//! Controls a device by faults and a pace: what scenarios say about holding, failing and slowing requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coldcut_core::faults::{ActiveFaults, Asked, Effect, Fault, Kind, Pace, identities};
use coldcut_core::recording::io::IoKind;
use tokio::sync::{oneshot, watch};

use super::injector::{Admission, Injector, Resume, Stored};
use super::proto::Errno;
use super::request::Request;

/// A device's faults and pace. Clones control the same device; [`Self::injector`] is what the device asks.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
    /// Counts what was held, so that others can wait for it.
    held: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    faults: ActiveFaults,
    holds: BTreeMap<String, Hold>,
    pace: Pace,
    start: Instant,
    /// Where ranges end at the latest: with several disks they are of the first.
    end: u64,
}

/// What a fault holds.
#[derive(Debug)]
struct Hold {
    /// How long a request may be held.
    within: Duration,
    /// The requests held now, each with its deadline.
    requests: Vec<(Instant, oneshot::Sender<Resume>)>,
}

/// A request was held for longer than it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` held a request for {} ms, and nothing released it", within.as_millis())]
pub struct Overdue {
    /// The fault.
    pub name: String,
    /// How long was allowed.
    pub within: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(Pace::default())
    }
}

impl Faults {
    /// No faults, and this pace.
    pub fn new(pace: Pace) -> Self {
        let inner = Inner {
            faults: ActiveFaults::default(),
            holds: BTreeMap::new(),
            pace,
            start: Instant::now(),
            end: u64::MAX,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            held: watch::Sender::new(0),
        }
    }

    /// The same, of a device whose first disk ends at this byte: ranges are of that disk alone.
    #[must_use]
    pub fn with_ranges_until(self, end: u64) -> Self {
        self.lock().end = end;
        self
    }

    /// What the device asks about each request.
    pub fn injector(&self) -> Box<dyn Injector> {
        Box::new(self.clone())
    }

    // The device's lock may be held already when this one is taken, never the other way round.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a fault in force. `ids` are the identities of the contents that its filter names, if it names any; a request
    /// may be held for `within`.
    pub fn arm(&self, mut fault: Fault, ids: Option<BTreeSet<u64>>, within: Duration) {
        let mut inner = self.lock();
        if let Some(range) = &mut fault.filter.range {
            range.end = range.end.min(inner.end);
        }
        if fault.effect == Effect::Hold {
            let hold = Hold {
                within,
                requests: Vec::new(),
            };
            inner.holds.insert(fault.name.clone(), hold);
        }
        inner.faults.arm(fault, ids);
    }

    /// Ends a fault and lets what it holds go on. How many requests it had applied to and how many it let go; `None` when
    /// there is no such fault.
    pub fn release(&self, name: &str, resume: Resume) -> Option<(u32, usize)> {
        let (hits, requests) = {
            let mut inner = self.lock();
            let hits = inner.faults.disarm(name)?;
            let hold = inner.holds.remove(name);
            (hits, hold.map_or_else(Vec::new, |hold| hold.requests))
        };
        let count = requests.len();
        for (_, request) in requests {
            // Whoever waited for it may be gone: the client has left.
            let _ = request.send(resume);
        }
        Some((hits, count))
    }

    /// Waits until a fault holds at least so many requests; each of them is then submitted and not completed.
    pub async fn held(&self, name: &str, count: usize) {
        let mut changes = self.held.subscribe();
        loop {
            let held = self.lock().holds.get(name).map_or(0, |hold| hold.requests.len());
            if held >= count {
                return;
            }
            // The sender lives in `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until a request was held for longer than it may be; for ever when that does not happen. What the fault
    /// holds is released then.
    pub async fn overdue(&self) -> Overdue {
        let mut changes = self.held.subscribe();
        loop {
            let next = {
                let inner = self.lock();
                let all = inner.holds.iter().flat_map(|(name, hold)| {
                    hold.requests
                        .iter()
                        .map(move |(deadline, _)| (*deadline, name.clone(), hold.within))
                });
                all.min_by_key(|(deadline, ..)| *deadline)
            };
            let Some((deadline, name, within)) = next else {
                let _ = changes.changed().await;
                continue;
            };
            if Instant::now() >= deadline {
                self.release(&name, Resume::Proceed);
                return Overdue { name, within };
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline.into()) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Changes the speed from now on; `None` leaves it as it is.
    pub fn set_pace(&self, bandwidth: Option<Option<u64>>, latency: Option<Duration>) {
        let mut inner = self.lock();
        if let Some(bandwidth) = bandwidth {
            inner.pace.bandwidth = bandwidth;
        }
        if let Some(latency) = latency {
            inner.pace.latency = nanos(latency);
        }
    }

    /// The faults in force: name, how many requests each applied to, and how many it holds now.
    pub fn in_force(&self) -> Vec<(String, u32, usize)> {
        let inner = self.lock();
        let held = |name: &str| inner.holds.get(name).map_or(0, |hold| hold.requests.len());
        let all = inner.faults.all();
        all.map(|(fault, hits)| (fault.name.clone(), hits, held(&fault.name)))
            .collect()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Injector for Faults {
    fn admit(&mut self, request: &Request, content: &Stored<'_>) -> Admission {
        let asked = asked(request);
        let mut inner = self.lock();
        let decided = inner.faults.decide(&asked, || carried(request, *content));
        match decided.map(|(fault, effect)| (fault.name.clone(), effect)) {
            Some((_, Effect::Fail)) => return Admission::Fail(Errno::Io),
            Some((name, Effect::Hold)) => {
                if let Some(hold) = inner.holds.get_mut(&name) {
                    let (release, released) = oneshot::channel();
                    hold.requests.push((Instant::now() + hold.within, release));
                    drop(inner);
                    self.held.send_modify(|count| *count += 1);
                    return Admission::Hold(released);
                }
            }
            None => {}
        }
        let now = nanos(inner.start.elapsed());
        let moved = if matches!(asked.kind, Kind::Read | Kind::Write) {
            asked.len
        } else {
            0
        };
        match inner.pace.delay(now, moved) {
            0 => Admission::Proceed,
            delay => Admission::Delay(Duration::from_nanos(delay)),
        }
    }
}

fn asked(request: &Request) -> Asked {
    match request {
        Request::Read { offset, len } => Asked {
            kind: Kind::Read,
            offset: *offset,
            len: u64::from(*len),
        },
        Request::Change { io, .. } => Asked {
            kind: match io.kind {
                IoKind::Write => Kind::Write,
                IoKind::WriteZeroes => Kind::WriteZeroes,
                IoKind::Discard => Kind::Discard,
                IoKind::Flush => Kind::Flush,
            },
            offset: io.offset,
            len: io.len,
        },
    }
}

/// Whose data a request carries: what it writes, or what is stored where it reads.
fn carried(request: &Request, content: Stored<'_>) -> BTreeSet<u64> {
    match request {
        Request::Change { data, .. } => identities(data),
        Request::Read { offset, len } => {
            let mut bytes = vec![0; *len as usize];
            // The image's error is the read's own to report.
            match content.read_at(*offset, &mut bytes) {
                Ok(()) => identities(&bytes),
                Err(_) => BTreeSet::new(),
            }
        }
    }
}
