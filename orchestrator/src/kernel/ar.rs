//! Reads the `ar` container of a `.deb`: a magic line, then members with a 60-byte header each.
//!
//! Format: ar(5); deb(5) for which members a package has. Only what a `.deb` uses is accepted: names of up
//! to 16 bytes inside the header, no symbol tables.

use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: u64 = 60;
/// A `.deb` has three members; signatures may add a few.
const MAX_MEMBERS: usize = 16;

/// Why a file is no usable `ar` archive.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// The first eight bytes are wrong.
    #[error("not a Debian package: it does not start with `!<arch>`")]
    NotAr,
    /// A member header is malformed.
    #[error("damaged package: the member header at byte {0} is malformed")]
    BadHeader(u64),
    /// A member reaches past the end of the file.
    #[error("truncated package: member `{name}` ends at byte {end}, the file at {len}")]
    Truncated {
        /// The member.
        name: String,
        /// Where it should end.
        end: u64,
        /// The file's length.
        len: u64,
    },
    /// Too many members.
    #[error("not a Debian package: more than {MAX_MEMBERS} members")]
    TooMany,
    /// Reading failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without padding or a closing slash.
    pub name: String,
    /// Byte offset of its data in the file.
    pub offset: u64,
    /// Length of its data in bytes.
    pub size: u64,
}

/// Lists the members of the archive in `file`. Every member is known to lie within the file.
///
/// # Errors
/// [`ArError`].
pub fn members<R: Read + Seek>(file: &mut R) -> Result<Vec<Member>, ArError> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 8];
    match file.read_exact(&mut magic) {
        Ok(()) if &magic == MAGIC => {}
        Ok(()) => return Err(ArError::NotAr),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ArError::NotAr),
        Err(error) => return Err(error.into()),
    }
    let mut members = Vec::new();
    let mut at = 8;
    while at < len {
        if members.len() == MAX_MEMBERS {
            return Err(ArError::TooMany);
        }
        if len - at < HEADER {
            return Err(ArError::BadHeader(at));
        }
        let mut header = [0; HEADER as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)?;
        let member = parse(&header, at)?;
        let end = member.offset.saturating_add(member.size);
        if end > len {
            return Err(ArError::Truncated {
                name: member.name,
                end,
                len,
            });
        }
        // Data is padded to an even length; the last member may lack the padding.
        at = end + (end & 1);
        members.push(member);
    }
    Ok(members)
}

fn parse(header: &[u8; HEADER as usize], at: u64) -> Result<Member, ArError> {
    let bad = || ArError::BadHeader(at);
    if &header[58..60] != b"`\n" {
        return Err(bad());
    }
    let field = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).map_err(|_| bad());
    let name = field(0..16)?
        .trim_end_matches(' ')
        .trim_end_matches('/')
        .to_owned();
    let size = field(48..58)?.trim_end_matches(' ');
    if name.is_empty() || size.is_empty() || !size.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    Ok(Member {
        name,
        offset: at + HEADER,
        size: size.parse().map_err(|_| bad())?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// An archive with these members.
    pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (name, data) in members {
            out.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    100_644,
                    data.len()
                )
                .bytes(),
            );
            out.extend(*data);
            if data.len() % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    #[test]
    fn lists_members_with_odd_lengths() {
        let bytes = archive(&[
            ("debian-binary", b"2.0\n"),
            ("odd/", b"abc"),
            ("data.tar.xz", b"xyz!"),
        ]);
        let list = members(&mut Cursor::new(&bytes)).unwrap();
        let names: Vec<_> = list.iter().map(|m| (m.name.as_str(), m.size)).collect();
        assert_eq!(names, [("debian-binary", 4), ("odd", 3), ("data.tar.xz", 4)]);
        let data = &list[2];
        assert_eq!(&bytes[data.offset as usize..][..data.size as usize], b"xyz!");
    }

    #[test]
    fn refuses_what_is_no_package() {
        let says = |bytes: &[u8]| members(&mut Cursor::new(bytes)).unwrap_err().to_string();
        assert!(says(b"").contains("!<arch>"));
        assert!(says(b"PK\x03\x04 a zip file").contains("!<arch>"));
        let whole = archive(&[("debian-binary", b"2.0\n"), ("data.tar.xz", &[7; 100])]);
        assert!(says(&whole[..whole.len() - 30]).contains("truncated package: member `data.tar.xz`"));
        assert!(says(&whole[..90]).contains("malformed"));
        let huge = String::from_utf8_lossy(&whole).replace("100       ", "9999999999");
        assert!(says(huge.as_bytes()).contains("truncated"));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_points_outside(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for prefix in [false, true] {
                if prefix { bytes.splice(0..0, MAGIC.iter().copied()); }
                if let Ok(list) = members(&mut Cursor::new(&bytes)) {
                    for member in list {
                        prop_assert!(member.offset + member.size <= bytes.len() as u64);
                    }
                }
            }
        }
    }
}
