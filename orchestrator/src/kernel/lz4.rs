//! Reads the "legacy" lz4 frame, the one in which kernels are packed.
//!
//! A magic word, then blocks: a length (32 bits, little-endian) and that many packed bytes, each unpacking to
//! at most 8 MiB. Source: lz4's `doc/lz4_Frame_format.md` ("Legacy frame") and the kernel's `lib/decompress_unlz4.c`.

use std::io::{self, BufRead, Read};

/// First bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// Unpacked size of every block but the last.
const BLOCK: usize = 8 << 20;
/// Largest packed block: lz4 lets incompressible data grow by 1/255 and 16 bytes.
const MAX_PACKED: usize = BLOCK + BLOCK / 255 + 16;

/// Decoder of one legacy frame, up to the end of its input.
#[derive(Debug)]
pub(crate) struct LegacyDecoder<R> {
    from: R,
    started: bool,
    block: Vec<u8>,
    at: usize,
}

impl<R: BufRead> LegacyDecoder<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            from,
            started: false,
            block: Vec::new(),
            at: 0,
        }
    }

    /// Unpacks the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let bad = |text: &'static str| io::Error::new(io::ErrorKind::InvalidData, text);
        let mut word = [0; 4];
        if !self.started {
            self.from.read_exact(&mut word)?;
            if word != MAGIC {
                return Err(bad("not a legacy lz4 frame"));
            }
            self.started = true;
        }
        if self.from.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.from.read_exact(&mut word)?;
        let packed = u32::from_le_bytes(word) as usize;
        if packed == 0 || packed > MAX_PACKED {
            return Err(bad("a block has an impossible length"));
        }
        let mut input = Vec::new();
        self.from.by_ref().take(packed as u64).read_to_end(&mut input)?;
        if input.len() < packed {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.block.resize(BLOCK, 0);
        let len = lz4_flex::block::decompress_into(&input, &mut self.block)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.block.truncate(len);
        self.at = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for LegacyDecoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn pack(data: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for chunk in data.chunks(BLOCK) {
            let packed = lz4_flex::block::compress(chunk);
            out.extend((packed.len() as u32).to_le_bytes());
            out.extend(packed);
        }
        out
    }

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        LegacyDecoder::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn several_blocks_come_back() {
        let data: Vec<u8> = (0..BLOCK as u32 + 5000).map(|i| (i / 100) as u8).collect();
        let packed = pack(&data);
        assert_eq!(unpack(&packed).unwrap(), data);
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        assert!(unpack(&[&packed[..], &[1, 2]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..200, value: u8, cut in 0usize..50) {
            let mut packed = pack(&b"some text, some text, some other text".repeat(5));
            if let Some(byte) = packed.get_mut(at) { *byte = value; }
            packed.truncate(packed.len().saturating_sub(cut));
            if let Ok(out) = unpack(&packed) { prop_assert!(out.len() <= BLOCK); }
        }
    }
}
