//! The log that a command works on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::recording::block::{ReadAt, Zeros};
use coldcut_core::recording::log::{LoadOptions, LoadWarning, Order, PastEnd, WriteLog};

use crate::disk::FileImage;
use crate::report::stdout::errln;

/// Which log, and what it does not say itself.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// The log, in the dm-log-writes format
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// What coldcut recorded beside it; LOG.order where that exists
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// Take the log alone, even if it has a sidecar
    #[arg(long, conflicts_with = "sidecar")]
    no_sidecar: bool,
    /// The order of the log's entries, for a log that does not say
    #[arg(long, value_enum)]
    log_order: Option<OrderArg>,
    /// Size of the device in bytes, for a log that does not say; the base image's if there is one
    #[arg(long, value_name = "BYTES")]
    device_size: Option<u64>,
    /// Entries beyond the number in the log's first sector
    #[arg(long, value_enum, default_value_t = PastEndArg::Auto)]
    past_end: PastEndArg,
}

/// The device's content before the log.
#[derive(Debug, clap::Args)]
pub(super) struct BaseArg {
    /// Raw image of the device before the log starts; zeros when not given
    #[arg(long, value_name = "IMAGE")]
    pub(super) base: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OrderArg {
    /// Writes stand before the flush that covered them, as dm-log-writes puts them
    Kernel,
    /// Writes stand where they completed
    Completion,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::Kernel => Self::Kernel,
            OrderArg::Completion => Self::Completion,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PastEndArg {
    /// Read where coldcut or QEMU wrote the log
    Auto,
    /// Read
    Read,
    /// Ignore
    Ignore,
}

/// A log that was read.
pub(super) struct Opened {
    pub(super) log: Arc<WriteLog>,
    pub(super) warnings: Vec<LoadWarning>,
    pub(super) has_sidecar: bool,
    sources: Sources,
}

impl LogArgs {
    /// Reads the log; warnings go to standard error.
    pub(super) fn open(&self, base: Option<&Path>) -> anyhow::Result<Opened> {
        let base = base.map(open_base).transpose()?;
        let file = Arc::new(FileImage::open(&self.log).with_context(|| self.log.display().to_string())?);
        let sidecar = self
            .sidecar_path()
            .map(|path| FileImage::open(&path).with_context(|| path.display().to_string()))
            .transpose()?
            .map(Arc::new);
        let options = LoadOptions {
            device_size: self.device_size.or(base.as_ref().map(ReadAt::size)),
            order: self.log_order.map(Order::from),
            past_end: match self.past_end {
                PastEndArg::Auto => PastEnd::Auto,
                PastEndArg::Read => PastEnd::Read,
                PastEndArg::Ignore => PastEnd::Ignore,
            },
        };
        let loaded = WriteLog::load(
            &*file,
            sidecar.as_deref().map(|file| file as &dyn ReadAt),
            &options,
        )
        .with_context(|| self.log.display().to_string())?;
        for warning in &loaded.warnings {
            errln!("{}: {warning}", self.log.display());
        }
        let size = loaded.log.geometry().device_size;
        let base: Arc<dyn ReadAt> = match base {
            Some(base) if base.size() == size => base,
            Some(base) => bail!(
                "the base image has {} bytes, the log's device {size}",
                base.size()
            ),
            None => Arc::new(Zeros { size }),
        };
        Ok(Opened {
            log: Arc::new(loaded.log),
            warnings: loaded.warnings,
            has_sidecar: sidecar.is_some(),
            sources: Sources {
                base,
                log: file,
                sidecar: sidecar.map(|file| file as Arc<dyn ReadAt>),
            },
        })
    }

    fn sidecar_path(&self) -> Option<PathBuf> {
        if self.no_sidecar {
            return None;
        }
        self.sidecar.clone().or_else(|| {
            let mut name = self.log.clone().into_os_string();
            name.push(".order");
            Some(PathBuf::from(name)).filter(|path| path.exists())
        })
    }
}

impl Opened {
    pub(super) fn index(&self) -> Arc<BlockIndex> {
        Arc::new(BlockIndex::build(Arc::clone(&self.log)))
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }
}

fn open_base(path: &Path) -> anyhow::Result<Arc<FileImage>> {
    let mut magic = [0; 4];
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    if file.read_exact(&mut magic).is_ok() && magic == *b"QFI\xfb" {
        bail!(
            "{} is a qcow2 image; expected a raw one (qemu-img convert -O raw makes it)",
            path.display()
        );
    }
    Ok(Arc::new(
        FileImage::open(path).with_context(|| path.display().to_string())?,
    ))
}
