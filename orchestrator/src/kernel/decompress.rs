//! Decompression by magic bytes, with a bound on what comes out.

use std::io::{self, BufRead, Read};

use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::lz4::{self, LegacyDecoder};

/// What a decoder may allocate, in bytes; xz -9 needs 65 MiB, the kernel's own settings up to 128 MiB.
const DECODER_MEMORY: u64 = 512 << 20;
/// Largest zstd window, as a power of two; `zstd --ultra -22` uses 27.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Why data could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// A format that coldcut does not read.
    #[error("compressed with {0}, which coldcut does not read; it reads gzip, xz, lzma, zstd and legacy lz4")]
    Unsupported(&'static str),
    /// More comes out than is allowed.
    #[error("decompresses to more than {} MiB, which no kernel needs", .0 >> 20)]
    TooLarge(u64),
    /// The data is damaged.
    #[error("damaged or truncated {0} data: {1}")]
    Damaged(&'static str, io::Error),
}

/// A compression format, told by its magic bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// gzip (RFC 1952).
    Gzip,
    /// The .xz format.
    Xz,
    /// The older .lzma format ("LZMA alone").
    Lzma,
    /// zstd (RFC 8878).
    Zstd,
    /// The legacy frame of lz4, which has no end mark: all of the input is taken.
    Lz4Legacy,
    /// Known, not read: the name.
    Unsupported(&'static str),
}

impl Format {
    /// The format that `head` starts with, if any. The magics are those of the kernel's `lib/decompress.c`.
    pub fn of(head: &[u8]) -> Option<Self> {
        const KNOWN: [(&[u8], Format); 9] = [
            (&[0x1f, 0x8b], Format::Gzip),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Format::Xz),
            (&[0x5d, 0, 0], Format::Lzma),
            (&[0x28, 0xb5, 0x2f, 0xfd], Format::Zstd),
            (b"BZh", Format::Unsupported("bzip2")),
            (&[0x89, b'L', b'Z', b'O'], Format::Unsupported("lzo")),
            (&lz4::MAGIC, Format::Lz4Legacy),
            (&[0x04, 0x22, 0x4d, 0x18], Format::Unsupported("lz4")),
            (&[0x1f, 0x9e], Format::Unsupported("gzip (old)")),
        ];
        KNOWN
            .iter()
            .find(|(magic, _)| head.starts_with(magic))
            .map(|(_, format)| *format)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Lz4Legacy => "lz4",
            Self::Unsupported(name) => name,
        }
    }

    /// A reader of the decompressed data. One stream is read; what follows it is left alone (but see
    /// [`Format::Lz4Legacy`]).
    ///
    /// # Errors
    /// [`DecompressError`].
    pub fn reader<'a, R: BufRead + 'a>(self, from: R) -> Result<Box<dyn Read + 'a>, DecompressError> {
        let damaged = |error: io::Error| DecompressError::Damaged(self.name(), error);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(from)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(DECODER_MEMORY, 0).map_err(|e| damaged(e.into()))?;
                Box::new(XzDecoder::new_stream(from, stream))
            }
            Self::Lzma => {
                let stream = Stream::new_lzma_decoder(DECODER_MEMORY).map_err(|e| damaged(e.into()))?;
                Box::new(XzDecoder::new_stream(from, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from)
                    .map_err(damaged)?
                    .single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
                Box::new(decoder)
            }
            Self::Lz4Legacy => Box::new(LegacyDecoder::new(from)),
            Self::Unsupported(name) => return Err(DecompressError::Unsupported(name)),
        })
    }

    /// Decompresses the one stream at the start of `data`, at most `limit` bytes.
    ///
    /// # Errors
    /// [`DecompressError`].
    pub fn decompress(self, data: &[u8], limit: u64) -> Result<Vec<u8>, DecompressError> {
        let mut out = Vec::new();
        let mut reader = self.reader(data)?.take(limit + 1);
        reader
            .read_to_end(&mut out)
            .map_err(|error| DecompressError::Damaged(self.name(), error))?;
        if out.len() as u64 > limit {
            Err(DecompressError::TooLarge(limit))
        } else {
            Ok(out)
        }
    }
}

/// A reader that fails, rather than ends, when more than a number of bytes come out of it.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Limited<R> {
    /// Lets at most `limit` bytes through.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("unpacks to more than any kernel package does"))?;
        Ok(n)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn xz(data: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 1).unwrap()
    }

    #[test]
    fn every_format_comes_back_and_ignores_what_follows() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for (format, mut packed) in [
            (Format::Gzip, gzip(&data)),
            (Format::Xz, xz(&data)),
            (Format::Zstd, zstd(&data)),
        ] {
            packed.extend([1, 2, 3, 4]);
            assert_eq!(Format::of(&packed), Some(format));
            assert_eq!(format.decompress(&packed, 1 << 20).unwrap(), data, "{format:?}");
            let error = format.decompress(&packed, data.len() as u64 - 1).unwrap_err();
            assert!(
                matches!(error, DecompressError::TooLarge(_)),
                "{format:?}: {error}"
            );
            let error = format
                .decompress(&packed[..packed.len() / 2], 1 << 20)
                .unwrap_err();
            assert!(
                matches!(error, DecompressError::Damaged(..)),
                "{format:?}: {error}"
            );
        }
    }

    #[test]
    fn names_what_it_does_not_read() {
        let format = Format::of(b"BZh91AY").unwrap();
        let text = format.decompress(b"BZh91AY", 10).unwrap_err().to_string();
        assert!(text.contains("bzip2") && text.contains("zstd"), "{text}");
        assert_eq!(Format::of(b"hello"), None);
        assert_eq!(Format::of(b""), None);
    }

    #[test]
    fn limited_fails_instead_of_ending() {
        let mut out = Vec::new();
        assert!(Limited::new(&[0u8; 10][..], 9).read_to_end(&mut out).is_err());
        assert_eq!(
            Limited::new(&[0u8; 10][..], 10).read_to_end(&mut out).unwrap(),
            10
        );
    }
}
