//! `coldcut doctor`: what this machine has, and what to do about what it lacks.

use coldcut_core::filesystem::FsType;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use super::USAGE;
use super::machines::MachineArgs;
use crate::kernel::{Kernel, Store};
use crate::report::EventSink;
use crate::report::stdout::{OutputError, outln};
use crate::vm::budget::available_mib;
use crate::vm::machine::Qemu;
use crate::vm::pool::Pool;
use crate::vm::snapshot::TemplateStore;

/// Free disk below which kernels, templates and recordings will not fit for long.
const LITTLE_DISK_GIB: f64 = 5.0;
/// Free memory below which not even one machine fits.
const LITTLE_MEMORY_MIB: u32 = 512;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    machines: MachineArgs,
}

fn line(what: &str, found: impl std::fmt::Display) -> Result<(), OutputError> {
    outln!("{what:<13} {found}")
}

/// Whether anything that coldcut cannot do without is missing.
#[derive(Default)]
struct Findings {
    lacking: bool,
}

impl Findings {
    /// Something missing, and what to do about it.
    fn missing(
        &mut self,
        what: &str,
        needed: bool,
        found: impl std::fmt::Display,
        remedy: &str,
    ) -> Result<(), OutputError> {
        self.lacking |= needed;
        line(what, found)?;
        line("", format!("→ {remedy}"))
    }
}

pub(super) async fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    let qemu = Qemu::find().await;
    match &qemu {
        Ok(qemu) => line("QEMU", format!("{} ({})", qemu.version, qemu.path.display())),
        Err(error) => findings.missing(
            "QEMU",
            true,
            format!("missing: {error}"),
            "`make setup`, or install the Debian package qemu-system-x86",
        ),
    }?;
    tools(&mut findings)?;
    memory(&mut findings)?;
    let root = Store::default_root()?;
    disk(&mut findings, &root)?;
    let kernels = Store::open(root.clone())?.list()?;
    store(&mut findings, &root, &kernels)?;
    if let (Ok(_), Some(kernel)) = (&qemu, kernels.last()) {
        let settings = args.machines.settings();
        let pool = Pool::open(settings, EventSink::new(Vec::new()), kernel).await?;
        line("accelerator", format!("{}: {}", pool.accel.accel, pool.accel.why))?;
        line("machines", format!("{} at once (--jobs)", settings.jobs))?;
    } else {
        let kvm = std::fs::File::options().read(true).write(true).open("/dev/kvm");
        let kvm = kvm.map_or_else(|e| format!("cannot be opened: {e}"), |_| "opens".into());
        line(
            "/dev/kvm",
            format!("{kvm}; whether it works shows when a kernel is there"),
        )?;
    }
    templates(&root)?;
    Ok(if findings.lacking {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    })
}

fn tools(findings: &mut Findings) -> Result<(), OutputError> {
    let mut seen: Vec<&str> = Vec::new();
    let tools = FsType::all().flat_map(|fs| {
        let (mkfs, checker) = (&fs.mkfs, &fs.checker);
        [
            (mkfs.program, mkfs.package, fs),
            (checker.program, checker.package, fs),
        ]
    });
    for (tool, package, fstype) in tools {
        if seen.contains(&tool) {
            continue;
        }
        seen.push(tool);
        let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .map(|d| format!("{d}/{tool}"));
        if let Some(path) = found.into_iter().find(|p| Path::new(p).exists()) {
            line(tool, path)?;
        } else {
            let remedy = format!("install the Debian package {package}, if you test {fstype}");
            findings.missing(tool, fstype == FsType::first(), "missing", &remedy)?;
        }
    }
    Ok(())
}

fn memory(findings: &mut Findings) -> Result<(), OutputError> {
    match available_mib() {
        Some(mib) if mib < LITTLE_MEMORY_MIB => findings.missing(
            "memory",
            true,
            format!("{mib} MiB available"),
            "a machine needs about 350 MiB while it boots",
        ),
        Some(mib) => line(
            "memory",
            format!("{mib} MiB available; of them, 8 in 10 are used at most"),
        ),
        None => line("memory", "cannot be told"),
    }
}

fn disk(findings: &mut Findings, root: &Path) -> Result<(), OutputError> {
    // The cache may not be there yet.
    let dir = root.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let Ok(stat) = rustix::fs::statvfs(dir) else {
        return line("disk", format!("{}: cannot be told", dir.display()));
    };
    let gib = (stat.f_bavail.saturating_mul(stat.f_frsize)) as f64 / f64::from(1 << 30);
    let text = format!("{gib:.1} GiB free for {}", root.display());
    if gib < LITTLE_DISK_GIB {
        findings.missing(
            "disk",
            false,
            text,
            "`coldcut kernel gc` frees kernels; old runs are in the results directory",
        )
    } else {
        line("disk", text)
    }
}

fn store(findings: &mut Findings, root: &Path, kernels: &[Kernel]) -> Result<(), OutputError> {
    if kernels.is_empty() {
        let found = format!("none in {}", root.display());
        return findings.missing("kernels", false, found, "get one with `coldcut kernel pull 6.12`");
    }
    let names: Vec<&str> = kernels.iter().map(Kernel::release).collect();
    line(
        "kernels",
        format!("{} in {}: {}", names.len(), root.display(), names.join(", ")),
    )
}

fn templates(root: &Path) -> anyhow::Result<()> {
    let dir = root.join("templates");
    if !dir.exists() {
        line("templates", "none yet: the first run of each kernel makes one")?;
        return Ok(());
    }
    let all = TemplateStore::open(dir)?.list()?;
    let mib: u64 = all.iter().map(|t| t.bytes >> 20).sum();
    line("templates", format!("{}, {mib} MiB", all.len()))?;
    for template in all {
        let age = SystemTime::now()
            .duration_since(template.used)
            .unwrap_or_default();
        line(
            "",
            format!(
                "{}: {} MiB, last used {} min ago",
                template.release,
                template.bytes >> 20,
                age.as_secs() / 60
            ),
        )?;
    }
    Ok(())
}
