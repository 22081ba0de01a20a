//! A literal reader of dm-log-writes logs: written from the kernel's
//! `Documentation/admin-guide/device-mapper/log-writes.rst` and `drivers/md/dm-log-writes.c`, with its own constants, and
//! without a line of the engine's.

/// Bits of an entry's flags.
pub(crate) const FLUSH: u64 = 1;
/// See [`FLUSH`].
pub(crate) const FUA: u64 = 2;
/// See [`FLUSH`].
pub(crate) const DISCARD: u64 = 4;
/// See [`FLUSH`].
pub(crate) const MARK: u64 = 8;
/// See [`FLUSH`].
pub(crate) const METADATA: u64 = 16;

/// An entry as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) flags: u64,
    /// First byte on the device.
    pub(crate) start: u64,
    /// Bytes on the device.
    pub(crate) len: u64,
    /// A mark's text.
    pub(crate) text: String,
    /// Where the data is in the log file.
    pub(crate) data_at: usize,
    pub(crate) data: Vec<u8>,
}

impl Entry {
    pub(crate) fn is(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// Whether it is an ordinary write or a discard, which the target logs only once a flush has covered it.
    pub(crate) fn waits_for_a_flush(&self) -> bool {
        self.len > 0 && !self.is(FUA)
    }

    /// What it is, without its data.
    pub(crate) fn head(&self) -> String {
        let Self {
            flags,
            start,
            len,
            text,
            ..
        } = self;
        format!("flags {flags}, {len} bytes at {start}, {text:?}")
    }

    /// Changes a disk as the entry says.
    pub(crate) fn apply(&self, disk: &mut [u8]) {
        let range = &mut disk[self.start as usize..(self.start + self.len) as usize];
        if self.is(DISCARD) {
            range.fill(0);
        } else {
            range.copy_from_slice(&self.data);
        }
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// All entries; the log must end with the last of them.
pub(crate) fn read(log: &[u8]) -> Vec<Entry> {
    assert_eq!(word(log), 0x006a_7366_7773_6872, "magic");
    assert_eq!(word(&log[8..]), 1, "version");
    let count = word(&log[16..]);
    let sector = u32::from_le_bytes(log[24..28].try_into().unwrap()) as usize;
    let mut at = sector;
    let mut entries = Vec::new();
    for _ in 0..count {
        let head = &log[at..at + sector];
        let (flags, len) = (word(&head[16..]), word(&head[8..]) * sector as u64);
        let text = &head[32..32 + word(&head[24..]) as usize];
        at += sector;
        let bytes = if flags & (DISCARD | MARK) == 0 {
            len as usize
        } else {
            0
        };
        entries.push(Entry {
            flags,
            start: word(head) * sector as u64,
            len,
            text: String::from_utf8(text.to_vec()).unwrap(),
            data_at: at,
            data: log[at..at + bytes].to_vec(),
        });
        at += bytes;
    }
    assert_eq!(at, log.len(), "the log is cut at its end");
    entries
}

/// The disk after the entries up to and including number `last`: what `replay-log` leaves.
pub(crate) fn replayed(base: &[u8], entries: &[Entry], last: usize) -> Vec<u8> {
    let mut disk = base.to_vec();
    for entry in &entries[..=last] {
        entry.apply(&mut disk);
    }
    disk
}

/// What the documentation says is on the disk, and not merely in its cache, once entry number `last` was logged: all
/// that stands before the last flush, and FUA requests since, which "are logged as soon as they complete".
pub(crate) fn on_disk(base: &[u8], entries: &[Entry], last: usize) -> Vec<u8> {
    let until = &entries[..=last];
    let flushed = until.iter().rposition(|entry| entry.is(FLUSH));
    let mut disk = base.to_vec();
    for (number, entry) in until.iter().enumerate() {
        if flushed.is_some_and(|flush| number <= flush) || entry.is(FUA) {
            entry.apply(&mut disk);
        }
    }
    disk
}
