//! Boot images: what a file is, which release it has, and the vmlinux inside a bzImage.
//!
//! Source of the layout: the kernel's `Documentation/arch/x86/boot.rst` (setup header, `payload_offset` and
//! `payload_length` since protocol 2.08).

use super::decompress::{DecompressError, Format};
use super::elf;

/// Largest boot image that is read, in bytes; distribution kernels have 6 to 20 MiB.
pub const MAX_IMAGE: u64 = 512 << 20;
/// Largest vmlinux that a payload may unpack to; distribution kernels have 30 to 80 MiB.
const MAX_VMLINUX: u64 = 1 << 30;
const SECTOR: usize = 512;

/// Why a file is no kernel, or why its vmlinux cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Neither a bzImage nor a vmlinux.
    #[error("not a kernel: expected an x86 bzImage (magic `HdrS` at byte 0x202) or a vmlinux (ELF){0}")]
    NotAKernel(String),
    /// An ELF file that cannot be booted.
    #[error("an ELF file that QEMU cannot boot: {0}; give the bzImage instead")]
    BadElf(String),
    /// Older than boot protocol 2.08 (Linux 2.6.26).
    #[error("its boot protocol is {}.{:02}, expected 2.08 or later", .0 >> 8, .0 & 0xff)]
    OldProtocol(u16),
    /// The header points outside the file.
    #[error("truncated bzImage: its payload ends at byte {end}, the file at {len}")]
    Truncated {
        /// Where the payload should end.
        end: u64,
        /// The file's length.
        len: u64,
    },
    /// No known compression.
    #[error("its payload starts with bytes {0:02x?}, which is no known compression")]
    UnknownPayload(Vec<u8>),
    /// The payload cannot be decompressed.
    #[error("its payload is {0}")]
    Payload(DecompressError),
    /// The payload has another size than it says.
    #[error("its payload unpacks to {found} bytes, expected {expected}")]
    PayloadSize {
        /// Bytes that came out.
        found: u64,
        /// Bytes that the payload announces.
        expected: u64,
    },
    /// The release is not in the file.
    #[error("a kernel without a readable release string")]
    NoRelease,
}

/// A kernel file that has been recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// An x86 bzImage.
    BzImage,
    /// A 64-bit ELF file with a PVH entry.
    Vmlinux,
}

/// Tells what `bytes` is, or why it is no kernel that QEMU can boot.
///
/// # Errors
/// [`ImageError`].
pub fn kind(bytes: &[u8]) -> Result<ImageKind, ImageError> {
    if elf::is_elf(bytes) {
        return elf::pvh_entry(bytes)
            .map(|_| ImageKind::Vmlinux)
            .map_err(ImageError::BadElf);
    }
    if bytes.get(0x202..0x206) == Some(b"HdrS") {
        return Header::parse(bytes).map(|_| ImageKind::BzImage);
    }
    let hint = match bytes {
        [] => "; the file is empty",
        [b'!', b'<', b'a', ..] => "; this is an archive, perhaps a .deb",
        [b'M', b'Z', ..] => "; this is an EFI program without the x86 setup header",
        _ if Format::of(bytes).is_some() => "; this is a compressed file: unpack it first",
        _ => "",
    };
    Err(ImageError::NotAKernel(hint.to_owned()))
}

/// The fields of the setup header that matter here.
struct Header {
    /// Bytes before the protected-mode code.
    setup: usize,
    payload_offset: usize,
    payload_length: usize,
    /// Offset of the version string, less 0x200; 0 for none.
    version: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let short = || ImageError::Truncated {
            end: 0x250,
            len: bytes.len() as u64,
        };
        if bytes.len() < 0x250 {
            return Err(short());
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let protocol = u16_at(0x206);
        if protocol < 0x0208 {
            return Err(ImageError::OldProtocol(protocol));
        }
        // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
        let sectors = if bytes[0x1f1] == 0 {
            4
        } else {
            usize::from(bytes[0x1f1])
        };
        Ok(Self {
            setup: (sectors + 1) * SECTOR,
            payload_offset: u32_at(0x248) as usize,
            payload_length: u32_at(0x24c) as usize,
            version: usize::from(u16_at(0x20e)),
        })
    }
}

/// The release (`uname -r`) that a bzImage or vmlinux carries.
///
/// # Errors
/// [`ImageError`].
pub fn release(bytes: &[u8]) -> Result<String, ImageError> {
    let text = match kind(bytes)? {
        ImageKind::BzImage => {
            let at = Header::parse(bytes)?.version;
            bytes
                .get(at + 0x200..)
                .filter(|_| at != 0)
                .ok_or(ImageError::NoRelease)?
        }
        ImageKind::Vmlinux => {
            const BANNER: &[u8] = b"Linux version ";
            let is_banner = |at: &usize| {
                bytes[*at..].starts_with(BANNER)
                    && bytes.get(at + BANNER.len()).is_some_and(u8::is_ascii_digit)
            };
            let at = positions_of(b'L', bytes)
                .find(is_banner)
                .ok_or(ImageError::NoRelease)?;
            &bytes[at + BANNER.len()..]
        }
    };
    // The release is at most 64 bytes long (struct new_utsname), followed by " (builder) …".
    let end = text
        .iter()
        .take(65)
        .position(|b| *b == b' ' || *b == 0)
        .ok_or(ImageError::NoRelease)?;
    let release = std::str::from_utf8(&text[..end]).map_err(|_| ImageError::NoRelease)?;
    let sane = release.starts_with(|c: char| c.is_ascii_digit())
        && release
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c));
    if sane {
        Ok(release.to_owned())
    } else {
        Err(ImageError::NoRelease)
    }
}

fn positions_of(byte: u8, bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes
        .iter()
        .enumerate()
        .filter(move |(_, b)| **b == byte)
        .map(|(at, _)| at)
}

/// Unpacks the vmlinux inside a bzImage. It need not have a PVH entry: ask [`elf::pvh_entry`].
///
/// # Errors
/// [`ImageError`].
pub fn extract_vmlinux(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let header = Header::parse(bytes)?;
    let start = header.setup.saturating_add(header.payload_offset);
    let end = start.saturating_add(header.payload_length);
    let payload = bytes
        .get(start..end)
        .filter(|p| p.len() > 8)
        .ok_or(ImageError::Truncated {
            end: end as u64,
            len: bytes.len() as u64,
        })?;
    let format = Format::of(payload).ok_or_else(|| ImageError::UnknownPayload(payload[..4].to_vec()))?;
    // The build appends the unpacked size, little-endian, to every payload (gzip has it as its last field).
    let packed = if format == Format::Gzip {
        payload
    } else {
        &payload[..payload.len() - 4]
    };
    let vmlinux = format.decompress(packed, MAX_VMLINUX)?;
    let mut size = [0; 4];
    size.copy_from_slice(&payload[payload.len() - 4..]);
    let expected = u64::from(u32::from_le_bytes(size));
    if vmlinux.len() as u64 != expected {
        return Err(ImageError::PayloadSize {
            found: vmlinux.len() as u64,
            expected,
        });
    }
    Ok(vmlinux)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::decompress::tests::{gzip, xz, zstd};
    use super::super::elf::tests::vmlinux;
    use super::super::lz4::tests::pack as lz4;
    use super::*;

    /// A bzImage around this packed payload (without its size) of an unpacked length.
    pub(crate) fn bzimage(release: &str, payload: &[u8], unpacked: Option<u32>) -> Vec<u8> {
        let mut out = vec![0; 3 * SECTOR];
        out[0x1f1] = 2;
        out[0x202..0x206].copy_from_slice(b"HdrS");
        out[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        out[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        let banner = format!("{release} (someone@builder) #1 SMP\0");
        out[0x300..0x300 + banner.len()].copy_from_slice(banner.as_bytes());
        out.extend([0x90; 64]);
        let tail = unpacked.map(|n| n.to_le_bytes().to_vec()).unwrap_or_default();
        out[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
        out[0x24c..0x250].copy_from_slice(&((payload.len() + tail.len()) as u32).to_le_bytes());
        out.extend(payload);
        out.extend(tail);
        out.extend([0; 32]);
        out
    }

    #[test]
    fn extracts_every_compression() {
        let inner = vmlinux(b"text of the kernel", Some(0x1000));
        let len = Some(inner.len() as u32);
        for image in [
            bzimage("6.1.0", &gzip(&inner), None),
            bzimage("6.1.0", &xz(&inner), len),
            bzimage("6.1.0", &zstd(&inner), len),
            bzimage("6.1.0", &lz4(&inner), len),
        ] {
            assert_eq!(kind(&image).unwrap(), ImageKind::BzImage);
            assert_eq!(extract_vmlinux(&image).unwrap(), inner);
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let inner = vmlinux(b"text", Some(0x1000));
        let says = |image: &[u8]| extract_vmlinux(image).unwrap_err().to_string();
        assert!(says(&bzimage("6", &xz(&inner), Some(5))).contains("expected 5"));
        assert!(says(&bzimage("6", b"BZh9 whatever", Some(5))).contains("bzip2"));
        assert!(says(&bzimage("6", b"\x02\x21\x4c\x18 no data", Some(5))).contains("lz4"));
        assert!(says(&bzimage("6", b"whatever it is", Some(5))).contains("no known compression"));
        let image = bzimage("6", &xz(&inner), Some(inner.len() as u32));
        assert!(says(&image[..image.len() - 60]).contains("truncated bzImage"));
        let mut old = image;
        old[0x206] = 7;
        assert!(kind(&old).unwrap_err().to_string().contains("2.07"));
    }

    #[test]
    fn what_is_no_kernel_gets_a_reason() {
        let says = |bytes: &[u8]| kind(bytes).unwrap_err().to_string();
        assert!(says(b"").contains("empty"));
        assert!(says(b"#!/bin/sh\n").contains("HdrS"));
        assert!(says(b"!<arch>\ndebian-binary").contains(".deb"));
        assert!(says(&gzip(b"x")).contains("unpack it first"));
        assert!(says(&vmlinux(b"x", None)).contains("CONFIG_PVH"));
    }

    #[test]
    fn reads_the_release() {
        let inner = vmlinux(
            b"..%s Linux version %s\0Linux version 6.12.9-cloud-amd64 (a@b) ...",
            Some(1),
        );
        assert_eq!(release(&inner).unwrap(), "6.12.9-cloud-amd64");
        assert_eq!(
            release(&bzimage("5.10.0-46-amd64", &gzip(b"x"), None)).unwrap(),
            "5.10.0-46-amd64"
        );
        assert!(matches!(
            release(&vmlinux(b"nothing", Some(1))),
            Err(ImageError::NoRelease)
        ));
        assert!(matches!(
            release(&bzimage("../etc", &gzip(b"x"), None)),
            Err(ImageError::NoRelease)
        ));
    }

    proptest! {
        #[test]
        fn damaged_images_never_panic(at in 0x1f0usize..0x250, value: u8, cut in 0usize..2000) {
            let inner = vmlinux(b"text", Some(1));
            let mut image = bzimage("6.1.0", &gzip(&inner), None);
            image[at] = value;
            image.truncate(image.len() - cut.min(image.len()));
            let _ = kind(&image);
            let _ = release(&image);
            let _ = extract_vmlinux(&image);
        }
    }
}
