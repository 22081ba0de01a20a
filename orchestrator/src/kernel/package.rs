//! What a Debian package holds (deb(5)), entry by entry, whoever made it: names are bounded, and so is the sum of it all.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tar::EntryType;

use super::ar;
use super::deb::DebError;
use super::decompress::{Format, Limited};
use crate::host::files;

/// Largest unpacked package; the full flavour of a kernel has about 500 MiB with uncompressed modules.
const MAX_UNPACKED: u64 = 4 << 30;
/// Longest path, as Linux has it (`PATH_MAX`), and longest header of pax.
const LONGEST_NAME: u64 = 4096;
const LONGEST_PAX: u64 = 64 << 10;

/// A file, a directory, a link or something else in a package.
pub(crate) struct Entry<'e> {
    /// Its name, as it stands there.
    pub(crate) name: &'e Path,
    /// Where a link leads.
    pub(crate) link: Option<&'e Path>,
    pub(crate) kind: EntryType,
    /// Permissions.
    pub(crate) mode: u32,
    /// The archive's word for its size, in bytes.
    pub(crate) size: u64,
    /// A file's bytes.
    pub(crate) data: &'e mut dyn Read,
}

/// Gives each entry of a package to `each`.
///
/// # Errors
/// [`DebError`], and what `each` says.
pub(crate) fn entries_of_package<E: From<DebError>>(
    path: &Path,
    each: &mut dyn FnMut(&mut Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let damaged = |error: io::Error| DebError::Ar(error.into());
    let mut file = files::open_regular(path).map_err(damaged)?;
    let members = ar::members(&mut file).map_err(DebError::from)?;
    let Some(data) = members
        .iter()
        .find(|m| m.name == "data.tar" || m.name.starts_with("data.tar."))
    else {
        let names: Vec<_> = members.iter().map(|m| m.name.as_str()).collect();
        return Err(DebError::NoData(if names.is_empty() {
            "nothing".into()
        } else {
            names.join(", ")
        })
        .into());
    };
    file.seek(SeekFrom::Start(data.offset)).map_err(damaged)?;
    let mut packed = BufReader::with_capacity(1 << 16, file.take(data.size));
    if data.name == "data.tar" {
        return entries_of_tar(packed, each);
    }
    let head = packed.fill_buf().map_err(damaged)?;
    let format = Format::of(head).ok_or_else(|| DebError::UnknownCompression(data.name.clone()))?;
    entries_of_tar(format.reader(packed).map_err(DebError::from)?, each)
}

/// Gives each entry of a tar stream to `each`.
///
/// # Errors
/// [`DebError`], and what `each` says.
pub(crate) fn entries_of_tar<E: From<DebError>>(
    stream: impl Read,
    each: &mut dyn FnMut(&mut Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(Limited::new(stream, MAX_UNPACKED));
    // The entries as they are: else long names are read whole, however long.
    let (mut name, mut link) = (None, None);
    for entry in archive.entries().map_err(DebError::Tar)?.raw(true) {
        let mut entry = entry.map_err(DebError::Tar)?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            name = Some(long_name(&mut entry)?);
        } else if kind.is_gnu_longlink() {
            link = Some(long_name(&mut entry)?);
        } else if kind.is_pax_local_extensions() {
            let records = bounded(&mut entry, LONGEST_PAX)?;
            name = pax(&records, b"path=").or(name);
            link = pax(&records, b"linkpath=").or(link);
        } else if !kind.is_pax_global_extensions() {
            let name = name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let of_header = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
            let link = link.take().or(of_header);
            each(&mut Entry {
                name: Path::new(OsStr::from_bytes(&name)),
                link: link.as_deref().map(|link| Path::new(OsStr::from_bytes(link))),
                kind,
                mode: entry.header().mode().unwrap_or(0o644),
                size: entry.size(),
                data: &mut entry,
            })?;
        }
    }
    Ok(())
}

/// The name that a GNU long-name entry has for the next one (tar(5)): its bytes up to a NUL.
fn long_name(entry: &mut impl Read) -> Result<Vec<u8>, DebError> {
    let mut name = bounded(entry, LONGEST_NAME)?;
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    Ok(name)
}

/// What a pax header has for the next entry under a key, if anything: one of its records `LENGTH KEY=VALUE` (pax(1)).
fn pax(records: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let of = records.split(|&byte| byte == b'\n').find_map(|record| {
        let at = record.iter().position(|&byte| byte == b' ')?;
        record[at + 1..].strip_prefix(key)
    });
    of.map(<[u8]>::to_vec)
}

fn bounded(entry: &mut impl Read, most: u64) -> Result<Vec<u8>, DebError> {
    let mut bytes = Vec::new();
    entry
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(DebError::Tar)?;
    if bytes.len() as u64 > most {
        return Err(DebError::LongName(most));
    }
    Ok(bytes)
}
