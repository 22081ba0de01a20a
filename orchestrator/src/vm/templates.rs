//! Templates: found in the cache or made, once for all who need the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::show_size;
use coldcut_wire::{Op, op::Sleep};
use tokio::sync::OnceCell;

use crate::host::quota;
use crate::report::EventSink;
use crate::vm::client::GuestClient;
use crate::vm::clock::wrong_clock;
use crate::vm::limits::Limits;
use crate::vm::machine::{Machine, MachineSpec, Qemu};
use crate::vm::snapshot::{Template, TemplateError, TemplateKey, TemplateStore};

/// Bytes of templates that the cache keeps; what was used last stays.
const KEEP: u64 = 4 << 30;

/// What a template takes beside its memory, in bytes, generously.
const STATE: u64 = 16 << 20;
/// How often a guest is booted for a template.
const BOOTS: u32 = 3;
/// How long its clock is watched.
const SLEEP: Duration = Duration::from_millis(500);

/// A template that is wanted.
#[derive(Debug, Default)]
struct Slot {
    /// The template, once it is known whether there is one.
    made: OnceCell<Option<Arc<Template>>>,
    /// Whether somebody has looked for it and takes care of it.
    begun: AtomicBool,
}

/// What is available of a template without waiting for a boot.
#[derive(Clone, Debug)]
pub enum AtHand {
    /// The template.
    Here(Arc<Template>),
    /// There is none yet, and the caller is to make it with [`Templates::get`].
    Missing,
    /// Somebody else is making it, or there can be none.
    NotNow,
}

/// What making a template takes.
#[derive(Debug)]
pub struct Means<'a> {
    /// QEMU.
    pub qemu: &'a Qemu,
    /// Deadlines.
    pub limits: Limits,
    /// Where notices go.
    pub events: &'a EventSink,
    /// Where the socket may be through which the guest is saved.
    pub socket: PathBuf,
}

/// The templates of a pool.
#[derive(Debug)]
pub struct Templates {
    cache: PathBuf,
    store: TemplateStore,
    digests: Mutex<HashMap<PathBuf, String>>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

impl Templates {
    /// Kept below this cache directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(cache: &Path) -> Result<Self, TemplateError> {
        Ok(Self {
            cache: cache.to_owned(),
            store: TemplateStore::open(cache.join("templates"))?,
            digests: Mutex::default(),
            slots: Mutex::default(),
        })
    }

    /// The cache directory that they are in.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The template of machines like `spec`; `None` when there can be none, of which the user is told once.
    pub async fn get(&self, means: &Means<'_>, spec: &MachineSpec) -> Option<Arc<Template>> {
        let (key, slot) = self.slot(means, spec).await?;
        slot.begun.store(true, Ordering::Relaxed);
        let find_or_make = || async {
            match self.find_or_make(means, &key, spec).await {
                Ok(template) => Some(Arc::new(template)),
                Err(error) => {
                    let text = format!("no template, so every machine boots its kernel: {error}");
                    means.events.notice(None, text);
                    None
                }
            }
        };
        slot.made.get_or_init(find_or_make).await.clone()
    }

    /// The template of machines like `spec`, if it is in the cache. The first who is told that it is missing makes it;
    /// the others are told not to wait.
    pub async fn at_hand(&self, means: &Means<'_>, spec: &MachineSpec) -> AtHand {
        let Some((key, slot)) = self.slot(means, spec).await else {
            return AtHand::NotNow;
        };
        if let Some(made) = slot.made.get() {
            return made.clone().map_or(AtHand::NotNow, AtHand::Here);
        }
        if slot.begun.swap(true, Ordering::Relaxed) {
            return AtHand::NotNow;
        }
        match self.load(&key).await {
            Ok(Some(template)) => {
                let template = Some(Arc::new(template));
                let made = slot.made.get_or_init(|| async { template }).await;
                made.clone().map_or(AtHand::NotNow, AtHand::Here)
            }
            // Whoever makes it meets the error again, and says so.
            Ok(None) | Err(_) => AtHand::Missing,
        }
    }

    async fn slot(&self, means: &Means<'_>, spec: &MachineSpec) -> Option<(TemplateKey, Arc<Slot>)> {
        match self.key(means, spec).await {
            Ok(key) => {
                let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
                let slot = Arc::clone(slots.entry(key.as_str().to_owned()).or_default());
                Some((key, slot))
            }
            Err(error) => {
                means.events.notice(None, format!("no template: {error}"));
                None
            }
        }
    }

    /// What the template of machines like `spec` is known by.
    ///
    /// # Errors
    /// [`Unknown`] when a file of theirs cannot be read.
    pub(crate) async fn key(&self, means: &Means<'_>, spec: &MachineSpec) -> Result<TemplateKey, Unknown> {
        let kernel = self.digest_of(&spec.kernel.path).await?;
        let initrd = self.digest_of(&spec.initrd).await?;
        TemplateKey::of(means.qemu, spec, &kernel, &initrd).or_unknown("finding QEMU's program")
    }

    /// A file's digest, computed once: nobody changes kernels and ramdisks while we run.
    async fn digest_of(&self, path: &Path) -> Result<String, Unknown> {
        let known = self
            .digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(digest) = known {
            return Ok(digest);
        }
        let file = path.to_owned();
        let digest = tokio::task::spawn_blocking(move || {
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut std::fs::File::open(&file)?, &mut hasher)?;
            Ok::<_, std::io::Error>(hasher.finalize().to_hex().to_string())
        })
        .await
        .or_unknown("reading a file")?
        .or_unknown(&format!("reading {}", path.display()))?;
        self.digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), digest.clone());
        Ok(digest)
    }

    async fn find_or_make(
        &self,
        means: &Means<'_>,
        key: &TemplateKey,
        spec: &MachineSpec,
    ) -> Result<Template, Unknown> {
        if let Some(found) = self.load(key).await? {
            return Ok(found);
        }
        let (store, wanted) = (self.store.clone(), key.clone());
        let building = blocking(move || store.begin(&wanted)).await?;
        // Another coldcut may have made it while we waited for our turn.
        if let Some(found) = self.load(key).await? {
            return Ok(found);
        }
        let store = self.store.clone();
        blocking(move || store.prune(KEEP)).await?;
        room_for(&self.cache, spec)?;
        let machine = boot(means, &building.spec(spec), &building.console()).await?;
        let client = GuestClient::new(&machine, means.limits);
        client
            .prepare(spec.disks.len())
            .await
            .or_unknown("preparing a template")?;
        let saved = machine
            .save(&building.state(), &means.socket, means.limits.boot)
            .await
            .or_unknown("saving a template")?;
        blocking(move || building.finish(&saved.hello)).await?;
        self.load(key)
            .await?
            .ok_or_else(|| Unknown::new("the template that was just made is gone or damaged"))
    }

    async fn load(&self, key: &TemplateKey) -> Result<Option<Template>, Unknown> {
        let (store, key) = (self.store.clone(), key.clone());
        blocking(move || store.load(&key)).await
    }
}

/// Makes sure that the cache has room for a guest's memory: its file is sparse, and a guest that touches more of it than there is
/// room for ends by SIGBUS.
fn room_for(cache: &Path, spec: &MachineSpec) -> Result<(), Unknown> {
    let wanted = (u64::from(spec.memory_mib) << 20) + STATE;
    match quota::free(cache).filter(|free| *free < wanted) {
        None => Ok(()),
        Some(free) => Err(Unknown::new(format!(
            "the filesystem of {} has {} left, and {} are wanted",
            cache.display(),
            show_size(free),
            show_size(wanted)
        ))),
    }
}

/// Boots a guest whose clock is not seen to be wrong. A kernel measures its clock while it boots, and on a busy machine it may
/// measure badly: every clone would keep that clock.
async fn boot(means: &Means<'_>, spec: &MachineSpec, console: &Path) -> Result<Machine, Unknown> {
    let mut wrong = String::new();
    for _ in 0..BOOTS {
        let machine = Machine::boot(means.qemu, spec, console, means.limits.boot)
            .await
            .or_unknown("booting a template")?;
        let sleep = Op::Sleep(Sleep {
            millis: SLEEP.as_millis() as u64,
        });
        let slept = GuestClient::new(&machine, means.limits)
            .measure("sleep", sleep)
            .await
            .or_unknown("watching a template's clock")?;
        let (_, nanos) = slept.result.or_unknown("watching a template's clock")?;
        match wrong_clock("sleep", nanos, slept.waited) {
            None => return Ok(machine),
            Some(why) => wrong = why,
        }
        machine.kill().await;
    }
    Err(Unknown::new(format!("in each of {BOOTS} boots: {wrong}")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, Unknown> {
    tokio::task::spawn_blocking(work)
        .await
        .or_unknown("the template cache")?
        .map_err(|error| Unknown::new(error.to_string()))
}
