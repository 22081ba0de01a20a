//! Strategies against recoverers that are not machines: leaky, hanging, wrong.

use std::path::Path;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coldcut_core::oracle::cell::Strategy;
use coldcut_wire::{EntryKind, TreeEntry};

use super::*;
use crate::host::scratch::Scratch;
use crate::report::EventSink;
use crate::vm::machine::{Accel, AccelDecision, Qemu};

/// What the fake machines do. A image's true tree is one file with `image % trees` links.
#[derive(Debug, Default)]
struct Fake {
    trees: usize,
    /// From this screened image on, screening shows the tree of the image before it: a leak.
    leaks_from: Option<usize>,
    /// Screening this image ends the guest.
    kills: Option<usize>,
    /// Screening this image spoils the guest without saying so in the answer.
    spoils: Option<usize>,
    /// Fresh kernels cannot recover this image; booted ones can.
    clones_fail: Option<usize>,
    /// Nobody can.
    hopeless: Option<usize>,
    /// (image, trust) of everything that was recovered.
    log: Arc<StdMutex<Vec<(usize, Trust)>>>,
    guests: Arc<AtomicUsize>,
}

struct FakeGuest {
    last: Option<usize>,
    leaks_from: Option<usize>,
    kills: Option<usize>,
    spoils: Option<usize>,
    hopeless: Option<usize>,
    spoiled: bool,
    trees: usize,
    log: Arc<StdMutex<Vec<(usize, Trust)>>>,
}

fn recovery(tree: usize, trust: Trust) -> Recovery {
    let entry = TreeEntry {
        path: b"file".to_vec(),
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 0,
        nlink: tree as u32,
        ino: 12,
        blocks: 0,
        rdev: 0,
        // No two recoveries have the same times.
        mtime_ns: std::time::Instant::now().elapsed().as_nanos() as i64,
        xattrs: Vec::new(),
        target: None,
        extents: Vec::new(),
        problems: Vec::new(),
    };
    Recovery {
        trust,
        mount_error: None,
        tree: vec![entry],
        unmount_error: None,
        panic: None,
        dmesg: Vec::new(),
        fsck: None,
        repaired: None,
        verified: None,
    }
}

impl Recoverer for Fake {
    type Job = usize;
    type Screener = FakeGuest;

    async fn recover(&self, _: &Pool, job: &usize, trust: Trust) -> Result<Recovery, Unknown> {
        self.log.lock().unwrap().push((*job, trust));
        let fails = self.hopeless == Some(*job) || self.clones_fail == Some(*job) && trust != Trust::Cold;
        if fails {
            return Err(Unknown::new("it does not come up"));
        }
        Ok(recovery(*job % self.trees, trust))
    }

    async fn record(&self, _: &Pool, _: &usize, _: (&Path, &Path)) -> Result<(), Unknown> {
        Err(Unknown::new("it logs nothing"))
    }

    async fn screener(&self, _: &Pool, _: &usize) -> Result<FakeGuest, Unknown> {
        self.guests.fetch_add(1, Ordering::Relaxed);
        Ok(FakeGuest {
            last: None,
            leaks_from: self.leaks_from,
            kills: self.kills,
            spoils: self.spoils,
            hopeless: self.hopeless,
            spoiled: false,
            trees: self.trees,
            log: Arc::clone(&self.log),
        })
    }
}

impl Screener<usize> for FakeGuest {
    async fn recover(&mut self, _: &Pool, job: &usize) -> Result<Recovery, Unknown> {
        assert!(!self.spoiled, "a spoiled guest is not used again");
        self.log.lock().unwrap().push((*job, Trust::Screened));
        if self.kills == Some(*job) || self.hopeless == Some(*job) {
            self.spoiled = true;
            return Err(Unknown::new("the guest's kernel panicked"));
        }
        self.spoiled = self.spoils == Some(*job);
        let shown = match (self.leaks_from, self.last) {
            (Some(from), Some(last)) if *job >= from => last,
            _ => *job,
        };
        self.last = Some(*job);
        Ok(recovery(shown % self.trees, Trust::Screened))
    }

    fn spoiled(&self) -> bool {
        self.spoiled
    }
}

fn pool(jobs: usize) -> Arc<Pool> {
    let qemu = Qemu {
        path: "/bin/false".into(),
        version: "10.0.2".into(),
    };
    let accel = AccelDecision {
        accel: Accel::Tcg,
        why: "a test".into(),
    };
    let scratch = Scratch::new().unwrap();
    Arc::new(Pool::new(qemu, accel, scratch, EventSink::new(Vec::new()), jobs))
}

/// Runs it; `bad` are the images whose true tree breaks a promise.
async fn run(fake: Fake, count: usize, strategy: Strategy, bad: &[usize]) -> (Recoveries, Arc<Fake>) {
    let fake = Arc::new(fake);
    let work = Work {
        job: Arc::new(|image, _: Purpose| Ok(image)),
        done: Arc::new(|_, _, _| {}),
    };
    let trees = fake.trees;
    let suspicious = |_: usize, recovery: &Recovery| {
        let tree = recovery.tree[0].nlink as usize;
        bad.iter().any(|image| image % trees == tree)
    };
    let mut results = Recoveries::new(count);
    let next = |known: &Recoveries| strategy.next(known, suspicious);
    recover_all(&pool(2), &fake, &work, &mut results, next).await;
    (results, fake)
}

fn trusts(results: &Recoveries) -> Vec<Option<Trust>> {
    results
        .outcomes()
        .map(|o| o.as_ref().ok().map(|r| r.trust))
        .collect()
}

fn right(results: &Recoveries, trees: usize) -> bool {
    let links = |o: &Result<Recovery, Unknown>| o.as_ref().ok().map(|r| r.tree[0].nlink as usize);
    (0..)
        .zip(results.outcomes())
        .all(|(image, o)| links(o) == Some(image % trees))
}

#[tokio::test]
async fn one_of_each_tree_is_verified_and_the_rest_is_screened() {
    let fake = Fake {
        trees: 3,
        ..Fake::default()
    };
    let (results, _) = run(fake, 20, Strategy::Tiered, &[]).await;
    let fresh: Vec<usize> = (0..20)
        .filter(|i| trusts(&results)[*i] == Some(Trust::Fresh))
        .collect();
    assert_eq!(fresh, [0, 1, 2]);
    assert!(right(&results, 3));
    assert_eq!(results.disagreed(), 0);
}

#[tokio::test]
async fn what_looks_wrong_is_verified_every_time() {
    let fake = Fake {
        trees: 20,
        ..Fake::default()
    };
    let (results, _) = run(fake, 40, Strategy::Tiered, &[7]).await;
    assert_eq!(trusts(&results)[7], Some(Trust::Fresh));
    assert_eq!(
        trusts(&results)[27],
        Some(Trust::Fresh),
        "the same wrong tree again"
    );
    assert_eq!(trusts(&results)[28], Some(Trust::Screened));
}

#[tokio::test]
async fn a_leak_is_noticed_and_nothing_screened_is_believed() {
    let fake = Fake {
        trees: 3,
        leaks_from: Some(1),
        ..Fake::default()
    };
    let (results, _) = run(fake, 12, Strategy::Tiered, &[]).await;
    assert!(results.disagreed() > 0);
    assert!(trusts(&results).iter().all(|t| *t == Some(Trust::Fresh)));
    assert!(right(&results, 3), "fresh kernels tell the truth");
    // The same without verification is wrong, so this test can fail.
    let fake = Fake {
        trees: 3,
        leaks_from: Some(1),
        ..Fake::default()
    };
    let (results, _) = run(fake, 12, Strategy::Screen, &[]).await;
    assert!(!right(&results, 3));
}

#[tokio::test]
async fn what_ends_a_guest_costs_that_guest_and_nothing_else() {
    let fake = Fake {
        trees: 1,
        kills: Some(2),
        spoils: Some(9),
        ..Fake::default()
    };
    let (results, fake) = run(fake, 16, Strategy::Tiered, &[]).await;
    assert!(right(&results, 1));
    assert_eq!(
        trusts(&results)[2],
        Some(Trust::Fresh),
        "it is retried on a fresh clone"
    );
    assert!(
        fake.guests.load(Ordering::Relaxed) >= 3,
        "two guests ended, others went on"
    );
    let log = fake.log.lock().unwrap();
    let screened = log.iter().filter(|(_, t)| *t == Trust::Screened).count();
    assert_eq!(screened, 16, "each image is screened once");
}

#[tokio::test]
async fn a_clone_that_fails_is_replaced_by_a_boot_and_the_hopeless_are_unknown() {
    let fake = Fake {
        trees: 1,
        clones_fail: Some(0),
        hopeless: Some(5),
        ..Fake::default()
    };
    let (results, _) = run(fake, 8, Strategy::Tiered, &[]).await;
    assert_eq!(trusts(&results)[0], Some(Trust::Cold));
    assert_eq!(trusts(&results)[5], None, "unknown, and never a pass");
    assert_eq!(trusts(&results)[6], Some(Trust::Screened));
}

#[tokio::test]
async fn fresh_and_cold_trust_nobody_else() {
    for (strategy, trust) in [(Strategy::Fresh, Trust::Fresh), (Strategy::Cold, Trust::Cold)] {
        let fake = Fake {
            trees: 2,
            leaks_from: Some(0),
            ..Fake::default()
        };
        let (results, fake) = run(fake, 6, strategy, &[]).await;
        assert!(right(&results, 2));
        assert!(fake.log.lock().unwrap().iter().all(|(_, t)| *t == trust));
        assert_eq!(fake.guests.load(Ordering::Relaxed), 0);
    }
}
