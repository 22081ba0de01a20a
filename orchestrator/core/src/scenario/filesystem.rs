//! The filesystem's part of a scenario: what can be made and mounted.

use super::model::{Filesystem, FsSource, MountFlag, OtherDisk};
use super::shape::{DiskShape, FilesystemShape, FlushesShape};
use super::yaml::at::At;
use super::yaml::error::{Problem, Sink, Span};
use super::yaml::units::show_size;
use crate::filesystem::{self, FsType, Made, Several};

/// Largest disk, in bytes.
const MAX_SIZE: u64 = 1 << 42;

/// Puts `over`'s keys in place of `base`'s. An image replaces what the base would make, and the other way round.
pub(crate) fn merge(base: &FilesystemShape, over: &FilesystemShape) -> FilesystemShape {
    let image = over.image.is_some();
    let make = over.size.is_some() || over.mkfs.is_some();
    FilesystemShape {
        r#type: over.r#type.clone().or_else(|| base.r#type.clone()),
        size: over.size.clone().or_else(|| base.size.clone().filter(|_| !image)),
        mkfs: over.mkfs.clone().or_else(|| base.mkfs.clone().filter(|_| !image)),
        image: over
            .image
            .clone()
            .or_else(|| base.image.clone().filter(|_| !make)),
        disks: over
            .disks
            .clone()
            .or_else(|| base.disks.clone().filter(|_| !image)),
        mount: over.mount.clone().or_else(|| base.mount.clone()),
        flags: over.flags.clone().or_else(|| base.flags.clone()),
        repair: over.repair.clone().or_else(|| base.repair.clone()),
    }
}

/// Checks a merged description; `at` is where it stands.
pub(crate) fn lower(doc: &FilesystemShape, at: &Span, sink: &Sink) -> Option<Filesystem> {
    let fstype = fstype(doc, at, sink);
    let source = source(doc, fstype, at, sink);
    let disks = disks(doc, fstype, sink);
    let flags = flags(doc, sink);
    let mount = doc.mount.as_ref().map_or(Some(String::new()), |m| mount(m, sink));
    let repair = doc.repair.as_ref().filter(|repair| repair.value);
    if let (Some(repair), Some(fstype)) = (repair, fstype)
        && fstype.repair.is_none()
    {
        let repaired = filesystem::listed(|fs| fs.repair.is_some());
        let message = format!("`repair` is for {repaired}: {fstype} recovers by itself when it is mounted");
        sink.push(Problem::new(&repair.span, message));
        return None;
    }
    Some(Filesystem {
        fstype: fstype?,
        source: source?,
        disks: disks?,
        mount: mount?,
        flags: flags?,
        repair: repair.is_some(),
    })
}

fn fstype(doc: &FilesystemShape, at: &Span, sink: &Sink) -> Option<FsType> {
    let names = || FsType::all().map(FsType::name);
    let Some(given) = &doc.r#type else {
        let help = format!("one of {}", names().collect::<Vec<_>>().join(", "));
        sink.push(Problem::new(at, "the filesystem has no `type`").help(help));
        return None;
    };
    let found = FsType::named(&given.value);
    if found.is_none() {
        let message = format!("unknown filesystem type `{}`", given.value);
        sink.push(Problem::new(&given.span, message).nearest(&given.value, names()));
    }
    found
}

fn source(doc: &FilesystemShape, fstype: Option<FsType>, at: &Span, sink: &Sink) -> Option<FsSource> {
    if let Some(image) = &doc.image {
        let size = doc.size.as_ref().map(|s| &s.span);
        if let Some(span) = size.or(doc.mkfs.as_ref().map(|m| &m.span)) {
            let message = "`image` is a filesystem of your own: it takes no `size` and no `mkfs`";
            sink.push(Problem::new(span, message));
            return None;
        }
        if image.value.is_empty() {
            sink.push(Problem::new(&image.span, "expected the path of a file"));
            return None;
        }
        return Some(FsSource::Image(image.value.clone()));
    }
    let Some(size) = &doc.size else {
        sink.push(
            Problem::new(at, "the filesystem has no `size`").help("such as `size: 64MiB`, or `image: FILE`"),
        );
        return None;
    };
    let bytes = size.value.0;
    if !bytes.is_multiple_of(4096) || bytes > MAX_SIZE {
        let message = format!("expected a multiple of 4096 bytes up to {}", show_size(MAX_SIZE));
        sink.push(Problem::new(&size.span, message));
        return None;
    }
    let fstype = fstype?;
    if bytes < fstype.min_size {
        let message = format!("{} is too small for {}", show_size(bytes), fstype.name());
        let label = format!("at least {}", show_size(fstype.min_size));
        sink.push(Problem::new(&size.span, message).label(label));
        return None;
    }
    let mkfs = doc.mkfs.as_ref().map_or_else(Vec::new, |m| m.value.clone());
    if let (Some(given), Err(refused)) = (&doc.mkfs, fstype.mkfs.check(&mkfs)) {
        let valid = refused.valid(&fstype.mkfs);
        let problem = Problem::new(&given.span, refused.to_string());
        sink.push(if valid.is_empty() {
            problem
        } else {
            problem.help(format!("valid here: {}", valid.join(", ")))
        });
        return None;
    }
    Some(FsSource::Make { size: bytes, mkfs })
}

/// The disks beside the first, none of which the filesystem may be without a use for.
fn disks(doc: &FilesystemShape, fstype: Option<FsType>, sink: &Sink) -> Option<Vec<OtherDisk>> {
    let Some(given) = doc.disks.as_ref().filter(|disks| !disks.value.is_empty()) else {
        return Some(Vec::new());
    };
    let refuse = |problem: Problem| {
        sink.push(problem);
        None
    };
    let fstype = fstype?;
    let Some(several) = &fstype.several else {
        let able = filesystem::listed(|fs| fs.several.is_some());
        let message = format!("{fstype} is on one disk: nothing uses another");
        return refuse(Problem::new(&given.span, message).help(format!("several disks are for {able}")));
    };
    if doc.image.is_some() {
        let message = "`image` is a filesystem on one disk: nothing uses another";
        return refuse(Problem::new(&given.span, message));
    }
    if let Some(repair) = doc.repair.as_ref().filter(|repair| repair.value) {
        return refuse(Problem::new(
            &repair.span,
            "`repair` is for a filesystem on one disk",
        ));
    }
    if given.value.len() > several.most {
        let message = format!(
            "{fstype} has no use for {} disks beside the first",
            given.value.len()
        );
        let label = format!("at most {}", several.most);
        return refuse(Problem::new(&given.span, message).label(label));
    }
    if let Some(mkfs) = &doc.mkfs
        && let Some(word) = several
            .contradicts
            .iter()
            .find(|word| mkfs.value.iter().any(|own| own.contains(**word)))
    {
        let message = format!(
            "`{word}` is settled by `disks`: the {} is a disk of its own",
            several.purpose
        );
        return refuse(Problem::new(&mkfs.span, message));
    }
    let named = |option: &str| option.split('=').next() == Some(several.mount);
    if let Some(mount) = doc
        .mount
        .as_ref()
        .filter(|mount| mount.value.split(',').map(str::trim).any(named))
    {
        let message = format!(
            "`{}` is settled by `disks`: coldcut names the disk itself",
            several.mount
        );
        return refuse(Problem::new(&mount.span, message));
    }
    if let (Made::Named, Some(size)) = (several.made, &doc.size)
        && size.value.0 < several.min_size
    {
        let message = format!(
            "{} is too small for one of several disks of {fstype}",
            show_size(size.value.0)
        );
        let label = format!("at least {}", show_size(several.min_size));
        return refuse(Problem::new(&size.span, message).label(label));
    }
    given
        .value
        .iter()
        .map(|disk| other_disk(disk, fstype, several, sink))
        .collect()
}

fn other_disk(disk: &DiskShape, fstype: FsType, several: &Several, sink: &Sink) -> Option<OtherDisk> {
    if disk.r#use.value != several.purpose {
        let message = format!("{fstype} has no use for a disk as `{}`", disk.r#use.value);
        let help = format!("`use: {}` is what it has", several.purpose);
        sink.push(Problem::new(&disk.r#use.span, message).help(help));
        return None;
    }
    let size = disk.size.value.0;
    if size < several.min_size {
        let message = format!(
            "{} is too small for the {} of {fstype}",
            show_size(size),
            several.purpose
        );
        let label = format!("at least {}", show_size(several.min_size));
        sink.push(Problem::new(&disk.size.span, message).label(label));
        return None;
    }
    if !size.is_multiple_of(4096) || size > MAX_SIZE {
        let message = format!("expected a multiple of 4096 bytes up to {}", show_size(MAX_SIZE));
        sink.push(Problem::new(&disk.size.span, message));
        return None;
    }
    Some(OtherDisk {
        size,
        ignores_flushes: disk.flushes == Some(FlushesShape::Ignored),
    })
}

fn flags(doc: &FilesystemShape, sink: &Sink) -> Option<Vec<MountFlag>> {
    let mut all = Vec::new();
    let mut ok = true;
    for flag in doc.flags.iter().flatten() {
        match MountFlag::ALL.into_iter().find(|f| f.name() == flag.value) {
            Some(MountFlag::Ro) => {
                let message = "a filesystem mounted `ro` takes no workload";
                sink.push(Problem::new(&flag.span, message));
                ok = false;
            }
            Some(known) if !all.contains(&known) => all.push(known),
            Some(_) => {}
            None => {
                let names = MountFlag::ALL.iter().map(|f| f.name());
                let problem = Problem::new(&flag.span, format!("unknown mount flag `{}`", flag.value));
                sink.push(problem.nearest(&flag.value, names));
                ok = false;
            }
        }
    }
    ok.then_some(all)
}

/// The data of mount(2): generic flags do not belong there (kernel 5.10 refuses `dirsync` in it).
fn mount(mount: &At<String>, sink: &Sink) -> Option<String> {
    let options: Vec<&str> = mount
        .value
        .split(',')
        .map(str::trim)
        .filter(|o| !o.is_empty())
        .collect();
    for option in &options {
        let problem = if MountFlag::ALL.iter().any(|f| f.name() == *option) {
            Problem::new(
                &mount.span,
                format!("`{option}` is a mount flag, not an option of the filesystem"),
            )
            .help(format!("write `flags: [{option}]`"))
        } else if option.contains(char::is_whitespace) {
            Problem::new(
                &mount.span,
                format!("a mount option cannot hold a space: `{option}`"),
            )
            .help("separate options by commas")
        } else {
            continue;
        };
        sink.push(problem);
        return None;
    }
    Some(options.join(","))
}
